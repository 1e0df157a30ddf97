"""Which model readers use, how complete each model's vectors are, what filling one would cost, and the switch.

A new model is filled beside the old one by `sync`; readers keep the old one until `switch`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import LiteralString

import sqlalchemy
from psycopg import sql

from bn_aura_pipelines.database.connections import Database, psycopg_connection
from bn_aura_pipelines.embeddings.indexes import keep_indexes
from bn_aura_pipelines.embeddings.ledger import APPLICATION_COLUMNS
from bn_aura_pipelines.embeddings.providers import ENTITIES, EmbeddingProvider, Entity
from bn_aura_pipelines.embeddings.text import render
from bn_aura_pipelines.errors import UserError

SAMPLE = 500
BATCH = 1_000


class SwitchRefused(UserError):
    """The model is not ready to be read."""


@dataclass(frozen=True)
class Coverage:
    """How far one entity's vectors of one model are; `waiting` rows are pending or under a lease."""

    model: str
    active: bool
    entity: Entity
    done: int
    waiting: int
    dead: int


@dataclass(frozen=True)
class Estimate:
    """What a sync of one entity would send at most: rows, tokens, US dollars, hours at the provider's rates."""

    entity: Entity
    rows: int
    tokens: int
    cost_usd: float
    hours: float


def coverage(connection: sqlalchemy.Connection) -> list[Coverage]:
    """Every model's state, entity by entity."""
    return [Coverage(*row) for row in psycopg_connection(connection).execute(COVERAGE)]


def estimate(
    database: Database, as_of: datetime, provider: EmbeddingProvider, entities: Sequence[Entity] = ENTITIES
) -> list[Estimate]:
    """From the rows without a finished vector of this model and a sample of their texts. Sends and writes nothing."""
    found = []
    limits = provider.limits
    for entity in entities:
        with database.begin(as_of) as connection:
            driver = psycopg_connection(connection)
            table = sql.Identifier("public", APPLICATION_COLUMNS[entity][0])
            values = {"entity": entity, "model": provider.model, "moment": as_of, "sample": SAMPLE}
            ids = [row[0] for row in driver.execute(sql.SQL(MISSING).format(table=table), values)]
            rows = (driver.execute(sql.SQL(COUNT_MISSING).format(table=table), values).fetchone() or (0,))[0]
            texts = [document.text for document in render(connection, entity, ids) if document.text]
        share = len(texts) / len(ids) if ids else 0.0
        each = sum(map(provider.estimate_tokens, texts)) / len(texts) if texts else 0.0
        rows = round(rows * share)
        tokens = round(rows * each)
        minutes = (
            rows / limits.items_per_request / (limits.requests_per_minute or float("inf")),
            rows / (limits.items_per_minute or float("inf")),
            tokens / (limits.tokens_per_minute or float("inf")),
        )
        cost = tokens * provider.usd_per_million_tokens / 1e6
        found.append(Estimate(entity, rows, tokens, cost, max(minutes) / 60))
    return found


def switch(database: Database, model: str, *, write_application_columns: bool = True) -> int:
    """Let readers use `model`; returns the application's rows that were written.

    Raises SwitchRefused unless every row that has a finished vector of the active model has one of this, too.
    """
    with database.begin() as connection:
        driver = psycopg_connection(connection)
        driver.execute("lock table aura_ops.embedding_models in share row exclusive mode")
        missing = (driver.execute(NOT_READY, {"model": model}).fetchone() or (0,))[0]
        known = driver.execute("select 1 from aura_ops.embedding_ledger where model = %s limit 1", (model,)).fetchone()
        if known is None:
            raise SwitchRefused(f"{model} has no vectors: configure it and run the sync first.")
        if missing:
            raise SwitchRefused(f"{missing:,} rows have no finished vector of {model} yet: run the sync, then switch.")
        driver.execute("update aura_ops.embedding_models set active = false where active and model <> %s", (model,))
        driver.execute(
            "insert into aura_ops.embedding_models (model, active, activated_at)"
            " values (%s, true, clock_timestamp())"
            " on conflict (model) do update set active = true, activated_at = clock_timestamp()",
            (model,),
        )
    for entity in ENTITIES:
        keep_indexes(database, entity)
    if not write_application_columns:
        return 0
    return sum(_fill_column(database, entity, model) for entity in ENTITIES)


def _fill_column(database: Database, entity: Entity, model: str) -> int:
    """Bring the application's column to this model, a batch in each transaction."""
    table, column = (sql.Identifier(name) for name in APPLICATION_COLUMNS[entity])
    statement = sql.SQL(FILL).format(table=table, column=column)
    last = "00000000-0000-0000-0000-000000000000"
    written = 0
    while True:
        with database.begin() as connection:
            values = {"entity": entity, "model": model, "last": last, "batch": BATCH}
            looked_at, changed, highest = psycopg_connection(connection).execute(statement, values).fetchone() or (
                *(0, 0),
                None,
            )
        written += changed
        if not looked_at:
            return written
        last = highest


COVERAGE: LiteralString = """
select
    l.model,
    coalesce(m.active, false),
    l.entity,
    count(*) filter (where l.status = 'done'),
    count(*) filter (where l.status in ('pending', 'leased')),
    count(*) filter (where l.status = 'dead')
from aura_ops.embedding_ledger as l
left join aura_ops.embedding_models as m on m.model = l.model
group by l.model, m.active, l.entity
order by 2 desc, 1, 3
"""

MISSING: LiteralString = """
select s.id
from {table} as s
left join aura_ops.embedding_ledger as l
    on l.entity = %(entity)s and l.model = %(model)s and l.entity_id = s.id and l.status in ('done', 'dead')
where s.created_at < %(moment)s and l.entity_id is null
order by md5(s.id::text)
limit %(sample)s
"""

COUNT_MISSING: LiteralString = """
select count(*)
from {table} as s
left join aura_ops.embedding_ledger as l
    on l.entity = %(entity)s and l.model = %(model)s and l.entity_id = s.id and l.status in ('done', 'dead')
where s.created_at < %(moment)s and l.entity_id is null
"""

# A dead row of the new model does not hold the switch up for ever: it is reported by `coverage`.
NOT_READY: LiteralString = """
select count(*)
from aura_ops.embedding_ledger as old
join aura_ops.embedding_models as m on m.model = old.model and m.active
left join aura_ops.embedding_ledger as new
    on new.entity = old.entity and new.entity_id = old.entity_id and new.model = %(model)s
        and new.status in ('done', 'dead')
where old.status = 'done' and new.entity_id is null
"""

# The next sync looks at the rows that this writes once more, and finds their texts unchanged.
FILL: LiteralString = """
with looked_at as (
    select l.entity_id, l.clinic_id
    from aura_ops.embedding_ledger as l
    where l.entity = %(entity)s and l.model = %(model)s and l.entity_id > %(last)s::uuid and l.status = 'done'
    order by l.entity_id
    limit %(batch)s
),

written as (
    update public.{table} as t
    set {column} = e.embedding::vector
    from looked_at as x
    join aura_ops.embeddings as e
        on e.entity = %(entity)s and e.entity_id = x.entity_id and e.model = %(model)s
            and e.clinic_id is not distinct from x.clinic_id
    where t.id = x.entity_id and t.{column} is distinct from e.embedding::vector
    returning t.id
)

select (select count(*) from looked_at), (select count(*) from written), (select max(entity_id::text) from looked_at)
"""
