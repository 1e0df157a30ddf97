"""What is expected of each relation. Suites are data: they are run in `running` and become checks in `checks`.

An expectation blocks where what stands above would be wrong without anybody noticing: a tenant's rows with another, a
key twice, money that does not add up. Elsewhere it warns.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Expectation:
    """One expectation of Great Expectations: its type in snake case and its arguments."""

    name: str
    about: str
    type: str
    blocking: bool
    arguments: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Suite:
    """Everything expected of one relation. `key`: columns that name a row and say nothing about a person."""

    asset: str
    relation: str
    key: tuple[str, ...]
    expectations: tuple[Expectation, ...]


def filled(column: str, *, blocking: bool) -> Expectation:
    return Expectation(
        f"{column}_is_filled",
        f"{column} is never null.",
        "expect_column_values_to_not_be_null",
        blocking,
        {"column": column},
    )


def unique(*columns: str) -> Expectation:
    """No two rows agree in these columns. Blocking: joins would multiply rows."""
    about = f"No two rows agree in {', '.join(columns)}."
    name = f"{'_'.join(columns)}_is_unique"
    if len(columns) == 1:
        return Expectation(name, about, "expect_column_values_to_be_unique", True, {"column": columns[0]})
    arguments = {"column_list": list(columns)}
    return Expectation(name, about, "expect_compound_columns_to_be_unique", True, arguments)


def one_of(column: str, values: tuple[str, ...]) -> Expectation:
    return Expectation(
        f"{column}_is_known",
        f"{column} is one of {', '.join(values)}.",
        "expect_column_values_to_be_in_set",
        False,
        {"column": column, "value_set": list(values)},
    )


def between(column: str, low: float | None, high: float | None, *, blocking: bool) -> Expectation:
    ends = " and ".join(
        text for text in (f"at least {low}" * (low is not None), f"at most {high}" * (high is not None)) if text
    )
    return Expectation(
        f"{column}_is_in_range",
        f"{column} is {ends}.",
        "expect_column_values_to_be_between",
        blocking,
        {"column": column, "min_value": low, "max_value": high},
    )


def null_share(column: str, most: float) -> Expectation:
    return Expectation(
        f"{column}_is_mostly_filled",
        f"{column} is null in at most {most:.0%} of the rows.",
        "expect_column_values_to_not_be_null",
        False,
        {"column": column, "mostly": 1 - most},
    )


def nothing_from(name: str, about: str, query: str, *, blocking: bool) -> Expectation:
    """The query finds no row. {batch} stands for the relation; it selects keys, never anything about a person."""
    return Expectation(
        name, about, "unexpected_rows_expectation", blocking, {"unexpected_rows_query": " ".join(query.split())}
    )
