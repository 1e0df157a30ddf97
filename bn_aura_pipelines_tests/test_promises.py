"""What the whole graph promises: run again and nothing changes, killed and nothing is lost, asked about the past and
what came later does not show."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
import sqlalchemy

from bn_aura_pipelines.database.connections import Database
from bn_aura_pipelines_tests.conftest import clone, drop
from bn_aura_pipelines_tests.sample_runs import NOW, materialize, url_of

PAST = datetime.fromisoformat("2026-02-01T00:00:00+07:00")

# What an installation notes for itself and no reader sees: when something was done, and hints that spare work.
BOOKKEEPING = {
    "aura_ops.migrations",
    "aura_ops.relations",
    "aura_ops.materializations",
    "aura_ops.embedding_ledger",
    "aura_ops.embedding_cache",
    "aura_ops.refresh_versions",
    "aura_ops.asset_moments",
    "aura_features.conversation_spans",
}
NOTES = {"created_at", "activated_at", "finished_at", "analysed_at"}

# The database as it was at a moment. What has no history (a customer's status, say) stays as it is.
CUT = """
    delete from public.email_unsubscribes where unsubscribed_at >= :moment;
    delete from public.referrals where created_at >= :moment;
    delete from public.appointments where created_at >= :moment;
    delete from public.customer_conversations where created_at >= :moment;
    delete from public.sales_leads where created_at >= :moment;
    update public.sales_leads set customer_id = null
    where customer_id in (select id from public.customers where created_at >= :moment);
    delete from public.customers where created_at >= :moment;
    update public.sales_leads set status = 'new', updated_at = created_at where updated_at >= :moment;
    update public.appointments set status = 'scheduled'
    where (appointment_date + start_time) at time zone 'Asia/Bangkok' >= :moment;
    update public.customer_conversations as c set messages = (
        select coalesce(jsonb_agg(m order by position), '[]')
        from jsonb_array_elements(c.messages) with ordinality as e (m, position)
        where coalesce(aura_ops.try_timestamptz(m ->> 'timestamp'), c.created_at) < :moment
    ) where jsonb_typeof(messages) = 'array'
"""

BY_CLINIC = """
    select distinct table_schema || '.' || table_name from information_schema.columns
    where table_schema = 'aura_marts' and column_name = 'clinic_id' order by 1
"""


@pytest.fixture
def clinic(server: Database, sample: str) -> Iterator[Database]:
    database = clone(server, sample)
    yield database
    drop(server, database)


@pytest.fixture
def cut_off(server: Database, sample: str) -> Iterator[Database]:
    """The same clinic as it stood in the past."""
    database = clone(server, sample)
    with database.begin() as connection:
        for statement in CUT.split(";"):
            connection.execute(sqlalchemy.text(statement), {"moment": PAST})
    yield database
    drop(server, database)


def contents(database: Database, row_versions: bool = False) -> dict[str, tuple[int, str | None]]:
    """Rows and their hash for every owned table; with `row_versions` also which transaction wrote each row."""
    found = {}
    with database.begin() as connection:
        relations = connection.exec_driver_sql(
            "select c.oid::regclass::text, array_agg(a.attname::text order by a.attnum) from pg_class c"
            " join pg_namespace n on n.oid = c.relnamespace join pg_attribute a on a.attrelid = c.oid"
            " where n.nspname like 'aura%%' and n.nspname <> 'aura_truth' and c.relkind in ('r', 'p')"
            " and not c.relispartition and a.attnum > 0 and not a.attisdropped group by c.oid order by 1"
        ).all()
        for relation, columns in relations:
            if relation not in BOOKKEEPING:
                names = [column for column in columns if column not in NOTES]
                names += ["xmin::text as written_by"] if row_versions else []
                found[relation] = connection.exec_driver_sql(
                    f"select count(*), md5(string_agg(md5(t::text), '' order by md5(t::text)))"
                    f" from (select {', '.join(names)} from {relation}) as t"
                ).one()
    return {name: tuple(row) for name, row in found.items()}


def differing(one: dict[str, tuple[int, str | None]], other: dict[str, tuple[int, str | None]]) -> list[str]:
    return sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))


def test_a_run_fills_every_step_and_the_same_run_again_writes_nothing(finished: Database) -> None:
    first = contents(finished, row_versions=True)
    for relation in (
        "aura_features.customer_snapshots",
        "aura_models.registry",
        "aura_models.churn_scores",
        "aura_ops.embeddings",
        "aura_ops.trigger_events",
        "aura_marts.cohort_retention",
        "aura_marts.sales_funnel",
        "aura_marts.customer_360",
        "aura_marts.trigger_events",
        "aura_marts.model_performance",
    ):
        assert first[relation][0] > 0, relation
    materialize(finished, NOW)
    assert differing(first, contents(finished, row_versions=True)) == []


def test_every_mart_shows_the_api_the_clinic_of_its_setting_and_without_one_nothing(finished: Database) -> None:
    with finished.begin() as connection:
        marts = connection.exec_driver_sql(BY_CLINIC).scalars().all()
        counted = "select clinic_id::text, count(*) from {} where clinic_id is not null group by 1"
        rows = {mart: dict(connection.exec_driver_sql(counted.format(mart)).tuples().all()) for mart in marts}
    assert len(rows["aura_marts.customer_360"]) > 1
    with finished.begin() as connection:
        connection.exec_driver_sql("set local role aura_api")
        for mart in marts:
            assert connection.exec_driver_sql(f"select count(*) from {mart}").scalar_one() == 0
        for clinic_id in rows["aura_marts.customer_360"]:
            connection.exec_driver_sql("select set_config('aura.clinic_id', %s, true)", (clinic_id,))
            for mart in marts:
                seen = dict(connection.exec_driver_sql(counted.format(mart)).tuples().all())
                assert seen == {key: count for key, count in rows[mart].items() if key == clinic_id}, mart


def test_a_run_about_the_past_does_not_see_what_came_later(clinic: Database, cut_off: Database) -> None:
    materialize(clinic, PAST)
    materialize(cut_off, PAST)
    assert contents(clinic)["aura_models.registry"][0] > 0
    assert differing(contents(clinic), contents(cut_off)) == []


def test_a_killed_run_is_made_good_by_the_next_one(finished: Database, clinic: Database, tmp_path: Path) -> None:
    environment = {**os.environ, "BN_AURA_DATABASE_URL": url_of(clinic), "BN_AURA_HOME": str(tmp_path / "home")}
    command = [sys.executable, "-m", "bn_aura_pipelines.cli", "run", "--as-of", NOW.isoformat()]
    for step in ("stg_messages", "customer_snapshots", "churn_model"):
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        until = time.monotonic() + 120
        for line in process.stdout:
            if line.strip().startswith(step) or time.monotonic() > until:
                break
        process.kill()
        assert process.wait() != 0, f"the run was over before {step}"
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert differing(contents(finished), contents(clinic)) == []
