"""One Dagster check for each expectation, all of a relation in one step."""

from collections.abc import Iterator

import dagster as dg

from bn_aura_pipelines.database.resource import RUNS_WITH_ITS_ASSET, Aura
from bn_aura_pipelines.quality.result_suites import FEATURES, MARTS, SCORES
from bn_aura_pipelines.quality.running import Outcome, run_suite
from bn_aura_pipelines.quality.source_suites import source_suites
from bn_aura_pipelines.quality.suites import Suite


def _checks(suite: Suite) -> dg.AssetChecksDefinition:
    @dg.multi_asset_check(
        name=f"expectations_of_{suite.asset}",
        can_subset=True,
        specs=[
            dg.AssetCheckSpec(
                one.name,
                asset=suite.asset,
                blocking=one.blocking,
                description=one.about,
                automation_condition=RUNS_WITH_ITS_ASSET,
            )
            for one in suite.expectations
        ],
    )
    def expectations(context: dg.AssetCheckExecutionContext, aura: Aura) -> Iterator[dg.AssetCheckResult]:
        from bn_aura_pipelines.quality.data_docs import write_page

        as_of, database = aura.moment(context.op_execution_context, suite.asset), aura.database
        try:
            result = run_suite(database, as_of, suite)
        finally:
            database.engine.dispose()
        write_page(aura.settings.home_path / "data_docs", result, as_of)
        wanted = {key.name for key in context.selected_asset_check_keys}
        for outcome in result.outcomes:
            if outcome.expectation.name in wanted:
                yield _result(suite, outcome)

    return expectations


def _result(suite: Suite, outcome: Outcome) -> dg.AssetCheckResult:
    said = outcome.error or f"{outcome.failing:,} rows fail." if not outcome.passed else ""
    return dg.AssetCheckResult(
        asset_key=suite.asset,
        check_name=outcome.expectation.name,
        passed=outcome.passed,
        severity=dg.AssetCheckSeverity.ERROR if outcome.expectation.blocking else dg.AssetCheckSeverity.WARN,
        description=said or outcome.expectation.about,
        metadata={
            "failing_rows": outcome.failing,
            **({"failing_keys": dg.MetadataValue.md(_list(outcome.keys))} if outcome.keys else {}),
        },
    )


def _list(keys: tuple[str, ...]) -> str:
    return "\n".join(f"- {key}" for key in keys)


SUITES = (*source_suites(), *FEATURES, *SCORES, *MARTS)
checks = [_checks(suite) for suite in SUITES]
