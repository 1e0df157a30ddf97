"""`bn-aura up`: Dagster UI, daemon, dashboard and read API as child processes, on one database, until interrupted."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from bn_aura_pipelines.database.connections import Database
from bn_aura_pipelines.errors import UserError
from bn_aura_pipelines.orchestration.instance import open_instance, prepare_environment
from bn_aura_pipelines.orchestration.orphans import fail_orphans
from bn_aura_pipelines.orchestration.starting import decided_by_people, start_all
from bn_aura_pipelines.settings import PROJECT_ROOT, Settings

START_SECONDS = 90
STOP_SECONDS = 20
# What Dagster calls beta and we use on purpose: said once, in the tests, not at every tick.
QUIET = "ignore:Parameter `,ignore:Function `,ignore:Class `"


class NotServing(UserError):
    """A process that should serve has ended, or never answered."""


def serve(
    database: Database,
    settings: Settings,
    host: str,
    port: int,
    api_port: int,
    progress: Callable[[str], None],
    paused: bool = False,
) -> int:
    """Start all three, say when they answer, and stop all on Ctrl-C, SIGTERM, or when one of them ends.

    Returns the exit code: 0 after an interruption. Raises NotServing when a process ended by itself.
    """
    with open_instance(database, settings) as instance:
        for run_id in fail_orphans(instance):
            progress(f"run {run_id} had lost its process and is started again")
        known = decided_by_people(instance)
    home = prepare_environment(database, settings)
    workspace = str(PROJECT_ROOT / "workspace.yaml")
    programs = {
        "dagster-webserver": ["-h", host, "-p", str(port), "-w", workspace, "--log-level", "warning"],
        "dagster-daemon": ["run", "-w", workspace, "--log-level", "warning"],
        "bn-aura": ["api", "--host", host, "--port", str(api_port)],
    }
    asked_to_stop = False

    def stop(_signal: int, _frame: FrameType | None) -> None:
        nonlocal asked_to_stop
        asked_to_stop = True

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    environment = {**os.environ, "PYTHONWARNINGS": QUIET}
    children = {
        name: subprocess.Popen([str(Path(sys.executable).parent / name), *arguments], env=environment)
        for name, arguments in programs.items()
    }
    try:
        address = f"http://{host}:{port}"
        api_address = f"http://{host}:{api_port}"
        for answers in (f"{address}/server_info", f"{api_address}/readyz"):
            _wait_for(answers, lambda: asked_to_stop or _ended(children) is not None)
        if not asked_to_stop and _ended(children) is None:
            if not paused:
                started = start_all(address, known)
                progress(f"started {len(started)} schedules and sensors" if started else "no schedule was started anew")
            progress(f"Dagster UI: {address}   (its files: {home})")
            progress(f"dashboard:  {api_address}/   read API: {api_address}/docs   (Ctrl-C stops all)")
        while not asked_to_stop:
            name = _ended(children)
            if name is not None:
                raise NotServing(f"{name} ended by itself: see its lines above; are ports {port} and {api_port} free?")
            time.sleep(0.3)
    finally:
        _stop(children)
    return 0


def _ended(children: dict[str, subprocess.Popen[bytes]]) -> str | None:
    return next((name for name, child in children.items() if child.poll() is not None), None)


def _wait_for(url: str, given_up: Callable[[], bool]) -> None:
    until = time.monotonic() + START_SECONDS
    while not given_up():
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except (urllib.error.URLError, OSError) as error:
            if time.monotonic() > until:
                raise NotServing(f"{url} did not answer within {START_SECONDS} s ({error}).") from error
        time.sleep(0.3)


def _stop(children: dict[str, subprocess.Popen[bytes]]) -> None:
    for child in children.values():
        child.terminate()
    for child in children.values():
        try:
            child.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            child.kill()
