"""Workers die in the middle of sending: every message arrives once, and without the key some would arrive twice."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from bn_aura_pipelines.database.connections import Database
from bn_aura_pipelines_tests.triggers.conftest import execute, queue, rows
from bn_aura_pipelines_tests.triggers.stub import GOOD, LOST, Reaction, Stub

MESSAGES = 24


@pytest.mark.parametrize(("key", "duplicates"), [("with", False), ("without", True)])
def test_a_killed_worker_loses_nothing_and_the_key_keeps_its_successor_from_repeating(
    clinic: Database, key: str, duplicates: bool
) -> None:
    workers: list[subprocess.Popen[bytes]] = []

    def react(number: int) -> Reaction:
        if number == MESSAGES // 3:
            workers[0].kill()  # taken, and whoever sent it will never know
            return LOST
        return LOST if number % 7 == 0 else GOOD

    for number in range(MESSAGES):
        queue(clinic, number)
    execute(
        clinic,
        "update aura_ops.outbox set decided_at = now(), not_before = now(), expires_at = now() + interval '1 day';"
        " update aura_ops.trigger_rules set quiet_from = '0:00', quiet_until = '0:00'",
    )
    with Stub(react) as stub:
        url = clinic.url.render_as_string(hide_password=False)
        command = [sys.executable, "-m", "bn_aura_pipelines_tests.triggers.worker", url, stub.url, key]
        workers.append(subprocess.Popen(command))
        assert workers[0].wait(60) != 0
        workers.append(subprocess.Popen(command))
        until = time.monotonic() + 60
        query = "select count(*) from aura_ops.outbox where status = 'sent'"
        while rows(clinic, query) != [(MESSAGES,)] and time.monotonic() < until:
            time.sleep(0.1)
        workers[1].kill()
        workers[1].wait()
    assert rows(clinic, query) == [(MESSAGES,)]
    assert len(stub.mailed) == MESSAGES
    assert (max(stub.mailed.values()) > 1) == duplicates
