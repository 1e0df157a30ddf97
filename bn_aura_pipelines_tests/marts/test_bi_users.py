"""A user of a BI tool sees the marts of its clinic, also while they are built, and can do nothing about it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
from sqlalchemy import exc, text

from bn_aura_pipelines.database.connections import Database
from bn_aura_pipelines.database.view_files import load_views
from bn_aura_pipelines.database.views import build
from bn_aura_pipelines.marts.bi_users import BiUserRefused, create_bi_user, remove_bi_user
from bn_aura_pipelines.sources.relations import build_source_relations
from bn_aura_pipelines.sources.sample.generate import generate
from bn_aura_pipelines_tests.conftest import clone, drop, run_sql

NOW = datetime.fromisoformat("2026-06-01T00:00:00+07:00")
SIAM = "AURA-SIAM"
MARTS = "select relname from pg_class where relnamespace = 'aura_marts'\\:\\:regnamespace and relkind in ('r', 'v')"
WITH_CLINIC = MARTS + (
    " and exists (select from pg_attribute where attrelid = pg_class.oid and attname = 'clinic_id') order by 1"
)
ATTEMPTS = [
    "set session authorization postgres",
    "set role postgres",
    "set role aura_pipeline",
    "select aura_ops.protect('aura_marts.customer_360')",
    "update aura_marts.customer_360 set full_name = ''",
    "insert into aura_ops.bi_users select current_user, clinic_id from aura_marts.customer_360",
    "select * from aura_ops.bi_users",
    "select * from public.customers",
    "alter table aura_marts.customer_360 disable row level security",
    "drop policy clinic_of_the_bi_user on aura_marts.customer_360",
    "grant postgres to current_user",
    "alter role current_user bypassrls",
    "create table public.mine (a int)",
]


@pytest.fixture(scope="module")
def clinics(server: Database, template: str) -> Iterator[tuple[Database, Database]]:
    """The marts of a sample chain, and the same database as one clinic's user of BI sees it."""
    database = clone(server, template)
    generate(database, 300, NOW, seed=5)
    name = f"bi_of_{database.url.database}"
    with database.begin(NOW) as connection:
        build_source_relations(connection)
        build(connection, load_views())
        password = create_bi_user(connection, name, SIAM)
    user = Database(database.url.set(username=name, password=password))
    yield database, user
    user.engine.dispose()
    with database.begin() as connection:
        remove_bi_user(connection, name)
    drop(server, database)


def foreign_rows(user: Database, clinic: object) -> tuple[int, int]:
    """Rows of other clinics and of its own, over all marts."""
    foreign = own = 0
    with user.begin() as connection:
        for name in connection.execute(text(WITH_CLINIC)).scalars().all():
            row = connection.execute(
                text(
                    "select count(*) filter (where clinic_id <> :clinic), count(*) filter (where clinic_id = :clinic)"
                    f" from aura_marts.{name}"
                ),
                {"clinic": clinic},
            ).one()
            foreign, own = foreign + row[0], own + row[1]
    return foreign, own


def clinic_id(database: Database) -> object:
    with database.begin() as connection:
        return connection.execute(
            text("select id from public.clinics where clinic_code = :code"), {"code": SIAM}
        ).scalar_one()


def test_it_sees_its_clinic_in_every_mart_and_no_other(clinics: tuple[Database, Database]) -> None:
    database, user = clinics
    foreign, own = foreign_rows(user, clinic_id(database))
    assert foreign == 0 and own > 100
    with database.begin() as connection:
        everything = connection.execute(text("select count(distinct clinic_id) from aura_marts.customer_360")).scalar()
    assert everything and everything > 1


@pytest.mark.parametrize("attempt", ATTEMPTS)
def test_it_cannot_change_what_it_sees(clinics: tuple[Database, Database], attempt: str) -> None:
    database, user = clinics
    with user.engine.connect() as connection, pytest.raises(exc.ProgrammingError) as refused:
        connection.execute(text("set transaction read write"))
        connection.execute(text(attempt))
    assert getattr(refused.value.orig, "sqlstate", "") in ("42501", "42939"), refused.value
    assert foreign_rows(user, clinic_id(database))[0] == 0


@pytest.mark.parametrize("setting", ["aura.clinic_id", "session.user", "bn_aura.as_of"])
def test_no_setting_shows_another_clinic(clinics: tuple[Database, Database], setting: str) -> None:
    database, user = clinics
    with database.begin() as connection:
        other = connection.execute(text("select id from public.clinics where clinic_code <> :c"), {"c": SIAM}).scalar()
    with user.begin() as connection:
        connection.execute(text("select set_config(:name, :value, false)"), {"name": setting, "value": str(other)})
        connection.execute(text("set role aura_bi"))
        seen = connection.execute(
            text("select count(*) from aura_marts.customer_360 where clinic_id = :c"), {"c": other}
        )
        assert seen.scalar() == 0


def test_it_sees_its_clinic_and_no_other_while_builds_run(clinics: tuple[Database, Database]) -> None:
    database, user = clinics
    clinic, done, problems, looks = clinic_id(database), threading.Event(), [], []

    def look() -> None:
        try:
            while not done.is_set():
                looks.append(foreign_rows(user, clinic))
        except BaseException as error:  # a thread's failure would pass unseen
            problems.append(error)

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        with database.begin(NOW) as connection:
            connection.execute(text("delete from aura_ops.relations where relation like 'aura_marts.%'"))
        for days in (40, 0):  # the first builds every mart anew, as after a change of its file
            for view in load_views():  # in a transaction of its own each, as the assets do
                with database.begin(NOW - timedelta(days=days)) as connection:
                    build(connection, [view])
    finally:
        done.set()
        watcher.join(60)
    assert problems == []
    assert len(looks) > 1
    assert {foreign for foreign, _ in looks} == {0}
    assert min(own for _, own in looks) > 100


def test_a_user_that_cannot_be_is_refused_with_a_reason(clinics: tuple[Database, Database]) -> None:
    database, _ = clinics
    run_sql(database, "create role already_somebody")
    try:
        for name, clinic, reason in (
            ("bi_x", "NOWHERE", "no clinic NOWHERE"),
            ("Bi X", SIAM, "no name for a user"),
            ("postgres", SIAM, "choose another name"),
            ("already_somebody", SIAM, "choose another name"),
        ):
            with pytest.raises(BiUserRefused, match=reason), database.begin() as connection:
                create_bi_user(connection, name, clinic)
    finally:
        run_sql(database, "drop role already_somebody")
