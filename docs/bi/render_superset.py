"""Imports the dashboard of `docs/bi/superset` into a Superset of its own and photographs it: proof that it draws.

Runs in an environment of its own, beside the project's; docs/bi.md says how to make it. Nothing of the project is
imported. The database is read as the BI user of the given URL, so the picture shows that user's clinic.
"""

from __future__ import annotations

import argparse
import io
import os
import secrets
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import requests

CHARTS = 6
HERE = Path(__file__).resolve().parent
CONFIG = """
import os
SECRET_KEY = os.environ["SUPERSET_SECRET_KEY"]
SQLALCHEMY_DATABASE_URI = "sqlite:///" + os.environ["RENDER_HOME"] + "/superset.db"
TALISMAN_ENABLED = False
WTF_CSRF_ENABLED = False
RATELIMIT_ENABLED = False
"""


def main() -> int:
    """0 when every chart was drawn; else 1, with what Superset said."""
    given = argparse.ArgumentParser(description=__doc__)
    given.add_argument("--database", required=True, help="SQLAlchemy URL of a BI user, on psycopg2")
    given.add_argument("--picture", type=Path, required=True, help="where the PNG goes")
    given.add_argument("--chromium", default="chromium", help="path of the browser")
    given.add_argument("--home", type=Path, help="a folder to keep Superset's own database in, for a second run")
    given.add_argument("--port", type=int, default=8097)
    given.add_argument("--patience", type=int, default=20, help="seconds to let the charts draw")
    options = given.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = options.home or Path(folder)
        home.mkdir(parents=True, exist_ok=True)
        password = secrets.token_urlsafe(16)
        user = f"render_{secrets.token_hex(4)}"
        environment = prepare(home, user, password)
        server = subprocess.Popen([tool("superset"), "run", "-p", str(options.port)], env=environment)
        try:
            problems = photograph(f"http://127.0.0.1:{options.port}", user, password, options)
        finally:
            server.terminate()
            server.wait(30)
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


def tool(name: str) -> str:
    return str(Path(sys.executable).with_name(name))


def prepare(home: Path, user: str, password: str) -> dict[str, str]:
    """Superset's own tables and one administrator; returns the environment it runs in."""
    (home / "superset_config.py").write_text(CONFIG)
    secret = home / "secret"  # what Superset encrypts its databases' passwords with: a second run needs the same
    if not secret.exists():
        secret.write_text(secrets.token_urlsafe(42))
    environment = os.environ | {
        "SUPERSET_CONFIG_PATH": str(home / "superset_config.py"),
        "SUPERSET_SECRET_KEY": secret.read_text(),
        "RENDER_HOME": str(home.resolve()),
        "FLASK_APP": "superset",
    }
    subprocess.run([tool("superset"), "db", "upgrade"], env=environment, check=True, stderr=subprocess.DEVNULL)
    name = f"render_{secrets.token_hex(4)}"
    make = [
        "fab",
        "create-admin",
        "--username",
        name,
        "--firstname",
        "R",
        "--lastname",
        "R",
        "--email",
        f"{name}@x.test",
    ]
    subprocess.run([tool("superset"), *make, "--password", password], env=environment, check=True)
    subprocess.run([tool("superset"), "init"], env=environment, check=True, stderr=subprocess.DEVNULL)
    return environment


def bundle(database: str) -> bytes:
    """The files of `superset/` as the archive that Superset imports, with the URL of the database put in."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as files:
        for path in sorted((HERE / "superset").rglob("*.yaml")):
            text = path.read_text("utf-8")
            if path.parent.name == "databases":
                lines = [
                    f"sqlalchemy_uri: {database}" if line.startswith("sqlalchemy_uri:") else line
                    for line in text.splitlines()
                ]
                text = "\n".join(lines)
            files.writestr(f"bn_aura/{path.relative_to(HERE / 'superset')}", text)
    return archive.getvalue()


def photograph(address: str, user: str, password: str, options: argparse.Namespace) -> list[str]:
    """Import the bundle, open the dashboard and take its picture; returns what went wrong on the page."""
    import requests
    from playwright.sync_api import sync_playwright

    session = requests.Session()
    wait_for(session, address)
    token = session.post(
        f"{address}/api/v1/security/login",
        json={"username": user, "password": password, "provider": "db", "refresh": False},
        timeout=60,
    ).json()["access_token"]
    answer = session.post(
        f"{address}/api/v1/assets/import/",
        headers={"Authorization": f"Bearer {token}"},
        files={"bundle": ("bn_aura.zip", bundle(options.database), "application/zip")},
        timeout=120,
    )
    if not answer.ok:
        return [f"the import was refused: {answer.text[:2000]}"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=options.chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1500, "height": 1750})
        page.goto(f"{address}/login/")
        page.fill("input#username", user)
        page.fill("input#password", password)
        page.press("input#password", "Enter")
        page.wait_for_load_state("networkidle")
        page.goto(f"{address}/superset/dashboard/bn-aura-clinic/?standalone=2")
        page.wait_for_selector("[data-test='chart-container'], .dashboard-chart", timeout=120_000)
        page.wait_for_load_state("networkidle", timeout=120_000)
        page.wait_for_timeout(options.patience * 1000)
        problems = page.locator(".ant-alert-error, [data-test='chart-error'], .error-alert").all_inner_texts()
        drawn = page.locator(".dashboard-chart canvas, .dashboard-chart table").count()
        page.screenshot(path=options.picture)
        browser.close()
    return problems + ([] if drawn >= CHARTS else [f"{drawn} of {CHARTS} charts were drawn"])


def wait_for(session: requests.Session, address: str) -> None:
    import requests

    for _ in range(180):
        try:
            if session.get(f"{address}/health", timeout=5).ok:
                return
        except requests.ConnectionError:
            pass
        time.sleep(1)
    raise SystemExit("Superset did not come up")


if __name__ == "__main__":
    sys.exit(main())
