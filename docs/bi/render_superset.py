"""Import the dashboard of `docs/bi/superset` into a fresh Superset, look at every chart, take the page's picture.

Superset lives in an environment of its own, made where there is none: its requirements and the project's exclude each
other. Its data are in a temporary folder; it listens on the loopback only and ends with the script. See docs/bi.md.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator
from pathlib import Path

from playwright.sync_api import Page, Response, sync_playwright

BUNDLE = Path(__file__).resolve().parent / "superset"
CHARTS = len(list(BUNDLE.glob("charts/*.yaml")))
DASHBOARD = "/superset/dashboard/bn-aura-clinic/?standalone=1"
# rich and cachetools: imported by Superset 6.1 and not among its requirements. psycopg2 drives PostgreSQL for it.
PACKAGES = ["apache-superset==6.1.*", "flask-caching==2.3.1", "rich", "cachetools", "psycopg2-binary"]
CONFIG = """
import os
SECRET_KEY = os.environ["SUPERSET_SECRET_KEY"]
SQLALCHEMY_DATABASE_URI = "sqlite:///" + os.path.join(os.environ["SUPERSET_HOME"], "superset.db")
TALISMAN_ENABLED = False  # it would send the browser to https
"""
USER, WIDTH, START_SECONDS, DRAW_SECONDS = "render", 1440, 90, 120
WHAT_IT_SEES = "select p.clinic_code, count(*) as customers from aura_marts.customer_360 as c \
join aura_marts.clinic_profiles as p on c.clinic_id = p.clinic_id group by 1 order by 1"


class Failed(Exception):
    """The dashboard is not as it should be."""


def main() -> int:
    """0 when every chart was drawn, else 1 with what Superset said."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--superset", type=Path, required=True, metavar="FOLDER", help="Superset's environment")
    arguments.add_argument("--database", required=True, metavar="URL", help="of a BI user: postgresql+psycopg2://…")
    arguments.add_argument("--picture", type=Path, required=True, metavar="FILE", help="where the PNG goes")
    arguments.add_argument("--chromium", default="/usr/bin/chromium", metavar="FILE", help="the browser (%(default)s)")
    given = arguments.parse_args()
    try:
        tool = environment(given.superset)
        with tempfile.TemporaryDirectory(prefix="superset_") as folder:
            password = secrets.token_hex(16)
            variables = prepare(tool, Path(folder), password, given.database)
            with serving(tool, variables) as address, browser_page(given.chromium) as page:
                photograph(page, address, password, given.picture)
    except Failed as failure:
        print(failure, file=sys.stderr)
        return 1
    return 0


def environment(folder: Path) -> Path:
    """Superset's command in `folder`; an environment is made there when there is none."""
    tool = folder / "bin" / "superset"
    if not tool.exists():
        print(f"installing Superset into {folder}: some minutes")
        run([sys.executable, "-m", "venv", folder])
        run([folder / "bin" / "python", "-m", "pip", "install", "--quiet", "--only-binary=:all:", *PACKAGES])
    return tool


def prepare(tool: Path, home: Path, password: str, database: str) -> dict[str, str]:
    """Superset's own tables, a user and the dashboard, in `home`; returns the variables that Superset runs with."""
    (home / "superset_config.py").write_text(CONFIG)
    variables = os.environ | {
        "SUPERSET_CONFIG_PATH": str(home / "superset_config.py"),
        "SUPERSET_HOME": str(home),
        "SUPERSET_SECRET_KEY": secrets.token_urlsafe(42),
        "FLASK_APP": "superset",
    }
    person = ["--username", USER, "--password", password, "--firstname", "-", "--lastname", "-", "--email", "r@x.test"]
    archive = bundle(home / "bundle.zip", database)
    print("preparing Superset")
    for command in (["db", "upgrade"], ["fab", "create-admin", *person], ["init"]):
        run([tool, *command], variables)
    run([tool, "import-dashboards", "--path", archive, "--username", USER], variables)
    return variables


