"""Reads the rows of one file of an export: CSV, JSON Lines (both also .gz) and, through `parquet`, Parquet.

A row that cannot be read comes with its reason; a file that cannot be read raises. What is in the cells is judged in
`validating`, where PostgreSQL's own rules can be asked.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Literal, NamedTuple, cast

from bn_aura_pipelines.sources.cells import UNICODE_REASON, BadCell, array_text, cell_text, row_problem, storable
from bn_aura_pipelines.sources.contract import Column, SourceTable, find_table

FileFormat = Literal["csv", "jsonl", "parquet"]
FORMATS: dict[str, FileFormat] = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet"}
LONGEST_CELL = 2**30


class FileRejected(Exception):
    """A file that cannot be loaded at all; the message says why and follows the file's name."""


@dataclass(frozen=True)
class ExportFile:
    """A file of an export and the table it is for."""

    path: Path
    format: FileFormat
    table: SourceTable

    @property
    def name(self) -> str:
        return self.path.name


class Row(NamedTuple):
    """A row in the columns asked for, or the reason why there is none. `text` is the row as it stands in the file."""

    line: int
    cells: Sequence[str | None]
    reason: str | None = None
    text: str | None = None


@dataclass
class Reading:
    """The rows of a file, one at a time; `names` fills with the columns that the file turns out to have."""

    file: ExportFile
    columns: tuple[Column, ...]
    names: set[str] = field(default_factory=set)

    def rows(self) -> Iterator[Row]:
        """Every row. `line` is the line a row begins on, in Parquet its number; both from 1. Raises FileRejected."""
        try:
            if self.file.format == "parquet":
                from bn_aura_pipelines.sources.parquet import read_parquet

                yield from read_parquet(self)
            else:
                with _open(self.file.path) as stream:
                    yield from _read_csv(self, stream) if self.file.format == "csv" else _read_jsonl(self, stream)
        except (OSError, EOFError, ValueError, zlib.error) as error:
            cause = str(error).strip().splitlines() or [type(error).__name__]
            raise FileRejected(f"cannot be read: {cause[0]}") from error


def recognise(path: Path) -> ExportFile | str:
    """What table a file is for, by its name; else why it is none of the export's."""
    name = path.name.lower()
    packed = name.endswith(".gz")
    stem, _, suffix = name.removesuffix(".gz").rpartition(".")
    file_format = FORMATS.get(f".{suffix}")
    if file_format is None or (packed and file_format == "parquet"):
        return "not CSV, JSON Lines or Parquet"
    table = find_table(stem)
    return ExportFile(path, file_format, table) if table else f"{stem} is not a table of the source contract"


def _open(path: Path) -> BinaryIO:
    return cast("BinaryIO", gzip.open(path, "rb")) if path.suffix.lower() == ".gz" else path.open("rb")


def _read_csv(reading: Reading, stream: BinaryIO) -> Iterator[Row]:
    csv.field_size_limit(LONGEST_CELL)
    raw: list[str] = []

    def lines() -> Iterator[str]:
        for line in io.TextIOWrapper(stream, "utf-8-sig", "surrogateescape", newline=""):
            raw.append(line)
            yield line

    reader = csv.reader(lines(), strict=True)
    header = _header(reader)
    reading.names.update(header)
    places = [header.index(column.name) if column.name in reading.names else None for column in reading.columns]
    arrays = [number for number, column in enumerate(reading.columns) if column.type == "text[]"]
    while True:
        raw.clear()
        line = reader.line_num + 1
        try:
            found = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            if "unexpected end of data" in str(error):
                raise FileRejected(f"cannot be read: the quote opened in line {line} is never closed") from error
            yield Row(line, (), f"is no CSV: {error}", storable("".join(raw).rstrip("\r\n")))
            continue
        if not found:
            continue
        text = "".join(raw).rstrip("\r\n")
        if len(found) != len(header):
            yield Row(line, (), f"has {len(found)} cells where the header has {len(header)}", storable(text))
            continue
        cells = [None if place is None else found[place] or None for place in places]
        for number in arrays:
            cell = cells[number]
            cells[number] = cell and array_text(cell)
        yield _checked(line, cells, text)


def _header(reader: Iterator[list[str]]) -> list[str]:
    try:
        header = [name.strip() for name in next(reader, [])]
    except csv.Error as error:
        raise FileRejected(f"cannot be read: its header line is no CSV ({error})") from error
    if not header:
        raise FileRejected("is empty: its first line has to name the columns")
    if row_problem(header):
        raise FileRejected("cannot be read: it is not UTF-8 text; save it as UTF-8")
    twice = [name for number, name in enumerate(header) if name in header[:number]]
    if twice:
        raise FileRejected(f"names the column {twice[0]} twice in its header")
    return header


def _read_jsonl(reading: Reading, stream: BinaryIO) -> Iterator[Row]:
    for line, data in enumerate(stream, start=1):
        content = data.strip()
        if line == 1:
            content = content.removeprefix(b"\xef\xbb\xbf")
        if not content:
            continue
        text = content.decode("utf-8", "surrogateescape")
        try:
            found = json.loads(content.decode(), parse_constant=_refuse_constant)
        except UnicodeDecodeError:
            yield Row(line, (), UNICODE_REASON, storable(text))
            continue
        except RecursionError:
            yield Row(line, (), "is nested too deeply", storable(text))
            continue
        except ValueError as error:
            yield Row(line, (), f"is no JSON: {error}", storable(text))
            continue
        if not isinstance(found, dict):
            yield Row(line, (), "is no JSON object", storable(text))
            continue
        reading.names.update(found)
        try:
            cells = [cell_text(found.get(column.name), column) for column in reading.columns]
        except BadCell as error:
            yield Row(line, (), str(error), storable(text))
            continue
        yield _checked(line, cells, text)


def _checked(line: int, cells: Sequence[str | None], text: str) -> Row:
    reason = row_problem(cells)
    if reason is None and row_problem((text,)) is None:
        return Row(line, cells, None, text)
    return Row(line, () if reason else cells, reason, storable(text))


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON value")
