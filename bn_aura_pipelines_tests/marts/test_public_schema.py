"""What others build on stays: no column of `aura_marts` is renamed, dropped or of another type; new ones may come."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
import sqlalchemy

from bn_aura_pipelines.database.connections import Database
from bn_aura_pipelines_tests.conftest import clone, drop
from bn_aura_pipelines_tests.table_docs import build_everything

PROMISED = Path(__file__).with_name("public_schema.txt")
TYPES = sqlalchemy.text(r"""
    select c.relname || '.' || a.attname as name, format_type(a.atttypid, a.atttypmod) as type
    from pg_class as c
    join pg_attribute as a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    where c.relnamespace = 'aura_marts'\:\:regnamespace and c.relkind in ('r', 'p', 'v', 'm') and not c.relispartition
    order by c.relname, a.attnum
""")


def columns(connection: sqlalchemy.Connection) -> list[str]:
    return [f"{name} {type_}" for name, type_ in connection.execute(TYPES)]


def differences(promised: Iterable[str], actual: Iterable[str]) -> list[str]:
    """What a reader of the marts would stumble over; empty when all that was promised is there."""
    was, now = (dict(line.split(" ", 1) for line in lines) for lines in (promised, actual))
    return [
        f"{name} is {now.get(name, 'gone')}, promised as {type_}: BI tools and the application read "
        "it under this name and type. Add a column beside it and fill both."
        for name, type_ in was.items()
        if now.get(name) != type_
    ]


@pytest.fixture(scope="module")
def actual(server: Database, template: str) -> Iterator[list[str]]:
    database = clone(server, template)
    try:
        build_everything(database)
        with database.begin() as connection:
            found = columns(connection)
        yield found
    finally:
        drop(server, database)


def test_the_marts_are_what_was_promised(actual: list[str]) -> None:
    """New columns may come: `make docs` promises them too, and takes no promise back."""
    if os.environ.get("UPDATE_DOCS"):
        lines = PROMISED.read_text("utf-8").splitlines()
        known = {line.split(" ", 1)[0] for line in lines}
        new = [line for line in actual if line.split(" ", 1)[0] not in known]
        PROMISED.write_text("\n".join(sorted(lines + new)) + "\n", "utf-8")
    found = differences(PROMISED.read_text("utf-8").splitlines(), actual)
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ("a.key uuid|a.sum numeric(14,2)", "a.total is gone"),
        ("a.key uuid", "a.total is gone"),
        ("a.key uuid|a.total double precision", "a.total is double precision, promised as numeric(14,2)"),
    ],
    ids=["a rename", "a dropped column", "another type"],
)
def test_a_change_is_told(changed: str, said: str) -> None:
    assert differences(["a.key uuid", "a.total numeric(14,2)"], changed.split("|"))[0].startswith(said)


def test_a_new_column_is_welcome() -> None:
    assert not differences(["a.key uuid"], ["a.key uuid", "a.more text"])


def test_a_mart_has_neither_json_nor_arrays(actual: list[str]) -> None:
    nested = [column for column in actual if column.endswith("[]") or " json" in column]
    assert not nested, "make flat columns or a long table of these: BI tools cannot group or filter by them"
