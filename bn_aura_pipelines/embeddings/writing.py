"""Writes what became of claimed rows: vectors, the application's columns and the ledger, in one transaction.

Vectors travel as pgvector's binary halfvec, so that none is ever spelt out as text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, LiteralString
from uuid import UUID

import psycopg
import sqlalchemy
from psycopg import sql

from bn_aura_pipelines.database.connections import psycopg_connection
from bn_aura_pipelines.embeddings.leases import Claim
from bn_aura_pipelines.embeddings.ledger import APPLICATION_COLUMNS
from bn_aura_pipelines.embeddings.lexical import describe
from bn_aura_pipelines.embeddings.providers import DIMENSIONS, Entity
from bn_aura_pipelines.embeddings.text import TEMPLATE_VERSION, Document

if TYPE_CHECKING:
    import numpy as np

Kind = Literal["embedded", "cached", "unchanged", "empty", "dead", "failed"]


@dataclass(frozen=True)
class Outcome:
    """What became of one claimed row. `vector` is a binary halfvec, where there is a new one to write."""

    claim: Claim
    document: Document
    kind: Kind
    vector: bytes | None = None
    error: str | None = None
    attempts: int = 0
    tokens: int = 0
    cost_usd: float = 0.0


def to_halfvec(vectors: np.ndarray) -> list[bytes]:
    """Rows of (n, 768) as pgvector sends them: dimension, zero, then big-endian half floats."""
    header = DIMENSIONS.to_bytes(2, "big") + b"\x00\x00"
    return [header + row.tobytes() for row in vectors.astype(">f2")]


def known_vectors(connection: sqlalchemy.Connection, model: str, hashes: Sequence[bytes]) -> dict[bytes, bytes]:
    """Binary halfvecs of texts that were embedded before, for this row or another, by the hash of the text."""
    cursor = psycopg_connection(connection).cursor(binary=True)
    return dict(cursor.execute(KNOWN, {"model": model, "hashes": list(hashes)}).fetchall())


def put_aside(
    connection: sqlalchemy.Connection, entity: Entity, model: str, known: Sequence[tuple[bytes, UUID, np.ndarray]]
) -> None:
    """Keep vectors, each with the hash of its text and a row that has it, where `known_vectors` finds them. Nothing is
    kept of a row that has gone meanwhile."""
    import numpy as np

    if not known:
        return
    driver = psycopg_connection(connection)
    driver.execute(
        "create temporary table put_aside (content_hash bytea, entity_id uuid, embedding halfvec(768)) on commit drop"
    )
    vectors = to_halfvec(np.stack([vector for _, _, vector in known]))
    with driver.cursor().copy("copy pg_temp.put_aside from stdin (format binary)") as copy:
        copy.set_types(["bytea", "bytea", "bytea"])
        for (content_hash, entity_id, _), vector in zip(known, vectors, strict=True):
            copy.write_row((content_hash, entity_id.bytes, vector))
    table = sql.Identifier(APPLICATION_COLUMNS[entity][0])
    driver.execute(sql.SQL(PUT_ASIDE).format(table=table), {"entity": entity, "model": model})


def settle(
    connection: sqlalchemy.Connection,
    entity: Entity,
    model: str,
    owner: int,
    outcomes: Sequence[Outcome],
    fill_column: bool,
) -> None:
    """Write outcomes. Rows whose lease went to somebody else are left alone; rows whose source has changed since they
    were rendered get the vector of what was rendered and stay pending."""
    driver = psycopg_connection(connection)
    values = {"entity": entity, "model": model, "owner": owner, "template_version": TEMPLATE_VERSION}
    ids = [one.document.entity_id for one in outcomes]
    driver.execute(SMALL_JOINS)
    kept = {row[0] for row in driver.execute(STILL_OURS, {**values, "ids": ids})}
    outcomes = [one for one in outcomes if one.document.entity_id in kept]
    _copy(driver, outcomes)
    table, column = (sql.Identifier(name) for name in APPLICATION_COLUMNS[entity])
    kinds = {one.kind for one in outcomes}
    # Planning over the partitions takes longer than most of these: each runs only where it has something to do.
    if any(one.claim.old_hash for one in outcomes) and kinds & {"embedded", "cached", "empty"}:
        driver.execute(KEEP_REPLACED, values)
    if kinds & {"embedded", "cached"}:
        driver.execute(PUT_VECTORS, values)
        driver.execute(PUT_TEXTS, values)
        if fill_column:
            driver.execute(sql.SQL(FILL_COLUMN).format(table=table, column=column), values)
    if "empty" in kinds:
        driver.execute(DROP_TEXTS, values)
    if fill_column and kinds & {"unchanged", "empty"}:
        driver.execute(sql.SQL(MEND_COLUMN).format(table=table, column=column), values)
    driver.execute(sql.SQL(RECORD).format(table=table), values)


def _copy(driver: psycopg.Connection[Any], outcomes: Sequence[Outcome]) -> None:
    driver.execute(BATCH)
    searched = iter(describe([one.document.text for one in outcomes if one.vector]))
    with driver.cursor().copy("copy pg_temp.embedding_batch from stdin (format binary)") as copy:
        copy.set_types(COPIED)
        for one in outcomes:
            document = one.document
            language, grams = next(searched) if one.vector else (None, None)
            copy.write_row(
                (
                    document.entity_id.bytes,
                    document.clinic_id and document.clinic_id.bytes,
                    one.claim.old_clinic_id and one.claim.old_clinic_id.bytes,
                    one.claim.old_hash,
                    one.kind,
                    document.row_version,
                    document.holds_after,
                    document.holds_until,
                    document.content_hash,
                    one.error,
                    one.attempts,
                    one.tokens,
                    one.cost_usd,
                    one.vector,
                    language,
                    grams,
                )
            )


# Of the binary COPY: what arrives as bytes is in PostgreSQL's own form already.
COPIED = (
    *("bytea", "bytea", "bytea", "bytea", "text", "text", "timestamptz", "timestamptz"),
    *("bytea", "text", "int4", "int4", "float8", "bytea", "text", "bytea"),
)

# A batch is small and the tables may be large: whatever the planner believes of a temporary table, it is to look rows
# up, not to read 200,000 of them.
SMALL_JOINS: LiteralString = "set local enable_hashjoin = off; set local enable_mergejoin = off"

BATCH: LiteralString = """
create temporary table if not exists embedding_batch (
    entity_id uuid primary key,
    clinic_id uuid,
    old_clinic_id uuid,
    old_hash bytea,
    kind text not null,
    row_version text not null,
    holds_after timestamptz,
    holds_until timestamptz,
    content_hash bytea not null,
    error text,
    attempts int not null,
    tokens int not null,
    cost_usd float8 not null,
    embedding halfvec(768),
    language text,
    grams sparsevec
) with (toast_tuple_target = 8160) on commit delete rows
"""

KNOWN: LiteralString = """
select c.content_hash, c.embedding
from aura_ops.embedding_cache as c
where c.model = %(model)s and c.content_hash = any(%(hashes)s)
union all
select distinct on (l.content_hash) e.content_hash, e.embedding
from aura_ops.embedding_ledger as l
join aura_ops.embeddings as e
    on e.entity = l.entity and e.entity_id = l.entity_id and e.model = l.model
        and e.clinic_id is not distinct from l.clinic_id and e.content_hash = l.content_hash
