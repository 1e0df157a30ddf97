"""A small sample clinic with every view and mart, cloned for each test."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import pytest

from bn_aura_pipelines.database.connections import Database
from bn_aura_pipelines.database.view_files import load_views
from bn_aura_pipelines.database.views import build
from bn_aura_pipelines.models.leads.history import record
from bn_aura_pipelines.sources.relations import build_source_relations
from bn_aura_pipelines.sources.sample.generate import generate
from bn_aura_pipelines_tests.conftest import clone, drop

NOW = datetime.fromisoformat("2026-06-01T00:00:00+07:00")


@pytest.fixture(scope="session")
def marts_template(server: Database, template: str) -> Iterator[str]:
    database = clone(server, template)
    generate(database, 200, NOW, seed=4)
    with database.begin(NOW) as connection:
        build_source_relations(connection)
        build(connection, [view for view in load_views() if view.schema == "aura_staging"])
        record(connection)
        build(connection, load_views())
    database.engine.dispose()
    assert database.url.database is not None
    yield database.url.database
    drop(server, database)


@pytest.fixture
def marts(server: Database, marts_template: str) -> Iterator[Database]:
    database = clone(server, marts_template)
    yield database
    drop(server, database)
