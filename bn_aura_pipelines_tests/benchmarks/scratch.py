"""A migrated database of a benchmark's own on the embedded server, dropped afterwards. Filled by its caller."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

import sqlalchemy

from bn_aura_pipelines.database.connections import Database, open_database
from bn_aura_pipelines.database.migrations import migrate
from bn_aura_pipelines.database.view_files import load_views
from bn_aura_pipelines.database.views import build
from bn_aura_pipelines.settings import Settings
from bn_aura_pipelines.sources.relations import build_source_relations


@contextmanager
def scratch_database(name: str = "bench") -> Iterator[Database]:
    """A migrated database on the embedded server, whatever database the settings name."""
    server = open_database(Settings(database_url=None))
    server = Database(server.url.set(database="postgres"))
    database = Database(server.url.set(database=f"{name}_{os.getpid()}"))
    _run(server, f"create database {database.url.database} template template0")
    try:
        migrate(database)
        yield database
    finally:
        database.engine.dispose()
        _run(server, f"drop database {database.url.database} with (force)")
        server.engine.dispose()


def build_features(database: Database, as_of: datetime) -> None:
    """The staging and feature views about one moment."""
    with database.begin(as_of) as connection:
        build_source_relations(connection)
        build(connection, [view for view in load_views() if view.schema in ("aura_staging", "aura_features")])


def _run(server: Database, statement: str) -> None:
    with server.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(sqlalchemy.text(statement))
