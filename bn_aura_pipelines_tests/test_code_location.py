from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from bn_aura_pipelines.settings import PROJECT_ROOT

HEAVY = [
    "great_expectations",
    "xgboost",
    "sklearn",
    "scipy",
    "google.genai",
    "resend",
    "matplotlib",
    "pandas",
    "pyarrow",
    "pythainlp",
]

# Loads what Dagster loads, with every way out of the process barred.
LOAD = f"""
import socket, subprocess, sys
def barred(*arguments, **options):
    raise AssertionError("loading the code location reached out of its process")
socket.socket.connect = socket.socket.connect_ex = barred
socket.getaddrinfo = socket.create_connection = barred
import psycopg
psycopg.connect = psycopg.Connection.connect = barred
import psycopg2
psycopg2.connect = barred
sys.path.insert(0, {str(PROJECT_ROOT)!r})
import dagster as dg
subprocess.Popen = barred  # not sooner: Dagster's own import asks the program `file` about the machine
from bn_aura_pipelines import definitions as module
definitions = module.definitions() if callable(module.definitions) else module.definitions
dg.Definitions.validate_loadable(definitions)
definitions.get_repository_def()
print(",".join(name for name in {HEAVY!r} if name in sys.modules))
"""


def test_loading_takes_no_network_no_database_and_no_heavy_library(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOAD], cwd=tmp_path, env={}, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == ""
