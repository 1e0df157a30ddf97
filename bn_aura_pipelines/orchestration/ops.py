"""The jobs that make no asset: housekeeping and the right to be forgotten."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

import dagster as dg
import sqlalchemy
from pydantic import Field

from bn_aura_pipelines.database.connections import Database
from bn_aura_pipelines.database.resource import Aura
from bn_aura_pipelines.orchestration.erasure import erase, erase_leftovers, hide, pending_requests
from bn_aura_pipelines.orchestration.housekeeping import advise, old_rows, old_runs
from bn_aura_pipelines.settings import Settings


class Housekeeping(dg.Config):
    """What one housekeeping does. How long things are kept are settings, BN_AURA_KEEP_…_DAYS."""

    dry_run: bool = Field(default=False, description="Only say what would go.")


def keep_house(
    database: Database, settings: Settings, instance: dg.DagsterInstance, now: datetime, dry_run: bool
) -> tuple[dict[str, int], list[str]]:
    """Delete what is past its time at `now`, or only count it; returns rows by table, and advice as SQL statements."""
    with database.begin(now) as connection:
        found = old_rows(connection, settings, delete=not dry_run)
        advice = advise(connection)
        if not dry_run:
            # The next builds compute everything: what was written by hand does not stay for ever.
            connection.exec_driver_sql("delete from aura_ops.refresh_versions")
            found["rows of people who were erased"] = sum(erase_leftovers(connection).values())
    with _dagster_storage(database) as storage:
        runs = old_runs(instance, storage, now, settings.keep_runs_days, delete=not dry_run)
    return found | {f"dagster.{name}": rows for name, rows in runs.items()}, advice


@contextmanager
def _dagster_storage(database: Database) -> Iterator[sqlalchemy.Connection]:
    engine = sqlalchemy.create_engine(sqlalchemy.make_url(database.dagster_url()))
    try:
        with engine.connect() as storage:
            yield storage
    finally:
        engine.dispose()


@dg.op(
    out=dg.Out(dg.Nothing),
    description="Deletes what is past its time, and says what PostgreSQL should be asked to tidy.",
)
def tidy(context: dg.OpExecutionContext, config: Housekeeping, aura: Aura) -> None:
    found, advice = keep_house(aura.database, aura.settings, context.instance, aura.moment(context), config.dry_run)
    worth_doing = dg.MetadataValue.md("\n".join(f"    {line}" for line in advice) or "nothing")
    context.add_output_metadata({**found, "dry_run": config.dry_run, "worth doing": worth_doing})
    context.log.info(f"{'would go' if config.dry_run else 'gone'}: {said(found)}")


def said(found: dict[str, int]) -> str:
    """Rows by table, in one line."""
    return ", ".join(f"{name} {rows:,}" for name, rows in found.items() if rows) or "nothing"


@dg.op(
    out=dg.Out(dg.Nothing),
    description="Erases what is held about people who asked for it, and hides them from every later run.",
)
def forget(context: dg.OpExecutionContext, aura: Aura) -> None:
    with aura.connect() as connection:
        requests = pending_requests(connection)
    for request in requests:
        # Hidden for good before anything is deleted: what starts to read from here on does not see them, and what has
        # read them already is waited for.
        with aura.connect() as connection:
            person = hide(connection, request)
        with aura.begin_alone() as connection:
            rows = erase(connection, request, person, aura.settings.write_application_columns)
        context.log.info(f"a request was carried out: {said(dict(rows))}")


@dg.job(
    name="keep_house",
    description="Weekly: old runs and events, quarantine, letters, notifications and audits go, as the settings "
    "BN_AURA_KEEP_…_DAYS say; advice on vacuum and reindex is in the metadata of the step's output. `dry_run` in the "
    "config only says what would go; nothing needs to be filled in.",
)
def keep_house_job() -> None:
    tidy()


@dg.job(
    description="Carries out the pending requests of `data_deletion_requests`: everything we hold about a person goes,"
    " with a row in aura_ops.erasures. Safe to run at any time: without a request it does nothing."
)
def erase_people() -> None:
    forget()
