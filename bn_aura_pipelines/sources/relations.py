"""One view per table of the contract, `aura_staging.source_*`: the same columns and types on every installation, and
`row_version`, a number that every write of the row moves.

Columns and tables that an installation lacks are typed nulls and empty relations; rows about people who asked to be
forgotten are not shown. What the columns mean, and what was visible at a moment, is the business of
`dbt_like_views/staging`, which reads these.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, LiteralString

import psycopg
import sqlalchemy
from psycopg import sql

from bn_aura_pipelines.database.connections import psycopg_connection
from bn_aura_pipelines.database.view_files import load_views
from bn_aura_pipelines.database.views import drop_relation, restore_views
from bn_aura_pipelines.sources.catalog import ActualColumn, read_columns, read_stored_tables
from bn_aura_pipelines.sources.contract import TABLES, Column, ColumnType, SourceTable

PG_TYPES: Mapping[ColumnType, str] = {
    "uuid": "uuid",
    "text": "text",
    "int": "integer",
    "numeric": "numeric",
    "bool": "boolean",
    "timestamptz": "timestamptz",
    "date": "date",
    "time": "time",
    "jsonb": "jsonb",
    "text[]": "text[]",
}
STAMP: LiteralString = "hash_record_extended(row(t.tableoid, t.ctid, t.xmin), 0)"
CONTENT: LiteralString = "hashtextextended(t::text, 0)"
ERASABLE = ("customers", "sales_leads", "customer_conversations", "appointments")
NOT_ERASED: LiteralString = """not exists (
    select from aura_ops.erased_subjects as e where e.subject = uuid_hash_extended({column}, 0)
)"""


def source_relation(table: SourceTable) -> str:
    """`schema.name` of the view over a source table."""
    return f"aura_staging.source_{table.name}"


def build_source_relations(connection: sqlalchemy.Connection) -> list[str]:
    """Bring the views up to what this database has; returns those that were built or rewritten.

    Views that stood on a rewritten one are dropped with it when its columns moved, and built again on the new one.
    """
    driver = psycopg_connection(connection)
    actual = read_columns(connection)
    stored = read_stored_tables(connection)
    built = []
    for table in TABLES:
        query = source_query(table, actual.get(table.name), stored=table.name in stored).as_string(driver)
        if _build(driver, source_relation(table), query, _comment(table, table.name in actual)):
            built.append(source_relation(table))
    return built


def source_query(
    table: SourceTable, actual: Mapping[str, ActualColumn] | None, with_erased: bool = False, stored: bool = False
) -> sql.Composed:
    """The table in the contract's columns and types; `with_erased` also rows about people who were erased. `stored`:
    whether PostgreSQL stamps each of its rows with the transaction that wrote it, which a view cannot show."""
    columns = sql.SQL(", ").join(
        sql.SQL("{} as {}").format(_expression(column, (actual or {}).get(column.name)), sql.Identifier(column.name))
        for column in table.exposed_columns
    )
    if actual is None:
        return sql.SQL("select {}, null::bigint as row_version where false").format(columns)
    query = sql.SQL("select {}, {} as row_version from {} as t").format(
        columns, sql.SQL(STAMP if stored else CONTENT), sql.Identifier("public", table.name)
    )
    # One condition a column: each becomes an anti-join, where a single one over several columns would be a loop.
    shown = [
        sql.SQL(NOT_ERASED).format(column=sql.Identifier("t", name)) for name in _about_people(table) if name in actual
    ]
    return query if with_erased or not shown else query + sql.SQL(" where ") + sql.SQL(" and ").join(shown)


def _about_people(table: SourceTable) -> list[str]:
    """The columns that name somebody's record: their own id, or what refers to it."""
    own = ["id"] if table.name in ERASABLE else []
    return own + [column.name for column in table.columns if column.references in ERASABLE]


def _expression(column: Column, actual: ActualColumn | None) -> sql.Composed:
    pg_type: Any = PG_TYPES[column.type]
    if actual is None:
        return sql.SQL("null::{}").format(sql.SQL(pg_type))
    # An enum becomes text, varchar(20) becomes text, json becomes jsonb: readers see one type everywhere.
    return sql.SQL("t.{}::{}").format(sql.Identifier(column.name), sql.SQL(pg_type))


def _comment(table: SourceTable, exists: bool) -> str:
    return f"The application's table {table.name}." if exists else f"Empty: this installation has no {table.name}."


def _build(driver: psycopg.Connection[Any], relation: str, query: str, comment: str) -> bool:
    fingerprint = hashlib.sha256(f"{query}\n{comment}".encode()).hexdigest()
    known = driver.execute(
        "select definition_hash from aura_ops.relations where relation = %s and to_regclass(%s) is not null",
        (relation, relation),
    ).fetchone()
    if known is not None and known[0] == fingerprint:
        return False
    view = sql.Identifier(*relation.split("."))
    text: Any = query
    create = sql.SQL("create or replace view {} with (security_invoker = true) as {}").format(view, sql.SQL(text))
    try:
        with driver.transaction():
            driver.execute(create)
    except psycopg.errors.InvalidTableDefinition:  # its columns moved, so it goes with the views that stand on it
        standing = drop_relation(driver, relation)
        driver.execute(create)
        restore_views(driver, standing, load_views())
    driver.execute(sql.SQL("comment on view {} is {}").format(view, sql.Literal(comment)))
    driver.execute(
        "insert into aura_ops.relations (relation, definition_hash) values (%s, %s)"
        " on conflict (relation) do update set definition_hash = excluded.definition_hash",
        (relation, fingerprint),
    )
    return True
