"""Failures are told once, grouped, by every channel for itself, without anybody's data."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import dagster as dg
import pytest
from pydantic import SecretStr

from bn_aura_pipelines.database.connections import Database
from bn_aura_pipelines.orchestration.alerts import (
    AGAIN_AFTER,
    MOST_MESSAGES_AN_HOUR,
    Failure,
    NotTold,
    channels,
    failures_of,
    note,
    one_line,
    tell_due,
)
from bn_aura_pipelines.settings import Settings
from bn_aura_pipelines_tests.triggers.stub import BUSY, Stub, live

NOW = datetime(2026, 6, 1, 8, tzinfo=UTC)


class Webhook:
    """Keeps what it is told; answers with `status`, or breaks off where that is 0."""

    def __init__(self) -> None:
        self.status = 200
        self.told: list[dict[str, Any]] = []


@pytest.fixture
def webhook() -> Iterator[tuple[Webhook, str]]:
    state = Webhook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            state.told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            if state.status == 0:
                self.close_connection = True
                return
            self.send_response(state.status)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing: the tests' output stays readable."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield state, f"http://127.0.0.1:{server.server_address[1]}/hook"
    server.shutdown()
    server.server_close()


def failure(what: str = "churn_model", at: datetime = NOW, cause: str = "ValueError: no rows") -> Failure:
    return Failure(what, cause, "mend it", "http://ui/runs/1", at)


def told(database: Database, failures: list[Failure], now: datetime) -> list[tuple[str, str]]:
    """What a channel is told at `now`, after these failures."""
    messages: list[tuple[str, str]] = []
    with database.begin() as connection:
        note(connection, failures)
        tell_due(connection, "log", lambda subject, body: messages.append((subject, body)), now)
    return messages


def test_many_failures_make_one_message_that_names_cause_remedy_and_where_to_look(database: Database) -> None:
    [(subject, body)] = told(database, [failure(), failure("lead_model")], NOW)
    assert "and 1 more" in subject
    for part in ("churn_model", "lead_model", "ValueError: no rows", "mend it", "http://ui/runs/1"):
        assert part in body


def test_a_failure_that_comes_again_is_counted_and_told_after_a_pause_only(database: Database) -> None:
    assert len(told(database, [failure()], NOW)) == 1
    for minutes in range(1, 60):
        now = NOW + timedelta(minutes=minutes)
        assert told(database, [failure(at=now)], now) == []
    later = NOW + AGAIN_AFTER
    [(_, body)] = told(database, [failure(at=later)], later)
    assert "61 times" in body


def test_the_same_tick_twice_counts_and_tells_nothing_twice(database: Database) -> None:
    assert len(told(database, [failure()], NOW)) == 1
    assert told(database, [failure()], NOW) == []
    with database.begin() as connection:
        assert connection.exec_driver_sql("select times from aura_ops.alerts").scalars().all() == [1]


def test_a_thousand_different_causes_do_not_flood(database: Database) -> None:
    messages = [
        message
        for number in range(60)
        for message in told(
            database, [failure(f"asset_{number}_{one}", NOW) for one in range(20)], NOW + timedelta(minutes=number)
        )
    ]
    assert len(messages) == MOST_MESSAGES_AN_HOUR
    assert all(len(body) < 20_000 for _, body in messages)


def test_a_channel_that_fails_is_told_later_and_holds_up_no_other(
    database: Database, settings: Settings, webhook: tuple[Webhook, str]
) -> None:
    state, url = webhook
    ways = channels(settings.model_copy(update={"alert_webhook_url": SecretStr(url)}))
    assert ways.keys() == {"log", "webhook"}
    with database.begin() as connection:
        note(connection, [failure()])
        assert tell_due(connection, "log", ways["log"], NOW) == 1
    for status in (500, 0):
        state.status = status
        with database.begin() as connection, pytest.raises((NotTold, OSError)):
            tell_due(connection, "webhook", ways["webhook"], NOW)
    state.status = 200
    with database.begin() as connection:
        assert tell_due(connection, "webhook", ways["webhook"], NOW) == 1
        assert tell_due(connection, "webhook", ways["webhook"], NOW) == 0
    assert "churn_model" in state.told[-1]["text"]


def test_a_mail_about_the_same_failure_is_sent_once_however_often_it_is_tried(database: Database) -> None:
    with Stub(lambda number: BUSY) as stub:
        ways = channels(live(stub.url, alert_email="ops@clinic.example"))
        with database.begin() as connection:
            note(connection, [failure()])
            with pytest.raises(NotTold):
                tell_due(connection, "e-mail", ways["e-mail"], NOW)
        stub.react = lambda number: Stub().react(number)
        for _ in range(2):
            ways["e-mail"]("subject", "body")
        assert list(stub.mailed.values()) == [1]


def test_a_cause_keeps_no_persons_data_and_reads_the_same_each_time() -> None:
    raw = (
        'IntegrityError: duplicate key (email)=(somchai@clinic.example) of relation "customers" for'
        ' 5f0c2b7e-3c1a-4b0e-9d55-0a8f6f1f2c11, phone 081-234-5678, "Somchai Jaidee" สมชาย\nDETAIL: more'
    )
    line = one_line(raw)
    for part in ("somchai", "5f0c2b7e", "081", "Jaidee", "สมชาย", "DETAIL"):
        assert part not in line
    assert 'relation "customers"' in line
    assert line == one_line(raw.replace("081-234-5678", "089-999-9999"))


@dg.asset
def breaks() -> None:
    raise ValueError("no rows for somchai@clinic.example")


def test_a_failed_run_is_told_by_its_step_with_the_innermost_cause() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        run = dg.materialize([breaks], instance=instance, raise_on_error=False)
        record = instance.get_run_record_by_id(run.run_id)
        assert record is not None
        [found] = failures_of(instance, record, "http://ui/")
    assert found.what == "breaks"
    assert found.cause == "ValueError: no rows for ..."
    assert found.link == f"http://ui/runs/{run.run_id}"
    assert "bn-aura run --select breaks+" in found.remedy
