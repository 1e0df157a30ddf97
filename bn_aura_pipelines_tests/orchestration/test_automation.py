"""What follows what, without any click; conditions are evaluated as the daemon does it."""

from __future__ import annotations

from collections.abc import Iterator

import dagster as dg
import pytest

from bn_aura_pipelines.database.resource import RUNS_WITH_ITS_ASSET
from bn_aura_pipelines.definitions import build_definitions
from bn_aura_pipelines.orchestration.automation import CALENDAR, FOLLOWS, with_automation
from bn_aura_pipelines.orchestration.sensors import trainings_wanted

CONVERSATIONS = dg.AssetKey(["application", "customer_conversations"])


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


def observe(instance: dg.DagsterInstance, key: dg.AssetKey, version: str) -> None:
    instance.report_runless_asset_event(dg.AssetObservation(key, tags={"dagster/data_version": version}))


def materialize_and_observe_everything(instance: dg.DagsterInstance, definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    for key in graph.toposorted_asset_keys:
        if key in graph.materializable_asset_keys:
            instance.report_runless_asset_event(dg.AssetMaterialization(key))
        else:
            observe(instance, key, "1")
    for check in graph.asset_check_keys:
        instance.report_runless_asset_event(
            dg.AssetCheckEvaluation(asset_key=check.asset_key, check_name=check.name, passed=True, metadata={})
        )


def requested(result: dg.EvaluateAutomationConditionsResult) -> set[str]:
    """Names of the assets; their checks are asked for with them."""
    return {
        one.key.to_user_string()
        for one in result.results
        if not one.true_subset.is_empty and isinstance(one.key, dg.AssetKey)
    }


def test_a_grown_conversation_leads_to_what_stands_on_it_and_to_nothing_else(instance: dg.DagsterInstance) -> None:
    definitions = build_definitions()
    graph = definitions.resolve_asset_graph()
    materialize_and_observe_everything(instance, definitions)
    quiet = dg.evaluate_automation_conditions(definitions, instance)
    again = dg.evaluate_automation_conditions(definitions, instance, cursor=quiet.cursor)
    assert requested(again) == set()

    observe(instance, CONVERSATIONS, "2")
    grown = dg.evaluate_automation_conditions(definitions, instance, cursor=again.cursor)
    names = requested(grown)
    for name in (
        "conversation_embeddings",
        "conversation_analysis",
        "customer_snapshots",
        "churn_scores",
        "customer_360",
        "trigger_decisions",
        "trigger_events",
    ):
        assert name in names
    # Nothing is trained, and nothing runs that no path leads to but through a training.
    reached = {CONVERSATIONS}
    for key in graph.toposorted_asset_keys:
        node = graph.get(key)
        if node.tags.get(FOLLOWS) not in (None, CALENDAR) and node.parent_keys & reached:
            reached.add(key)
    assert names == {key.to_user_string() for key in reached - {CONVERSATIONS}}
    assert not {name for name in names if name.endswith("_model")}
    assert "cohort_retention" not in names
    assert "lead_embeddings" not in names

    # The same version observed again, and no run yet: asked for once is enough.
    observe(instance, CONVERSATIONS, "2")
    after = dg.evaluate_automation_conditions(definitions, instance, cursor=grown.cursor)
    assert requested(after) == set()


def small_graph(check_passes: bool, fails: bool = False) -> dg.Definitions:
    @dg.observable_source_asset
    def table() -> dg.DataVersion:
        return dg.DataVersion("1")

    @dg.asset(deps=[table], check_specs=[dg.AssetCheckSpec("holds", asset="checked", blocking=True)])
    def checked() -> dg.MaterializeResult:
        if fails:
            raise dg.Failure("permanent", allow_retries=False)
        return dg.MaterializeResult(check_results=[dg.AssetCheckResult(check_name="holds", passed=check_passes)])

    @dg.asset(deps=[checked])
    def below() -> None: ...

    return dg.Definitions([table, *with_automation([checked, below])])


def run(definitions: dg.Definitions, instance: dg.DagsterInstance, *names: str) -> bool:
    job = definitions.resolve_implicit_global_asset_job_def()
    keys = [dg.AssetKey(name) for name in names]
    return job.execute_in_process(instance=instance, asset_selection=keys, raise_on_error=False).success


def run_what_was_requested(
    definitions: dg.Definitions, instance: dg.DagsterInstance, result: dg.EvaluateAutomationConditionsResult
) -> set[str]:
    """As the daemon does: the assets and the checks that were asked for, and no others."""
    keys = {one.key for one in result.results if not one.true_subset.is_empty}
    assets = {key for key in keys if isinstance(key, dg.AssetKey)}
    checks = {key for key in keys if isinstance(key, dg.AssetCheckKey)}
    if keys:
        job = definitions.resolve_implicit_global_asset_job_def()
        job.get_subset(asset_selection=assets, asset_check_selection=checks).execute_in_process(instance=instance)
    return {key.to_user_string() for key in assets}


def test_what_waits_for_checks_that_are_steps_of_their_own_follows_every_change(instance: dg.DagsterInstance) -> None:
    @dg.observable_source_asset
    def table() -> dg.DataVersion:
        return dg.DataVersion("1")

    @dg.asset(deps=[table])
    def checked() -> None: ...

    @dg.multi_asset_check(
        specs=[
            dg.AssetCheckSpec("holds", asset="checked", blocking=True, automation_condition=RUNS_WITH_ITS_ASSET),
        ]
    )
    def expectations() -> Iterator[dg.AssetCheckResult]:
        yield dg.AssetCheckResult(asset_key="checked", check_name="holds", passed=True)

    @dg.asset(deps=[checked])
    def below() -> None: ...

    definitions = dg.Definitions([table, *with_automation([checked, below])], asset_checks=[expectations])
    cursor = None
    built = []
    for version in ("1", "2", "3", "4"):
        observe(instance, dg.AssetKey("table"), version)
        for _tick in range(3):
            result = dg.evaluate_automation_conditions(definitions, instance, cursor=cursor)
            cursor = result.cursor
            built += sorted(run_what_was_requested(definitions, instance, result))
    assert built.count("below") == built.count("checked") == 3, built


def test_no_blocking_check_is_left_out_when_its_asset_is_built() -> None:
    graph = build_definitions().resolve_asset_graph()
    for key in graph.asset_check_keys:
        check = graph.get(key)
        with_its_asset = key in graph.get_execution_set_asset_and_check_keys(key.asset_key)
        assert with_its_asset or check.automation_condition is not None, key


@pytest.mark.parametrize("passes", [True, False])
def test_a_failed_blocking_check_stops_what_is_below_in_other_runs_too(
    instance: dg.DagsterInstance, passes: bool
) -> None:
    definitions = small_graph(check_passes=True)
    observe(instance, dg.AssetKey("table"), "1")
    assert run(definitions, instance, "checked", "below")
    before = dg.evaluate_automation_conditions(definitions, instance)
    before = dg.evaluate_automation_conditions(definitions, instance, cursor=before.cursor)

    definitions = small_graph(check_passes=passes)
    run(definitions, instance, "checked")
    after = dg.evaluate_automation_conditions(definitions, instance, cursor=before.cursor)
    assert ("below" in requested(after)) is passes
    if not passes:  # mended: it goes on by itself
        run(small_graph(check_passes=True), instance, "checked")
        mended = dg.evaluate_automation_conditions(definitions, instance, cursor=after.cursor)
        assert "below" in requested(mended)


def test_a_permanent_failure_is_tried_once_for_each_change(instance: dg.DagsterInstance) -> None:
    definitions = small_graph(check_passes=True)
    observe(instance, dg.AssetKey("table"), "1")
    assert run(definitions, instance, "checked", "below")
    cursor = dg.evaluate_automation_conditions(definitions, instance).cursor
    broken = small_graph(check_passes=True, fails=True)
    observe(instance, dg.AssetKey("table"), "2")
    times = 0
    for _tick in range(20):
        result = dg.evaluate_automation_conditions(broken, instance, cursor=cursor)
        cursor = result.cursor
        if "checked" in requested(result):
            times += 1
            assert not run(broken, instance, "checked", "below")
    assert times == 1


def test_drift_asks_for_the_model_that_the_checked_scores_stand_on() -> None:
    graph = build_definitions().resolve_asset_graph()
    check = dg.AssetCheckKey(dg.AssetKey("churn_scores"), "churn_still_holds")
    assert trainings_wanted(graph, [check]) == {"churn_still_holds": [dg.AssetKey("churn_model")]}
    assert trainings_wanted(graph, [dg.AssetCheckKey(dg.AssetKey("stg_leads"), "any")]) == {}
