"""The database that Dagster keeps its runs and events in, beside the application's on the same server.

Its tables are Dagster's own affair; its URL is `Database.dagster_url()`.
"""

from __future__ import annotations

import psycopg
import sqlalchemy
from sqlalchemy import exc

from bn_aura_pipelines.database.connections import Database
from bn_aura_pipelines.database.embedded import DAGSTER_DATABASE
from bn_aura_pipelines.errors import UserError


class NoDagsterStorage(UserError):
    """Dagster has no database to keep its runs in."""


def ensure_dagster_database(database: Database) -> None:
    """Create database `dagster` on the server if it is missing. Raises NoDagsterStorage, DatabaseUnreachable."""
    with database.begin() as connection:
        found = connection.execute(
            sqlalchemy.text("select exists (select from pg_database where datname = :name)"), {"name": DAGSTER_DATABASE}
        ).scalar_one()
        role = connection.execute(sqlalchemy.text("select quote_ident(current_user)")).scalar_one()
    if not found:
        _create(database, role)
    storage = Database(database.url.set(database=DAGSTER_DATABASE))
    try:
        with storage.begin() as connection:
            usable = connection.execute(
                sqlalchemy.text("select has_schema_privilege('public', 'create')"),
            ).scalar_one()
    finally:
        storage.engine.dispose()
    if not usable:
        raise NoDagsterStorage(
            f"Role {role} may not create tables in database {DAGSTER_DATABASE}: "
            f"run `alter database {DAGSTER_DATABASE} owner to {role}` as an administrator."
        )


def _create(database: Database, role: str) -> None:
    # A connection of its own: `create database` refuses to run in a transaction.
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        try:
            connection.execute(sqlalchemy.text(f"create database {DAGSTER_DATABASE}"))
        except exc.ProgrammingError as error:
            if isinstance(error.orig, psycopg.errors.DuplicateDatabase):
                return  # somebody was quicker
            if isinstance(error.orig, psycopg.errors.InsufficientPrivilege):
                raise NoDagsterStorage(
                    f"Dagster's database is missing and role {role} may not create it: "
                    f"run `create database {DAGSTER_DATABASE} owner {role}` as an administrator."
                ) from error
            raise
