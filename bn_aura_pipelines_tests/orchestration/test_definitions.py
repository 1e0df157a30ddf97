"""What the code location consists of, beside what it consisted of: names others rely on do not change unnoticed."""

from __future__ import annotations

import os

import dagster as dg

from bn_aura_pipelines.definitions import build_definitions
from bn_aura_pipelines.orchestration.automation import CALENDAR, FOLLOWS
from bn_aura_pipelines.settings import PROJECT_ROOT

SNAPSHOT = PROJECT_ROOT / "bn_aura_pipelines_tests" / "orchestration" / "definitions.txt"


def described() -> set[str]:
    repository = build_definitions().get_repository_def()
    graph = repository.asset_graph
    return {
        *(f"asset {key.to_user_string()} of {graph.get(key).group_name}" for key in graph.get_all_asset_keys()),
        *(f"check {key.name} of {key.asset_key.to_user_string()}" for key in graph.asset_check_keys),
        *(f"job {job.name}" for job in repository.get_all_jobs()),
        *(f"schedule {one.name}: {one.job_name}, {one.cron_schedule}" for one in repository.schedule_defs),
        *(f"sensor {one.name}" for one in repository.sensor_defs),
    }


def test_nothing_of_the_snapshot_is_gone_or_runs_at_another_time() -> None:
    found = described()
    if os.environ.get("UPDATE_DOCS"):
        SNAPSHOT.write_text("\n".join(sorted(found)) + "\n", "utf-8")
    gone = set(SNAPSHOT.read_text("utf-8").splitlines()) - found
    assert gone == set(), "others rely on these names: if they are meant to go, run `make docs`"


def test_everything_explains_itself_and_nothing_runs_unasked() -> None:
    repository = build_definitions().get_repository_def()
    for key in repository.asset_graph.get_all_asset_keys():
        node = repository.asset_graph.get(key)
        assert node.description, key
        assert node.owners, key
        assert node.kinds, key
        assert node.group_name != "default", key
    for instigator in [*repository.schedule_defs, *repository.sensor_defs]:
        assert instigator.description, instigator.name
        assert instigator.default_status.value == "STOPPED", instigator.name
    for schedule in repository.schedule_defs:
        assert schedule.execution_timezone == "Asia/Bangkok", schedule.name
    for job in repository.get_all_jobs():
        assert job.description or job.name.startswith("__"), job.name


def test_every_mart_has_a_freshness_policy_and_every_computed_asset_a_condition() -> None:
    graph = build_definitions().resolve_asset_graph()
    for key in graph.materializable_asset_keys:
        node = graph.get(key)
        assert node.automation_condition or node.is_partitioned, key
        assert node.freshness_policy or node.group_name != "marts", key


def test_the_location_is_valid() -> None:
    dg.Definitions.validate_loadable(build_definitions())


def test_what_trains_follows_the_calendar_and_not_every_changed_row() -> None:
    graph = build_definitions().resolve_asset_graph()
    trained = {
        key.to_user_string() for key in graph.materializable_asset_keys if graph.get(key).tags.get(FOLLOWS) == CALENDAR
    }
    assert trained == {"churn_model", "lead_model", "recommendation_models", "sentiment_model"}
