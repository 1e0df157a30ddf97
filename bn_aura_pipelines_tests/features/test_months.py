"""Months computed alone are the same to the bit, leave the others as they are, and are shown as partitions."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta

import dagster as dg
import pytest

from bn_aura_pipelines.database.connections import Database
from bn_aura_pipelines.database.resource import Aura
from bn_aura_pipelines.definitions import build_definitions
from bn_aura_pipelines.features.assets import monthly_snapshots
from bn_aura_pipelines.features.months import Month, NotYet, rebuild_months
from bn_aura_pipelines_tests.benchmarks.scratch import build_features
from bn_aura_pipelines_tests.features.test_snapshots import BANGKOK, add_clinic, add_visit, execute
from bn_aura_pipelines_tests.sample_runs import instance_for

NOW = datetime(2024, 9, 10, 12, tzinfo=BANGKOK)
OLD = date(2021, 1, 1)
ROWS = "select snapshot_at, xmin::text, to_jsonb(s) from aura_features.customer_snapshots s order by 1, 3"
MONTHS = "select distinct aura_ops.bangkok_day(snapshot_at) from aura_features.customer_snapshots order by 1"


@pytest.fixture
def clinic(database: Database) -> Database:
    """Three customers with visits every fortnight from autumn 2020 on."""
    add_clinic(database, 3, entered=datetime(2020, 9, 1, tzinfo=BANGKOK))
    for number in range(90):
        add_visit(database, number % 3, datetime(2020, 9, 15, 10, tzinfo=BANGKOK) + timedelta(days=14 * number))
    return database


def months(database: Database) -> list[date]:
    return [month for (month,) in execute(database, MONTHS)]


def test_a_month_computed_again_writes_nothing_and_one_that_was_lost_comes_back_to_the_bit(clinic: Database) -> None:
    build_features(clinic, NOW)
    before = execute(clinic, ROWS)
    with clinic.begin(NOW) as connection:
        written, found = rebuild_months(connection, date(2024, 1, 1), date(2024, 9, 1))
    assert written == 0
    assert [month.start for month in found] == [date(2024, month, 1) for month in range(1, 9)]
    assert found[0] == Month(date(2024, 1, 1), 3, 3) and found[-1].labelled == 0
    assert execute(clinic, ROWS) == before

    execute(clinic, "delete from aura_features.customer_snapshots where snapshot_at < '2024-03-01'")
    execute(clinic, "update aura_features.customer_snapshots set visits = 99 where snapshot_at >= '2024-08-01'")
    with clinic.begin(NOW) as connection:
        rebuild_months(connection, date(2022, 9, 1), date(2024, 3, 1))
    after = execute(clinic, ROWS)
    early = [(moment, row) for moment, _, row in before if moment < datetime(2024, 8, 1, tzinfo=BANGKOK)]
    assert [(moment, row) for moment, _, row in after if moment < datetime(2024, 8, 1, tzinfo=BANGKOK)] == early
    assert {row["visits"] for moment, _, row in after if moment >= datetime(2024, 8, 1, tzinfo=BANGKOK)} == {99}


def test_older_months_stay_and_later_ones_are_forgotten_by_a_run_about_the_past(clinic: Database) -> None:
    build_features(clinic, NOW)
    with clinic.begin(NOW) as connection:
        rebuild_months(connection, OLD, date(2022, 1, 1))
    build_features(clinic, NOW - timedelta(days=70))
    found = months(clinic)
    assert found[:12] == [OLD.replace(month=month) for month in range(1, 13)]
    assert found[-2:] == [date(2024, 7, 1), date(2024, 7, 2)]
    assert len(found) == 12 + 25 + 1


def test_a_month_after_the_moment_is_refused(clinic: Database) -> None:
    build_features(clinic, NOW)
    with clinic.begin(NOW) as connection, pytest.raises(NotYet, match="2024-11-01"):
        rebuild_months(connection, date(2024, 8, 1), date(2024, 11, 1))


def test_a_changed_query_fills_the_whole_window_before_the_months_that_were_asked_for(clinic: Database) -> None:
    build_features(clinic, NOW)
    execute(clinic, "update aura_ops.relations set definition_hash = 'old' where relation like '%%customer_snapshots'")
    with clinic.begin(NOW) as connection:
        rebuild_months(connection, OLD, date(2021, 3, 1))
    assert months(clinic) == [OLD, date(2021, 2, 1), *[m for m in months(clinic) if m >= date(2022, 9, 1)]]
    assert len(months(clinic)) == 2 + 25 + 1


@pytest.fixture
def instance(clinic: Database) -> Iterator[dg.DagsterInstance]:
    build_features(clinic, NOW)
    with instance_for(clinic) as instance:
        yield instance


def run(instance: dg.DagsterInstance, name: str, tags: dict[str, str] | None = None) -> dg.ExecuteInProcessResult:
    job = build_definitions(Aura(as_of=NOW.isoformat())).resolve_implicit_global_asset_job_def()
    return job.execute_in_process(instance=instance, asset_selection=[dg.AssetKey(name)], tags=tags)


def test_a_year_is_one_run_and_every_run_shows_the_months_that_it_filled(instance: dg.DagsterInstance) -> None:
    year = {
        "dagster/asset_partition_range_start": OLD.isoformat(),
        "dagster/asset_partition_range_end": date(2021, 12, 1).isoformat(),
    }
    run(instance, "monthly_snapshots", year)
    filled = instance.get_materialized_partitions(monthly_snapshots.key)
    assert filled == {OLD.replace(month=month).isoformat() for month in range(1, 13)}
    assert monthly_snapshots.backfill_policy == dg.BackfillPolicy.single_run()

    first = run(instance, "customer_snapshots").get_asset_materialization_events()
    assert len(instance.get_materialized_partitions(monthly_snapshots.key)) == 12 + 25
    again = run(instance, "customer_snapshots").get_asset_materialization_events()
    assert (len(first), len(again)) == (1 + 25, 1)
