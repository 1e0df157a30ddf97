"""Two clinics with their marts, and the read API over them on a loopback port."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime

import httpx
import pytest
import sqlalchemy
from fastapi import FastAPI

from bn_aura_pipelines.api.app import make_app
from bn_aura_pipelines.api.keys import create_key
from bn_aura_pipelines.api.server import Server
from bn_aura_pipelines.database.connections import Database
from bn_aura_pipelines.database.view_files import load_views
from bn_aura_pipelines.database.views import build
from bn_aura_pipelines.embeddings.offline import OfflineEmbedder
from bn_aura_pipelines.embeddings.providers import Entity
from bn_aura_pipelines.embeddings.sync import sync
from bn_aura_pipelines.settings import Settings
from bn_aura_pipelines.sources.relations import build_source_relations
from bn_aura_pipelines.sources.sample.generate import generate
from bn_aura_pipelines_tests.conftest import clone, drop

NOW = datetime.fromisoformat("2026-06-01T00:00:00+07:00")
SIAM, THONGLOR = "AURA-SIAM", "AURA-THONGLOR"


@pytest.fixture(scope="module")
def clinics(server: Database, template: str) -> Iterator[Database]:
    """Two clinics with their marts; a third of the customers have a score."""
    database = clone(server, template)
    generate(database, 300, NOW, seed=5)
    with database.begin(NOW) as connection:
        build_source_relations(connection)
        build(connection, load_views())
        connection.execute(
            sqlalchemy.text(
                "insert into aura_models.churn_scores select customer_id, clinic_id, aura_ops.as_of(), 1, .5,"
                " 40 + (row_number() over (order by customer_id) % 7)::int, 'medium', '', ''"
                " from aura_marts.customer_360 where completed_visits > 2"
            )
        )
        connection.execute(
            sqlalchemy.text(
                "insert into aura_models.lead_scores (lead_id, clinic_id, model_version, win_probability, win_low,"
                " win_high, score, category, confidence, completeness, reasons_en, reasons_th)"
                " select lead_id, clinic_id, 1, .5, .4, .6, 40 + (row_number() over (order by lead_id) % 7)::int,"
                " 'cold', .5, 1, '', ''"
                " from aura_staging.stg_leads where clinic_id is not null and stage not in ('won', 'lost')"
            )
        )
        build(connection, [view for view in load_views() if view.name in ("customer_360", "lead_board")])
    entities: tuple[Entity, ...] = ("conversation", "lead", "customer")
    for entity in entities:
        sync(database, entity, NOW, OfflineEmbedder())
    yield database
    drop(server, database)


@contextmanager
def serving(
    database: Database, settings: Settings, make: Callable[[Database, Settings], FastAPI] = make_app
) -> Iterator[httpx.Client]:
    """A client of the read API, or of what `make` makes, which answers for as long as this is open."""
    server = Server(make(database, settings), port=0, log_level="error")
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    until = time.monotonic() + 30
    while not server.started and time.monotonic() < until:
        time.sleep(0.05)
    port = server.servers[0].sockets[0].getsockname()[1]
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
        yield client
    server.should_exit = True
    thread.join(10)
    assert not thread.is_alive()


@pytest.fixture(scope="module")
def client(clinics: Database) -> Iterator[httpx.Client]:
    with serving(clinics, Settings(api_pool_size=2, api_requests_per_second=100_000)) as client:
        yield client


def key_for(database: Database, clinic: str, *scopes: str) -> dict[str, str]:
    """The header of a request with a new key."""
    with database.begin() as connection:
        return {"Authorization": f"Bearer {create_key(connection, clinic, scopes=scopes)}"}


def ids_in(database: Database, clinic: str) -> list[str]:
    """Its customers in the order of the list."""
    query = (
        "select customer_id::text from aura_marts.customer_360 join public.clinics on clinics.id = clinic_id"
        " where clinic_code = :clinic order by churn_rank desc, customer_id desc"
    )
    with database.begin() as connection:
        return list(connection.execute(sqlalchemy.text(query), {"clinic": clinic}).scalars())
