"""Recommendations and similar customers as assets."""

from collections.abc import Sequence

import dagster as dg

from bn_aura_pipelines.database.resource import Aura, describe_table
from bn_aura_pipelines.models.recommendations.ranking import Figures
from bn_aura_pipelines.models.recommendations.scoring import recommend
from bn_aura_pipelines.models.recommendations.similar import refresh_similar
from bn_aura_pipelines.models.recommendations.training import train

OWNED = {
    "aura_models.treatment_recommendations": "recommended_treatments",
    "aura_models.similar_customers": "customer_neighbours",
}
HISTORIES = ["stg_appointments", "stg_customers", "stg_treatments"]


def figures_table(figures: Sequence[Figures]) -> str:
    """The figures of every candidate on the same customers, best first, as a Markdown table."""
    if not figures:
        return "No candidate was judged: too few customers took anything."
    lines = ["| candidate | recall@10 | nDCG@10 | hit@1 | coverage | novelty | customers |", "|---" * 7 + "|"]
    lines += [
        f"| {one.candidate} | {one.recall_at_10:.4f} | {one.ndcg_at_10:.4f} | {one.hit_at_1:.4f} "
        f"| {one.coverage:.0%} | {one.novelty:.2f} | {one.n_test:,} |"
        for one in sorted(figures, key=lambda one: -one.ndcg_at_10)
    ]
    return "\n".join(lines)


@dg.asset(
    deps=HISTORIES,
    group_name="models",
    description="Ways to order treatments for rebooking and cross-sell, judged on the last 90 days; the best is kept.",
    kinds={"postgres", "xgboost", "scikitlearn"},
    owners=["team:data-science"],
    metadata={"dagster/table_name": "aura_models.registry"},
)
def recommendation_models(context: dg.AssetExecutionContext, aura: Aura) -> dg.MaterializeResult:
    with aura.begin(context) as connection:
        metadata = {}
        for result in train(connection):
            context.log.info(f"{result.model}: {result.decision}")
            metadata |= {
                f"{result.model}_version": result.version,
                f"{result.model}_kind": result.kind,
                f"{result.model}_decision": result.decision,
                f"{result.model}_candidates": dg.MetadataValue.md(figures_table(result.figures)),
            }
        return dg.MaterializeResult(metadata={**describe_table(connection, "aura_models.registry"), **metadata})


@dg.asset(
    deps=["stg_appointments", "stg_customers", "stg_treatments", "customer_embeddings"],
    group_name="models",
    description="The ten customers of the same clinic most like each; only what a change can touch is compared again.",
    kinds={"postgres", "table"},
    owners=["team:data-science"],
    metadata={"dagster/table_name": "aura_models.similar_customers"},
)
def customer_neighbours(context: dg.AssetExecutionContext, aura: Aura) -> dg.MaterializeResult:
    with aura.begin(context) as connection:
        result = refresh_similar(connection)
        return dg.MaterializeResult(
            metadata={
                **describe_table(connection, "aura_models.similar_customers"),
                "customers": result.customers,
                "changed": result.changed,
                "compared": result.compared,
                "rows_written": result.written,
            }
        )


@dg.asset(
    deps=[*HISTORIES, recommendation_models, customer_neighbours],
    group_name="models",
    description="What is due again and what would be new for each customer, of what the clinic offers, with reasons.",
    kinds={"postgres", "table"},
    owners=["team:data-science"],
    metadata={"dagster/table_name": "aura_models.treatment_recommendations"},
)
def recommended_treatments(context: dg.AssetExecutionContext, aura: Aura) -> dg.MaterializeResult:
    with aura.begin(context) as connection:
        result = recommend(connection)
        return dg.MaterializeResult(
            metadata={
                **describe_table(connection, "aura_models.treatment_recommendations"),
                "customers": result.customers,
                "rows_written": result.written,
                "with_caution": result.cautions,
                "unknown_treatments": result.unknown_treatments,
                **{f"{kind}_version": version for kind, version in result.versions.items()},
            }
        )


assets = [recommendation_models, customer_neighbours, recommended_treatments]
