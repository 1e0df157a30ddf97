"""Which rows need a vector: marks the stale ones, forgets the gone ones, brings back the dead ones.

A row is suspected by hints (its xmin, a hash of its context, the moments its text holds for); whether it is stale is
decided by the hash of its text. Texts are made in `text`, vectors are written in `writing`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString
from uuid import UUID

import psycopg
import sqlalchemy
from psycopg import sql

from bn_aura_pipelines.database.connections import psycopg_connection
from bn_aura_pipelines.embeddings.providers import Entity
from bn_aura_pipelines.embeddings.text import content_hash, context

MANY = 1_000

APPLICATION_COLUMNS: dict[Entity, tuple[str, str]] = {
    "conversation": ("customer_conversations", "message_embeddings"),
    "lead": ("sales_leads", "profile_embedding"),
    "customer": ("customers", "preference_embedding"),
}

# The versions of all that goes into a text, for every source row visible at the moment. Read from the application's
# tables themselves: a view has no xmin.
CONTEXTS: dict[Entity, tuple[LiteralString, LiteralString]] = {
    "conversation": (
        "concat_ws(chr(31), k.full_name, k.nickname, k.email, k.phone, k.customer_code, u.full_name)",
        """
        left join public.customers as k on k.id = s.customer_id and k.created_at < %(moment)s
        left join aura_staging.source_users as u on u.id = s.sales_staff_id and u.created_at < %(moment)s
        """,
    ),
    "lead": ("''", ""),
    "customer": (
        "concat_ws(chr(31), v.visits, v.versions, p.language, p.best_contact_time, p.preferred_channels)",
        """
        left join (
            select a.customer_id, count(*) as visits, sum(a.xmin::text::bigint) as versions
            from public.appointments as a
            group by a.customer_id
        ) as v on v.customer_id = s.id
        left join aura_staging.source_customer_preferences as p
            on p.customer_id = s.id and coalesce(p.created_at < %(moment)s, true)
        """,
    ),
}


@dataclass(frozen=True)
class Marked:
    """What `mark` found: rows to look at, rows whose source is gone."""

    pending: int
    deleted: int


def mark(connection: sqlalchemy.Connection, entity: Entity, model: str, as_of: datetime, fill_column: bool) -> Marked:
    """Put every suspected row on the ledger as pending and drop those whose source is not visible at `as_of`.

    Renders nothing; writes nothing when nothing changed. `fill_column`: a row whose application column is empty
    although it has a vector is suspected too.
    """
    table, column = APPLICATION_COLUMNS[entity]
    expression, joins = CONTEXTS[entity]
    no_vector = sql.SQL("s.{} is null").format(sql.Identifier(column)) if fill_column else sql.SQL("false")
    statement = sql.SQL(MARK).format(
        table=sql.Identifier("public", table), expression=sql.SQL(expression), joins=sql.SQL(joins), no_vector=no_vector
    )
    values = {
        "entity": entity,
        "model": model,
        "moment": as_of,
        "context": context(connection),
        "empty": content_hash(""),
    }
    driver = psycopg_connection(connection)
    marked = Marked(*(driver.execute(statement, values).fetchone() or (0, 0)))
    if marked.pending >= MANY:  # claims are looked up by the index only if the planner knows how few they are
        driver.execute("analyze aura_ops.embedding_ledger")
    return marked


def pending(connection: sqlalchemy.Connection, entity: Entity, model: str) -> int:
    """Rows that wait for a vector, those under a lease included."""
    row = psycopg_connection(connection).execute(
        "select count(*) from aura_ops.embedding_ledger"
        " where entity = %s and model = %s and status in ('pending', 'leased')",
        (entity, model),
    )
    return (row.fetchone() or (0,))[0]


def clear_cache(connection: sqlalchemy.Connection, days: int) -> None:
    """Drop cached vectors that have waited so long for their text to come back."""
    psycopg_connection(connection).execute(
        "delete from aura_ops.embedding_cache where kept_at < clock_timestamp() - make_interval(days => %s)", (days,)
    )


def forget(driver: psycopg.Connection[Any], entity: Entity, model: str, ids: Sequence[UUID]) -> None:
    """Take rows and their vectors off: their sources are gone."""
    driver.execute(FORGET, {"entity": entity, "model": model, "ids": list(ids)})


def retry(connection: sqlalchemy.Connection, entity: Entity | None = None, model: str | None = None) -> int:
    """Put dead rows back to work; returns how many."""
    return (
        psycopg_connection(connection)
        .execute(
            "update aura_ops.embedding_ledger set status = 'pending', attempts = 0, error = null"
            " where status = 'dead' and coalesce(entity = %s, true) and coalesce(model = %s, true)",
            (entity, model),
        )
        .rowcount
    )


MARK: LiteralString = """
with source as (
    select
        s.id,
        s.clinic_id,
        s.xmin as row_version,
        hashtextextended(concat_ws(chr(31), %(context)s::text, {expression}), 0) as context_version,
        {no_vector} as no_vector
    from {table} as s
    {joins}
    where s.created_at < %(moment)s
        and not exists (select from aura_ops.erased_subjects as e where e.subject = uuid_hash_extended(s.id, 0))
),

