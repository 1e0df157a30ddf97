"""Runs that lost their process, and what the doctor says of schedules."""

from __future__ import annotations

import os
import subprocess
import sys

import dagster as dg

from bn_aura_pipelines.doctor import judge_automation
from bn_aura_pipelines.orchestration.orphans import fail_orphans


def started_run(instance: dg.DagsterInstance, process_id: int) -> str:
    @dg.job
    def work() -> None: ...

    run = instance.create_run_for_job(work, status=dg.DagsterRunStatus.STARTING)
    instance.report_engine_event(f"Executing steps in process (pid: {process_id})", run)
    instance.report_dagster_event(dg.DagsterEvent(dg.DagsterEventType.RUN_START.value, job_name="work"), run.run_id)
    return run.run_id


def test_a_run_whose_process_is_gone_is_failed_and_one_at_work_is_not() -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    with dg.DagsterInstance.ephemeral() as instance:
        orphan = started_run(instance, gone.pid)
        at_work = started_run(instance, os.getpid())
        assert fail_orphans(instance) == [orphan]
        assert instance.get_run_by_id(orphan).status == dg.DagsterRunStatus.FAILURE  # pyright: ignore
        assert instance.get_run_by_id(at_work).status == dg.DagsterRunStatus.STARTED  # pyright: ignore
        assert fail_orphans(instance) == []


def test_the_doctor_says_which_schedules_are_off_and_how_to_start_them() -> None:
    names = ["a", "b"]
    assert judge_automation(names, {"a": "RUNNING", "b": "RUNNING"}).status == "ok"
    never = judge_automation(names, {"a": "RUNNING"})
    assert (never.message, never.remedy) == ("off: b", "bn-aura up starts them")
    stopped = judge_automation(names, {"a": "RUNNING", "b": "STOPPED"})
    assert (stopped.message, stopped.remedy) == ("off: b", "start them in the UI's Automation page")
