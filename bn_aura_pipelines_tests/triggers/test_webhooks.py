"""What Resend and recipients send back: believed when signed, taken once, in any order."""

from __future__ import annotations

import base64
import hashlib
import hmac
import itertools
import json
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from fastapi.testclient import TestClient
from httpx import Response

from bn_aura_pipelines.api.app import make_app
from bn_aura_pipelines.database.connections import Database
from bn_aura_pipelines.triggers.delivery import deliver
from bn_aura_pipelines.triggers.links import sign, verify
from bn_aura_pipelines_tests.triggers.conftest import NOON, SECRET, live, queue, rows, token
from bn_aura_pipelines_tests.triggers.stub import Stub

SIGNED_WITH = "whsec_" + base64.b64encode(b"the webhooks' secret").decode()
_number = itertools.count()


@pytest.fixture
def client(clinic: Database) -> Iterator[TestClient]:
    with TestClient(make_app(clinic, live("", resend_webhook_secret=SIGNED_WITH))) as running:
        yield running


@pytest.fixture
def sent(clinic: Database, stub: Stub) -> UUID:
    message = queue(clinic, 1)
    deliver(clinic, live(stub.url), moment=NOON)
    return message


def post(
    client: TestClient, kind: str, message: UUID | None, minutes: int = 0, key: str | None = None, **data: Any
) -> Response:
    """An event as Resend sends it, signed as svix signs."""
    payload = json.dumps(
        {
            "type": f"email.{kind}",
            "created_at": (NOON + timedelta(minutes=minutes)).isoformat(),
            "data": {
                "email_id": "e1",
                "to": ["Person1@example.com"],
                "tags": {"message_id": str(message)} if message else {},
                **data,
            },
        }
    )
    return send(client, payload, key or f"msg_{next(_number)}", int(time.time()))


def send(client: TestClient, payload: str, key: str, at: int, secret: str = SIGNED_WITH) -> Response:
    content = f"{key}.{at}.{payload}".encode()
    digest = hmac.new(base64.b64decode(secret.removeprefix("whsec_")), content, hashlib.sha256).digest()
    headers = {"svix-id": key, "svix-timestamp": str(at), "svix-signature": f"v1,{base64.b64encode(digest).decode()}"}
    return client.post("/webhooks/resend", content=payload, headers=headers)


def state(database: Database) -> str:
    ((status,),) = rows(database, "select status from aura_ops.outbox")
    return status


@pytest.mark.parametrize("order", list(itertools.permutations(["delivered", "opened", "complained"])))
def test_events_lead_to_the_same_end_in_any_order(
    clinic: Database, client: TestClient, sent: UUID, order: tuple[str, ...]
) -> None:
    for kind in order:
        assert post(client, kind, sent, {"delivered": 1, "opened": 2, "complained": 3}[kind]).status_code == 204
    assert state(clinic) == "complained"
    assert rows(clinic, "select opened_at from aura_ops.outbox") == [(NOON + timedelta(minutes=2),)]


def test_an_event_that_comes_twice_counts_once(clinic: Database, client: TestClient, sent: UUID) -> None:
    for _ in range(2):
        assert post(client, "delivered", sent, key="msg_same").status_code == 204
    assert rows(clinic, "select count(*) from aura_ops.email_events") == [(1,)]


@pytest.mark.parametrize(
    ("kind", "bounce", "suppressed"),
    [("bounced", "Permanent", 1), ("bounced", "Transient", 0), ("complained", None, 1), ("delivered", None, 0)],
)
def test_permanent_bounces_and_complaints_suppress_the_address(
    clinic: Database, client: TestClient, sent: UUID, kind: str, bounce: str | None, suppressed: int
) -> None:
    post(client, kind, sent, bounce={"type": bounce} if bounce else None)
    address = hashlib.sha256(b"person1@example.com").digest()
    found = rows(clinic, "select email_hash, clinic_id from aura_ops.email_suppressions")
    assert found == [(address, None)] * suppressed


