"""The SQL behind each resource: made from its entry in `resources` and the relation's columns, never from what a client
sends. A statement is one whole answer, its JSON made in PostgreSQL, so that a connection plans it once.

$1 is the clinic, $2 the arguments as jsonb, $3 the version that the client has, or null, $4 after how many hours a
table is stale. It gives one row of two columns, `version` and `body`, the JSON as UTF-8; `version` is null for a table
that is written row by row, `body` where the client has this version or there is nothing to show.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from bn_aura_pipelines.api.resources import Filter, Order, Part, Resource

CLINIC = "t.clinic_id = about.clinic_id"
"""Said in every query, although row-level security says it too: either alone keeps the clinics apart."""
FRONT = "'as_of', about.as_of, 'materialized_at', about.materialized_at, 'stale', about.stale"
ANSWER = """
with about as materialized (
    select
        extract(epoch from max(m.materialized_at))::text
        || case when min(m.materialized_at) < now() - make_interval(hours => $4::int) then 's' else '' end as version,
        coalesce(min(m.as_of), now()) as as_of,
        coalesce(min(m.materialized_at), now()) as materialized_at,
        coalesce(min(m.materialized_at) < now() - make_interval(hours => $4::int), false) as stale,
        set_config('aura.clinic_id', $1::uuid::text, true)::uuid as clinic_id,
        $2::jsonb as arguments
    from aura_ops.materializations as m where m.relation in ({relations})
)

select
    about.version,
    case when $3::text is null or about.version is null or about.version <> $3::text then convert_to(
        ({query})::text, 'UTF8'
    ) end as body
from about"""
"""The policies read the setting, which holds until the statement's transaction ends; the query compares the clinic that
setting it has given, so it cannot run before."""


def answer(relations: Sequence[str], query: str) -> str:
    """The statement that answers with the JSON object of `query`, which begins with FRONT; in it about.clinic_id is the
    clinic and about.arguments what is asked. The answer is about the oldest of `relations`."""
    return ANSWER.format(relations=", ".join(f"'{relation}'" for relation in relations), query=query)


@lru_cache(maxsize=2_000)
def page_query(
    resource: Resource, columns: tuple[str, ...], order: Order, given: frozenset[str], later: bool, personal: bool
) -> str:
    """One page as {"as_of", ..., "items": [...], "next": "..." or null}; null where the page's parent does not exist.

    Arguments: `limit`, the filters in `given`, and where `later` is true `after`, the order columns of the last row of
    the page before. One row more than asked for is read, to know whether there is a next page.
    """
    where = [CLINIC if "clinic_id" in columns else "about.clinic_id is not null"]
    of_parent = f"t.{resource.parent_key} = (about.arguments ->> '{resource.parent_key}')::uuid"
    where += [of_parent] if resource.parent else []
    where += [_condition(filter_) for filter_ in resource.filters if filter_.name in given]
    names = ", ".join(f"t.{name}" for name, _ in order.columns)
    if later:
        after = ", ".join(f"(about.arguments -> 'after' ->> '{name}')::{kind}" for name, kind in order.columns)
        where.append(f"({names}) {'<' if order.descending else '>'} ({after})")
    ordered = ", ".join(f"t.{name}{' desc' if order.descending else ''}" for name, _ in order.columns)
    cursor = ", ".join(f"'{name}', rows[size] -> '{name}'" for name, _ in order.columns)
    page = f"""
        select json_build_object(
            {FRONT},
            'items', coalesce(array_to_json(rows[1 : size]), '[]'::json),
            'next', case when cardinality(rows) > size then translate(
                encode(convert_to(json_build_object({cursor})::text, 'UTF8'), 'base64'), e'+/=\\n', '-_'
            ) end
        )
        from (
            select array_agg(to_json(page)) as rows, (about.arguments ->> 'limit')::int as size
            from (
                select {_shown(resource, columns, personal)} from {resource.relation} as t
                where {" and ".join(where)} order by {ordered} limit (about.arguments ->> 'limit')::int + 1
            ) as page
        ) as found"""
    if resource.parent is not None:
        page += f"""
        where exists (
            select from {resource.parent} as t where {CLINIC} and {of_parent}
        )"""
    return answer(resource.relations, page)


@lru_cache(maxsize=200)
def item_query(resource: Resource, columns: tuple[str, ...], personal: bool) -> str:
    """One row as {"as_of", ..., "item": {...}} with its parts beside it; null where the clinic has no such row."""
    assert resource.item is not None
    column, kind = resource.item
    parts = "".join(f", '{part.name}', {_part(part, column, kind, personal)}" for part in resource.parts)
    item = f"""
        select json_build_object({FRONT}, 'item', to_json(row){parts})
        from (
            select {_shown(resource, columns, personal)} from {resource.relation} as t
            where {CLINIC} and t.{column} = (about.arguments ->> 'key')::{kind}
        ) as row"""
    return answer(resource.relations, item)


def _part(part: Part, column: str, kind: str, personal: bool) -> str:
    hidden = ", ".join(f"'{name}'" for name in ("clinic_id", column, *(() if personal else sorted(part.personal))))
    return f"""(
            select coalesce(json_agg(to_jsonb(t) - array[{hidden}] order by {part.order}), '[]'::json)
            from {part.relation} as t where {CLINIC} and t.{column} = (about.arguments ->> 'key')::{kind}
        )"""


def _shown(resource: Resource, columns: tuple[str, ...], personal: bool) -> str:
    return ", ".join(
        f"aura_marts.masked(t.{name}) as {name}" if name in resource.personal and not personal else f"t.{name}"
        for name in columns
        if name != "clinic_id"
    )


def _condition(filter_: Filter) -> str:
    value = f"(about.arguments ->> '{filter_.name}')::{filter_.kind}"
    if filter_.operator == "contains":
        return f"position(lower({value}) in lower(t.{filter_.column})) > 0"
    if filter_.operator == "addressed":
        return f"(t.{filter_.column} = {value} or t.{filter_.column} is null)"
    return f"t.{filter_.column} {filter_.operator} {value}"