def bundle(archive: Path, database: str) -> Path:
    """The files of the dashboard as the archive that Superset imports, with the URL of the database put in."""
    with zipfile.ZipFile(archive, "w") as files:
        for path in sorted(BUNDLE.rglob("*.yaml")):
            lines = path.read_text("utf-8").splitlines()
            lines = [f"sqlalchemy_uri: {json.dumps(database)}" if "sqlalchemy_uri:" in line else line for line in lines]
            files.writestr(f"bn_aura/{path.relative_to(BUNDLE)}", "\n".join(lines))
    return archive


def run(command: list[object], variables: dict[str, str] | None = None) -> None:
    done = subprocess.run([str(word) for word in command], env=variables, capture_output=True, text=True)
    if done.returncode:
        raise Failed(f"{command[0]} {command[1]} failed:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")


@contextlib.contextmanager
def serving(tool: Path, variables: dict[str, str]) -> Iterator[str]:
    """Superset's address while it runs."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    log = Path(variables["SUPERSET_HOME"]) / "server.log"
    with log.open("w") as output:
        server = subprocess.Popen([tool, "run", "--port", str(port)], env=variables, stdout=output, stderr=output)
    try:
        for _ in range(START_SECONDS):
            with contextlib.suppress(urllib.error.URLError), urllib.request.urlopen(f"{address}/health", timeout=5):
                break
            if server.poll() is not None:
                raise Failed(f"Superset has ended:\n{log.read_text()[-4000:]}")
            time.sleep(1)
        else:
            raise Failed(f"Superset did not answer within {START_SECONDS} s:\n{log.read_text()[-4000:]}")
        yield address
    finally:
        server.terminate()
        server.wait(30)


@contextlib.contextmanager
def browser_page(chromium: str) -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield browser.new_page(viewport={"width": WIDTH, "height": 3000})  # high, since charts below are not drawn
        browser.close()


def photograph(page: Page, address: str, password: str, picture: Path) -> None:
    """Log in, let every chart of the dashboard ask its question, and take the picture. Raises Failed."""
    page.goto(f"{address}/login/")
    page.locator("#username").fill(USER)
    page.locator("#password").fill(password)
    page.keyboard.press("Enter")
    page.wait_for_url(lambda url: "/login" not in url)
    print(f"the user of the database sees {what_it_sees(page, address)}")
    answers: list[Response] = []
    page.on("response", lambda answer: answers.append(answer) if "/api/v1/chart/data" in answer.url else None)
    page.goto(address + DASHBOARD)
    alerts = page.locator("[role=alert]")
    deadline = time.monotonic() + DRAW_SECONDS
    while len(answers) < CHARTS and not alerts.count() and time.monotonic() < deadline:
        page.wait_for_timeout(500)
    page.wait_for_timeout(3000)  # the charts move into their places
    problems = [answer.text()[:1000] for answer in answers if not answer.ok] + alerts.all_inner_texts()
    if problems or len(answers) < CHARTS:
        raise Failed("\n".join([f"{len(answers)} of {CHARTS} charts asked for their data", *problems]))
    boxes = [chart.bounding_box() for chart in page.locator(".dashboard-component-chart-holder").all()]
    bottom = max(box["y"] + box["height"] for box in boxes if box)
    page.screenshot(path=picture, clip={"x": 0, "y": 0, "width": WIDTH, "height": bottom + 24})
    rows = [sum(one["rowcount"] for one in answer.json()["result"]) for answer in answers]
    print(f"{CHARTS} charts drawn from {sum(rows)} rows, {picture}: {picture.stat().st_size // 1000} kB")


def what_it_sees(page: Page, address: str) -> str:
    """Asked as a person asks in Superset's SQL Lab, so that it is the connection's own row-level security."""
    token = page.request.get(f"{address}/api/v1/security/csrf_token/").json()["result"]
    answer = page.request.post(
        f"{address}/api/v1/sqllab/execute/",
        data={"database_id": 1, "sql": WHAT_IT_SEES, "schema": "aura_marts", "queryLimit": 100},
        headers={"X-CSRFToken": token, "Referer": address},
    )
    if not answer.ok:
        raise Failed(f"SQL Lab refused: {answer.text()[:2000]}")
    rows = answer.json()["data"]
    return ", ".join(f"{row['customers']:,} customers of {row['clinic_code']}" for row in rows) or "no customer"


if __name__ == "__main__":
    sys.exit(main())
