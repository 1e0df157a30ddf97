"""Notifications and tasks are shown exactly once, here and in the application, and name nobody."""

from __future__ import annotations

import threading
from datetime import timedelta
from uuid import UUID

import dagster as dg
import psycopg
import pytest

from bn_aura_pipelines.database.connections import Database
from bn_aura_pipelines.database.resource import Aura
from bn_aura_pipelines.settings import Settings
from bn_aura_pipelines.triggers.assets import trigger_decisions
from bn_aura_pipelines.triggers.delivery import deliver
from bn_aura_pipelines_tests.sample_runs import instance_for
from bn_aura_pipelines_tests.triggers.conftest import CLINIC, NOON, OWNER, SELLER, execute, live, rows

LEAD = UUID(int=77)

DECIDED = """
    insert into public.sales_leads (id, clinic_id, name, email, sales_user_id, created_at, updated_at)
        values (:lead, :clinic, 'Somchai', 'somchai@example.com', :seller, '2026-02-01', '2026-02-01');
    insert into aura_ops.trigger_events (
        event_id, clinic_id, rule, subject_type, subject_id, action, value, episode, decided_at, status, reason
    ) values
        (:lead, :clinic, 'hot-lead-alert', 'lead', :lead, 'notify', 91, 1, aura_ops.as_of(), 'eligible', ''),
        (:owner, :clinic, 'hot_lead_unanswered', 'lead', :lead, 'create_task', 30, 1, aura_ops.as_of(), 'eligible', '');
    insert into aura_ops.outbox (
        message_id, event_id, clinic_id, rule, action, recipient_type, recipient_id, priority, decided_at, not_before,
        expires_at
    )
    select event_id, event_id, clinic_id, rule, action, 'user', :seller, 50, decided_at, decided_at,
        decided_at + interval '3 days'
    from aura_ops.trigger_events
"""
SHOWN = "select type, recipient_user_id, title_en, message_en, link from aura_marts.notifications order by type"


JUST_NOW = "update aura_ops.outbox set not_before = now(), expires_at = now() + interval '3 days'"


@pytest.fixture
def decided(clinic: Database) -> Database:
    execute(clinic, DECIDED, lead=LEAD)
    return clinic


def test_a_notice_is_shown_once_however_many_deliver(decided: Database, settings: Settings) -> None:
    threads = [threading.Thread(target=deliver, args=(decided, settings, None, NOON)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    link = f"/leads/{LEAD}"
    assert rows(decided, SHOWN) == [
        ("hot-lead-alert", SELLER, "A lead is hot", "Win probability 91 %. Make contact today.", link),
        (
            "hot_lead_unanswered",
            SELLER,
            "A hot lead is waiting for an answer",
            "Waiting for 30 hours. Answer now.",
            link,
        ),
    ]
    assert rows(decided, "select distinct status from aura_ops.outbox") == [("sent",)]
    # In a dry run nothing is written into the application's own tables.
    assert rows(decided, "select count(*) from public.notifications") == [(0,)]


def test_the_application_gets_its_rows_when_sending_is_live(decided: Database) -> None:
    for _ in range(2):
        deliver(decided, live("http://127.0.0.1:9"), moment=NOON)
    assert rows(decided, "select id, user_id, type, title from public.notifications") == [
        (LEAD, SELLER, "hot-lead-alert", "มีลีดที่มีโอกาสปิดการขายสูง")
    ]
    assert rows(decided, "select id, assigned_to, lead_id, status from public.workflow_tasks") == [
        (OWNER, SELLER, LEAD, "pending")
    ]
    assert rows(decided, "select distinct status, reason from aura_ops.outbox") == [("sent", None)]


def test_a_table_of_the_application_that_wants_more_does_not_stop_ours(decided: Database) -> None:
    execute(
        decided,
        "alter table public.workflow_tasks add column workflow_id uuid not null;"
        " alter table public.notifications add check (type = 'x')",
    )
    deliver(decided, live("http://127.0.0.1:9"), moment=NOON)
    assert len(rows(decided, SHOWN)) == 2
    assert rows(decided, "select status, reason from aura_ops.outbox order by reason") == [
        ("sent", "the application's notifications did not take it: CheckViolation"),
        ("sent", "the application's workflow_tasks did not take it: NotNullViolation"),
    ]


def test_listeners_are_told(decided: Database, settings: Settings) -> None:
    address = decided.url.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(address, autocommit=True) as listener:
        listener.execute("listen aura_notifications")
        deliver(decided, settings, moment=NOON)
        heard = [notice.payload for notice in listener.notifies(timeout=5, stop_after=2)]
    assert {payload.partition(":")[0] for payload in heard} == {str(CLINIC)}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("update public.clinic_staff set is_active = false", "the recipient is no longer on the staff"),
        ("delete from public.clinic_staff", "the recipient is no longer on the staff"),
        ("update public.sales_leads set status = 'won'", "the lead is no longer open"),
        ("delete from public.sales_leads", "the lead is no longer open"),
        ("update aura_ops.trigger_rules set is_active = false", "the rule was switched off"),
    ],
)
def test_what_is_no_news_any_more_is_not_shown(decided: Database, settings: Settings, change: str, reason: str) -> None:
    execute(decided, change)
    deliver(decided, settings, moment=NOON)
    assert rows(decided, "select distinct status, reason from aura_ops.outbox") == [("suppressed", reason)]
    assert rows(decided, SHOWN) == []


def test_old_news_expires(decided: Database, settings: Settings) -> None:
    deliver(decided, settings, moment=NOON + timedelta(days=4))
    assert rows(decided, "select distinct status from aura_ops.outbox") == [("expired",)]


@pytest.mark.parametrize(
    ("as_of", "send", "shown"), [(None, "dry", 2), (None, "off", 0), ("2026-11-01T00:00:00+07:00", "dry", 0)]
)
def test_a_decision_is_shown_in_the_house_at_once_unless_it_is_about_the_past(
    decided: Database, as_of: str | None, send: str, shown: int
) -> None:
    execute(decided, JUST_NOW)
    with instance_for(decided, BN_AURA_SEND=send) as instance:
        assert dg.materialize([trigger_decisions], instance=instance, resources={"aura": Aura(as_of=as_of)}).success
    assert len(rows(decided, SHOWN)) == shown
