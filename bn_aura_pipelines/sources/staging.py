"""Copies the rows of a file, as texts, into the temporary table that `loading` works on, a bounded number at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import psycopg
from psycopg import sql

from bn_aura_pipelines.sources.catalog import ActualColumn
from bn_aura_pipelines.sources.reading import Reading
from bn_aura_pipelines.sources.validating import make_target

RAW = sql.Identifier("pg_temp", "import_raw")
REJECTED = sql.Identifier("pg_temp", "import_rejected")
PROGRESS_ROWS = 20_000


def create_staging(driver: psycopg.Connection[Any], columns: Sequence[str]) -> None:
    """The temporary tables of one file: its rows as texts, and the lines of those that cannot be loaded."""
    driver.execute(
        sql.SQL(
            "create temporary table import_raw (import_line bigint not null, import_reason text, import_text text,"
            " {}) on commit drop"
        ).format(sql.SQL(", ").join(sql.SQL("{} text").format(sql.Identifier(name)) for name in columns))
    )
    driver.execute(
        "create temporary table import_rejected (import_line bigint primary key, reason text not null) on commit drop"
    )


def copy_rows(
    driver: psycopg.Connection[Any],
    reading: Reading,
    actual: Mapping[str, ActualColumn],
    progress: Callable[[str], None],
) -> int:
    """Copy every row of the file; returns how many. Raises FileRejected, as early as the file allows."""
    names = sql.SQL(", ").join(sql.Identifier(column.name) for column in reading.columns)
    statement = sql.SQL("copy {} (import_line, import_reason, import_text, {}) from stdin").format(RAW, names)
    nothing = (None,) * len(reading.columns)
    count = 0
    with driver.cursor().copy(statement) as copy:
        for row in reading.rows():
            if count == 0 and reading.file.format != "jsonl":  # whose columns are known only at its end
                make_target(reading.file.table, actual, reading.names)
            copy.write_row((row.line, row.reason, row.text, *(nothing if row.reason else row.cells)))
            count += 1
            if count % PROGRESS_ROWS == 0:
                progress(f"{reading.file.name}: {count:,} rows read")
    if count >= PROGRESS_ROWS:
        progress(f"{reading.file.name}: {count:,} rows read, now checked and written")
    if not reading.names:  # JSON Lines without a single object
        reading.names.update(column.name for column in reading.columns)
    return count
