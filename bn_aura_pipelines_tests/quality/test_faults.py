"""A fault of each kind, planted in a sample clinic, is caught by the check meant for it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
import sqlalchemy

from bn_aura_pipelines.database.connections import Database
from bn_aura_pipelines.database.view_files import load_views
from bn_aura_pipelines.database.views import build
from bn_aura_pipelines.models.leads.history import record
from bn_aura_pipelines.quality.checks import SUITES
from bn_aura_pipelines.quality.data_docs import write_page
from bn_aura_pipelines.quality.running import Outcome, run_suite
from bn_aura_pipelines.sources.relations import build_source_relations
from bn_aura_pipelines.sources.sample.generate import generate
from bn_aura_pipelines_tests.conftest import clone, drop, run_sql

NOW = datetime.fromisoformat("2026-06-01T00:00:00+07:00")
SUITE = {suite.asset: suite for suite in SUITES}
SCORED = (
    "insert into aura_models.churn_scores select distinct customer_id, clinic_id, aura_ops.as_of(), 1, .5,"
    " 40 + hashtext(customer_id::text) % 9, 'medium', '', '' from aura_staging.stg_appointments"
    " where status = 'completed'"
)


def say(database: Database, statement: str) -> None:
    with database.begin(NOW) as connection:
        connection.execute(sqlalchemy.text(statement.replace(":", "\\:")))


@pytest.fixture(scope="module")
def sample(server: Database, template: str) -> Iterator[str]:
    """The name of a database with a small sample clinic and its tables, without the constraints that stop faults."""
    database = clone(server, template)
    generate(database, 60, NOW, seed=6)
    with database.begin(NOW) as connection:
        build_source_relations(connection)
        build(connection, [view for view in load_views() if view.schema == "aura_staging"])
        record(connection)
        build(connection, load_views())
    say(database, SCORED)
    say(
        database,
        "do $$ declare c record; begin"
        " for c in select conname, conrelid::regclass as t from pg_constraint where connamespace in"
        " ('public'::regnamespace, 'aura_models'::regnamespace) and contype in ('f', 'c', 'u', 'p')"
        " order by contype = 'p' loop"
        " execute format('alter table %s drop constraint if exists %I cascade', c.t, c.conname); end loop;"
        " for c in select attrelid::regclass as t, attname from pg_attribute a join pg_class r on r.oid = a.attrelid"
        " where r.relnamespace = 'public'::regnamespace and r.relkind = 'r' and attnum > 0 and attnotnull"
        " and attidentity = '' loop execute format('alter table %s alter %I drop not null', c.t, c.attname); end loop;"
        " end $$",
    )
    database.engine.dispose()
    assert database.url.database
    yield database.url.database
    drop(server, database)


ONE = "(select id from public.{table} where {where} order by id limit 1)"
FAULTS = [
    # fault, statement, asset, check, blocking
    (
        "an appointment stands twice",
        "insert into public.appointments (id, clinic_id, customer_id, staff_id, appointment_code, appointment_type,"
        " status, appointment_date, start_time, end_time, created_at) select id, clinic_id, customer_id, staff_id,"
        " 'TWICE', appointment_type, status, appointment_date, start_time, end_time, created_at"
        " from public.appointments limit 1",
        "source_appointments",
        "id_is_unique",
        True,
    ),
    (
        "a customer without a clinic",
        "update public.customers set clinic_id = null where id = " + ONE.format(table="customers", where="true"),
        "source_customers",
        "clinic_id_is_filled",
        True,
    ),
    (
        "a customer of a clinic that does not exist",
        "update public.customers set clinic_id = gen_random_uuid() where id = "
        + ONE.format(table="customers", where="true"),
        "source_customers",
        "clinic_id_exists",
        True,
    ),
    (
        "an appointment of a customer who does not exist",
        "update public.appointments set customer_id = gen_random_uuid() where id = "
        + ONE.format(table="appointments", where="true"),
        "source_appointments",
        "customer_id_exists",
        False,
    ),
    (
        "a conversation of another clinic than its customer's",
        "update public.customer_conversations as v set clinic_id = (select id from public.clinics as o"
        " where o.id <> v.clinic_id limit 1) where id = "
        + ONE.format(table="customer_conversations", where="customer_id is not null and clinic_id is not null"),
        "source_customer_conversations",
        "customer_is_of_the_same_clinic",
        False,
    ),
    (
        "a negative price",
        "update public.appointments set total_price = -1 where id = " + ONE.format(table="appointments", where="true"),
        "source_appointments",
        "total_price_is_in_range",
        True,
    ),
    (
        "an unknown status",
        "update public.appointments set status = 'perhaps' where id = "
        + ONE.format(table="appointments", where="true"),
        "source_appointments",
        "status_is_known",
        False,
    ),
    (
        "a deal probability of 130",
        "update public.customer_conversations set deal_probability = 130 where id = "
        + ONE.format(table="customer_conversations", where="true"),
        "source_customer_conversations",
        "deal_probability_is_in_range",
        False,
    ),
    (
        "nothing arrives any more",
        "update public.appointments set created_at = created_at - interval '90 days'",
        "source_appointments",
        "is_fresh",
        False,
    ),
    (
        "a message that is a number",
        "update public.customer_conversations set messages = messages || '[7]'::jsonb where id = "
        + ONE.format(table="customer_conversations", where="true"),
        "source_customer_conversations",
        "messages_are_well_formed",
        False,
    ),
    (
        "a visit that ends before it begins",
        "update public.appointments set end_time = start_time - interval '5 minutes' where id = "
        + ONE.format(table="appointments", where="start_time > '01:00'"),
        "source_appointments",
        "ends_after_it_begins",
        False,
    ),
    (
        "a snapshot of the future",
        "update aura_features.customer_snapshots set snapshot_at = '2027-01-01' where (snapshot_at, customer_id) ="
        " (select snapshot_at, customer_id from aura_features.customer_snapshots limit 1)",
        "customer_snapshots",
        "no_snapshot_of_the_future",
        True,
    ),
    (
        "a score of 140",
        "update aura_models.churn_scores set churn_score = 140 where customer_id ="
        " (select min(customer_id::text)::uuid from aura_models.churn_scores)",
        "churn_scores",
        "churn_score_is_in_range",
        True,
    ),
    (
        "an active customer without a score",
        "delete from aura_models.churn_scores where customer_id = (select customer_id from aura_marts.customer_360"
        " where is_active order by 1 limit 1)",
        "churn_scores",
        "every_active_customer_is_scored",
        True,
    ),
    (
        "revenue off by a satang",
        "update aura_marts.customer_360 set revenue_thb = revenue_thb + 0.01 where customer_id ="
        " (select min(customer_id::text)::uuid from aura_marts.customer_360)",
        "customer_360",
        "revenue_adds_up",
        True,
    ),
    (
        "an event missing on the timeline",
        "delete from aura_marts.customer_timeline where event_id = (select event_id from aura_marts.customer_timeline"
        " where kind = 'conversation' limit 1)",
        "customer_timeline",
        "every_source_row_is_an_event",
        True,
    ),
    (
        "a purchase off by a satang",
        "update aura_marts.customer_timeline set amount_thb = amount_thb + 0.01 where event_id = (select event_id"
        " from aura_marts.customer_timeline where kind = 'purchase' limit 1)",
        "customer_timeline",
        "purchases_add_up",
        True,
    ),
    (
        "a cohort with a member too many",
        "update aura_marts.cohort_retention set cohort_size = cohort_size + 1 where month_number = 0 and cohort_month ="
        " (select min(cohort_month) from aura_marts.cohort_retention)",
        "cohort_retention",
        "cohorts_hold_every_visitor",
        True,
    ),
    (
        "a funnel with a lead too many",
        "update aura_marts.sales_funnel set entered = entered + 1, still_there = still_there + 1 where stage_number = 1"
        " and month = (select min(month) from aura_marts.sales_funnel)",
        "sales_funnel",
        "funnel_holds_every_lead",
        True,
    ),
    (
        "a day with a conversation too many",
        "update aura_marts.voice_of_customer_daily set conversations = conversations + 1, positive = positive + 1"
        " where day = (select max(day) from aura_marts.voice_of_customer_daily)",
        "voice_of_customer_daily",
        "days_hold_every_conversation",
        True,
    ),
]


# What `pytest -v` prints: fault -> check -> blocking or warning.
TABLE = [
    f"{fault} -> {asset}.{check} -> {'blocking' if blocks else 'warning'}" for fault, _, asset, check, blocks in FAULTS
]


def outcomes(database: Database, asset: str) -> dict[str, Outcome]:
    return {one.expectation.name: one for one in run_suite(database, NOW, SUITE[asset]).outcomes}


@pytest.fixture(scope="module")
def before(server: Database, sample: str) -> dict[str, dict[str, Outcome]]:
    """What every suite says of the sample as it is."""
    database = Database(server.url.set(database=sample))
    try:
        return {asset: outcomes(database, asset) for asset in SUITE}
    finally:
        database.engine.dispose()


def test_every_expectation_can_be_asked_and_nothing_blocks_on_a_sound_clinic(
    before: dict[str, dict[str, Outcome]],
) -> None:
    assert [one.error for suite in before.values() for one in suite.values() if one.error] == []
    unscored = {"every_open_lead_is_scored"}  # nobody scored leads here
    failed = {name for suite in before.values() for name, one in suite.items() if not one.passed}
    blocking = {
        n for suite in before.values() for n, one in suite.items() if not one.passed and one.expectation.blocking
    }
    assert blocking <= unscored, failed


@pytest.mark.parametrize(("fault", "statement", "asset", "check", "blocking"), FAULTS, ids=TABLE)
def test_a_planted_fault_is_caught_by_the_check_meant_for_it(
    server: Database,
    sample: str,
    before: dict[str, dict[str, Outcome]],
    fault: str,
    statement: str,
    asset: str,
    check: str,
    blocking: bool,
) -> None:
    database = clone(server, sample)
    try:
        say(database, statement)
        found = outcomes(database, asset)[check]
    finally:
        drop(server, database)
    was = before[asset][check]
    assert not found.passed and not found.error
    assert found.failing > was.failing or was.passed
    assert found.keys
    assert found.expectation.blocking is blocking


def test_no_value_of_a_row_reaches_the_report_or_the_page(server: Database, sample: str, tmp_path: Path) -> None:
    database = clone(server, sample)
    try:
        run_sql(database, "update public.customers set status = 'Somchai Secret'")
        result = run_suite(database, NOW, SUITE["source_customers"])
    finally:
        drop(server, database)
    page = write_page(tmp_path, result, NOW).read_text("utf-8")
    assert not {one.expectation.name: one for one in result.outcomes}["status_is_known"].passed
    assert "Somchai" not in page and "Somchai" not in str(result.report)
    index = (tmp_path / "index.html").read_text("utf-8")
    assert "aura_staging.source_customers" in index and "status_is_known" in index
