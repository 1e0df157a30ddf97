"""The sentiment model as an asset; what it says of conversations is the asset `conversation_analysis` of `voice`."""

import dagster as dg

from bn_aura_pipelines.database.resource import Aura, describe_table
from bn_aura_pipelines.models.churn.cards import candidates_table
from bn_aura_pipelines.models.sentiment.training import train


@dg.asset(
    deps=["stg_conversations", "stg_messages"],
    group_name="voice",
    description="Sentiment learnt from the labels known by then, judged on the newest fifth, promoted if better.",
    kinds={"postgres", "scikitlearn"},
    owners=["team:data-science"],
    metadata={"dagster/table_name": "aura_models.registry"},
)
def sentiment_model(context: dg.AssetExecutionContext, aura: Aura) -> dg.MaterializeResult:
    with aura.begin(context) as connection:
        result = train(connection)
        context.log.info(result.decision)
        return dg.MaterializeResult(
            metadata={
                **describe_table(connection, "aura_models.registry"),
                **{name: value for name, value in result.metrics.items() if name in ("micro_f1", "macro_f1", "ece")},
                "version": result.version,
                "kind": result.kind,
                "promoted": result.promoted,
                "decision": result.decision,
                "new": result.new,
                "training_labels": result.n_train,
                "candidates": dg.MetadataValue.md(candidates_table(result.judgements)),
            }
        )


assets = [sentiment_model]
