"""The embeddings of each entity as an asset."""

import dagster as dg
from sqlalchemy import text

from bn_aura_pipelines.database.resource import Aura, describe_table
from bn_aura_pipelines.embeddings.choice import make_provider
from bn_aura_pipelines.embeddings.limits import Budget
from bn_aura_pipelines.embeddings.providers import Entity
from bn_aura_pipelines.embeddings.sync import sync

# The staff's names and the treatments are part of the context of every text, see `text.context`.
READS: dict[Entity, list[str]] = {
    "conversation": ["stg_conversations", "stg_messages", "stg_customers", "stg_leads", "stg_staff", "stg_treatments"],
    "lead": ["stg_leads", "stg_staff", "stg_treatments"],
    "customer": ["stg_customers", "stg_appointments", "stg_treatments", "stg_contact_preferences", "stg_staff"],
}


COUNT = text("select count(*) from aura_ops.embeddings where entity = :entity and model = :model")


def _asset(entity: Entity) -> dg.AssetsDefinition:
    @dg.asset(
        name=f"{entity}_embeddings",
        deps=READS[entity],
        group_name="embeddings",
        description=f"One vector a {entity}, of exactly its redacted text; only what changed is embedded.",
        kinds={"postgres", "table", "pgvector"},
        owners=["team:data-science"],
        metadata={"dagster/table_name": "aura_ops.embeddings"},
        pool="embedding_provider",
    )
    def embed(context: dg.AssetExecutionContext, aura: Aura) -> dg.MaterializeResult:
        settings, database = aura.settings, aura.database
        report = sync(
            database,
            entity,
            aura.moment(context),
            make_provider(settings),
            write_application_columns=settings.write_application_columns,
            budget=Budget(requests=settings.embedding_requests_per_run),
            progress=context.log.info,
        )
        with database.begin() as connection:
            table = describe_table(connection, "aura_ops.embeddings")
            table["dagster/row_count"] = connection.execute(COUNT, {"entity": entity, "model": report.model}).scalar()
        return dg.MaterializeResult(
            metadata={
                **table,
                "model": report.model,
                "embedded": report.embedded,
                "unchanged": report.unchanged,
                "cached": report.cached,
                "without_text": report.empty,
                "dead": report.dead,
                "left": report.left,
                "deleted": report.deleted,
                "tokens": report.tokens,
                "cost_usd": report.cost_usd,
                "rows_per_second": round(report.rows_per_second, 1),
            }
        )

    return embed


assets = [_asset(entity) for entity in READS]
