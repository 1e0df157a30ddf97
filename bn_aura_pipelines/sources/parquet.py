"""Reads the rows of a Parquet file in batches, each column turned into text by Arrow; for `reading` only."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from bn_aura_pipelines.sources.cells import BadCell, array_text, cell_text, row_problem, storable
from bn_aura_pipelines.sources.contract import Column

if TYPE_CHECKING:
    from bn_aura_pipelines.sources.reading import Reading, Row

BATCH_ROWS = 10_000


def read_parquet(reading: Reading) -> Iterator[Row]:
    """Every row; its line is its number from 1."""
    import pyarrow.parquet as pq

    from bn_aura_pipelines.sources.reading import Row

    with pq.ParquetFile(reading.file.path) as source:
        reading.names.update(source.schema_arrow.names)
        wanted = [column for column in reading.columns if column.name in reading.names]
        absent: list[str | None] = [None] * BATCH_ROWS
        line = 0
        for batch in source.iter_batches(BATCH_ROWS, columns=[column.name for column in wanted]):
            problems: dict[int, str] = {}
            found = {column.name: _texts(batch.column(column.name), column, problems) for column in wanted}
            texts = [found.get(column.name, absent) for column in reading.columns]
            for number, cells in enumerate(zip(*texts, strict=False)):
                if number == batch.num_rows:
                    break
                line += 1
                reason = problems.get(number) or row_problem(cells)
                if reason is None:
                    yield Row(line, cells)
                else:
                    named = dict(zip([column.name for column in reading.columns], cells, strict=True))
                    kept = {name: named[name] for name in found}
                    yield Row(line, (), reason, storable(json.dumps(kept, ensure_ascii=False)))


def _texts(values: Any, column: Column, problems: dict[int, str]) -> list[str | None]:
    """The column as texts; what has none is noted in `problems` by its place in the batch."""
    import pyarrow as pa

    kind = pa.types
    if kind.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    if kind.is_timestamp(values.type):
        return _timestamp_texts(values)
    if kind.is_string(values.type) or kind.is_large_string(values.type):
        texts = values.to_pylist()
        return [text and array_text(text) for text in texts] if column.type == "text[]" else texts
    if kind.is_primitive(values.type) and column.type != "jsonb":
        return values.cast(pa.string()).to_pylist()
    texts: list[str | None] = []
    for number, value in enumerate(values.to_pylist()):
        try:
            texts.append(cell_text(value, column))
        except BadCell as error:
            problems.setdefault(number, str(error))
            texts.append(None)
    return texts


def _timestamp_texts(values: Any) -> list[str | None]:
    import pyarrow as pa

    if values.type.tz is None:  # as in a text without a zone: the session's zone, Bangkok
        return values.cast(pa.string()).to_pylist()
    # Through UTC, because Arrow needs the machine's time zone files to write any other zone.
    plain = values.cast(pa.timestamp(values.type.unit, "UTC")).cast(pa.timestamp(values.type.unit))
    return [text and f"{text}+00" for text in plain.cast(pa.string()).to_pylist()]
