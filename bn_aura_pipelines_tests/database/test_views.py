"""The view loader: headers, order, and builds that change everything or nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy

from bn_aura_pipelines.database.connections import Database, psycopg_connection
from bn_aura_pipelines.database.lineage import column_lineage, read_columns
from bn_aura_pipelines.database.view_files import ViewError, load_views
from bn_aura_pipelines.database.views import build
from bn_aura_pipelines.sources.relations import build_source_relations

HEADER = "-- {about}\n-- materialized: {kind}\n-- key: id\n-- id: which\n"


def write(folder: Path, relation: str, query: str, kind: str = "table", extra: str = "") -> None:
    schema, name = relation.split(".")
    path = folder / schema / f"{name}.sql"
    path.parent.mkdir(exist_ok=True)
    path.write_text(HEADER.format(about=f"All about {name}.", kind=kind) + extra + query, "utf-8")


def build_folder(database: Database, folder: Path) -> dict[str, int]:
    load_views.cache_clear()
    with database.begin() as connection:
        return build(connection, load_views(folder))


def ask(database: Database, statement: str) -> list[tuple[Any, ...]]:
    with database.begin() as connection:
        return [tuple(row) for row in connection.execute(sqlalchemy.text(statement))]


def test_a_header_becomes_comments_key_and_index(database: Database, tmp_path: Path) -> None:
    write(tmp_path, "marts.a", "select 1 as id, 'x' as word", extra="-- word: said\n--   by somebody\n-- index: word\n")
    assert build_folder(database, tmp_path) == {"aura_marts.a": 1}
    assert ask(
        database, "select obj_description('aura_marts.a'::regclass), col_description('aura_marts.a'::regclass, 2)"
    ) == [("All about a.", "said by somebody")]
    assert len(ask(database, "select from pg_index where indrelid = 'aura_marts.a'::regclass")) == 2


def test_views_are_built_after_what_they_read(database: Database, tmp_path: Path) -> None:
    write(tmp_path, "marts.a", "select id from aura_staging.z")
    write(tmp_path, "staging.z", "select 5 as id", kind="view")
    assert list(build_folder(database, tmp_path)) == ["aura_staging.z", "aura_marts.a"]
    assert ask(database, "select id from aura_marts.a") == [(5,)]


def test_a_build_writes_only_what_differs(database: Database, tmp_path: Path) -> None:
    write(tmp_path, "marts.a", "select n as id, n % 3 as word from generate_series(1, 9) as n")
    build_folder(database, tmp_path)
    before = dict(ask(database, "select id, xmin::text from aura_marts.a"))
    assert build_folder(database, tmp_path) == {"aura_marts.a": 0}
    with database.begin() as connection:
        connection.execute(sqlalchemy.text("update aura_marts.a set word = 7 where id = 4"))
        connection.execute(sqlalchemy.text("delete from aura_marts.a where id = 5"))
        connection.execute(sqlalchemy.text("insert into aura_marts.a values (100, 1)"))
    assert build_folder(database, tmp_path) == {"aura_marts.a": 4}
    after = dict(ask(database, "select id, xmin::text from aura_marts.a"))
    assert {key for key in after if after[key] != before.get(key)} == {4, 5}


def test_a_changed_definition_is_built_anew_with_what_stands_on_it(database: Database, tmp_path: Path) -> None:
    write(tmp_path, "staging.z", "select 5 as id", kind="view")
    write(tmp_path, "staging.zz", "select id from aura_staging.z", kind="view")
    write(tmp_path, "marts.a", "select id from aura_staging.zz")
    build_folder(database, tmp_path)
    write(tmp_path, "staging.z", "select 6 as id, 'new' as word", kind="view")
    build_folder(database, tmp_path)
    assert ask(database, "select id from aura_marts.a") == [(6,)]


def build_one(database: Database, folder: Path, relation: str) -> None:
    """What materializing one asset in the UI does."""
    load_views.cache_clear()
    with database.begin() as connection:
        build(connection, [view for view in load_views(folder) if view.relation == relation])


@pytest.mark.parametrize(
    ("kind", "other"), [("view", "view"), ("table", "table"), ("view", "table"), ("table", "view")]
)
def test_a_changed_view_built_alone_leaves_none_above_it_missing(
    database: Database, tmp_path: Path, kind: str, other: str
) -> None:
    write(tmp_path, "staging.z", "select 5 as id", kind=kind)
    write(tmp_path, "staging.y", "select id from aura_staging.z", kind="view")
    write(tmp_path, "staging.x", "select id from aura_staging.y", kind="view")
    write(tmp_path, "marts.a", "select id from aura_staging.x")
    build_folder(database, tmp_path)
    write(tmp_path, "staging.z", "select 6 as id, 'new' as word", kind=other)
    build_one(database, tmp_path, "aura_staging.z")
    assert ask(database, "select x.id, a.id from aura_staging.x, aura_marts.a") == [(6, 5)]
    build_one(database, tmp_path, "aura_marts.a")
    assert ask(database, "select id from aura_marts.a") == [(6,)]
    assert ask(database, "select count(*) from aura_ops.relations") == [(4,)]


def test_a_view_above_that_cannot_stand_yet_waits_for_its_turn(database: Database, tmp_path: Path) -> None:
    write(tmp_path, "staging.z", "select 5 as id", kind="view")
    write(tmp_path, "staging.zz", "select id from aura_staging.z", kind="view")
    build_folder(database, tmp_path)
    write(tmp_path, "staging.a_new", "select 1 as id, 1 as part", kind="view")
    write(tmp_path, "staging.z", "select 6 as id", kind="view")
    write(tmp_path, "staging.zz", "select z.id + part as id from aura_staging.z, aura_staging.a_new", kind="view")
    build_one(database, tmp_path, "aura_staging.z")
    assert ask(database, "select to_regclass('aura_staging.zz')") == [(None,)]
    build_folder(database, tmp_path)
    assert ask(database, "select id from aura_staging.zz") == [(7,)]


def test_a_mart_is_read_and_protected_while_it_is_built(database: Database, tmp_path: Path) -> None:
    clinics = "select (n || '0000000-0000-0000-0000-000000000000')::uuid as clinic_id, n as id from"
    write(tmp_path, "marts.a", f"{clinics} generate_series(1, 3) as n")
    build_folder(database, tmp_path)
    catalog = "select oid, relrowsecurity, relacl::text from pg_class where oid = 'aura_marts.a'::regclass"
    policies = "select xmin::text, polname from pg_policy where polrelid = 'aura_marts.a'::regclass order by 2"
    before = [ask(database, catalog.replace("::", "\\:\\:")), ask(database, policies.replace("::", "\\:\\:"))]
    seen = "select id from aura_marts.a order by id"
    with database.begin() as building:
        driver = psycopg_connection(building)
        driver.execute("insert into aura_marts.a values ('20000000-0000-0000-0000-000000000000', 9)")
        build(building, load_views(tmp_path))
        driver.execute("update aura_marts.a set id = id + 10")
        with database.begin() as reading:
            reading.exec_driver_sql("set local lock_timeout = '2s'")
            reading.exec_driver_sql("set local role aura_api")
            assert reading.exec_driver_sql(seen).all() == []
            reading.exec_driver_sql("select set_config('aura.clinic_id', '20000000-0000-0000-0000-000000000000', true)")
            assert reading.exec_driver_sql(seen).scalars().all() == [2]
    build_folder(database, tmp_path)
    after = [ask(database, catalog.replace("::", "\\:\\:")), ask(database, policies.replace("::", "\\:\\:"))]
    assert after == before
    assert ask(database, seen) == [(1,), (2,), (3,)]


@pytest.mark.parametrize(
    ("query", "extra", "message"),
    [
        ("select 1 as id union all select 1", "", "the key .id. is not unique: 2 rows, 1 keys"),
        ("select null::int as id", "", "the key .id. is not unique: 1 rows, 0 keys"),
        ("select 1 as id", "-- test: id > 1\n", "1 rows fail the test `id > 1`"),
        ("select 1 / 0 as id", "", "division by zero"),
        ("select id\nfrom aura_staging.nothing", "", r"b\.sql:\d.*does not exist"),
    ],
)
def test_a_failing_file_leaves_everything_as_it_was(
    database: Database, tmp_path: Path, query: str, extra: str, message: str
) -> None:
    write(tmp_path, "marts.a", "select 1 as id")
    write(tmp_path, "marts.b", "select 1 as id")
    build_folder(database, tmp_path)
    write(tmp_path, "marts.a", "select 2 as id")
    write(tmp_path, "marts.b", query, extra=extra)
    with pytest.raises(ViewError, match=message):
        build_folder(database, tmp_path)
    assert ask(database, "select a.id, b.id from aura_marts.a, aura_marts.b") == [(1, 1)]


def test_a_circle_names_its_files(tmp_path: Path) -> None:
    write(tmp_path, "marts.a", "select id from aura_marts.b")
    write(tmp_path, "marts.b", "select id from aura_marts.a")
    load_views.cache_clear()
    with pytest.raises(ViewError, match=r"circle: marts/[ab]\.sql -> marts/[ab]\.sql"):
        load_views(tmp_path)


def test_a_syntax_error_names_file_and_line(tmp_path: Path) -> None:
    write(tmp_path, "marts.a", "select id\nfrom (")
    load_views.cache_clear()
    with pytest.raises(ViewError, match=r"a\.sql:6"):
        load_views(tmp_path)


@pytest.mark.parametrize("header", ["-- materialized: table\nselect 1", "-- materialized: cube\n-- key: id\nselect 1"])
def test_a_header_that_says_too_little_is_refused(tmp_path: Path, header: str) -> None:
    (tmp_path / "marts").mkdir()
    (tmp_path / "marts" / "a.sql").write_text(header)
    load_views.cache_clear()
    with pytest.raises(ViewError, match=r"a\.sql"):
        load_views(tmp_path)


def test_every_column_of_a_mart_says_where_it_comes_from(database: Database) -> None:
    load_views.cache_clear()
    with database.begin() as connection:
        build_source_relations(connection)
        build(connection, load_views())
        columns = read_columns(connection)
    for view in load_views():
        lineage = column_lineage(view, columns)
        assert list(lineage) == list(columns[view.relation]), view.relation
        if view.schema == "aura_marts":
            assert any(lineage.values()), view.relation
    retention = column_lineage(next(v for v in load_views() if v.name == "cohort_retention"), columns)["revenue_thb"]
    assert ("aura_staging.stg_appointments", "revenue_thb") in retention
