"""The two legs of a search within one clinic: the nearest vectors, and the texts that share most grams.

Both compare the clinic in their statements. Ranking them together belongs to `search`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString
from uuid import UUID

import psycopg
from psycopg import sql

from bn_aura_pipelines.database.connections import InBinary
from bn_aura_pipelines.embeddings import lexical
from bn_aura_pipelines.embeddings.providers import Entity


@dataclass(frozen=True)
class Filters:
    """What a hit must be beside alike; None is no condition. `created_until` itself is left out."""

    status: str | None = None
    type: str | None = None
    created_from: datetime | None = None
    created_until: datetime | None = None
    language: str | None = None


NO_FILTERS = Filters()
# BM25's usual constants (Robertson and Zaragoza 2009), every gram counted once.
K1, B = 1.2, 0.75
CANDIDATES = 300
"""So many of those that share most are told apart by their lengths."""


def nearest(
    driver: psycopg.Connection[Any],
    clinic_id: UUID,
    entity: Entity,
    model: str,
    vector: bytes,
    filters: Filters,
    limit: int,
) -> dict[UUID, float]:
    """Ids and cosines of the nearest rows, nearest first: exact, over this clinic's rows alone, unless it is so large
    that it has an index (see `indexes`) and nothing is filtered. `vector` is a binary halfvec.

    `+ 0` keeps an index on the vectors out of it: filtered afterwards, it would find 6 of 10 in a small clinic.
    """
    condition, values = conditions(entity, filters)
    values |= {"clinic": clinic_id, "entity": entity, "model": model, "vector": InBinary(vector), "limit": limit}
    if filters == NO_FILTERS and driver.execute(INDEXED, values).fetchone():
        # The index is of one entity and model, which the planner has to see.
        statement = sql.SQL(NEAREST_BY_INDEX).format(entity=sql.Literal(entity), model=sql.Literal(model))
    else:
        statement = sql.SQL(NEAREST).format(condition=condition)
    return {row[0]: 1 - row[1] for row in driver.cursor(binary=True).execute(statement, values)}


def alike(
    driver: psycopg.Connection[Any],
    clinic_id: UUID,
    entity: Entity,
    grams: Mapping[int, float],
    filters: Filters,
    limit: int,
) -> dict[UUID, float]:
    """Ids and BM25 scores of the rows that share most grams with the query, best first; rows that share none are left
    out. All of the clinic's rows are compared."""
    if not grams:
        return {}
    condition, values = conditions(entity, filters)
    query = InBinary(lexical.as_query(grams))
    values |= {"clinic": clinic_id, "entity": entity, "query": query, "limit": limit, "most": CANDIDATES}
    values |= {"k1": K1, "b": B}
    statement = sql.SQL(SHARING).format(condition=condition)
    return dict(driver.cursor(binary=True).execute(statement, values).fetchall())


def conditions(entity: Entity, filters: Filters) -> tuple[sql.Composable, dict[str, Any]]:
    """A SQL condition on `e.entity_id`, and its parameters."""
    table, status, kind = FILTERED[entity]
    wanted: list[sql.Composable] = []
    if filters.status is not None:
        wanted.append(sql.SQL("s.{} = %(status)s").format(sql.Identifier(status)))
    if filters.type is not None:
        wanted.append(sql.SQL("s.{} = %(type)s").format(sql.Identifier(kind)))
    if filters.created_from is not None:
        wanted.append(sql.SQL("s.created_at >= %(created_from)s"))
    if filters.created_until is not None:
        wanted.append(sql.SQL("s.created_at < %(created_until)s"))
    parts: list[sql.Composable] = []
    if wanted:
        parts.append(
            sql.SQL(" and e.entity_id in (select s.id from {} as s where s.clinic_id = %(clinic)s and {})").format(
                sql.Identifier("aura_staging", table), sql.SQL(" and ").join(wanted)
            )
        )
    if filters.language is not None:
        parts.append(
            sql.SQL(
                " and e.entity_id in (select t.entity_id from aura_ops.search_texts as t"
                " where t.entity = %(entity)s and t.language = %(language)s)"
            )
        )
    return sql.Composed(parts), {name: value for name, value in vars(filters).items() if value is not None}


# Where the filters of an entity are read: the view, its status, its type.
FILTERED: Mapping[Entity, tuple[str, str, str]] = {
    "conversation": ("source_customer_conversations", "status", "conversation_type"),
    "lead": ("source_sales_leads", "status", "source"),
    "customer": ("source_customers", "status", "customer_type"),
}

NEAREST: LiteralString = """
select e.entity_id, (e.embedding <=> %(vector)s::halfvec) + 0 as distance
from aura_ops.embeddings as e
where e.clinic_id = %(clinic)s and e.entity = %(entity)s and e.model = %(model)s{condition}
order by distance, e.entity_id
limit %(limit)s
"""

# The settings hold until the transaction ends. Found rows come roughly in order until enough are the clinic's.
INDEXED: LiteralString = """
select set_config('hnsw.ef_search', '200', true), set_config('hnsw.iterative_scan', 'relaxed_order', true)
from aura_ops.indexed_clinics
where clinic_id = %(clinic)s and entity = %(entity)s and model = %(model)s
"""

NEAREST_BY_INDEX: LiteralString = """
with near as materialized (
    select e.entity_id, e.embedding <=> %(vector)s::halfvec as distance
    from aura_ops.embeddings as e
    where e.clinic_id = %(clinic)s and e.entity = {entity} and e.model = {model}
    order by distance
    limit %(limit)s
)

select entity_id, distance + 0 from near order by distance, entity_id
"""

# A vector of ones has the square root of their number as its length.
SHARING: LiteralString = """
with sharing as (
    select e.entity_id, (e.grams <#> %(query)s::sparsevec) * -1 as shared, e.grams
    from aura_ops.search_texts as e
    where e.clinic_id = %(clinic)s and e.entity = %(entity)s{condition}
    order by shared desc
    limit %(most)s
),

measured as (
    select entity_id, shared, l2_norm(grams) ^ 2 as size, avg(l2_norm(grams) ^ 2) over () as usual
    from sharing
    where shared > 0
)

select entity_id, shared * (%(k1)s + 1) / (1 + %(k1)s * (1 - %(b)s + %(b)s * size / usual)) as score
from measured
order by score desc, entity_id
limit %(limit)s
"""
