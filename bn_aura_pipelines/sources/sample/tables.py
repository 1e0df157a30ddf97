"""Columns into PostgreSQL by COPY, and what deterministic columns are made of: random streams and ids."""

from __future__ import annotations

import io
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import sqlalchemy
from numpy.typing import NDArray
from psycopg import sql

from bn_aura_pipelines.database.connections import psycopg_connection

BATCH_ROWS = 50_000


def stream(seed: int, name: str) -> np.random.Generator:
    """A random stream of its own for each subject, so that a change in one leaves the others as they were."""
    return np.random.default_rng([seed, zlib.crc32(name.encode())])


def draw_ids(seed: int, name: str, count: int) -> list[str]:
    """Random uuids (version 4) that the seed decides."""
    drawn = np.frombuffer(stream(seed, f"id {name}").bytes(16 * count), np.uint8).reshape(count, 16).copy()
    drawn[:, 6] = drawn[:, 6] & 0x0F | 0x40
    drawn[:, 8] = drawn[:, 8] & 0x3F | 0x80
    text = drawn.tobytes().hex()
    return [
        f"{text[at : at + 8]}-{text[at + 8 : at + 12]}-{text[at + 12 : at + 16]}-{text[at + 16 : at + 20]}-"
        f"{text[at + 20 : at + 32]}"
        for at in range(0, 32 * count, 32)
    ]


def take(values: Sequence[str | None], places: NDArray[Any]) -> Any:
    """A column of `values[place]`; null where the place is negative."""
    import pyarrow as pa

    return pa.array(values, pa.string()).take(pa.array(places, mask=places < 0))


def text_column(values: Sequence[str | None]) -> Any:
    """A column of text in which None is null, however many there are."""
    import pyarrow as pa

    return pa.array(values, pa.string())


def copy_columns(connection: sqlalchemy.Connection, schema: str, table: str, columns: Mapping[str, Any]) -> int:
    """Append columns of one length, by name, to a table; returns the rows."""
    import pyarrow as pa
    from pyarrow import csv

    rows = pa.table(dict(columns))
    statement = sql.SQL("copy {} ({}) from stdin (format csv)").format(
        sql.Identifier(schema, table), sql.SQL(", ").join(sql.Identifier(name) for name in columns)
    )
    with psycopg_connection(connection).cursor().copy(statement) as copy:
        for at in range(0, rows.num_rows, BATCH_ROWS):
            buffer = io.BytesIO()
            csv.write_csv(rows.slice(at, BATCH_ROWS), buffer, csv.WriteOptions(include_header=False))
            copy.write(buffer.getbuffer())
    return rows.num_rows
