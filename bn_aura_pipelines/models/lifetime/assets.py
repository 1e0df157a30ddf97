"""Lifetime values as an asset."""

import dagster as dg

from bn_aura_pipelines.database.resource import Aura, describe_table
from bn_aura_pipelines.models.lifetime.training import HeldOut
from bn_aura_pipelines.models.lifetime.values import predict_values

OWNED = {"aura_models.lifetime_values": "lifetime_values"}


def figures_table(held_out: HeldOut | None) -> str:
    """How the model did on held-out months, beside the baselines, as a Markdown table."""
    if held_out is None:
        return "Not judged: the history is too short to hold months out."
    lines = [
        f"Fitted before {held_out.cut:%Y-%m-%d}, compared with the {held_out.horizon_days:.0f} days after it: "
        f"{held_out.customers:,} customers, "
        "who stays and the interval learnt from every second one, the figures from the others.",
        "",
        "| | RMSE THB | total bias | revenue of the top tenth | coverage of the 80 % interval |",
        "|---|---|---|---|---|",
    ]
    for one in held_out.figures:
        coverage = "" if one.coverage is None else f"{one.coverage:.1%}"
        lines.append(
            f"| {one.candidate} | {one.rmse_thb:,.0f} | {one.bias:+.1%} | {one.top_decile_share:.1%} | {coverage} |"
        )
    return "\n".join(lines)


@dg.asset(
    deps=["stg_appointments", "stg_customers"],
    group_name="models",
    description="What each customer has paid, will probably pay within twelve months, and whether he is still alive.",
    kinds={"postgres", "table", "scipy"},
    owners=["team:data-science"],
    metadata={"dagster/table_name": "aura_models.lifetime_values"},
)
def lifetime_values(context: dg.AssetExecutionContext, aura: Aura) -> dg.MaterializeResult:
    with aura.begin(context) as connection:
        result = predict_values(connection)
        training = result.training
        context.log.info(training.decision)
        return dg.MaterializeResult(
            metadata={
                **describe_table(connection, "aura_models.lifetime_values"),
                "rows_written": result.written,
                "total_12m_thb": result.total_12m_thb,
                "version": training.version,
                "new": training.new,
                "decision": training.decision,
                "held_out": dg.MetadataValue.md(figures_table(training.held_out)),
            }
        )


assets = [lifetime_values]
