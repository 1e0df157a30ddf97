"""Data versions of the application's tables: whether anything that the pipelines read has changed.

What the pipelines write themselves does not count (the embedding and score columns, and `updated_at`, which triggers of
the application move when we write): else a run would ask for the next one for ever. A table is only read when
PostgreSQL's counters say that it was written to, and the longer reading took, the longer it is left alone.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy
from psycopg import sql

from bn_aura_pipelines.database.connections import psycopg_connection
from bn_aura_pipelines.sources.catalog import read_columns
from bn_aura_pipelines.sources.contract import TABLES, SourceTable

WRITTEN_BY_US = {"sales_leads": {"score", "category", "confidence"}}
MOVED_BY_WRITING = {"updated_at"}
REST = 20
"""So many times as long as reading a table took, it is left alone: watching costs at most a twentieth of a core."""
ABSENT = "absent"
COUNTERS = sqlalchemy.text("""
    select relname, n_tup_ins + n_tup_upd + n_tup_del as writes
    from pg_stat_all_tables where schemaname = 'public'
""")


@dataclass(frozen=True)
class Seen:
    """What was last seen of a table. `writes` is PostgreSQL's counter then, `rest_until` a Unix time."""

    version: str
    writes: int
    rest_until: float = 0.0


def data_versions(connection: sqlalchemy.Connection, known: Mapping[str, Seen], clock: float) -> dict[str, Seen]:
    """The version of every table of the contract, by name; `absent` for one that this installation lacks.

    `known` is what the previous call returned (empty at first) and `clock` the Unix time: a table whose counter stands
    still, or that is at rest, keeps its version unread.
    """
    actual = read_columns(connection)
    writes = {row.relname: int(row.writes) for row in connection.execute(COUNTERS)}
    found = {}
    for table in TABLES:
        before = known.get(table.name)
        if table.name not in actual:
            found[table.name] = Seen(ABSENT, -1)
        elif before and (before.writes == writes.get(table.name, 0) or clock < before.rest_until):
            found[table.name] = before
        else:
            begun = time.monotonic()
            version = _version(connection, table, set(actual[table.name]))
            took = time.monotonic() - begun
            found[table.name] = Seen(version, writes.get(table.name, 0), clock + REST * took)
    return found


def _version(connection: sqlalchemy.Connection, table: SourceTable, present: set[str]) -> str:
    """Rows, and the sum of their hashes: the order of rows does not matter, a value anywhere does."""
    ours = WRITTEN_BY_US.get(table.name, set()) | MOVED_BY_WRITING
    names = [column.name for column in table.exposed_columns if column.name in present and column.name not in ours]
    row = (
        psycopg_connection(connection)
        .execute(
            sql.SQL(
                "select count(*), coalesce(sum(hashtextextended(row({})::text, 0)::numeric), 0) from {} as t"
            ).format(
                sql.SQL(", ").join(sql.SQL("t.{}").format(sql.Identifier(name)) for name in names),
                sql.Identifier("public", table.name),
            )
        )
        .fetchone()
    )
    rows, total = row or (0, 0)
    return f"{rows}-{int(total) % 2**64:016x}"
