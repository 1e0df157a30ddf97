"""Compares the contract with the tables of a database, before anything is read from them.

Whether the server itself can serve (version, pgvector, rights to create schemas) is asked in `database.preflight`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import sqlalchemy

from bn_aura_pipelines.errors import UserError
from bn_aura_pipelines.sources.catalog import ActualColumn, read_columns
from bn_aura_pipelines.sources.contract import TABLES, Column, ColumnType, SourceTable

SAFE_TYPES: Mapping[ColumnType, frozenset[str]] = {
    "uuid": frozenset({"uuid"}),
    "text": frozenset({"text", "varchar", "bpchar", "citext", "name"}),
    "int": frozenset({"int2", "int4", "int8"}),
    "numeric": frozenset({"numeric", "int2", "int4", "int8", "float4", "float8"}),
    "bool": frozenset({"bool"}),
    "timestamptz": frozenset({"timestamptz"}),
    "date": frozenset({"date"}),
    "time": frozenset({"time"}),
    "jsonb": frozenset({"jsonb", "json"}),
    "text[]": frozenset({"_text", "_varchar"}),
    "vector": frozenset({"vector"}),
}
"""The catalog's types that every value of the contract's type can be read from without loss."""

ACCESS = sqlalchemy.text(
    """
    select
        c.relname as table_name,
        has_schema_privilege('public', 'usage') and has_table_privilege(c.oid, 'select') as readable,
        row_security_active(c.oid) as hidden,
        current_user as role
    from pg_class c
    where c.relnamespace = 'public'::regnamespace and c.relname = any(:tables) and c.relkind in ('r', 'p')
    """
)


class SourcesUnusable(UserError):
    """The database's tables are not what the contract says, or cannot be read."""


@dataclass(frozen=True)
class Finding:
    """One difference; `error` stops a run, `info` does not."""

    severity: Literal["error", "info"]
    table: str
    column: str | None
    message: str
    """What is the matter and what to do, in one line."""


def check_sources(connection: sqlalchemy.Connection) -> list[Finding]:
    """Every difference between the contract and the database, errors first, in the contract's order."""
    actual = read_columns(connection)
    found = [finding for table in TABLES for finding in _compare(table, actual.get(table.name))]
    found += _access(connection, [table.name for table in TABLES if table.name in actual])
    return sorted(found, key=lambda finding: finding.severity != "error")


def require_sources(connection: sqlalchemy.Connection) -> None:
    """Raises SourcesUnusable, in one line, if `check_sources` finds an error."""
    errors = [finding for finding in check_sources(connection) if finding.severity == "error"]
    if errors:
        more = f" And {len(errors) - 1} more: bn-aura doctor lists them." if len(errors) > 1 else ""
        raise SourcesUnusable(errors[0].message + more)


def _compare(table: SourceTable, actual: Mapping[str, ActualColumn] | None) -> Iterator[Finding]:
    if actual is None:
        if table.required:
            yield Finding(
                "error",
                table.name,
                None,
                f"public.{table.name} does not exist: point BN_AURA_DATABASE_URL at the application's database, "
                "or run the application's migrations.",
            )
        else:
            yield Finding("info", table.name, None, f"public.{table.name} does not exist: read as empty.")
        return
    for column in table.columns:
        yield from _compare_column(table, column, actual.get(column.name))
    for name in actual.keys() - {column.name for column in table.columns}:
        yield Finding("info", table.name, name, f"public.{table.name}.{name} is not in the source contract: not read.")


def _compare_column(table: SourceTable, column: Column, actual: ActualColumn | None) -> Iterator[Finding]:
    place = f"public.{table.name}.{column.name}"
    if actual is None:
        if column.optional:
            yield Finding("info", table.name, column.name, f"{place} does not exist: read as null.")
        else:
            yield Finding(
                "error",
                table.name,
                column.name,
                f"{place} does not exist: add the column ({column.type}) with the application's migrations.",
            )
    elif column.type == "text" and actual.labels:
        strange = [label for label in actual.labels if column.allowed and label not in column.allowed]
        if strange:
            yield Finding(
                "info",
                table.name,
                column.name,
                f"{place} has values that are not in the source contract: {', '.join(strange)}.",
            )
    elif actual.base_type not in SAFE_TYPES[column.type]:
        yield Finding(
            "error",
            table.name,
            column.name,
            f"{place} is {actual.type}, not {column.type}: change its type in the application's migrations.",
        )


def _access(connection: sqlalchemy.Connection, tables: list[str]) -> Iterator[Finding]:
    for row in connection.execute(ACCESS, {"tables": tables}):
        place = f"public.{row.table_name}"
        if not row.readable:
            yield Finding(
                "error",
                row.table_name,
                None,
                f"The role {row.role} may not read {place}: grant usage on schema public and select on {place} to it.",
            )
        elif row.hidden:
            yield Finding(
                "error",
                row.table_name,
                None,
                f"Row-level security would hide rows of {place} from the role {row.role}: "
                f'run `alter role "{row.role}" bypassrls` as an administrator, or connect as the owner of the tables.',
            )