def test_an_unknown_message_is_reconciled(clinic: Database, client: TestClient, stub: Stub) -> None:
    message = queue(clinic, 1)
    with clinic.begin() as connection:
        connection.exec_driver_sql("update aura_ops.outbox set status = 'unknown', reason = 'may have been sent'")
    post(client, "sent", message)
    assert rows(clinic, "select status, reason from aura_ops.outbox") == [("sent", None)]


def test_what_is_not_signed_or_old_or_no_event_is_refused(clinic: Database, client: TestClient, sent: UUID) -> None:
    payload, now = json.dumps({"type": "email.bounced", "created_at": NOON.isoformat(), "data": {}}), int(time.time())
    other = "whsec_" + base64.b64encode(b"another secret").decode()
    assert send(client, payload, "m1", now, other).status_code == 400
    assert send(client, payload, "m2", now - 600).status_code == 400
    assert send(client, '{"type": "contact.created", "data": {}}', "m3", now).status_code == 400
    assert send(client, '{"type": "email.sent"}', "m4", now).status_code == 400
    assert send(client, "no json", "m5", now).status_code == 400
    assert client.post("/webhooks/resend", content=payload).status_code == 400
    assert state(clinic) == "sent" and rows(clinic, "select count(*) from aura_ops.email_events") == [(0,)]


def test_without_a_secret_there_are_no_webhooks(clinic: Database) -> None:
    with TestClient(make_app(clinic, live(""))) as client:
        assert client.post("/webhooks/resend", content="{}").status_code == 404


def test_a_link_asks_first_and_unsubscribes_by_its_button(
    clinic: Database, client: TestClient, sent: UUID, stub: Stub
) -> None:
    page = client.get(f"/unsubscribe/{token(sent)}")
    assert page.status_code == 200 and "<form" in page.text
    assert rows(clinic, "select count(*) from public.email_unsubscribes") == [(0,)]
    for _ in range(2):
        done = client.post(f"/unsubscribe/{token(sent)}", content="List-Unsubscribe=One-Click")
        assert done.status_code == 200
    assert rows(clinic, "select email, reason from public.email_unsubscribes") == [
        ("person1@example.com", "link in an e-mail")
    ]
    queue(clinic, 1, "inactivity")
    with clinic.begin() as connection:
        connection.exec_driver_sql(
            "update aura_ops.outbox set expires_at = '2100-01-01'; update aura_ops.trigger_rules"
            " set quiet_from = '0:00', quiet_until = '0:00'"
        )
    deliver(clinic, live(stub.url))
    assert rows(clinic, "select reason from aura_ops.outbox where rule = 'inactivity'") == [
        ("unsubscribed from e-mail",)
    ]
    assert len(stub.requests) == 1


@pytest.mark.parametrize("wrong", ["", "x", "é" * 30, "A" * 64, "A" * 500])
def test_a_link_that_nobody_signed_unsubscribes_nobody(client: TestClient, clinic: Database, wrong: str) -> None:
    assert client.post(f"/unsubscribe/{wrong}").status_code in (404, 405)
    assert rows(clinic, "select count(*) from aura_ops.email_suppressions") == [(0,)]


def test_a_token_holds_for_its_message_and_secret_only() -> None:
    message = UUID(int=5)
    signed = sign(message, SECRET)
    assert verify(signed, SECRET) == message
    assert verify(signed, "another") is None
    assert verify(("B" if signed[0] == "A" else "A") + signed[1:], SECRET) is None


def test_the_api_may_write_by_these_functions_and_nothing_else(clinic: Database) -> None:
    for table in ("outbox", "email_events", "email_suppressions", "trigger_events", "trigger_rules"):
        ((allowed,),) = rows(
            clinic,
            f"select has_table_privilege('aura_api', 'aura_ops.{table}', 'select, insert, update, delete')",
        )
        assert not allowed
