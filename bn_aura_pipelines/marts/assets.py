"""The marts' table that SQL cannot compute, as an asset; the others are views."""

import dagster as dg

from bn_aura_pipelines.database.resource import Aura, describe_table
from bn_aura_pipelines.marts.actions import choose_actions

OWNED = {"aura_ops.next_best_actions": "chosen_actions"}


@dg.asset(
    deps=[
        "recommended_treatments",
        "churn_scores",
        "lifetime_values",
        "customer_snapshots",
        "stg_appointments",
        "stg_contact_permissions",
        "stg_conversations",
        "stg_customers",
        "stg_treatments",
        "conversation_analysis",
        "trigger_outcomes",
    ],
    group_name="marts",
    description="The action expected to gain most with each customer, under consent and caps, and the runner-up.",
    kinds={"postgres", "table"},
    owners=["team:crm"],
    metadata={"dagster/table_name": "aura_ops.next_best_actions"},
)
def chosen_actions(context: dg.AssetExecutionContext, aura: Aura) -> dg.MaterializeResult:
    with aura.begin(context) as connection:
        result = choose_actions(connection)
        uplift = [
            f"| {name} | {one.mean:.3f} | {one.low:.3f} to {one.high:.3f} | {one.basis} |"
            for name, one in result.uplift.items()
        ]
        return dg.MaterializeResult(
            metadata={
                **describe_table(connection, "aura_ops.next_best_actions"),
                **result.chosen,
                "expected_value_thb": result.expected_value_thb,
                "rows_written": result.written,
                "uplift": dg.MetadataValue.md(
                    "\n".join(["| action | uplift | 95 % interval | from |", "|---|---|---|---|", *uplift])
                ),
            }
        )


assets = [chosen_actions]
