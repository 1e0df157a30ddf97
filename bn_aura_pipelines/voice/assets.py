"""The analysis of every conversation and the topics that emerge, as assets, with checks on the distribution."""

import dagster as dg

from bn_aura_pipelines.database.resource import Aura, describe_table
from bn_aura_pipelines.voice.emerging import find_emerging
from bn_aura_pipelines.voice.keeping import analyse_changed
from bn_aura_pipelines.voice.provided import ask_provider
from bn_aura_pipelines.voice.watching import shares, sudden_change

OWNED = {
    "aura_ops.conversation_analysis": "conversation_analysis",
    "aura_ops.voice_answers": "conversation_analysis",
    "aura_ops.emerging_topics": "emerging_topics",
}


@dg.asset(
    deps=["stg_conversations", "stg_messages", "stg_customers", "stg_staff", "stg_leads", "sentiment_model"],
    group_name="voice",
    description="Sentiment, satisfaction, concerns and tone of every conversation, or why there is no analysis.",
    kinds={"postgres", "table"},
    owners=["team:data-science"],
    metadata={"dagster/table_name": "aura_ops.conversation_analysis"},
    check_specs=[
        dg.AssetCheckSpec(
            "sentiment_shares",
            asset="conversation_analysis",
            description="No class of sentiment has suddenly become much more or less frequent.",
        )
    ],
)
def conversation_analysis(context: dg.AssetExecutionContext, aura: Aura) -> dg.MaterializeResult:
    with aura.begin(context) as connection:
        result = analyse_changed(connection, context.log.info)
    asked = ask_provider(aura.database, aura.moment(context), aura.settings)
    if asked.stopped:
        context.log.warning(f"{asked.left:,} conversations are left for the next run: {asked.stopped}.")
    with aura.begin(context) as connection:
        change = sudden_change(connection)
        return dg.MaterializeResult(
            metadata={
                **describe_table(connection, "aura_ops.conversation_analysis"),
                **shares(connection),
                "analysed": result.analysed,
                "without_anything_to_analyse": result.not_analysed,
                "removed": result.removed,
                "answered_by_gemini": asked.answered + asked.known,
                "dead": asked.dead,
                "left": asked.left,
                "requests": asked.requests,
                "tokens": asked.tokens,
                "cost_usd": asked.cost_usd,
                "rows_written": result.written,
                "provider": result.provider,
                "model_version": result.model_version,
            },
            check_results=[
                dg.AssetCheckResult(
                    check_name="sentiment_shares",
                    passed=not change,
                    severity=dg.AssetCheckSeverity.WARN,
                    description=change or "The shares of the last four weeks are those of the weeks before.",
                )
            ],
        )


@dg.asset(
    deps=["conversation_analysis", "conversation_embeddings"],
    group_name="voice",
    description="Topics that no list foresees: clusters of the conversations in which the taxonomy finds nothing.",
    kinds={"postgres", "table"},
    owners=["team:data-science"],
    metadata={"dagster/table_name": "aura_ops.emerging_topics"},
)
def emerging_topics(context: dg.AssetExecutionContext, aura: Aura) -> dg.MaterializeResult:
    with aura.begin(context) as connection:
        result = find_emerging(connection)
        return dg.MaterializeResult(
            metadata={
                **describe_table(connection, "aura_ops.emerging_topics"),
                "left_over": result.left_over,
                "with_topic": result.with_topic,
                "topics": result.topics,
            }
        )


assets = [conversation_analysis, emerging_topics]
