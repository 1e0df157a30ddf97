"""The decisions of the trigger rules as an asset."""

import dagster as dg

from bn_aura_pipelines.database.resource import RUNS_WITH_ITS_ASSET, Aura, describe_table
from bn_aura_pipelines.triggers.evaluation import evaluate
from bn_aura_pipelines.triggers.outbox import given_up_lately

OWNED = {"aura_ops.trigger_events": "trigger_decisions", "aura_ops.outbox": "trigger_decisions"}


@dg.asset(
    deps=[
        "churn_scores",
        "lead_scores",
        "customer_snapshots",
        "stg_customers",
        "stg_leads",
        "stg_messages",
        "stg_conversations",
        "conversation_analysis",
        "stg_staff",
        "stg_contact_permissions",
    ],
    group_name="triggers",
    description="Each rule's decision about each subject, once per episode: what may leave the house, and why not.",
    kinds={"postgres", "table"},
    owners=["team:crm"],
    metadata={"dagster/table_name": "aura_ops.trigger_events"},
)
def trigger_decisions(context: dg.AssetExecutionContext, aura: Aura) -> dg.MaterializeResult:
    with aura.begin(context) as connection:
        result = evaluate(connection)
        if result.skipped:
            context.log.warning("Nothing was decided: decisions of a later moment stand, and history is not rewritten.")
        return dg.MaterializeResult(
            metadata={
                **describe_table(connection, "aura_ops.trigger_events"),
                "opened": result.opened,
                "ended": result.ended,
                "skipped": result.skipped,
            }
        )


@dg.asset_check(
    asset=trigger_decisions,
    description="Warns while messages of the last 24 hours were given up: the dead letter grows.",
    automation_condition=RUNS_WITH_ITS_ASSET,
)
def dead_letter_does_not_grow(context: dg.AssetCheckExecutionContext, aura: Aura) -> dg.AssetCheckResult:
    database = aura.database
    try:
        with database.begin() as connection:
            dead = given_up_lately(connection)
    finally:
        database.engine.dispose()
    return dg.AssetCheckResult(
        passed=not dead, severity=dg.AssetCheckSeverity.WARN, metadata={reason: count for reason, count in dead.items()}
    )


assets = [trigger_decisions]
checks = [dead_letter_does_not_grow]
