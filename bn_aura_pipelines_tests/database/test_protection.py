"""A table of `aura_marts` is shown to its clinic and to nobody else."""

from __future__ import annotations

import uuid

import pytest
import sqlalchemy
from sqlalchemy import exc

from bn_aura_pipelines.database.connections import Database, psycopg_connection
from bn_aura_pipelines_tests.conftest import run_sql

CLINICS = [str(uuid.UUID(int=number)) for number in (1, 2)]
CATALOG = """
    select c.relrowsecurity, c.relacl\\:\\:text, (
        select array_agg(p.xmin\\:\\:text || p.polname order by p.polname) from pg_policy as p where p.polrelid = c.oid
    )
    from pg_class as c where c.oid = 'aura_marts.board'\\:\\:regclass
"""


@pytest.fixture
def board(database: Database) -> Database:
    """A mart with a row of each of two clinics."""
    with database.begin() as connection:
        connection.execute(sqlalchemy.text("create table aura_marts.board (clinic_id uuid, amount int)"))
        connection.execute(
            sqlalchemy.text("insert into aura_marts.board values (:clinic, 1)"),
            [{"clinic": clinic} for clinic in CLINICS],
        )
        connection.execute(sqlalchemy.text("select aura_ops.protect('aura_marts.board')"))
    return database


def clinics_seen(database: Database, setting: str | None) -> list[str]:
    with database.begin() as connection:
        connection.execute(sqlalchemy.text("set local role aura_api"))
        if setting is not None:
            connection.execute(sqlalchemy.text("select set_config('aura.clinic_id', :c, true)"), {"c": setting})
        rows = connection.execute(sqlalchemy.text("select clinic_id\\:\\:text from aura_marts.board order by 1"))
        return list(rows.scalars())


def test_the_api_sees_the_clinic_of_its_setting_and_without_one_nothing(board: Database) -> None:
    assert clinics_seen(board, CLINICS[1]) == [CLINICS[1]]
    assert clinics_seen(board, None) == []
    assert clinics_seen(board, "") == []
    with pytest.raises(exc.DataError):
        clinics_seen(board, "not a clinic")


def test_a_bi_user_sees_the_clinics_it_is_mapped_to(board: Database) -> None:
    name = f"bi_of_{board.url.database}"
    run_sql(board, f"create role {name} login in role aura_bi")
    user = Database(board.url.set(username=name))
    query = sqlalchemy.text("select clinic_id\\:\\:text from aura_marts.board")
    try:
        with user.begin() as connection:
            assert connection.execute(query).all() == []
            # What the API's policy listens to says nothing to a user of BI.
            connection.execute(sqlalchemy.text("select set_config('aura.clinic_id', :c, true)"), {"c": CLINICS[0]})
            assert connection.execute(query).all() == []
        run_sql(board, f"insert into aura_ops.bi_users values ('{name}', '{CLINICS[0]}')")
        with user.begin() as connection:
            assert connection.execute(query).scalars().all() == [CLINICS[0]]
    finally:
        user.engine.dispose()
        run_sql(board, f"drop role {name}")


def test_protecting_again_writes_nothing(board: Database) -> None:
    with board.begin() as connection:
        before = connection.execute(sqlalchemy.text(CATALOG)).all()
        connection.execute(sqlalchemy.text("select aura_ops.protect('aura_marts.board')"))
        assert connection.execute(sqlalchemy.text(CATALOG)).all() == before


@pytest.mark.parametrize(
    "damage",
    [
        "drop policy clinic_of_the_api on aura_marts.board",
        "alter table aura_marts.board disable row level security",
        "revoke select on aura_marts.board from aura_api",
        "revoke usage on schema aura_marts from aura_api",
    ],
)
def test_what_is_missing_is_put_back(board: Database, damage: str) -> None:
    run_sql(board, damage)
    run_sql(board, "select aura_ops.protect('aura_marts.board')")
    assert clinics_seen(board, CLINICS[0]) == [CLINICS[0]]


def test_a_policy_too_many_is_refused(board: Database) -> None:
    run_sql(board, "create policy for_all on aura_marts.board using (true)")
    with pytest.raises(exc.DBAPIError, match=r"row-level security of aura_marts\.board is not in place"):
        run_sql(board, "select aura_ops.protect('aura_marts.board')")


def test_roles_that_came_later_get_their_share(board: Database) -> None:
    with board.begin() as connection:
        # The roles belong to the whole server: they are away for this transaction only.
        driver = psycopg_connection(connection)
        driver.execute("drop policy clinic_of_the_bi_user on aura_marts.board")
        driver.execute("revoke all on aura_marts.board from aura_bi")
        driver.execute("alter role aura_bi rename to aura_bi_is_away")
        driver.execute("select aura_ops.protect('aura_marts.board')")
        driver.execute("alter role aura_bi_is_away rename to aura_bi")
        driver.execute("select aura_ops.protect('aura_marts.board')")
        policies = driver.execute(
            "select count(*) from pg_policy where polrelid = 'aura_marts.board'::regclass"
        ).fetchone()
        assert policies == (2,)
        connection.rollback()
