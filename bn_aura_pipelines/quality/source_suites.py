"""Suites of the application's tables, read from the source contract: keys, references, values, ranges; freshness and
the structure of messages, which the contract cannot say."""

from __future__ import annotations

from collections.abc import Iterator

from bn_aura_pipelines.quality.suites import Expectation, Suite, between, filled, nothing_from, one_of, unique
from bn_aura_pipelines.sources.contract import TABLES
from bn_aura_pipelines.sources.contract_types import Column, SourceTable
from bn_aura_pipelines.sources.relations import source_relation

STALE_DAYS = {"appointments": 14, "customer_conversations": 14, "sales_leads": 14}
"""After so many days without a new row somebody should look whether the application's data still arrives."""

WHOSE = {"customer_conversations": "customer_id", "appointments": "customer_id", "sales_leads": "customer_id"}


def source_suites() -> list[Suite]:
    """One suite for each table that every installation has."""
    return [
        Suite(
            f"source_{table.name}",
            source_relation(table),
            ("id",),
            (*_from_contract(table), *_beyond_it(table)),
        )
        for table in TABLES
        if table.required
    ]


def _from_contract(table: SourceTable) -> Iterator[Expectation]:
    yield unique("id")
    for columns in table.unique:
        yield unique(*columns)
    for column in table.exposed_columns:
        is_money = column.name in ("total_price", "price_min", "price_max", "estimated_value")
        if not (column.nullable or column.optional or column.default or column.generated) and column.name != "id":
            yield filled(column.name, blocking=column.name in ("clinic_id", "customer_id", "created_at"))
        if column.allowed:
            yield one_of(column.name, column.allowed)
        if column.minimum is not None or column.maximum is not None:
            yield between(column.name, column.minimum, column.maximum, blocking=is_money)
        elif is_money:
            yield between(column.name, 0, None, blocking=True)
        if column.references:
            yield _refers(column)


def _refers(column: Column) -> Expectation:
    return nothing_from(
        f"{column.name}_exists",
        f"{column.name} names a row of {column.references}.",
        f"""
        select t.id from (select * from {{batch}}) as t
        where t.{column.name} is not null
            and not exists (select from aura_staging.source_{column.references} as r where r.id = t.{column.name})
        """,
        blocking=column.references == "clinics",
    )


def _beyond_it(table: SourceTable) -> Iterator[Expectation]:
    if table.name in WHOSE:
        yield nothing_from(
            "customer_is_of_the_same_clinic",
            "The customer belongs to the row's clinic; else the row is on no customer's timeline.",
            """
            select t.id from (select * from {batch}) as t
            inner join aura_staging.source_customers as c on t.customer_id = c.id
            where t.clinic_id <> c.clinic_id
            """,
            blocking=False,
        )
    if table.name in STALE_DAYS:
        yield nothing_from(
            "is_fresh",
            f"The newest row was entered at most {STALE_DAYS[table.name]} days before the run's moment.",
            f"""
            select max(t.created_at) as newest_at from (select * from {{batch}}) as t
            where t.created_at < aura_ops.as_of()
            having max(t.created_at) < aura_ops.as_of() - interval '{STALE_DAYS[table.name]} days'
            """,
            blocking=False,
        )
    if table.name == "customer_conversations":
        yield nothing_from(
            "messages_are_well_formed",
            "messages is an array of objects with a known role, a text and a moment; what is not is left out.",
            """
            select t.id from (select * from {batch}) as t
            where jsonb_typeof(t.messages) <> 'array' or exists (
                select from jsonb_array_elements(
                    case jsonb_typeof(t.messages) when 'array' then t.messages else '[]' end
                ) as m (value)
                where coalesce(m.value ->> 'role', '') not in ('sales', 'customer', 'ai_coach')
                    or coalesce(jsonb_typeof(m.value -> 'content'), '') <> 'string'
                    or aura_ops.try_timestamptz(m.value ->> 'timestamp') is null
            )
            """,
            blocking=False,
        )
    if table.name == "appointments":
        yield nothing_from(
            "ends_after_it_begins",
            "A visit ends after it begins.",
            "select t.id from (select * from {batch}) as t where t.end_time <= t.start_time",
            blocking=False,
        )
