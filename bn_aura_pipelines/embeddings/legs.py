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


def nearest(
    driver: psycopg.Connection[Any],
    clinic_id: UUID,
    entity: Entity,
    model: str,
    vector: str,
    filters: Filters,
    limit: int,
) -> dict[UUID, float]:
    """Ids and cosines of the nearest rows, nearest first: exact, over this clinic's rows alone, unless it is so large
    that it has an index (see `indexes`) and nothing is filtered.

    `+ 0` keeps an index on the vectors out of it: filtered afterwards, it would find 6 of 10 in a small clinic.
    """
    condition, values = conditions(entity, filters)
    values |= {"clinic": clinic_id, "entity": entity, "model": model, "vector": vector, "limit": limit}
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
    """Ids and BM25 scores of the rows that share most grams with the query, best first."""
    condition, values = conditions(entity, filters)
    rarest = lexical.rarest(grams)
    if not rarest:
        return {}
    mark = lexical.clinic_mark(clinic_id)
    values |= {"clinic": clinic_id, "entity": entity, "mark": mark, "most": lexical.CANDIDATES}
    # Texts that hold all of the rarest grams come cheaply from the index. Only where those are few, those
    # that hold some are counted: a hundred times as dear.
    cursor = driver.cursor(binary=True)
    documents: dict[UUID, Any] = {}
    telling = lexical.telling(grams)
    whole, some = sql.SQL(ALL_SHARED), sql.SQL(SOME_SHARED)
    for statement, wanted in ((whole, rarest), (whole, rarest[:3]), (some, list(telling))):
        if len(documents) < limit:
            values |= {"grams": wanted, "weights": [grams[gram] for gram in wanted]}
            found = cursor.execute(statement.format(condition=condition), values)
            documents |= {row[0]: lexical.from_int4_array(row[1]) for row in found}
    scored = lexical.scores(documents, grams)
    return {one: scored[one] for one in sorted(scored, key=lambda one: (-scored[one], one))[:limit]}


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

ALL_SHARED: LiteralString = """
select e.entity_id, array_send(e.grams)
from aura_ops.search_texts as e
where e.grams @> (%(mark)s || %(grams)s::int[])
    and e.clinic_id = %(clinic)s and e.entity = %(entity)s{condition}
order by cardinality(e.grams), e.entity_id
limit %(most)s
"""

SOME_SHARED: LiteralString = """
with counted as (
    select holding.entity_id, sum(wanted.weight) as shared
    from unnest(%(grams)s::int[], %(weights)s::float8[]) as wanted (gram, weight)
    cross join lateral (
        select e.entity_id
        from aura_ops.search_texts as e
        where e.grams @> array[%(mark)s::int, wanted.gram]
            and e.clinic_id = %(clinic)s and e.entity = %(entity)s{condition}
    ) as holding
    group by holding.entity_id
    order by shared desc, holding.entity_id
    limit %(most)s
)

select t.entity_id, array_send(t.grams)
from counted
join aura_ops.search_texts as t on t.entity = %(entity)s and t.entity_id = counted.entity_id
"""
