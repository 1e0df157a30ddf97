"""A sample clinic with staging and features built, cloned for each test."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone

import pytest

from bn_aura_pipelines.database.connections import Database
from bn_aura_pipelines.sources.sample.generate import generate
from bn_aura_pipelines_tests.benchmarks.scratch import build_features
from bn_aura_pipelines_tests.conftest import clone, drop

AS_OF = datetime(2025, 7, 1, 14, 30, tzinfo=timezone(timedelta(hours=7)))
CUSTOMERS = 500


@pytest.fixture(scope="session")
def featured_template(server: Database, template: str) -> Iterator[Database]:
    database = clone(server, template)
    generate(database, CUSTOMERS, AS_OF)
    build_features(database, AS_OF)
    database.engine.dispose()
    yield database
    drop(server, database)


@pytest.fixture
def featured(server: Database, featured_template: Database) -> Iterator[Database]:
    """The sample clinic with its features, of this test's own."""
    assert featured_template.url.database is not None
    database = clone(server, featured_template.url.database)
    yield database
    drop(server, database)