where l.model = %(model)s and l.content_hash = any(%(hashes)s)
"""

PUT_ASIDE: LiteralString = """
insert into aura_ops.embedding_cache (content_hash, model, entity, entity_id, embedding, kept_at)
select p.content_hash, %(model)s, %(entity)s, p.entity_id, p.embedding, clock_timestamp()
from pg_temp.put_aside as p
where exists (select from public.{table} as s where s.id = p.entity_id)
on conflict do nothing
"""

STILL_OURS: LiteralString = """
select l.entity_id
from aura_ops.embedding_ledger as l
where l.entity = %(entity)s and l.model = %(model)s and l.entity_id = any(%(ids)s)
    and l.status = 'leased' and l.lease_owner = %(owner)s
for update
"""

# A dead or failed row keeps the vector it has: an older one serves readers better than none.
KEEP_REPLACED: LiteralString = """
with replaced as (
    delete from aura_ops.embeddings as e
    using pg_temp.embedding_batch as b
    where b.kind in ('embedded', 'cached', 'empty') and b.old_hash is not null
        and e.entity = %(entity)s and e.entity_id = b.entity_id and e.model = %(model)s
    returning e.content_hash, e.model, e.entity, e.entity_id, e.embedding
)

insert into aura_ops.embedding_cache (content_hash, model, entity, entity_id, embedding, kept_at)
select r.content_hash, r.model, r.entity, r.entity_id, r.embedding, clock_timestamp()
from replaced as r
on conflict do nothing
"""

PUT_VECTORS: LiteralString = """
insert into aura_ops.embeddings (entity, entity_id, clinic_id, model, template_version, content_hash, embedding)
select %(entity)s, b.entity_id, b.clinic_id, %(model)s, %(template_version)s, b.content_hash, b.embedding
from pg_temp.embedding_batch as b
where b.embedding is not null
on conflict (entity, entity_id, model, clinic_id) do update
set template_version = excluded.template_version, content_hash = excluded.content_hash, embedding = excluded.embedding
"""

DROP_TEXTS: LiteralString = """
delete from aura_ops.search_texts as t
using pg_temp.embedding_batch as b
where b.kind = 'empty' and t.entity = %(entity)s and t.entity_id = b.entity_id
"""

# Shared by the models.
PUT_TEXTS: LiteralString = """
insert into aura_ops.search_texts as t (entity, entity_id, clinic_id, language, content_hash, grams)
select %(entity)s, b.entity_id, b.clinic_id, b.language, b.content_hash, b.grams
from pg_temp.embedding_batch as b
where b.grams is not null
on conflict (entity, entity_id) do update
set clinic_id = excluded.clinic_id, language = excluded.language, content_hash = excluded.content_hash,
    grams = excluded.grams
