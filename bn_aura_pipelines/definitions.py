"""The code location: gathers the domains' assets; nothing else."""

from __future__ import annotations

from collections.abc import Mapping

import dagster as dg

from bn_aura_pipelines.database.resource import Aura
from bn_aura_pipelines.database.view_assets import view_assets
from bn_aura_pipelines.embeddings import assets as embeddings
from bn_aura_pipelines.marts import assets as marts
from bn_aura_pipelines.marts.plots import PLOTS
from bn_aura_pipelines.models import assets as models
from bn_aura_pipelines.orchestration import jobs as orchestration
from bn_aura_pipelines.quality import checks as quality
from bn_aura_pipelines.sources import assets as sources
from bn_aura_pipelines.triggers import assets as triggers
from bn_aura_pipelines.triggers import sensors as deliveries
from bn_aura_pipelines.voice import assets as voice

# Tables that the views read and that are no views themselves, with the asset that owns each.
OWNED = {**sources.ASSET_OF_RELATION, **voice.OWNED, **models.OWNED, **marts.OWNED, **triggers.OWNED}


def build_definitions(
    aura: Aura | None = None, loggers: Mapping[str, dg.LoggerDefinition] | None = None
) -> dg.Definitions:
    """The location put together anew; tests and the command line bring their own resource and loggers."""
    everything = [
        *sources.assets,
        *view_assets("aura_staging", OWNED),
        *embeddings.assets,
        *voice.assets,
        *view_assets("aura_features", OWNED),
        *models.assets,
        *marts.assets,
        *triggers.assets,
        *view_assets("aura_marts", OWNED, PLOTS),
    ]
    return dg.Definitions(
        assets=everything,
        asset_checks=[*triggers.checks, *quality.checks],
        jobs=[*orchestration.jobs, *deliveries.jobs],
        schedules=orchestration.schedules,
        sensors=deliveries.sensors,
        resources={"aura": aura or Aura()},
        loggers=loggers,
        executor=dg.in_process_executor,
    )


@dg.definitions
def definitions() -> dg.Definitions:
    """What Dagster loads. No I/O, no heavy library."""
    return build_definitions()
