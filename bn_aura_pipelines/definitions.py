"""The code location: gathers what the rooms export; nothing else.

A room exports `assets` and `OWNED` from assets.py, and where there are any `checks` from assets.py or checks.py, and
`sensors` and `schedules` from sensors.py; a sensor brings its job.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import dagster as dg

from bn_aura_pipelines.database.resource import Aura
from bn_aura_pipelines.database.view_assets import view_assets
from bn_aura_pipelines.embeddings import assets as embeddings
from bn_aura_pipelines.features import assets as features
from bn_aura_pipelines.features.months import SNAPSHOTS
from bn_aura_pipelines.marts import assets as marts
from bn_aura_pipelines.marts.plots import PLOTS
from bn_aura_pipelines.models import assets as models
from bn_aura_pipelines.orchestration import jobs as orchestration
from bn_aura_pipelines.orchestration.automation import with_automation
from bn_aura_pipelines.sources import assets as sources
from bn_aura_pipelines.triggers import assets as triggers
from bn_aura_pipelines.voice import assets as voice

ROOMS = ("sources", "embeddings", "voice", "features", "models", "marts", "triggers", "quality", "orchestration")

# Tables that the views read and that are no views themselves, with the asset that owns each.
OWNED = {**sources.ASSET_OF_RELATION, **voice.OWNED, **models.OWNED, **marts.OWNED, **triggers.OWNED}


def build_definitions(
    aura: Aura | None = None, loggers: Mapping[str, dg.LoggerDefinition] | None = None
) -> dg.Definitions:
    """The location put together anew; tests and the command line bring their own resource and loggers."""
    computed = [
        *sources.assets,
        *view_assets("aura_staging", OWNED),
        *embeddings.assets,
        *voice.assets,
        *view_assets("aura_features", OWNED, notes={SNAPSHOTS: features.note_months}),
        *features.assets,
        *models.assets,
        *marts.assets,
        *triggers.assets,
        *view_assets("aura_marts", OWNED, PLOTS),
    ]
    return dg.Definitions(
        assets=dg.with_source_code_references([*sources.observed, *with_automation(computed)]),
        asset_checks=[*_exported("assets", "checks"), *_exported("checks", "checks")],
        jobs=orchestration.jobs,  # a sensor brings its own
        schedules=[*orchestration.schedules, *_exported("sensors", "schedules")],
        sensors=_exported("sensors", "sensors"),
        resources={"aura": aura or Aura()},
        loggers=loggers,
        executor=dg.in_process_executor,
    )


def _exported(module: str, name: str) -> list[Any]:
    """What the rooms that have such a module export from it under that name."""
    paths = [f"bn_aura_pipelines.{room}.{module}" for room in ROOMS]
    return [one for path in paths if find_spec(path) for one in getattr(import_module(path), name, [])]


@dg.definitions
def definitions() -> dg.Definitions:
    """What Dagster loads. No I/O, no heavy library."""
    return build_definitions()
