"""The trigger rules decide once per episode, and say why nothing may be sent."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from uuid import UUID

import pytest
import sqlalchemy

from bn_aura_pipelines.database.connections import Database
from bn_aura_pipelines.database.view_files import load_views
from bn_aura_pipelines.database.views import build
from bn_aura_pipelines.sources.relations import build_source_relations
from bn_aura_pipelines.triggers.evaluation import EvaluationResult, evaluate

MONDAY = datetime.fromisoformat("2026-03-02T08:00:00+07:00")
ANNA, BEN = UUID(int=1), UUID(int=2)
SELLER, CLINIC = UUID(int=8), UUID(int=9)

SETUP = """
    insert into public.clinics (id, clinic_code, created_at) values (:clinic, 'A', '2025-01-01');
    insert into public.users (id, email, created_at) values (:seller, 'seller@example.com', '2025-01-01');
    insert into public.clinic_staff (clinic_id, user_id, role, created_at)
        values (:clinic, :seller, 'sales_staff', '2025-01-01');
    insert into public.customers (id, clinic_id, full_name, email, assigned_sales_id, created_at) values
        (:anna, :clinic, 'Anna', 'Anna@example.com', :seller, '2025-01-01'),
        (:ben, :clinic, 'Ben', null, null, '2025-01-01');
    insert into public.customer_preferences (customer_id, clinic_id, marketing_opt_in, created_at) values
        (:anna, :clinic, true, '2025-01-01'), (:ben, :clinic, true, '2025-01-01');
    insert into public.appointments (
        clinic_id, customer_id, status, appointment_date, start_time, end_time, total_price, created_at
    )
    select :clinic, customer_id, 'completed', '2026-01-10', '10:00', '11:00', 100, '2026-01-01'
    from public.customer_preferences
