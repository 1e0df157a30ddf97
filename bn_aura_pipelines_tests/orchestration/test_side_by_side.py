"""Runs side by side: they take turns asset by asset, and no table goes back to an earlier moment by itself."""

from collections.abc import Iterator
from datetime import datetime, timedelta

import dagster as dg
import pytest
import yaml

from bn_aura_pipelines.database.connections import Database
from bn_aura_pipelines.database.resource import Aura
from bn_aura_pipelines.definitions import build_definitions
from bn_aura_pipelines.settings import PROJECT_ROOT
from bn_aura_pipelines_tests.sample_runs import instance_for

CHOSEN = datetime.fromisoformat("2025-03-01T00:00:00+07:00")


@pytest.fixture
def instance(database: Database) -> Iterator[dg.DagsterInstance]:
    with instance_for(database) as instance:
        yield instance


def built_about(instance: dg.DagsterInstance, as_of: datetime | None = None) -> datetime:
    """The moment that a run gives an asset of ours."""
    seen = []

    @dg.asset
    def table(context: dg.AssetExecutionContext, aura: Aura) -> None:
        with aura.begin(context) as connection:
            seen.append(connection.exec_driver_sql("select aura_ops.as_of()").scalar_one())

    aura = Aura(as_of=as_of.isoformat() if as_of else None)
    assert dg.materialize([table], instance=instance, resources={"aura": aura}).success
    return seen[0]


def noted(database: Database, moment: datetime | None = None) -> list[datetime]:
    """What is noted of the asset; with `moment`, as if a younger run had been there."""
    with database.begin() as connection:
        if moment:
            connection.exec_driver_sql("update aura_ops.asset_moments set as_of = %s", (moment,))
        return list(connection.exec_driver_sql("select as_of from aura_ops.asset_moments").scalars())


def test_an_older_run_that_comes_later_stays_at_the_younger_moment(
    database: Database, instance: dg.DagsterInstance
) -> None:
    first = built_about(instance)
    assert noted(database) == [first]
    younger = first + timedelta(minutes=5)
    noted(database, younger)
    assert built_about(instance) == younger
    assert noted(database) == [younger]


def test_a_chosen_moment_is_kept_and_binds_nobody_else(database: Database, instance: dg.DagsterInstance) -> None:
    first = built_about(instance)
    assert built_about(instance, CHOSEN) == CHOSEN
    assert noted(database) == [first]
    assert built_about(instance) > first


def test_whoever_somebody_waits_for_is_in_no_lane() -> None:
    lanes = yaml.safe_load((PROJECT_ROOT / "dagster.yaml").read_text("utf-8"))["concurrency"]["runs"]
    (limit,) = lanes["tag_concurrency_limits"]
    repository = build_definitions().get_repository_def()
    in_lane = {job.name for job in repository.get_all_jobs() if job.tags.get(limit["key"]) == limit["value"]}
    assert "check_churn" in in_lane
    assert in_lane.isdisjoint({"decide_about_leads", "deliver_messages"})
    (follow_data,) = [one for one in repository.sensor_defs if one.name == "follow_data"]
    assert follow_data.run_tags[limit["key"]] == limit["value"]
