"""A sync that is killed again and again ends with the same vectors, and pays twice for what was in flight only."""

from __future__ import annotations

import multiprocessing
import random
import time

import sqlalchemy

from bn_aura_pipelines.database.connections import Database
from bn_aura_pipelines.embeddings.gemini import GeminiEmbedder
from bn_aura_pipelines.embeddings.providers import Limits
from bn_aura_pipelines.embeddings.sync import sync
from bn_aura_pipelines_tests.embeddings.conftest import moment, rows
from bn_aura_pipelines_tests.embeddings.stub import Stub
from bn_aura_pipelines_tests.embeddings.test_gemini import fill, vectors

LIMITS = Limits(items_per_request=10, concurrency=4)
NOW = moment(20)


def run(url: str, address: str) -> None:
    database = Database(sqlalchemy.make_url(address))
    sync(database, "conversation", NOW, GeminiEmbedder("key", base_url=url, limits=LIMITS))


def test_a_run_that_is_killed_loses_no_more_than_what_was_in_flight(clinic: Database) -> None:
    fill(clinic, 600)
    address = clinic.url.render_as_string(hide_password=False)
    chance = random.Random(4)
    processes = multiprocessing.get_context("fork")
    with Stub(latency=0.03) as stub:
        kills = 0
        for _ in range(3):
            process = processes.Process(target=run, args=(stub.url, address), daemon=True)
            process.start()
            target = stub.items + chance.randint(20, 120)
            deadline = time.monotonic() + 10
            while stub.items < target and process.is_alive() and time.monotonic() < deadline:
                time.sleep(0.005)
            process.kill()
            process.join()
            kills += 1
        run(stub.url, address)
        in_flight = LIMITS.concurrency * LIMITS.items_per_request
        assert len(vectors(clinic)) == 600
        assert stub.items - len(set(stub.texts)) <= kills * in_flight
        assert rows(clinic, "select distinct status from aura_ops.embedding_ledger") == [("done",)]
