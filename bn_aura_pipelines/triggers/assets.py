"""The decisions of the trigger rules as an asset."""

import dagster as dg

from bn_aura_pipelines.database.resource import RUNS_WITH_ITS_ASSET, Aura, describe_table
from bn_aura_pipelines.triggers.delivery import why_nothing_leaves
from bn_aura_pipelines.triggers.evaluation import evaluate
from bn_aura_pipelines.triggers.notices import deliver_notices
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
        described = describe_table(connection, "aura_ops.trigger_events")
    return dg.MaterializeResult(
        metadata={
            **described,
            "opened": result.opened,
            "ended": result.ended,
            "skipped": result.skipped,
            # What is about the past is told nobody.
            "shown_in_the_house": 0 if aura.as_of else _show(aura),
        }
    )


def _show(aura: Aura) -> int:
    """Show what stays in the house at once; letters wait for the next delivery. Returns how many were sent."""
    database = aura.database
    try:
        return (
            deliver_notices(database, aura.settings)["sent"] if not why_nothing_leaves(database, aura.settings) else 0
        )
    finally:
        database.engine.dispose()


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
