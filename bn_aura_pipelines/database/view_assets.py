"""One asset per file of `dbt_like_views`: Dagster's side of the view loader."""

from collections.abc import Callable, Mapping

import dagster as dg
import sqlalchemy

from bn_aura_pipelines.database.lineage import column_lineage, read_columns
from bn_aura_pipelines.database.resource import Aura, describe_table, lineage_metadata
from bn_aura_pipelines.database.view_files import View, load_views
from bn_aura_pipelines.database.views import build

Plot = Callable[[sqlalchemy.Connection], str]
Note = Callable[[dg.AssetExecutionContext, sqlalchemy.Connection], None]


def view_assets(
    schema: str,
    owned: Mapping[str, str],
    plots: Mapping[str, Plot] | None = None,
    notes: Mapping[str, Note] | None = None,
) -> list[dg.AssetsDefinition]:
    """The assets of one folder of `dbt_like_views`. `owned` names the assets of tables that are no views: each
    `schema.name` that a query may read, and its asset. `plots`: Markdown that shows a relation once it is built.
    `notes`: what is told Dagster besides."""
    keys = {view.relation: dg.AssetKey(view.name) for view in load_views()}
    keys.update({relation: dg.AssetKey(name) for relation, name in owned.items()})
    return [
        _asset(view, keys, (plots or {}).get(view.relation), (notes or {}).get(view.relation))
        for view in load_views()
        if view.schema == schema
    ]


def _asset(view: View, keys: Mapping[str, dg.AssetKey], plot: Plot | None, note: Note | None) -> dg.AssetsDefinition:
    kinds = {"postgres", "view" if view.materialized == "view" else "table"}
    kinds.update(kind.strip() for kind in view.value("kinds").split(",") if kind.strip())

    @dg.asset(
        name=view.name,
        deps=sorted({keys[relation] for relation in view.dependencies if relation in keys}),
        group_name=view.value("group", view.schema.removeprefix("aura_")),
        description=view.description,
        kinds=kinds,
        owners=[f"team:{view.owner}"],
        metadata={
            "dagster/table_name": view.relation,
            "dagster/code_references": dg.CodeReferencesMetadataValue(
                code_references=[
                    dg.LocalFileCodeReference(file_path=str(view.path), line_number=1, label=view.path.name)
                ]
            ),
        },
        code_version=view.definition_hash[:12],
    )
    def build_view(context: dg.AssetExecutionContext, aura: Aura) -> dg.MaterializeResult:
        with aura.begin(context) as connection:
            written = build(connection, [view])[view.relation]
            lineage = column_lineage(view, read_columns(connection))
            if note:
                note(context, connection)
            shown = {"plot": dg.MetadataValue.md(plot(connection))} if plot else {}
            return dg.MaterializeResult(
                metadata={
                    **shown,
                    **describe_table(connection, view.relation),
                    "dagster/column_lineage": lineage_metadata(lineage, keys),
                    "rows_written": written,
                    "query": dg.MetadataValue.md(f"```sql\n{view.query.strip()}\n```"),
                }
            )

    return build_view
