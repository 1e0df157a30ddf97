"""Applies `sql/*.sql` in order: each file in its own transaction, under one advisory lock, with its checksum kept.

Our own eighty lines rather than yoyo: its lock is a row that survives a killed process until somebody breaks it by
hand, and it keeps no checksum of a file's content. Both are promises here.
"""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy

from bn_aura_pipelines.database.connections import Database, psycopg_connection
from bn_aura_pipelines.errors import UserError
from bn_aura_pipelines.settings import PROJECT_ROOT

log = logging.getLogger(__name__)

MIGRATIONS = PROJECT_ROOT / "sql"
ONLY_EMPTY = "-- only: a database without the application's tables"


class MigrationError(UserError):
    """A migration cannot be applied, or an applied one was edited."""


@dataclass(frozen=True)
class Migration:
    """One file: `version` is its name without the ending."""

    version: str
    content: str

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.content.encode()).hexdigest()


def read_migrations(folder: Path = MIGRATIONS) -> list[Migration]:
    """The files of `folder` in the order of their names."""
    return [Migration(path.stem, path.read_text("utf-8")) for path in sorted(folder.glob("*.sql"))]


def migrate(database: Database, migrations: list[Migration] | None = None) -> list[str]:
    """Apply what is missing and return the versions applied. Concurrent callers wait for each other.

    Raises MigrationError when an applied file was edited, is gone, or fails.
    """
    migrations = read_migrations() if migrations is None else migrations
    with database.begin() as lock:
        lock.execute(sqlalchemy.text("select pg_advisory_xact_lock(hashtext('bn_aura migrations'))"))
        applied = _applied(database)
        _refuse_edits(migrations, applied)
        done = []
        for migration in migrations:
            if migration.version not in applied:
                _apply(database, migration)
                done.append(migration.version)
        return done


def pending(database: Database) -> list[str]:
    """Versions that `migrate` would apply. Raises MigrationError when an applied file was edited or is gone."""
    migrations, applied = read_migrations(), _applied(database)
    _refuse_edits(migrations, applied)
    return [migration.version for migration in migrations if migration.version not in applied]


def _applied(database: Database) -> dict[str, str]:
    with database.begin() as connection:
        if connection.execute(sqlalchemy.text("select to_regclass('aura_ops.migrations')")).scalar() is None:
            return {}
        rows = connection.execute(sqlalchemy.text("select version, checksum from aura_ops.migrations"))
        return {row.version: row.checksum for row in rows}


def _refuse_edits(migrations: list[Migration], applied: dict[str, str]) -> None:
    known = {migration.version: migration.checksum for migration in migrations}
    for version, checksum in applied.items():
        if version not in known:
            raise MigrationError(
                f"Migration {version} is applied but sql/{version}.sql is gone: restore the file, or use the version "
                "of the pipelines that applied it."
            )
        if known[version] != checksum:
            raise MigrationError(
                f"sql/{version}.sql was edited after it was applied: restore it and put the change in a new file."
            )


def _apply(database: Database, migration: Migration) -> None:
    log.info("applying migration %s", migration.version)
    try:
        with database.begin() as connection:
            skip = migration.content.startswith(ONLY_EMPTY) and _has_application_tables(connection)
            driver = psycopg_connection(connection)
            if not skip:
                driver.execute(migration.content.encode())
            connection.execute(
                sqlalchemy.text(
                    "insert into aura_ops.migrations (version, checksum, skipped) values (:version, :checksum, :skip)"
                ),
                {"version": migration.version, "checksum": migration.checksum, "skip": skip},
            )
    except Exception as error:
        cause = str(getattr(error, "orig", error)).strip().splitlines()[0]
        raise MigrationError(f"sql/{migration.version}.sql failed and was rolled back: {cause}") from error


def _has_application_tables(connection: sqlalchemy.Connection) -> bool:
    return connection.execute(sqlalchemy.text("select to_regclass('public.clinics') is not null")).scalar_one()
