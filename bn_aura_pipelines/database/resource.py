"""What an asset gets from Dagster: the database at the run's moment, and the metadata that describes a table.

Assets call plain functions with a connection from here; no function below knows Dagster.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any

import dagster as dg
import sqlalchemy
from pydantic import Field, field_validator
from sqlalchemy import text

from bn_aura_pipelines.database.connections import Database, open_database, set_as_of
from bn_aura_pipelines.settings import Settings, get_settings

if TYPE_CHECKING:
    from dagster import AssetExecutionContext, OpExecutionContext


RUNS_WITH_ITS_ASSET = dg.AutomationCondition.eager().with_label("runs when its asset was built")
"""Of every check that is a step of its own. Without it the daemon would build the asset and leave the check out, and
what waits for blocking checks would wait until the next job that has them."""

TURN = text("""
    select
        pg_advisory_xact_lock_shared(hashtextextended('bn_aura assets', 0)),
        pg_advisory_xact_lock(hashtextextended(:name, 0))
""")
LATEST = text("""
    insert into aura_ops.asset_moments as m (asset, as_of) values (:asset, :created)
    on conflict (asset) do update set as_of = greatest(m.as_of, excluded.as_of) returning as_of
""")
ALONE = text("select pg_advisory_xact_lock(hashtextextended('bn_aura assets', 0))")


class Aura(dg.ConfigurableResource):
    """The database and the moment that a run is about."""

    as_of: str | None = Field(
        default=None,
        description="The moment the run is about, ISO 8601 with a zone. Empty: when the run was created.",
    )

    @field_validator("as_of")
    @classmethod
    def _has_a_zone(cls, value: str | None) -> str | None:
        if value:
            parse_moment(value)
        return value

    @property
    def settings(self) -> Settings:
        return get_settings()

    @property
    def database(self) -> Database:
        return open_database(self.settings)

    @contextmanager
    def connect(self) -> Iterator[sqlalchemy.Connection]:
        """One transaction about now, for sensors: nothing stays open after it."""
        database = self.database
        try:
            with database.begin() as connection:
                yield connection
        finally:
            database.engine.dispose()

    def moment(self, context: AssetExecutionContext | OpExecutionContext, asset: str | None = None) -> datetime:
        """The run's moment. Where nobody has chosen it, an asset (by default the step's own) that a younger run came to
        before stays at that run's: a table never goes back by itself."""
        if self.as_of:
            return parse_moment(self.as_of)
        record = context.instance.get_run_record_by_id(context.run_id)
        if record is None:
            raise dg.Failure("The run has no record to take its moment from: give `as_of` in the run's config.")
        values = {"asset": asset or context.op.name, "created": record.create_timestamp}
        with self.connect() as connection:
            return connection.execute(LATEST, values).scalar_one()

    @contextmanager
    def begin(
        self, context: AssetExecutionContext | OpExecutionContext, turn: str | None = None
    ) -> Iterator[sqlalchemy.Connection]:
        """One transaction in which `aura_ops.as_of()` gives the run's moment. Runs take turns asset by asset: one from
        the command line and one from the UI never write the same table at once. `turn`: the asset whose table it is,
        where that is another one."""
        database, name = self.database, turn or context.op.name
        try:
            with database.begin() as connection:
                connection.execute(TURN, {"name": f"bn_aura asset {name}"})
                set_as_of(connection, self.moment(context, name))  # not before its turn: who was first may be younger
                yield connection
        finally:
            database.engine.dispose()

    @contextmanager
    def begin_alone(self) -> Iterator[sqlalchemy.Connection]:
        """One transaction in which no asset writes: it begins when those under way have ended, and others wait."""
        with self.connect() as connection:
            connection.execute(ALONE)
            yield connection


def parse_moment(value: str) -> datetime:
    """An aware moment from ISO 8601. Raises ValueError where the zone is missing."""
    try:
        moment = datetime.fromisoformat(value)
    except ValueError as error:
        raise ValueError(f"{value!r} is no moment: write for example 2025-06-01T00:00:00+07:00") from error
    if moment.tzinfo is None:
        raise ValueError(f"{value} has no time zone: write for example {value}+07:00")
    return moment


def describe_table(connection: sqlalchemy.Connection, relation: str) -> dict[str, Any]:
    """Row count, name and column schema of a relation, as Dagster metadata. No value of any row."""
    columns = connection.execute(
        text(
            """
            select
                a.attname, format_type(a.atttypid, a.atttypmod) as type,
                col_description(a.attrelid, a.attnum) as note
            from pg_attribute as a
            where a.attrelid = to_regclass(:relation) and a.attnum > 0 and not a.attisdropped
            order by a.attnum
            """
        ),
        {"relation": relation},
    )
    schema = dg.TableSchema(
        columns=[dg.TableColumn(name=name, type=kind, description=note) for name, kind, note in columns]
    )
    rows = connection.exec_driver_sql(f"select count(*) from {relation}").scalar_one()
    return {"dagster/row_count": rows, "dagster/column_schema": schema}


def lineage_metadata(
    lineage: Mapping[str, set[tuple[str, str]]], keys: Mapping[str, dg.AssetKey]
) -> dg.TableColumnLineage:
    """Column lineage for the UI. `keys` says which asset owns a relation; others are left out."""
    return dg.TableColumnLineage(
        deps_by_column={
            column: [
                dg.TableColumnDep(asset_key=keys[relation], column_name=source)
                for relation, source in sorted(sources)
                if relation in keys
            ]
            for column, sources in lineage.items()
        }
    )
