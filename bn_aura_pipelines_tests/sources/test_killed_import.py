from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

from bn_aura_pipelines.database.connections import Database
from bn_aura_pipelines.database.migrations import migrate
from bn_aura_pipelines.sources.importing import import_folder
from bn_aura_pipelines_tests.sources import export

IMPORT = """
import sys
from pathlib import Path
from bn_aura_pipelines.database.connections import Database, parse_url
from bn_aura_pipelines.database.migrations import migrate
from bn_aura_pipelines.sources.importing import import_folder
import_folder(Database(parse_url(sys.argv[1])), Path(sys.argv[2]), lambda line: print(line, flush=True))
"""


def write_export(folder: Path) -> None:
    export.write_parents(folder)
    export.write_csv(
        folder / "customers.csv",
        [export.customer(n, status="asleep" if n % 50 == 0 else "active") for n in range(1, 1001)],
    )
    export.write_jsonl(
        folder / "appointments.jsonl",
        [export.appointment(n, customer_id=export.key(f"customer {n % 1000 + 1}")) for n in range(1, 6001)],
    )


def kill_import_at(database: Database, folder: Path, line: str, seconds_later: float) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", IMPORT, database.url.render_as_string(hide_password=False), str(folder)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    for printed in process.stdout:
        if printed.startswith(line):
            break
    time.sleep(seconds_later)
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()


def test_an_import_killed_at_any_moment_and_repeated_equals_a_clean_one(
    database: Database, empty_database: Database, tmp_path: Path
) -> None:
    write_export(tmp_path)
    for line, seconds_later in (
        ("users.csv", 0.0),
        ("users.csv", 0.1),
        ("customers.csv", 0.05),
        ("customers.csv", 0.6),
    ):
        kill_import_at(database, tmp_path, line, seconds_later)
    repeated = import_folder(database, tmp_path, lambda line: None)
    migrate(empty_database)
    clean = import_folder(empty_database, tmp_path, lambda line: None)
    assert clean.quarantined == repeated.quarantined == 20 + 6 * 20
    assert export.contents(database) == export.contents(empty_database)
