"""The application's tables as assets: checked against the contract, then shown to everything above as typed views."""

import time
from collections.abc import Iterator

import dagster as dg

from bn_aura_pipelines.database.resource import Aura, describe_table
from bn_aura_pipelines.sources.check import require_sources
from bn_aura_pipelines.sources.contract import TABLES
from bn_aura_pipelines.sources.relations import build_source_relations, source_relation
from bn_aura_pipelines.sources.versions import data_versions

APPLICATION = "application"
ASSET_OF_RELATION = {source_relation(table): f"source_{table.name}" for table in TABLES}


@dg.multi_asset(
    name="sources",
    can_subset=True,
    specs=[
        dg.AssetSpec(
            f"source_{table.name}",
            deps=[dg.AssetKey([APPLICATION, table.name])],
            group_name="sources",
            description=f"The application's `public.{table.name}`, in the contract's columns and types."
            + ("" if table.required else " Empty where an installation lacks it."),
            kinds={"postgres", "view"},
            owners=["team:data"],
            metadata={"dagster/table_name": source_relation(table)},
            skippable=True,
        )
        for table in TABLES
    ],
)
def sources(context: dg.AssetExecutionContext, aura: Aura) -> Iterator[dg.MaterializeResult]:
    """Stops before anything is read where the schema is not what the contract says."""
    with aura.begin(context) as connection:
        require_sources(connection)
        build_source_relations(connection)
        for table in TABLES:
            key = dg.AssetKey(f"source_{table.name}")
            if key in context.selected_asset_keys:
                yield dg.MaterializeResult(asset_key=key, metadata=describe_table(connection, source_relation(table)))


@dg.multi_observable_source_asset(
    name="application_tables",
    can_subset=True,
    specs=[
        dg.AssetSpec(
            dg.AssetKey([APPLICATION, table.name]),
            group_name=APPLICATION,
            description=f"The application's own table `public.{table.name}`. Observing it asks whether anything that is"
            " read from it has changed, and changes nothing.",
            kinds={"postgres", "table"},
            owners=["team:application"],
            metadata={"dagster/table_name": f"public.{table.name}"},
        )
        for table in TABLES
    ],
)
def application_tables(context: dg.AssetExecutionContext, aura: Aura) -> Iterator[dg.ObserveResult]:
    with aura.connect() as connection:
        versions = data_versions(connection, {}, time.time())
    for key in context.selected_asset_keys:
        yield dg.ObserveResult(asset_key=key, data_version=dg.DataVersion(versions[key.path[-1]].version))


assets = [sources]
observed = [application_tables]