where t.content_hash <> excluded.content_hash or t.clinic_id is distinct from excluded.clinic_id
"""

# Only while the row is the one that was rendered: what the application wrote meanwhile must not look as if it had been
# seen. updated_at is never named here.
FILL_COLUMN: LiteralString = """
update public.{table} as t
set {column} = b.embedding::vector
from pg_temp.embedding_batch as b
where b.embedding is not null and t.id = b.entity_id and t.xmin = b.row_version::xid
    and t.{column} is distinct from b.embedding::vector
"""

# Rows whose text is what it was, or empty: the column may have been written by somebody else.
MEND_COLUMN: LiteralString = """
update public.{table} as t
set {column} = e.embedding::vector
from pg_temp.embedding_batch as b
left join aura_ops.embeddings as e
    on e.entity = %(entity)s and e.entity_id = b.entity_id and e.model = %(model)s
where b.kind in ('unchanged', 'empty') and t.id = b.entity_id and t.xmin = b.row_version::xid
    and t.{column} is distinct from e.embedding::vector
"""

RECORD: LiteralString = """
update aura_ops.embedding_ledger as l
set
    status = outcome.status,
    row_version = case when outcome.filled then s.xmin else b.row_version::xid end,
    holds_after = coalesce(b.holds_after, '-infinity'),
    holds_until = coalesce(b.holds_until, 'infinity'),
    content_hash = case when b.kind in ('dead', 'failed') then l.content_hash else b.content_hash end,
    clinic_id = case when b.kind in ('embedded', 'cached', 'empty') then b.clinic_id else l.clinic_id end,
    attempts = case when b.kind in ('dead', 'failed') then l.attempts + b.attempts else 0 end,
    error = b.error,
    lease_owner = null,
    lease_until = case when outcome.status = 'pending' then clock_timestamp() end,
    tokens = l.tokens + b.tokens,
    cost_usd = l.cost_usd + b.cost_usd,
    stale_since = case when outcome.status = 'pending' then l.stale_since end,
    finished_at = case when outcome.status = 'pending' then l.finished_at else clock_timestamp() end
from pg_temp.embedding_batch as b
left join public.{table} as s on s.id = b.entity_id
cross join lateral (
    select
        coalesce(s.xmin = pg_current_xact_id()::xid, false) as filled,
        case
            when b.kind = 'dead' then 'dead'
            when b.kind <> 'failed' and s.xmin in (b.row_version::xid, pg_current_xact_id()::xid) then 'done'
            else 'pending'
        end as status
) as outcome
where l.entity = %(entity)s and l.model = %(model)s and l.entity_id = b.entity_id
"""
