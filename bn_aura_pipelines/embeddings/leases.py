"""Who may embed which row: claims under a lease that ends with its worker, however that ends.

What is to be claimed is decided in `ledger`; what became of it is written in `writing`.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import LiteralString
from uuid import UUID

import sqlalchemy

from bn_aura_pipelines.database.connections import Database, psycopg_connection
from bn_aura_pipelines.embeddings.providers import Entity

LEASE = timedelta(minutes=15)
NO_CLINIC = UUID(int=0)


@dataclass(frozen=True)
class Claim:
    """A row that this worker may embed: where its vector stands now, if it has one, and how often it has failed."""

    entity_id: UUID
    old_clinic_id: UUID | None
    old_hash: bytes | None
    attempts: int


@contextmanager
def worker(database: Database) -> Iterator[int]:
    """A number that claims are made under. It dies with this process, and its leases with it: an advisory lock."""
    owner = secrets.randbits(62)
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        driver = psycopg_connection(connection)
        driver.execute("select pg_advisory_lock(%s)", (owner,))
        try:
            yield owner
        finally:
            driver.execute("select pg_advisory_unlock(%s)", (owner,))


@contextmanager
def alone(database: Database, task: str) -> Iterator[bool]:
    """Whether no other process does `task`; nobody else may until the block, or this process, ends."""
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        driver = psycopg_connection(connection)
        row = driver.execute("select pg_try_advisory_lock(hashtextextended(%s, 0))", (task,)).fetchone()
        free = bool(row and row[0])
        try:
            yield free
        finally:
            if free:
                driver.execute("select pg_advisory_unlock(hashtextextended(%s, 0))", (task,))


def claim(
    connection: sqlalchemy.Connection,
    entity: Entity,
    model: str,
    owner: int,
    limit: int,
    started: datetime,
    after: Claim | None = None,
) -> list[Claim]:
    """Lease up to `limit` pending rows, in the order of their clinics, later in it than `after`; the last one is last.

    A lease of a dead worker counts as none. Rows that were given back after `started` wait for the next run.
    """
    values = {
        "entity": entity,
        "model": model,
        "owner": owner,
        "limit": limit,
        "lease": LEASE,
        "started": started,
        "after_clinic": (after and after.old_clinic_id) or NO_CLINIC,
        "after_entity": after.entity_id if after else NO_CLINIC,
    }
    claims = [Claim(*row) for row in psycopg_connection(connection).cursor(binary=True).execute(CLAIM, values)]
    return sorted(claims, key=lambda one: (one.old_clinic_id or NO_CLINIC, one.entity_id))


def release(connection: sqlalchemy.Connection, entity: Entity, model: str, owner: int) -> None:
    """Give back every lease of this worker: the rows are pending again."""
    psycopg_connection(connection).execute(
        "update aura_ops.embedding_ledger set status = 'pending', lease_owner = null, lease_until = null"
        " where entity = %s and model = %s and status = 'leased' and lease_owner = %s",
        (entity, model, owner),
    )


CLAIM: LiteralString = """
with living as materialized (
    select (classid::bigint << 32) | objid::bigint as owner
    from pg_locks
    where locktype = 'advisory' and objsubid = 1 and granted
        and database = (select oid from pg_database where datname = current_database())
),

picked as (
    select l.entity, l.model, l.entity_id
    from aura_ops.embedding_ledger as l
    where l.entity = %(entity)s and l.model = %(model)s
        and (
            (l.status = 'pending' and coalesce(l.lease_until < %(started)s, true))
            or (l.status = 'leased'
                and (l.lease_until < clock_timestamp() or l.lease_owner not in (select owner from living)))
        )
        and l.status in ('pending', 'leased')
        and (coalesce(l.clinic_id, '00000000-0000-0000-0000-000000000000'), l.entity_id)
        > (%(after_clinic)s::uuid, %(after_entity)s::uuid)
    order by coalesce(l.clinic_id, '00000000-0000-0000-0000-000000000000'), l.entity_id
    limit %(limit)s
    for update skip locked
)

update aura_ops.embedding_ledger as l
set status = 'leased', lease_owner = %(owner)s, lease_until = clock_timestamp() + %(lease)s
from picked
where l.entity = picked.entity and l.model = picked.model and l.entity_id = picked.entity_id
returning l.entity_id, l.clinic_id, l.content_hash, l.attempts
"""
