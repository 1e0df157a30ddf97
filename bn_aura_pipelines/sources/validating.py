"""What is wrong with a cell, as SQL over the texts of a file; and its value, as SQL once nothing is.

What needs other rows (references, duplicates, codes already taken) is asked in `loading`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from psycopg import sql

from bn_aura_pipelines.sources.catalog import ActualColumn
from bn_aura_pipelines.sources.contract import Column, ColumnType, SourceTable
from bn_aura_pipelines.sources.reading import FileRejected

KIND: Mapping[ColumnType, str] = {
    "uuid": "a uuid",
    "text": "a text of its type",
    "int": "a whole number",
    "numeric": "a number",
    "bool": "true or false",
    "timestamptz": "a date with a time",
    "date": "a date",
    "time": "a time of day",
    "jsonb": "JSON",
    "text[]": "a list of texts",
}
# PostgreSQL also reads words and other calendars' orders as a date ('tomorrow', '01/02/2011'), and 'NaN' as a number:
# an export that holds them is mistaken.
PATTERN: Mapping[ColumnType, str] = {
    "int": r"^\s*[+-]?\d+(\.0*)?\s*$",
    "numeric": r"^\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?\s*$",
    "timestamptz": r"^\d{4}-\d{2}-\d{2}([T ]|$)",
    "date": r"^\d{4}-\d{2}-\d{2}([T ]|$)",
    "time": r"^\d{1,2}:\d{2}",
}
SHAPE = {"array": "a list", "object": "an object"}
LONGEST_SHOWN = 60


@dataclass(frozen=True)
class TargetColumn:
    """A column of the file that goes into the table."""

    contract: Column
    actual: ActualColumn

    @property
    def name(self) -> str:
        return self.contract.name

    @property
    def fills_itself(self) -> bool:
        """Whether null in the file means "not said" instead of null."""
        return self.actual.not_null or not self.contract.nullable


@dataclass(frozen=True)
class Target:
    """Where the rows of one file go: the columns that file and table share, and what tells two rows apart."""

    table: SourceTable
    columns: tuple[TargetColumn, ...]
    key: tuple[str, ...]
    actual: Mapping[str, ActualColumn]

    @property
    def names(self) -> frozenset[str]:
        return frozenset(column.name for column in self.columns)

    @property
    def identifier(self) -> sql.Identifier:
        return sql.Identifier("public", self.table.name)

    def unique_in_file(self) -> list[tuple[str, ...]]:
        """The groups of columns in which no two rows of the file may agree; the key first."""
        return [self.key, *(group for group in self.table.unique if group != self.key and self.names.issuperset(group))]


def loadable_columns(table: SourceTable, actual: Mapping[str, ActualColumn]) -> tuple[TargetColumn, ...]:
    """The columns that an export may fill in this database."""
    return tuple(
        TargetColumn(column, actual[column.name])
        for column in table.exposed_columns
        if column.name in actual and not column.generated and not actual[column.name].generated
    )


def make_target(table: SourceTable, actual: Mapping[str, ActualColumn], names: set[str]) -> Target:
    """The target of a file with these columns. Raises FileRejected when it lacks one that it needs."""
    columns = tuple(column for column in loadable_columns(table, actual) if column.name in names)
    present = {column.name for column in columns}
    missing = [column.name for column in table.columns if column.needed_in_a_file and column.name not in present]
    missing += [
        column.name
        for column in loadable_columns(table, actual)
        if _must_be_said(column) and column.name not in present and column.name not in missing
    ]
    known = {column.name for column in table.columns}
    missing += [
        name for name, column in actual.items() if name not in known and column.not_null and not _has_own_value(column)
    ]
    key = next((key for key in table.keys if present.issuperset(key)), None)
    if key is None:
        missing = missing or [name for name in table.keys[-1] if name not in present]
    if missing or key is None:
        noun = "column" if len(missing) == 1 else "columns"
        raise FileRejected(f"has no {noun} {', '.join(missing)}, which {table.name} needs; it was not loaded")
    return Target(table, columns, key, actual)


def cell(column: TargetColumn) -> sql.Composed:
    """The text of a cell of the row `r`; null where it says nothing."""
    name = sql.SQL("r.{}").format(sql.Identifier(column.name))
    if column.contract.type == "text":
        return sql.Composed([name])
    empty = sql.SQL("nullif({}, '')").format(name)
    return sql.SQL("nullif({}, 'null')").format(empty) if column.contract.type == "jsonb" else empty


def value(column: TargetColumn) -> sql.Composed:
    """The typed value of a cell in which nothing is wrong."""
    match column.contract.type:
        case "int":
            read = sql.SQL("trunc({}::numeric)").format(cell(column))
        case "date":  # an export may write a day as a moment: its day in the session's zone, Bangkok
            read = sql.SQL("{}::timestamptz").format(cell(column))
        case _:
            read = cell(column)
    return sql.SQL("({})::{}").format(read, _raw(column.actual.type))


def problem(column: TargetColumn, key: tuple[str, ...]) -> sql.Composed:
    """What is wrong with the cell, in words, else null."""
    cases = [_case(sql.SQL("{} is null").format(cell(column)), _says(_nothing_said(column, key)))]
    malformed = _malformed(column)
    if malformed is not None:
        cases.append(_case(malformed, _not_a(column)))
    if column.contract.type in ("int", "numeric"):
        cases.append(_case(_invalid(column), _complains(column, " is out of range: ")))
    allowed = column.actual.labels or column.contract.allowed
    if allowed:
        listed = sql.SQL(", ").join(sql.Literal(text) for text in allowed)
        unknown = sql.SQL("{} not in ({})").format(cell(column), listed)
        cases.append(_case(unknown, _complains(column, " is none of the known values: ")))
    if column.actual.max_length is not None:
        longer = sql.SQL("char_length({}) > {}").format(cell(column), sql.Literal(column.actual.max_length))
        cases.append(_case(longer, _says(f"{column.name} is longer than {column.actual.max_length} characters")))
    for bound, sign in ((column.contract.minimum, "<"), (column.contract.maximum, ">")):
        if bound is not None:
            outside = sql.SQL("{}::numeric {} {}").format(cell(column), _raw(sign), sql.Literal(bound))
            cases.append(_case(outside, _complains(column, " is out of range: ")))
    if column.contract.shape is not None:
        kind = sql.SQL("jsonb_typeof(({})::jsonb)").format(cell(column))
        wrong = sql.SQL("{} <> {}").format(kind, sql.Literal(column.contract.shape))
        says = sql.SQL("{} || {}").format(
            sql.Literal(f"{column.name} is not {SHAPE[column.contract.shape]}, but of JSON's type "), kind
        )
        cases.append(_case(wrong, says))
    return sql.SQL("case {} end").format(sql.SQL(" ").join(cases))


def _must_be_said(column: TargetColumn) -> bool:
    """Whether the database has no value of its own for a cell that is empty."""
    return column.actual.not_null and not _has_own_value(column.actual) and column.name != "updated_at"


def _has_own_value(actual: ActualColumn) -> bool:
    return actual.generated or actual.default_expression is not None


def _nothing_said(column: TargetColumn, key: tuple[str, ...]) -> str | None:
    needed = (column.contract.needed_in_a_file or _must_be_said(column) or column.name in key) and not (
        column.contract.nullable and not column.actual.not_null
    )
    return f"{column.name} is empty" if needed else None


def _malformed(column: TargetColumn) -> sql.Composed | None:
    type_ = column.contract.type
    if type_ == "text":
        plain = column.actual.labels or column.actual.base_type in ("text", "varchar", "bpchar", "citext", "name")
        own_type = column.actual.type.split("(")[0] not in ("text", "character varying", "character", "citext", "name")
        # A domain over text may have rules of its own.
        return _invalid(column) if plain and own_type and not column.actual.labels else None
    pattern = PATTERN.get(type_)
    if pattern is None:
        return _invalid(column)
    unlike = sql.SQL("{} !~ {}").format(cell(column), sql.Literal(pattern))
    if type_ in ("int", "numeric"):
        return unlike
    return sql.SQL("case when {} then true else {} end").format(unlike, _invalid(column))


def _invalid(column: TargetColumn) -> sql.Composed:
    read: sql.Composable = cell(column)
    type_ = column.actual.type
    if column.contract.type == "int":
        read = sql.SQL("split_part(btrim({}), '.', 1)").format(read)
    if column.contract.type == "date":
        type_ = "timestamptz"
    return sql.SQL("not aura_ops.is_valid_input({}, {})").format(read, sql.Literal(type_))


def _not_a(column: TargetColumn) -> sql.Composed:
    says = _complains(column, f" is not {KIND[column.contract.type]}: ")
    if column.contract.type != "jsonb":
        return says
    # The escape is valid JSON, and the one thing in it that jsonb cannot hold.
    nul = sql.SQL("position({} in {}) > 0").format(sql.Literal("\\u0000"), cell(column))
    return sql.SQL("case when {} then {} else {} end").format(
        nul, _says(f"{column.name} holds a NUL character, which PostgreSQL cannot keep"), says
    )


def _complains(column: TargetColumn, about: str) -> sql.Composed:
    return sql.SQL("{} || {}").format(sql.Literal(column.name + about), shown(cell(column)))


def shown(text: sql.Composable) -> sql.Composed:
    """A text in quotes, cut where it is long."""
    return sql.SQL(
        "'\"' || left({text}, {n}) || case when char_length({text}) > {n} then '…' else '' end || '\"'"
    ).format(text=text, n=sql.Literal(LONGEST_SHOWN))


def _case(condition: sql.Composable, result: sql.Composable) -> sql.Composed:
    return sql.SQL("when {} then {}").format(condition, result)


def _says(text: str | None) -> sql.Composed:
    return sql.SQL("{}").format(sql.Literal(text))


def _raw(text: str) -> sql.SQL:
    """SQL that the catalog or this module wrote, not a file of an export."""
    literal: Any = text
    return sql.SQL(literal)
