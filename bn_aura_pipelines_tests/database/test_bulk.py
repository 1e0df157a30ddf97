"""Frames go through COPY and come back as they were; only the difference is written."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd
import pytest
import sqlalchemy
from psycopg import errors, sql

from bn_aura_pipelines.database.bulk import copy_frame, read_frame, replace_table
from bn_aura_pipelines.database.connections import Database, psycopg_connection

TABLE = """
    create table aura_models.figures (
        month date, id int, amount float8, words text, added text default 'by default', primary key (month, id)
    )
"""
EVERYTHING = "select month::text, id, amount, words, added from aura_models.figures order by month, id"
KEY = ["month", "id"]


@pytest.fixture
def connection(database: Database) -> Iterator[sqlalchemy.Connection]:
    with database.begin() as connection:
        connection.exec_driver_sql(TABLE)
        yield connection


def figures(month: str, *amounts: float | None) -> pd.DataFrame:
    rows = [(month, number, amount, f"no. {number}") for number, amount in enumerate(amounts)]
    return pd.DataFrame(rows, columns=["month", "id", "amount", "words"]).astype({"amount": "float64"})


def replace(connection: sqlalchemy.Connection, frame: pd.DataFrame, *slices: str) -> int:
    return replace_table(connection, frame, "aura_models", "figures", KEY, list(slices) or None)


def versions(connection: sqlalchemy.Connection) -> dict[int, str]:
    rows = connection.exec_driver_sql("select id, ctid::text from aura_models.figures")
    return {row.id: row.ctid for row in rows}


def test_numbers_and_words_come_back_to_the_bit(connection: sqlalchemy.Connection) -> None:
    amounts = [0.1 + 0.2, 1e-300, -1 / 3, 5e15 + 0.5, 0.0]
    words = ['a "quoted" word', "two\nlines", "comma, tab\t", "ไทย", ""]
    frame = pd.DataFrame({"month": "2026-01-01", "id": range(5), "amount": amounts, "words": words})
    assert replace(connection, frame) == 5
    back = read_frame(connection, EVERYTHING)
    assert back["amount"].tolist() == amounts
    assert back["words"].tolist() == words


def test_what_is_missing_is_null_and_what_is_empty_is_not(connection: sqlalchemy.Connection) -> None:
    frame = pd.DataFrame(
        {"month": "2026-01-01", "id": [0, 1], "amount": [1.5, float("nan")], "words": ["", None]},
    )
    replace(connection, frame)
    nulls = connection.exec_driver_sql("select amount is null, words is null from aura_models.figures order by id")
    assert [tuple(row) for row in nulls] == [(False, False), (True, True)]
    back = read_frame(connection, EVERYTHING)
    assert back["words"].isna().tolist() == [False, True]
    assert back["amount"].isna().tolist() == [False, True]


def test_a_column_of_nulls_and_no_rows_at_all_can_be_read(connection: sqlalchemy.Connection) -> None:
    assert read_frame(connection, EVERYTHING).empty
    replace(connection, figures("2026-01-01", None, None))
    assert read_frame(connection, "select amount from aura_models.figures")["amount"].dtype == "float64"


def test_only_rows_that_differ_are_written(connection: sqlalchemy.Connection) -> None:
    assert replace(connection, figures("2026-01-01", 1, 2, None, 4)) == 4
    before = versions(connection)
    assert replace(connection, figures("2026-01-01", 1, 2, None, 4)) == 0
    assert versions(connection) == before
    assert replace(connection, figures("2026-01-01", 1, 7, None)) == 3  # one in another version, one gone
    after = versions(connection)
    assert {number for number in after if after[number] == before[number]} == {0, 2}


def test_other_slices_stay(connection: sqlalchemy.Connection) -> None:
    replace(connection, figures("2026-01-01", 1, 2))
    assert replace(connection, figures("2026-02-01", 3), "month") == 1
    assert replace(connection, figures("2026-01-01", 9), "month") == 3
    assert read_frame(connection, EVERYTHING)["amount"].tolist() == [9.0, 3.0]
    assert replace(connection, figures("2026-02-01", 3)) == 1
    assert read_frame(connection, EVERYTHING)["amount"].tolist() == [3.0]


def test_an_empty_frame_empties_the_table(connection: sqlalchemy.Connection) -> None:
    replace(connection, figures("2026-01-01", 1, 2))
    assert replace(connection, figures("2026-01-01")) == 2
    assert read_frame(connection, EVERYTHING).empty


def test_columns_go_by_name_and_the_rest_takes_its_default(connection: sqlalchemy.Connection) -> None:
    frame = figures("2026-01-01", 1).reindex(columns=["words", "amount", "id", "month"])
    copy_frame(connection, frame, sql.Identifier("aura_models", "figures"))
    row = connection.exec_driver_sql(EVERYTHING).one()
    assert tuple(row) == ("2026-01-01", 0, 1.0, "no. 0", "by default")


def test_a_key_that_is_there_twice_is_refused(connection: sqlalchemy.Connection) -> None:
    twice = pd.concat([figures("2026-01-01", 1), figures("2026-01-01", 2)])
    with pytest.raises(errors.UniqueViolation, match="duplicate key"), psycopg_connection(connection).transaction():
        replace(connection, twice)
    assert read_frame(connection, EVERYTHING).empty
