"""Runs the graph in this process, with progress for people; the run is kept in the instance and shown in the UI."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import dagster as dg

from bn_aura_pipelines.database.connections import Database
from bn_aura_pipelines.database.resource import Aura
from bn_aura_pipelines.definitions import build_definitions
from bn_aura_pipelines.errors import UserError
from bn_aura_pipelines.orchestration.instance import open_instance
from bn_aura_pipelines.orchestration.jobs import REFRESH_EVERYTHING
from bn_aura_pipelines.settings import Settings

log = logging.getLogger(__name__)

# Dagster wants key:"name"; a name alone is what people write.
BARE_NAME = re.compile(r'(?<![\w":])(?!(?:and|or|not)\b)([a-z][a-z0-9_]*)(?![\w":(])')


class RunFailed(UserError):
    """A step of the graph failed."""


@dataclass(frozen=True)
class RunReport:
    """A finished run: how many assets were materialized, in how many seconds."""

    run_id: str
    assets: int
    seconds: float


def run_graph(
    database: Database,
    settings: Settings,
    as_of: datetime | None = None,
    select: str | None = None,
    progress: Callable[[str], None] = log.info,
) -> RunReport:
    """Materialize the graph, or what `select` (Dagster's asset selection syntax) names, about one moment.

    Raises RunFailed naming the first step that failed and why, and UserError for a selection that names nothing.
    """
    begun = time.monotonic()
    aura = Aura(as_of=as_of.isoformat() if as_of else None)
    definitions = build_definitions(aura, loggers={"console": _progress_logger(progress)})
    keys = select_assets(definitions, select)
    with open_instance(database, settings) as instance:
        progress(f"running {len(keys)} assets" + (f" as of {as_of.isoformat()}" if as_of else ""))
        result = definitions.resolve_job_def(REFRESH_EVERYTHING).execute_in_process(
            instance=instance,
            asset_selection=keys,
            raise_on_error=False,
            run_config={"loggers": {"console": {}}},
            tags={"bn_aura/as_of": as_of.isoformat()} if as_of else None,
        )
    if not result.success:
        raise RunFailed(_first_failure(result))
    materialized = len({event.asset_key for event in result.get_asset_materialization_events()} & set(keys))
    return RunReport(result.run_id, materialized, time.monotonic() - begun)


def select_assets(definitions: dg.Definitions, select: str | None) -> list[dg.AssetKey]:
    """The assets that a selection names; all without one. Raises UserError for one that is malformed or names none."""
    graph = definitions.resolve_asset_graph()
    # Months are chosen by hand in the UI, or filled by customer_snapshots.
    whole = {key for key in graph.materializable_asset_keys if not graph.get(key).is_partitioned}
    if not select:
        return sorted(whole)
    try:
        chosen = dg.AssetSelection.from_string(BARE_NAME.sub(r'key:"\1"', select)).resolve(graph)
    except Exception as error:
        raise UserError(
            f"--select {select!r} is no asset selection: write names joined by `or`, with + for what is below "
            "or above, for example `churn_scores+`."
        ) from error
    keys = sorted(chosen & whole)
    if not keys:
        raise UserError(f"--select {select!r} names no asset: `bn-aura assets` lists them.")
    return keys


def _first_failure(result: dg.ExecuteInProcessResult) -> str:
    for event in result.all_events:
        if event.is_step_failure:
            error = event.step_failure_data.error
            while error is not None and error.cause is not None:
                error = error.cause
            message = error.message.strip().splitlines()[0] if error else "no reason given"
            return f"{event.step_key} failed: {message}"
    return f"the run {result.run_id} failed before its first step: see the Dagster UI."


def _progress_logger(progress: Callable[[str], None]) -> dg.LoggerDefinition:
    class Lines(logging.Handler):
        """One line when an asset is there; what an asset says itself, as it says it."""

        def emit(self, record: logging.LogRecord) -> None:
            event = getattr(record, "dagster_meta", {}).get("dagster_event")
            if event is None:
                if record.levelno >= logging.INFO:
                    progress(f"    {getattr(record, 'dagster_meta', {}).get('orig_message', record.getMessage())}")
            elif event.event_type_value == "ASSET_MATERIALIZATION" and not event.partition:
                metadata = event.materialization.metadata
                rows = metadata.get("dagster/row_count")
                progress(f"  {event.asset_key.to_user_string():<28} {rows.value if rows else '':>10}")

    def make(_context: dg.InitLoggerContext) -> logging.Logger:
        logger = logging.Logger("bn_aura.run", logging.DEBUG)
        logger.addHandler(Lines())
        return logger

    return dg.LoggerDefinition(make, description="Progress of a run on the command line.")
