"""Fills an empty database with the sample clinic, in one transaction. What is drawn, and how, belongs to the others."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

import sqlalchemy
from psycopg import sql

from bn_aura_pipelines.database.connections import Database, psycopg_connection
from bn_aura_pipelines.errors import UserError
from bn_aura_pipelines.sources.sample.appointment_rows import appointment_table
from bn_aura_pipelines.sources.sample.chain import chain_tables
from bn_aura_pipelines.sources.sample.conversation_rows import conversation_tables
from bn_aura_pipelines.sources.sample.customer_rows import customer_tables
from bn_aura_pipelines.sources.sample.laws import LAWS
from bn_aura_pipelines.sources.sample.lead_rows import lead_tables
from bn_aura_pipelines.sources.sample.tables import copy_columns
from bn_aura_pipelines.sources.sample.truth import SampleIdentity, existing_sample, write_truth
from bn_aura_pipelines.sources.sample.world import draw_world

FEWEST, MOST = 50, 999_999
APPLICATION_TABLES: tuple[str, ...] = (
    "clinics", "users", "clinic_staff", "treatments", "customers", "customer_preferences", "email_unsubscribes",
    "appointments", "sales_leads", "referrals", "customer_conversations",
)  # fmt: skip


class SampleRefused(UserError):
    """The database holds something else, or a sample of other parameters."""


@dataclass(frozen=True)
class SampleReport:
    """What stands in the database now."""

    identity: SampleIdentity
    rows: Mapping[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    existing: bool = False


def _quiet(_line: str) -> None:
    """Progress that nobody watches."""


def generate(
    database: Database,
    customers: int,
    as_of: datetime,
    seed: int = 20250101,
    progress: Callable[[str], None] = _quiet,
) -> SampleReport:
    """Draw a chain with so many customers and a history up to `as_of` (aware), and store it with its truth.

    The same arguments always give the same rows. A sample of these arguments that is there already is left alone.
    Raises SampleRefused when the database holds anything else.
    """
    if as_of.tzinfo is None:
        raise ValueError("as_of must carry a time zone")
    if not FEWEST <= customers <= MOST:
        raise SampleRefused(f"A sample of {customers} customers cannot be drawn: ask for {FEWEST} to {MOST:,}.")
    as_of = as_of.replace(microsecond=0)
    begun = time.monotonic()
    wanted = SampleIdentity(customers, as_of, seed)
    with database.begin() as connection:
        # Two commands at once: the second waits, then finds the sample.
        psycopg_connection(connection).execute("select pg_advisory_xact_lock(hashtext('bn-aura sample'))")
        present = existing_sample(connection)
        if present is not None:
            _same(present, wanted)
            progress("the sample is already there; nothing changed")
            return SampleReport(present, _count(connection), time.monotonic() - begun, existing=True)
        _empty(connection)
        progress(f"drawing {customers:,} customers with seed {seed}")
        rows = _fill(connection, wanted, progress)
    return SampleReport(wanted, rows, time.monotonic() - begun)


def _same(present: SampleIdentity, wanted: SampleIdentity) -> None:
    if present != wanted:
        raise SampleRefused(
            f"The database already holds a sample of {present.customers:,} customers as of "
            f"{present.as_of.isoformat()}, seed {present.seed}: ask for the same, "
            f"or use an empty database (another BN_AURA_HOME)."
        )


def _empty(connection: sqlalchemy.Connection) -> None:
    found = psycopg_connection(connection).execute("select exists (select from public.clinics)").fetchone()
    if found and found[0]:
        raise SampleRefused(
            "The database already holds clinics that are not of a sample: use an empty database (another BN_AURA_HOME)."
        )


def _fill(
    connection: sqlalchemy.Connection, identity: SampleIdentity, progress: Callable[[str], None]
) -> dict[str, int]:
    world = draw_world(identity.customers, identity.as_of, identity.seed, LAWS)
    leads, late_notes = lead_tables(world)
    rows = dict.fromkeys(APPLICATION_TABLES, 0)

    def store(tables: Mapping[str, Mapping[str, object]]) -> None:
        for table, columns in tables.items():
            progress(f"storing {table}")
            rows[table] += copy_columns(connection, "public", table, columns)

    store(chain_tables(world.chain, world.calendar, identity.seed))
    store(customer_tables(world))
    store({"appointments": appointment_table(world)})
    store(leads)
    progress("writing conversations")
    conversations, felt = conversation_tables(world)
    store({"customer_conversations": conversations})
    progress("storing the truth")
    write_truth(connection, world, identity, late_notes)
    copy_columns(connection, "aura_truth", "conversations", felt)
    # Whoever reads next would otherwise plan with the statistics of empty tables.
    for table in APPLICATION_TABLES:
        psycopg_connection(connection).execute(sql.SQL("analyze {}").format(sql.Identifier("public", table)))
    return rows


def _count(connection: sqlalchemy.Connection) -> dict[str, int]:
    counted = {}
    for table in APPLICATION_TABLES:
        found = connection.execute(
            sqlalchemy.select(sqlalchemy.func.count()).select_from(sqlalchemy.table(table, schema="public"))
        )
        counted[table] = found.scalar_one()
    return counted