known as (
    select * from aura_ops.embedding_ledger where entity = %(entity)s and model = %(model)s
),

suspected as (
    select
        source.id,
        source.clinic_id as source_clinic_id,
        source.context_version,
        known.entity_id,
        known.clinic_id
    from source
    full join known on known.entity_id = source.id
    where source.id is null
        or known.entity_id is null
        or (
            known.status in ('done', 'dead')
            and (
                known.row_version is distinct from source.row_version
                or known.context_version is distinct from source.context_version
                or known.holds_after >= %(moment)s
                or known.holds_until < %(moment)s
                or (source.no_vector and known.content_hash <> %(empty)s)
            )
        )
),

gone as (
    delete from aura_ops.embedding_ledger as l
    using suspected as x
    where x.id is null and l.entity = %(entity)s and l.model = %(model)s and l.entity_id = x.entity_id
    returning l.entity_id, l.clinic_id, l.model
),

vectors_gone as (
    delete from aura_ops.embeddings as e
    using gone
    where e.entity = %(entity)s and e.model = gone.model and e.entity_id = gone.entity_id
        and e.clinic_id is not distinct from gone.clinic_id
    returning e.content_hash, e.model, e.entity, e.entity_id, e.embedding
),

texts_gone as (
    delete from aura_ops.search_texts as t
    using gone
    where t.entity = %(entity)s and t.entity_id = gone.entity_id
),

-- A row that is only not visible yet, at an earlier moment, costs nothing when it comes back.
kept as (
    insert into aura_ops.embedding_cache (content_hash, model, entity, entity_id, embedding, kept_at)
    select v.content_hash, v.model, v.entity, v.entity_id, v.embedding, clock_timestamp()
    from vectors_gone as v
    where exists (select from {table} as s where s.id = v.entity_id)
    on conflict do nothing
),

cached_gone as (
    delete from aura_ops.embedding_cache as c
    using gone
    where c.entity = %(entity)s and c.entity_id = gone.entity_id
        and not exists (select from {table} as s where s.id = gone.entity_id)
),

put as (
    insert into aura_ops.embedding_ledger (entity, model, entity_id, clinic_id, context_version, status, stale_since)
    select %(entity)s, %(model)s, x.id, x.source_clinic_id, x.context_version, 'pending', clock_timestamp()
    from suspected as x
    where x.id is not null
    on conflict (entity, model, entity_id) do update
    set status = 'pending', attempts = 0, error = null, stale_since = excluded.stale_since,
        context_version = excluded.context_version, lease_until = null
    where embedding_ledger.status in ('done', 'dead')
    returning 1
)

select (select count(*) from put), (select count(*) from gone)
"""

FORGET: LiteralString = """
with gone as (
    delete from aura_ops.embedding_ledger
    where entity = %(entity)s and model = %(model)s and entity_id = any(%(ids)s)
    returning entity_id, clinic_id
),

texts_gone as (
    delete from aura_ops.search_texts as t
    using gone
    where t.entity = %(entity)s and t.entity_id = gone.entity_id
)

delete from aura_ops.embeddings as e
using gone
where e.entity = %(entity)s and e.model = %(model)s and e.entity_id = gone.entity_id
    and e.clinic_id is not distinct from gone.clinic_id
"""