"""
NAMES = {"clinic": CLINIC, "seller": SELLER, "anna": ANNA, "ben": BEN}


def execute(database: Database, script: str) -> None:
    with database.begin() as connection:
        for statement in script.split(";"):
            used = {name: value for name, value in NAMES.items() if f":{name}" in statement}
            connection.execute(sqlalchemy.text(statement), used)


@pytest.fixture
def clinic(database: Database) -> Database:
    execute(database, SETUP)
    return database


def decide(database: Database, days: int, **scores: int) -> EvaluationResult:
    """One run so many days after Monday, at which the customers have these churn scores."""
    with database.begin(MONDAY + timedelta(days=days)) as connection:
        build_source_relations(connection)
        build(connection, load_views())
        connection.execute(sqlalchemy.text("delete from aura_models.churn_scores"))
        for name, score in scores.items():
            connection.execute(
                sqlalchemy.text(
                    "insert into aura_models.churn_scores select :customer, :clinic, aura_ops.as_of(), 1,"
                    " :score / 100.0, :score, 'high', '', ''"
                ),
                {"customer": NAMES[name], "clinic": CLINIC, "score": score},
            )
        return evaluate(connection)


def events(database: Database) -> list[tuple[str, UUID, str, str]]:
    with database.begin() as connection:
        rows = connection.execute(
            sqlalchemy.text(
                "select rule, subject_id, status, reason from aura_ops.trigger_events"
                " order by rule, subject_id, decided_at"
            )
        )
        return [tuple(row) for row in rows]


def test_a_high_score_is_told_once_as_long_as_it_lasts(clinic: Database) -> None:
    assert decide(clinic, 0, anna=75) == EvaluationResult(opened=1, ended=0)
    assert decide(clinic, 0, anna=75) == EvaluationResult(opened=0, ended=0)
    assert decide(clinic, 1, anna=79) == EvaluationResult(opened=0, ended=0)
    assert events(clinic) == [("churn-risk-warning", ANNA, "eligible", "churn_score 75 is at least 70")]


def test_a_score_that_wavers_begins_no_new_episode_and_one_that_fell_does(clinic: Database) -> None:
    decide(clinic, 0, anna=70)
    assert decide(clinic, 1, anna=60) == EvaluationResult(opened=0, ended=0)
    assert decide(clinic, 2, anna=72) == EvaluationResult(opened=0, ended=0)
    assert decide(clinic, 3, anna=59) == EvaluationResult(opened=0, ended=1)
    assert decide(clinic, 4, anna=70) == EvaluationResult(opened=0, ended=0)  # the cooldown of 60 days is not over
    assert decide(clinic, 60, anna=70) == EvaluationResult(opened=1, ended=0)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("select 1", None),
        ("update public.customers set email = ' ' where id = :anna", "no e-mail address"),
        (
            "insert into public.email_unsubscribes (clinic_id, email, unsubscribed_at)"
            " values (:clinic, 'ANNA@example.com ', '2026-02-01')",
            "unsubscribed from e-mail",
        ),
        (
            "insert into public.email_unsubscribes (clinic_id, email, unsubscribed_at)"
            " values (:clinic, 'anna@example.com', '2026-04-01')",
            None,  # later than the run's moment
        ),
        ("update public.customer_preferences set do_not_contact = true", "asked not to be contacted"),
        ("update public.customer_preferences set marketing_opt_in = false", "no consent to marketing on record"),
        ("delete from public.customer_preferences", "no consent to marketing on record"),
    ],
)
def test_an_email_needs_an_address_and_consent(clinic: Database, change: str, reason: str | None) -> None:
    execute(clinic, change)
    decide(clinic, 0, anna=85)
    (found,) = [event for event in events(clinic) if event[0] == "churn-prevention-email"]
    assert found[2:] == (("suppressed", reason) if reason else ("eligible", "churn_score 85 is at least 80"))


def test_nobody_in_charge_is_said_so(clinic: Database) -> None:
    decide(clinic, 0, ben=75)
    assert events(clinic) == [("churn-risk-warning", BEN, "suppressed", "nobody in charge to notify")]


@pytest.mark.parametrize(
    "change",
    [
        "update public.customers set status = 'blacklisted'",
        "update public.appointments set appointment_date = '2025-01-10', created_at = '2025-01-01'",
        "update aura_ops.trigger_rules set is_active = false",
    ],
)
def test_who_is_blacklisted_or_long_gone_and_what_is_switched_off_decides_nothing(
    clinic: Database, change: str
) -> None:
    execute(clinic, change)
    assert decide(clinic, 0, anna=99) == EvaluationResult(opened=0, ended=0)


def test_a_rule_switched_off_and_on_again_does_not_tell_twice(clinic: Database) -> None:
    decide(clinic, 0, anna=75)
    execute(clinic, "update aura_ops.trigger_rules set is_active = false")
    decide(clinic, 1, anna=75)
    execute(clinic, "update aura_ops.trigger_rules set is_active = true")
    assert decide(clinic, 2, anna=75) == EvaluationResult(opened=0, ended=0)


def test_a_moment_before_decisions_that_stand_decides_nothing(clinic: Database) -> None:
    decide(clinic, 5, anna=75)
    assert decide(clinic, 0, anna=95).skipped
    assert len(events(clinic)) == 1


def test_ten_runs_in_a_row_and_two_at_once_decide_each_episode_once(clinic: Database) -> None:
    execute(clinic, "update aura_ops.trigger_rules set holdout_share = 0")
    decide(clinic, 0, anna=85)
    first = events(clinic)
    with ThreadPoolExecutor() as pool:
        for day in range(10):
            moment = MONDAY + timedelta(minutes=day)
            for result in pool.map(lambda at: evaluate_at(clinic, at), [moment, moment]):
                assert result == EvaluationResult(opened=0, ended=0)
    assert events(clinic) == first and len(first) == 2
    with clinic.begin() as connection:
        assert connection.exec_driver_sql("select count(*) from aura_ops.outbox").scalar_one() == 2


def test_two_that_decide_the_first_time_at_once_decide_once(clinic: Database) -> None:
    execute(clinic, "update aura_ops.trigger_rules set holdout_share = 0, is_active = false")
    decide(clinic, 0, anna=85)
    execute(clinic, "update aura_ops.trigger_rules set is_active = true")
    with ThreadPoolExecutor() as pool:
        results = list(pool.map(lambda at: evaluate_at(clinic, at), [MONDAY] * 4))
    assert sorted(result.opened for result in results) == [0, 0, 0, 2]


def test_who_is_held_out_gets_no_message_in_any_episode(clinic: Database) -> None:
    execute(clinic, "update aura_ops.trigger_rules set holdout_share = 0.5, cooldown = interval '1 day'")
    statuses = set()
    for day in range(0, 9, 3):
        decide(clinic, day, anna=75)
        statuses |= {event[2] for event in events(clinic)}
        decide(clinic, day + 1, anna=10)
    assert len(events(clinic)) == 3 and len(statuses) == 1
    with clinic.begin() as connection:
        messages = connection.exec_driver_sql("select count(*) from aura_ops.outbox").scalar_one()
    assert messages == (3 if statuses == {"eligible"} else 0)


def evaluate_at(database: Database, moment: datetime) -> EvaluationResult:
    with database.begin(moment) as connection:
        return evaluate(connection)
