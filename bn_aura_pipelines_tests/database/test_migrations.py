from __future__ import annotations

import threading

import pytest
import sqlalchemy

from bn_aura_pipelines.database.connections import Database
from bn_aura_pipelines.database.migrations import Migration, MigrationError, migrate, read_migrations


def test_applying_twice_applies_nothing_the_second_time(empty_database: Database) -> None:
    assert migrate(empty_database) == [migration.version for migration in read_migrations()]
    assert migrate(empty_database) == []


def test_an_edited_applied_file_is_named(database: Database) -> None:
    first, *rest = read_migrations()
    edited = Migration(first.version, first.content + "\n-- edited")
    with pytest.raises(MigrationError, match=r"sql/0001_schemas\.sql was edited"):
        migrate(database, [edited, *rest])


def test_a_failing_file_leaves_nothing_behind(database: Database) -> None:
    bad = Migration("9999_bad", "create table aura_ops.half (id int); select 1 / 0;")
    with pytest.raises(MigrationError, match="9999_bad.sql failed and was rolled back: division by zero"):
        migrate(database, [*read_migrations(), bad])
    with database.begin() as connection:
        assert connection.execute(sqlalchemy.text("select to_regclass('aura_ops.half')")).scalar() is None


def test_two_at_once_apply_each_file_once(empty_database: Database) -> None:
    results: list[list[str]] = []
    threads = [threading.Thread(target=lambda: results.append(migrate(empty_database))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(map(len, results)) == [0, 0, len(read_migrations())]
