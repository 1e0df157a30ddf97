"""Each message leaves once, to those who may get it, at its time; through the real SDK, to a stub that misbehaves."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from uuid import UUID

import pytest

from bn_aura_pipelines.database.connections import Database
from bn_aura_pipelines.settings import Settings
from bn_aura_pipelines.triggers import outbox
from bn_aura_pipelines.triggers.delivery import DeliveryReport, NotConfigured, compose, deliver
from bn_aura_pipelines_tests.triggers.conftest import CLINIC, NOON, OTHER, customer, execute, live, queue, rows, token
from bn_aura_pipelines_tests.triggers.stub import BROKEN, BUSY, GOOD, LOST, Reaction, Stub


def run(database: Database, stub: Stub, moment: datetime = NOON, **changes: object) -> DeliveryReport:
    return deliver(database, live(stub.url, **changes), moment=moment, backoff_seconds=0)


def state(database: Database, message: UUID) -> tuple[str, str | None]:
    ((status, reason),) = rows(database, f"select status, reason from aura_ops.outbox where message_id = '{message}'")
    return status, reason


def test_a_letter_leaves_with_its_key_its_tags_and_a_link_to_unsubscribe(clinic: Database, stub: Stub) -> None:
    message = queue(clinic, 1)
    execute(clinic, "update public.customers set nickname = '<b>An & na' where email = 'person1@example.com'")
    assert run(clinic, stub).outcomes["sent"] == 1
    ((key, body),) = stub.requests
    assert key == str(message)
    assert body["from"] == '"Aura" <hello@clinic.example>' and body["to"] == ["person1@example.com"]
    assert {"name": "message_id", "value": str(message)} in body["tags"]
    link = f"https://aura.example/unsubscribe/{token(message)}"
    assert body["headers"] == {
        "List-Unsubscribe": f"<{link}>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
    }
    assert "&lt;b&gt;An &amp; na" in body["html"] and "<b>An & na" in body["text"]
    assert link in body["text"] and link in body["html"]
    assert state(clinic, message) == ("sent", None)
    ((stored,),) = rows(clinic, "select body from aura_ops.outbox")
    assert json.loads(bytes(stored)) == body
    assert run(clinic, stub).requests == 0


def test_by_default_nothing_leaves_and_the_letter_is_kept_to_look_at(clinic: Database, settings: Settings) -> None:
    message = queue(clinic, 1)
    assert deliver(clinic, settings, moment=NOON).outcomes["dry_run"] == 1
    assert state(clinic, message) == ("dry_run", "rendered, not sent")
    assert rows(clinic, "select length(body) > 500 from aura_ops.outbox") == [(True,)]


def test_sending_live_names_the_settings_that_are_missing(clinic: Database, stub: Stub) -> None:
    with pytest.raises(NotConfigured, match="RESEND_API_KEY, BN_AURA_PUBLIC_URL"):
        run(clinic, stub, resend_api_key=None, public_url=None)


@pytest.mark.parametrize("fault", [LOST, Reaction(500), Reaction(502), BROKEN])
def test_an_unsure_outcome_is_asked_again_with_the_same_key_and_bytes(clinic: Database, fault: Reaction) -> None:
    with Stub(lambda number: fault if number == 1 else GOOD) as stub:
        message = queue(clinic, 1)
        report = run(clinic, stub)
        execute(clinic, "update public.customers set nickname = 'Another name'")
        assert (report.outcomes["uncertain"], report.outcomes["sent"]) == (1, 1)
        assert stub.requests[0] == stub.requests[1] and stub.mailed == {str(message): 1}


def test_a_retry_sends_what_was_rendered_first_even_if_the_name_changed_since(clinic: Database) -> None:
    with Stub(lambda number: LOST if number == 1 else GOOD) as stub:
        message = queue(clinic, 1)
        deliver(clinic, live(stub.url), moment=NOON, backoff_seconds=0, most_requests=1)
        execute(clinic, "update public.customers set nickname = 'Another name'")
        run(clinic, stub)
        assert stub.requests[0] == stub.requests[1] and stub.mailed == {str(message): 1}


def test_a_busy_provider_is_obeyed_and_the_attempt_is_not_charged(clinic: Database) -> None:
    asked_to_wait = Reaction(429, "rate_limit_exceeded", takes=False, headers={"retry-after": "120"})
    with Stub(lambda number: asked_to_wait) as stub:
        queue(clinic, 1)
        queue(clinic, 2)
        report = run(clinic, stub)
        assert report.requests == 1 and report.ended_because == "the provider asks for a longer pause"
        assert rows(clinic, "select status, attempts from aura_ops.outbox") == [("waiting", 0)] * 2
        assert rows(
            clinic, "select next_request_at > clock_timestamp() + interval '100 s' from aura_ops.delivery_state"
        ) == [(True,)]


def test_the_headers_of_an_answer_slow_everybody_down(clinic: Database) -> None:
    used_up = Reaction(headers={"ratelimit-remaining": "0", "ratelimit-reset": "90"})
    with Stub(lambda number: used_up) as stub:
        queue(clinic, 1)
        queue(clinic, 2)
        report = run(clinic, stub)
        assert (report.outcomes["sent"], report.requests) == (1, 1)


def test_what_the_provider_refuses_is_dead_and_what_never_works_ends(clinic: Database) -> None:
    with Stub(lambda number: Reaction(422, "validation_error", takes=False)) as stub:
        message = queue(clinic, 1)
        run(clinic, stub)
        assert state(clinic, message) == ("dead", "422 validation_error") and len(stub.requests) == 1
    with Stub(lambda number: BROKEN) as stub:
        message = queue(clinic, 2)
        run(clinic, stub)
        assert state(clinic, message) == ("unknown", "tried 8 times") and len(stub.requests) == 8


def test_a_bad_key_stops_the_worker_and_costs_no_message(clinic: Database) -> None:
    with Stub(lambda number: Reaction(401, "invalid_api_key", takes=False)) as stub:
        message = queue(clinic, 1)
        with pytest.raises(NotConfigured, match="Resend refuses the key"):
            run(clinic, stub)
        assert state(clinic, message)[0] == "waiting"


def test_after_23_hours_an_unsure_message_is_unknown_and_never_sent_again(clinic: Database) -> None:
    with Stub(lambda number: LOST) as stub:
        message = queue(clinic, 1)
        deliver(clinic, live(stub.url), moment=NOON, backoff_seconds=0, most_requests=1)
        run(clinic, stub, NOON + timedelta(hours=23))
        assert len(stub.requests) == 1
        assert state(clinic, message) == ("unknown", "may have been sent; the provider no longer knows the key")


def test_an_e_mail_waits_out_the_night_and_expires_when_nobody_can_send_it(clinic: Database, stub: Stub) -> None:
    message = queue(clinic, 1)
    night = NOON + timedelta(hours=10)
    assert run(clinic, stub, night).outcomes["deferred"] == 1
    assert rows(clinic, "select not_before from aura_ops.outbox") == [
        (datetime.fromisoformat("2026-03-03T09:00:00+07:00"),)
    ]
    assert run(clinic, stub, night + timedelta(hours=10)).requests == 0
    assert run(clinic, stub, night + timedelta(hours=11)).requests == 1
    late = queue(clinic, 2)
    run(clinic, stub, NOON + timedelta(days=8))
    assert state(clinic, late) == ("expired", "not sent in time") and state(clinic, message)[0] == "sent"


def test_clinics_take_turns_however_much_one_of_them_sends(clinic: Database, stub: Stub) -> None:
    many = {str(queue(clinic, number, priority=90)) for number in range(1, 41)}
    few = {str(queue(clinic, number, clinic=OTHER)) for number in range(41, 44)}
    run(clinic, stub)
    order = [key in few for key, _ in stub.requests]
    assert len(stub.requests) == len(many | few) == 43
    assert all(order.index(True) < 2 and sum(order[: 2 * n]) == n for n in (1, 2, 3))


def test_the_kill_switch_and_off_let_nothing_leave(clinic: Database, stub: Stub) -> None:
    message = queue(clinic, 1)
    assert run(clinic, stub, send="off").ended_because == "BN_AURA_SEND is off"
    execute(clinic, "update aura_ops.delivery_state set stopped_because = 'a wrong letter'")
    assert run(clinic, stub).ended_because == "stopped: a wrong letter"
    assert state(clinic, message)[0] == "waiting" and stub.requests == []


def test_a_switch_thrown_between_two_messages_stops_the_second(clinic: Database) -> None:
    def stop(number: int) -> Reaction:
        execute(clinic, "update aura_ops.delivery_state set stopped_because = 'now'")
        return GOOD

    with Stub(stop) as stub:
        queue(clinic, 1)
        queue(clinic, 2)
        assert run(clinic, stub).ended_because == "stopped" and len(stub.requests) == 1
    assert rows(clinic, "select status, attempts from aura_ops.outbox order by 1") == [("sent", 1), ("waiting", 0)]


def test_who_has_lost_the_lease_writes_nothing(clinic: Database, stub: Stub) -> None:
    message = queue(clinic, 1)
    settings = live(stub.url)
    with clinic.begin(NOON) as connection:
        (candidate,) = outbox.choose(connection, 10)
        old = outbox.lease(connection, candidate, compose(connection, settings, candidate), owner=1)
    run(clinic, stub)  # the owner is no living worker, so the lease is free at once
    assert state(clinic, message)[0] == "sent"
    with clinic.begin(NOON) as connection:
        assert not outbox.again(connection, old, "late", 0, certain=False)
        assert not outbox.accepted(connection, old, "another")
    assert state(clinic, message)[0] == "sent" and stub.mailed == {str(message): 1}


def test_a_clock_that_jumps_back_holds_nothing_up_and_repeats_nothing(clinic: Database, stub: Stub) -> None:
    message = queue(clinic, 1)
    execute(
        clinic,
        "update aura_ops.outbox set status = 'sending', fence = 1, lease_owner = 1, attempts = 1,"
        " lease_until = aura_ops.as_of() + interval '3 days', uncertain_since = aura_ops.as_of() + interval '3 days'",
    )
    run(clinic, stub)
    assert state(clinic, message)[0] == "unknown" and stub.requests == []


def test_one_person_gets_no_more_than_the_cap_over_all_rules(clinic: Database, stub: Stub) -> None:
    for rule in ("churn-prevention-email", "inactivity", "repeat_due"):
        queue(clinic, 1, rule, priority={"repeat_due": 10}.get(rule, 50))
    report = run(clinic, stub)
    assert (report.outcomes["sent"], report.outcomes["suppressed"]) == (2, 1)
    assert rows(clinic, "select rule, reason from aura_ops.outbox where status = 'suppressed'") == [
        ("repeat_due", "weekly cap over all rules reached")
    ]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("delete from public.customer_preferences; delete from public.customers", "the customer no longer exists"),
        ("update public.customers set email = 'no address'", "malformed e-mail address"),
        ("update aura_ops.trigger_rules set is_active = false", "the rule was switched off"),
    ],
)
def test_what_changed_since_the_decision_is_heeded(clinic: Database, stub: Stub, change: str, reason: str) -> None:
    message = queue(clinic, 1)
    execute(clinic, change)
    run(clinic, stub)
    assert state(clinic, message) == ("suppressed", reason) and stub.requests == []


def test_an_unsure_message_does_not_follow_a_changed_address(clinic: Database) -> None:
    with Stub(lambda number: LOST) as stub:
        message = queue(clinic, 1)
        deliver(clinic, live(stub.url), moment=NOON, backoff_seconds=0, most_requests=1)
        execute(clinic, "update public.customers set email = 'new@example.com' where id = :who", who=customer(1))
        run(clinic, stub)
        assert state(clinic, message) == ("unknown", "the e-mail address was changed") and len(stub.requests) == 1


def test_busy_answers_without_a_header_are_waited_out(clinic: Database) -> None:
    with Stub(lambda number: BUSY if number <= 2 else GOOD) as stub:
        message = queue(clinic, 1, clinic=CLINIC)
        for minute in range(4):
            run(clinic, stub, NOON + timedelta(minutes=minute))
        assert state(clinic, message)[0] == "sent" and stub.mailed == {str(message): 1}
