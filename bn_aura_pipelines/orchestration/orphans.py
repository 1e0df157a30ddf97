"""Runs whose process is gone: the machine went down, or everything was killed.

Dagster notices a worker that dies while its server lives. When both go, the run stays "started" for ever and keeps its
place in the queue: it is failed here, and the daemon starts it again once (`run_retries` in dagster.yaml).
"""

from __future__ import annotations

import re

import dagster as dg
import psutil

UNFINISHED = [dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]
PROCESS = re.compile(r"\(pid: (\d+)\)")
GRACE_SECONDS = 5.0


def fail_orphans(instance: dg.DagsterInstance) -> list[str]:
    """Fail the unfinished runs whose process no longer lives; returns their ids. Only for an instance whose runs are
    processes of this machine."""
    orphans = []
    for record in instance.get_run_records(dg.RunsFilter(statuses=UNFINISHED)):
        run = record.dagster_run
        process_id = _process_of(instance, run.run_id)
        started = record.start_time or record.create_timestamp.timestamp()
        if process_id is not None and not _still_lives(process_id, started):
            instance.report_run_failed(run, "Its process is gone: the machine or `bn-aura up` ended while it ran.")
            orphans.append(run.run_id)
    return orphans


def _process_of(instance: dg.DagsterInstance, run_id: str) -> int | None:
    """The process that executes a run, from the first line that names it."""
    for entry in instance.all_logs(run_id, of_type=dg.DagsterEventType.ENGINE_EVENT):
        found = PROCESS.search(entry.dagster_event.message or "") if entry.dagster_event else None
        if found:
            return int(found[1])
    return None


def _still_lives(process_id: int, run_started: float) -> bool:
    """Whether that process lives and is older than the run: numbers are given again after a restart."""
    try:
        return psutil.Process(process_id).create_time() <= run_started + GRACE_SECONDS
    except psutil.NoSuchProcess:
        return False
