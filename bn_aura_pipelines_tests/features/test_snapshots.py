"""A snapshot knows what happened before its moment and nothing later; computed again it is the same to the bit."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bn_aura_pipelines.database.connections import Database, psycopg_connection
from bn_aura_pipelines_tests.benchmarks.scratch import build_features

BANGKOK = timezone(timedelta(hours=7))
START = datetime(2024, 1, 1, tzinfo=BANGKOK)
EARLY = datetime(2024, 5, 1, tzinfo=BANGKOK)
LATE = datetime(2024, 9, 17, 11, 30, tzinfo=BANGKOK)
CLINIC = "00000000-0000-0000-0000-000000000001"

FEATURES_AT = """
    select to_jsonb(s) - 'churned' from aura_features.customer_snapshots s
    where snapshot_at = %s order by customer_id
"""


def execute(database: Database, statement: str, *values: object) -> list[tuple[Any, ...]]:
    with database.begin() as connection:
        query: Any = statement
        cursor = psycopg_connection(connection).execute(query, values)
        return cursor.fetchall() if cursor.description else []


def add_clinic(database: Database, customers: int, entered: datetime = START - timedelta(days=100)) -> None:
    execute(database, "insert into public.clinics (id, clinic_code) values (%s, 'C1')", CLINIC)
    for number in range(customers):
        execute(
            database,
            "insert into public.customers (id, clinic_id, customer_code, full_name, created_at)"
            " values (md5('customer' || %s)::uuid, %s, %s, 'Somebody', %s)",
            number, CLINIC, f"K{number}", entered,
        )  # fmt: skip


def add_visit(
    database: Database, customer: int, at: datetime, status: str = "completed", entered: datetime | None = None,
    price: int = 1000, treatments: Sequence[str] = (),
) -> None:  # fmt: skip
    execute(
        database,
        "insert into public.appointments (id, clinic_id, customer_id, appointment_code, appointment_type, status,"
        " appointment_date, start_time, end_time, total_price, created_at, treatment_ids) values"
        " (gen_random_uuid(), %s, md5('customer' || %s)::uuid, left(gen_random_uuid()::text, 20), 'treatment',"
        " %s, %s, %s, %s, %s, %s, to_jsonb(%s::text[]))",
        CLINIC, customer, status, at.date(), at.time(), at.time(), price, entered or at - timedelta(days=2),
        list(treatments),
    )  # fmt: skip


def add_message(
    database: Database, customer: int, at: datetime, entered: datetime, content: str = "hi",
    answered: datetime | None = None,
) -> None:  # fmt: skip
    messages = [{"role": "customer", "content": content, "timestamp": at.isoformat()}]
    if answered:
        messages.append({"role": "sales", "content": "hello", "timestamp": answered.isoformat()})
    execute(
        database,
        "insert into public.customer_conversations (id, clinic_id, customer_id, messages, created_at) values"
        " (gen_random_uuid(), %s, md5('customer' || %s)::uuid, %s::jsonb, %s)",
        CLINIC, customer, json.dumps(messages), entered,
    )  # fmt: skip


def add_referral(database: Database, referrer: int, referred: int, at: datetime) -> None:
    execute(
        database,
        "insert into public.referrals (clinic_id, referrer_customer_id, referred_customer_id, created_at) values"
        " (%s, md5('customer' || %s)::uuid, md5('customer' || %s)::uuid, %s)",
        CLINIC, referrer, referred, at,
    )  # fmt: skip


def features(database: Database, as_of: datetime, at: datetime) -> list[dict[str, Any]]:
    build_features(database, as_of)
    return [row for (row,) in execute(database, FEATURES_AT, at)]


TREATMENTS = ("00000000-0000-0000-0000-00000000000a", "gone", "00000000-0000-0000-0000-00000000000b")
MINUTES = 60 * 24 * 250
EVENTS = st.lists(
    st.tuples(
        st.integers(0, 3),
        st.integers(0, MINUTES),
        st.sampled_from(["completed", "completed", "completed", "cancelled", "no_show", "scheduled"]),
        st.integers(-60 * 24 * 30, 60 * 24 * 90),
        st.integers(0, 9000),
    ),
    min_size=1,
    max_size=40,
)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(events=EVENTS, talk=EVENTS)
def test_a_snapshot_computed_again_after_later_events_is_the_same_to_the_bit(
    database: Database, events: list[tuple[int, int, str, int, int]], talk: list[tuple[int, int, str, int, int]]
) -> None:
    execute(database, "truncate public.clinics cascade")
    add_clinic(database, 4)
    for customer, minute, status, entered, price in events:
        at = START + timedelta(minutes=minute)
        add_visit(database, customer, at, status, at + timedelta(minutes=entered), price, TREATMENTS[: price % 4])
    for customer, minute, _, entered, wait in talk:
        at = START + timedelta(minutes=minute)
        said, answered = ("ชอบมาก", "bad", "ok")[wait % 3], at + timedelta(minutes=wait) if wait % 2 else None
        add_message(database, customer, at, at + timedelta(minutes=entered), said, answered)
        add_referral(database, customer, (customer + 1) % 4, at)
    then = features(database, EARLY, EARLY)
    assert features(database, LATE, EARLY) == then


def test_only_what_was_known_counts(database: Database) -> None:
    add_clinic(database, 2)
    add_visit(database, 0, EARLY - timedelta(days=100))
    add_visit(database, 0, EARLY - timedelta(days=40))
    add_visit(database, 0, EARLY - timedelta(days=10), "no_show")
    add_visit(database, 0, EARLY - timedelta(days=5), entered=EARLY + timedelta(days=1))
    add_visit(database, 0, EARLY + timedelta(days=12), "cancelled", entered=EARLY - timedelta(days=1))
    add_visit(database, 0, EARLY + timedelta(days=3), entered=EARLY + timedelta(days=1))
    (row,) = features(database, LATE, EARLY)
    assert (row["visits"], row["recency_days"], row["tenure_days"], row["gap_mean_days"]) == (2, 40, 100, 60)
    assert (row["days_since_booking"], row["bookings_since_visit"], row["no_shows_365d"]) == (10, 1, 1)
    assert (row["has_booking_ahead"], row["booking_ahead_days"]) == (1, 12)


def test_a_window_holds_its_first_moment_and_not_its_last(database: Database) -> None:
    add_clinic(database, 3)
    for customer in range(3):
        add_visit(database, customer, EARLY - timedelta(days=200))
    add_visit(database, 0, EARLY - timedelta(days=90))
    add_visit(database, 1, EARLY - timedelta(days=90, minutes=1))
    add_visit(database, 2, EARLY)
    add_visit(database, 1, EARLY + timedelta(days=90))
    rows = features(database, LATE, EARLY)
    labels = execute(
        database,
        "select customer_id::text, churned from aura_features.customer_snapshots where snapshot_at = %s",
        EARLY,
    )
    name = {number: execute(database, "select md5('customer' || %s)::uuid::text", number)[0][0] for number in range(3)}
    recent = {row["customer_id"]: row["visits_90d"] for row in rows}
    assert [recent[name[number]] for number in range(3)] == [1, 0, 0]
    assert [dict(labels)[name[number]] for number in range(3)] == [True, True, False]


def test_a_label_is_unknown_until_its_window_has_passed(database: Database) -> None:
    add_clinic(database, 1)
    add_visit(database, 0, EARLY - timedelta(days=20))
    counted = "select count(*), count(churned) from aura_features.customer_snapshots where snapshot_at = %s"
    build_features(database, EARLY + timedelta(days=89))
    assert execute(database, counted, EARLY) == [(1, 0)]
    build_features(database, EARLY + timedelta(days=90))
    assert execute(database, counted, EARLY) == [(1, 1)]


def test_months_begin_at_bangkoks_midnight(database: Database) -> None:
    build_features(database, LATE)
    with database.begin(LATE) as connection:
        found = connection.exec_driver_sql("select snapshot_at from aura_features.snapshot_moments order by 1")
        moments = found.scalars().all()
    assert moments[-1] == LATE and len(moments) == 26
    for moment in moments[:-1]:
        local = moment.astimezone(BANGKOK)
        assert (local.day, local.hour, local.minute) == (1, 0, 0)


@pytest.mark.parametrize("moment", [datetime(1999, 1, 1, tzinfo=BANGKOK), START])
def test_before_the_first_event_there_is_no_snapshot(database: Database, moment: datetime) -> None:
    add_clinic(database, 1)
    add_visit(database, 0, START + timedelta(days=20))
    assert features(database, moment, moment) == []


@pytest.mark.parametrize(
    ("content", "mood"),
    [
        ("ชอบมากค่ะ พนักงานใจดี", 2), ("ไม่ชอบเลย", -1), ("รอนาน หงุดหงิด", -2), ("โอเคค่ะ", 0),
        ("Great staff, thank you", 2), ("not happy, it was painful", -2), ("What is the price?", 0),
    ],
)  # fmt: skip
def test_praise_and_complaint_are_counted_in_thai_and_english(database: Database, content: str, mood: int) -> None:
    add_clinic(database, 1)
    add_visit(database, 0, EARLY - timedelta(days=100))
    at = EARLY - timedelta(days=10)
    add_message(database, 0, at, at, content, at + timedelta(hours=3))
    (row,) = features(database, LATE, EARLY)
    assert (row["mood_90d"], row["mood_slope"], row["response_hours_90d"], row["channels"]) == (mood, None, 3, 1)


def test_repeats_referrals_and_loyalty_count_until_the_snapshot(database: Database) -> None:
    add_clinic(database, 4)
    execute(
        database,
        "create table public.loyalty_profiles (customer_id uuid, clinic_id uuid, total_points int,"
        " available_points int, current_tier text, successful_referrals int, last_visit timestamptz,"
        " joined_at timestamptz)",
    )
    for customer, joined in ((0, EARLY - timedelta(days=30)), (1, EARLY + timedelta(days=1))):
        execute(
            database,
            "insert into public.loyalty_profiles (customer_id, clinic_id, joined_at)"
            " values (md5('customer' || %s)::uuid, %s, %s)",
            customer, CLINIC, joined,
        )  # fmt: skip
        add_referral(database, 2 + customer, customer, joined)
    for customer in range(3):  # six repeats after 30 days, three visits each
        for number in range(3):
            add_visit(database, customer, EARLY - timedelta(days=75 - 30 * number), treatments=TREATMENTS[:2])
    add_visit(database, 3, EARLY - timedelta(days=60), treatments=TREATMENTS[2:])
    features(database, LATE, EARLY)
    rows = execute(
        database,
        "select treatment_kinds, repeat_lateness, referrals_made, was_referred, loyalty_days"
        " from aura_features.customer_snapshots s join generate_series(0, 3) n"
        " on s.customer_id = md5('customer' || n)::uuid where snapshot_at = %s order by n",
        EARLY,
    )
    assert rows == [(2, 0.5, 0, 1, 30), (2, 0.5, 0, 0, None), (2, 0.5, 1, 0, None), (1, None, 0, 0, None)]
