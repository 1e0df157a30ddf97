"""The embeddings of each entity as an asset, with checks on its vectors."""

import dagster as dg
from sqlalchemy import text

from bn_aura_pipelines.database.resource import Aura, describe_table
from bn_aura_pipelines.embeddings.choice import make_provider
from bn_aura_pipelines.embeddings.limits import Budget
from bn_aura_pipelines.embeddings.providers import Entity
from bn_aura_pipelines.embeddings.sync import sync
from bn_aura_pipelines.embeddings.watching import CHECKS, coverage_plot, findings, note_coverage

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
        check_specs=[
            dg.AssetCheckSpec(name, asset=f"{entity}_embeddings", description=promise)
            for name, promise in CHECKS.items()
        ],
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
        if report.stopped:
            context.log.warning(report.stopped)
        with aura.begin(context) as connection:
            note_coverage(connection, entity, report.model)
            found = findings(connection, entity, report.model)
            plot = coverage_plot(connection, entity, report.model)
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
                "plot": dg.MetadataValue.md(plot),
            },
            check_results=[
                dg.AssetCheckResult(
                    check_name=name,
                    passed=one.passed,
                    severity=dg.AssetCheckSeverity.WARN,
                    description=one.description,
                )
                for name, one in found.items()
            ],
        )

    return embed


assets = [_asset(entity) for entity in READS]
