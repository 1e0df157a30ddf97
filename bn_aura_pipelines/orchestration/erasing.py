"""Deletes rows about given records from every table of ours. Whose records they are is decided in `erasure`."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import psycopg
from psycopg import sql

# The audit, and the list of whom to hide: they hold no record's id.
KEPT = ("aura_ops.erased_subjects", "aura_ops.erasures")
# The tenant and what it sells name nobody; leaving them out spares time only.
NOBODY = ("clinic_id", "treatment_id", "runner_up_treatment_id")
# Types in which no text can stand. All others are searched, those that nobody has thought of yet too.
WITHOUT_TEXT = ("uuid", "bytea", "vector", "halfvec", "sparsevec", "_int2", "_int4", "_int8", "_float4", "_float8")

TABLES = """
    select
        n.nspname, c.relname,
        array_agg(a.attname::text order by a.attnum) filter (where t.typname = 'uuid' and a.attname <> all(%(nobody)s)),
        array_agg(a.attname::text order by a.attnum) filter (
            where t.typcategory not in ('N', 'B', 'D', 'T') and t.typname <> all(%(without_text)s)
        ),
        (
            select k.attname::text from pg_index as i
            join pg_attribute as k on k.attrelid = i.indrelid and k.attnum = i.indkey[0]
            where i.indrelid = c.oid and i.indisprimary and i.indnkeyatts = 1 and k.atttypid = 'uuid'::regtype
        )
    from pg_class as c
    join pg_namespace as n on n.oid = c.relnamespace
    join pg_attribute as a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    join pg_type as t on t.oid = a.atttypid
    where n.nspname like 'aura\\_%%' and c.relkind in ('r', 'p') and not c.relispartition
        and n.nspname || '.' || c.relname <> all(%(kept)s)
    group by n.nspname, c.relname, c.oid order by 1, 2
"""
# What a client of the read API has kept is no longer the newest.
BUMP = """
    update aura_ops.materializations set materialized_at = materialized_at + interval '1 microsecond'
    where relation = any(%s)
"""


@dataclass(frozen=True)
class OwnedTable:
    """A table of ours: its uuid columns that may name a record, all that may hold text, its key if that is one uuid."""

    schema: str
    name: str
    ids: tuple[str, ...]
    texts: tuple[str, ...]
    key: str | None

    @property
    def identifier(self) -> sql.Identifier:
        return sql.Identifier(self.schema, self.name)


def owned_tables(driver: psycopg.Connection[Any]) -> list[OwnedTable]:
    """Every table of ours as the catalogue knows it."""
    values = {"nobody": list(NOBODY), "without_text": list(WITHOUT_TEXT), "kept": list(KEPT)}
    return [
        OwnedTable(schema, name, tuple(ids or ()), tuple(texts or ()), key)
        for schema, name, ids, texts, key in driver.execute(TABLES, values)
    ]


def ids_of_erased(driver: psycopg.Connection[Any], tables: Sequence[OwnedTable]) -> set[UUID]:
    """Records of people who were erased that some row still names."""
    found: set[UUID] = set()
    for table in tables:
        for column in table.ids:
            rows = driver.execute(
                sql.SQL(
                    "select distinct t.{column} from {table} as t"
                    " join aura_ops.erased_subjects as e on e.subject = uuid_hash_extended(t.{column}, 0)"
                ).format(column=sql.Identifier(column), table=table.identifier)
            )
            found |= {row[0] for row in rows}
    return found


def erase_rows(
    driver: psycopg.Connection[Any],
    tables: Sequence[OwnedTable],
    ids: Collection[UUID],
    words: Collection[str],
    names: Collection[str],
) -> dict[str, int]:
    """Delete what names one of these records; returns rows by table, those without any left out.

    `words` and `names` are regular expressions for lower-case text. Names are looked for only where no column says
    whom a row is about: elsewhere a namesake's rows would go.
    """
    words = {*words, *(str(one) for one in ids)}
    rows: dict[str, int] = {}
    waiting = list(tables)
    while waiting:
        held = [table for table in waiting if not _erased(driver, table, ids, words, names, rows)]
        if len(held) == len(waiting):
            raise RuntimeError(f"rows of {held[0].schema}.{held[0].name} are referred to and could not be erased")
        waiting = held
    return rows


def bump_versions(driver: psycopg.Connection[Any], rows: Iterable[str]) -> None:
    """Let readers know that these tables have changed."""
    driver.execute(BUMP, (list(rows),))


def with_rows_about(
    driver: psycopg.Connection[Any], tables: Sequence[OwnedTable], subjects: Collection[UUID]
) -> set[UUID]:
    """These records, the keys of the rows about them (a decision about a lead, say), and of the rows about those."""
    known = set(subjects)
    fresh = set(subjects)
    while fresh:
        looked_for, fresh = fresh, set()
        for table in tables:
            others = [column for column in table.ids if column != table.key]
            if table.key and others:
                rows = driver.execute(
                    sql.SQL("select {key} from {table} where {about}").format(
                        key=sql.Identifier(table.key), table=table.identifier, about=_names_one_of(others)
                    ),
                    {"ids": list(looked_for)},
                )
                fresh |= {row[0] for row in rows} - known
        known |= fresh
    return known


def _erased(
    driver: psycopg.Connection[Any],
    table: OwnedTable,
    ids: Collection[UUID],
    words: Collection[str],
    names: Collection[str],
    rows: dict[str, int],
) -> bool:
    """Erase the rows of one table; false where another table still refers to them."""
    conditions = [_names_one_of(table.ids)] if table.ids else []
    searched = [*words, *(() if table.ids else names)]
    if table.texts and searched:
        everything = sql.SQL(", ").join(sql.SQL("{}::text").format(sql.Identifier(name)) for name in table.texts)
        conditions.append(sql.SQL("lower(concat_ws(' ', {})) ~ %(pattern)s").format(everything))
    if not conditions:
        return True
    values = {"ids": list(ids), "pattern": rf"(?:^|[^[:alnum:]._+-])(?:{'|'.join(searched)})(?![[:alnum:]])"}
    statement = sql.SQL("delete from {} where {}").format(table.identifier, sql.SQL(" or ").join(conditions))
    try:
        with driver.transaction():
            count = driver.execute(statement, values).rowcount
    except psycopg.errors.ForeignKeyViolation:
        return False
    if count:
        rows[f"{table.schema}.{table.name}"] = count
    return True


def _names_one_of(columns: Sequence[str]) -> sql.Composed:
    each = (sql.SQL("{} = any(%(ids)s)").format(sql.Identifier(column)) for column in columns)
    return sql.SQL("({})").format(sql.SQL(" or ").join(each))
