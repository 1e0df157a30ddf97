"""One sample of 400 customers for the whole folder, in a database that tests only read."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone

import pytest

from bn_aura_pipelines.database.connections import Database
from bn_aura_pipelines.sources.sample.generate import SampleReport, generate
from bn_aura_pipelines_tests.conftest import clone, drop

AS_OF = datetime(2025, 7, 1, 14, 30, tzinfo=timezone(timedelta(hours=7)))
CUSTOMERS = 400


@pytest.fixture(scope="session")
def sample(server: Database, template: str) -> Iterator[tuple[Database, SampleReport]]:
    database = clone(server, template)
    yield database, generate(database, CUSTOMERS, AS_OF)
    drop(server, database)


@pytest.fixture
def sampled(sample: tuple[Database, SampleReport]) -> Database:
    return sample[0]
