"""One cell of an export as the text that PostgreSQL reads. Whether that text is right is decided in `validating`."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence

from bn_aura_pipelines.sources.contract import Column

NUL_REASON = "holds a NUL character, which PostgreSQL cannot keep"
UNICODE_REASON = "holds text that is not UTF-8"


class BadCell(Exception):
    """A value that has no text of the column's type; the message says why."""


def cell_text(value: object, column: Column) -> str | None:
    """The text of a parsed value (JSON's types, bytes, uuid). Raises BadCell."""
    if value is None:
        return None
    if isinstance(value, str):
        return _text_of_string(value, column)
    if isinstance(value, bytes):
        return _text_of_bytes(value, column)
    if isinstance(value, list | tuple) and column.type == "text[]":
        return array_literal(list(value))
    if column.type == "jsonb":
        return json.dumps(value, ensure_ascii=False, default=str)
    if isinstance(value, dict):
        raise BadCell(f"{column.name} is an object where a single value belongs")
    if isinstance(value, list | tuple):
        raise BadCell(f"{column.name} is a list where a single value belongs")
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def array_text(cell: str) -> str:
    """A text[] written as a JSON list, as PostgreSQL writes it; any other text as it is."""
    if not cell.lstrip().startswith("["):
        return cell
    try:
        return array_literal(json.loads(cell))
    except (ValueError, RecursionError):
        return cell


def array_literal(values: list[object]) -> str:
    """A PostgreSQL array literal; every element is quoted, so an element may hold anything."""
    return "{" + ",".join("NULL" if value is None else _quoted(value) for value in values) + "}"


def row_problem(cells: Sequence[str | None]) -> str | None:
    """Why PostgreSQL could not even receive these cells."""
    joined = "\x1f".join(cell for cell in cells if cell is not None)
    if "\0" in joined:
        return NUL_REASON
    if joined.isascii():
        return None
    try:
        joined.encode()
    except UnicodeEncodeError:
        return UNICODE_REASON
    return None


def storable(text: str) -> str:
    """The text with what PostgreSQL cannot hold written as an escape: a byte that is no UTF-8 as `\\xff`."""
    try:
        data = text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        data = text.encode("utf-8", "backslashreplace")
    return data.decode("utf-8", "backslashreplace").replace("\0", "\\u0000")


def _quoted(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _text_of_string(value: str, column: Column) -> str:
    if column.type == "text[]":
        return array_text(value)
    if column.type != "jsonb":
        return value
    # Some exports write JSON inside a string; any other string is a JSON string.
    if value.lstrip()[:1] in ("[", "{"):
        try:
            json.loads(value)
        except (ValueError, RecursionError):
            return json.dumps(value, ensure_ascii=False)
        return value
    return json.dumps(value, ensure_ascii=False)


def _text_of_bytes(value: bytes, column: Column) -> str:
    if column.type == "uuid" and len(value) == 16:
        return str(uuid.UUID(bytes=value))
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise BadCell(f"{column.name} holds bytes that are not UTF-8") from error
