"""Backfills through the batch service: the same vectors as one by one, nothing handed over twice, whatever is lost."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from click.testing import CliRunner

from bn_aura_pipelines.database.connections import Database
from bn_aura_pipelines.embeddings import bulk as module
from bn_aura_pipelines.embeddings.bulk import BulkRefused, BulkReport, bulk
from bn_aura_pipelines.embeddings.commands import embeddings
from bn_aura_pipelines.embeddings.leases import alone
from bn_aura_pipelines.embeddings.models import estimate
from bn_aura_pipelines.settings import get_settings
from bn_aura_pipelines_tests.embeddings.conftest import add_conversation, execute, moment, rows
from bn_aura_pipelines_tests.embeddings.stub import Fault, Stub
from bn_aura_pipelines_tests.embeddings.test_gemini import NOW, fill, gemini, run, vectors
from bn_aura_pipelines_tests.sample_runs import url_of


@pytest.fixture
def stub() -> Iterator[Stub]:
    with Stub() as running:
        yield running


def hand_over(database: Database, stub: Stub, **options: Any) -> BulkReport:
    return bulk(database, NOW, gemini(stub), ["conversation"], poll_seconds=0.01, progress=lambda line: None, **options)


def state(stub: Stub, state: str) -> None:
    for job in stub.bulk_jobs:
        job["state"] = state


def test_the_next_sync_puts_the_vectors_in_place_and_asks_for_none(
    clinic: Database, stub: Stub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_TEXTS", 40)
    fill(clinic, 100)
    long = "\n".join(f"line {number} of many" for number in range(900))
    add_conversation(clinic, [("customer", long, moment(2))])
    report = hand_over(clinic, stub)
    assert (report.jobs, report.failed, report.open, report.stopped) == (3, 0, 0, None)
    assert report.texts > 101
    assert report.vectors == 101
    synced = run(clinic, stub)
    assert (synced.embedded, synced.cached, synced.requests, synced.left) == (0, 101, 0, 0)
    in_bulk = vectors(clinic)
    execute(clinic, "delete from aura_ops.embedding_ledger")
    execute(clinic, "delete from aura_ops.embeddings")
    execute(clinic, "delete from aura_ops.embedding_cache")
    assert run(clinic, stub).embedded == 101
    assert vectors(clinic) == in_bulk
    assert hand_over(clinic, stub).texts == 0


def test_what_is_on_its_way_is_not_handed_over_again(clinic: Database, stub: Stub) -> None:
    fill(clinic, 20)
    stub.bulk_state = "BATCH_STATE_RUNNING"
    assert hand_over(clinic, stub, wait=False).open == 1
    again = hand_over(clinic, stub, wait=False)
    assert (again.jobs, again.texts, again.open) == (0, 0, 1)
    fill(clinic, 30)
    assert hand_over(clinic, stub, wait=False).texts == 10
    state(stub, "BATCH_STATE_SUCCEEDED")
    assert hand_over(clinic, stub).vectors == 30
    assert rows(clinic, "select count(*) from aura_ops.embedding_bulk_texts") == [(0,)]


def test_a_job_whose_receipt_was_lost_is_found_again(clinic: Database, stub: Stub) -> None:
    fill(clinic, 20)
    stub.bulk_fault = Fault(drop=True)
    lost = hand_over(clinic, stub)
    assert lost.stopped is not None
    stub.bulk_fault = None
    report = hand_over(clinic, stub)
    assert len(stub.bulk_jobs) == 1
    assert (lost.vectors + report.vectors, report.open) == (20, 0)


def test_a_job_that_never_arrived_is_handed_over_anew(clinic: Database, stub: Stub) -> None:
    fill(clinic, 20)
    stub.bulk_fault = Fault(drop=True)
    hand_over(clinic, stub)
    stub.bulk_jobs.clear()
    stub.bulk_fault = None
    execute(clinic, "update aura_ops.embedding_bulk_jobs set name = null, finished_at = null")
    execute(clinic, "delete from aura_ops.embedding_cache")
    assert hand_over(clinic, stub).vectors == 20


def nan(vectors: list[Any]) -> list[Any]:
    return [{"response": {"embedding": {"values": [0.0] * 768}}}, *vectors[1:]]


def one_failed(vectors: list[Any]) -> list[Any]:
    return [{"error": {"code": 13, "message": "internal"}}, *vectors[1:]]


def too_short(vectors: list[Any]) -> list[Any]:
    return [{"response": {"embedding": {"values": [1.0, 2.0]}}}, *vectors[1:]]


@pytest.mark.parametrize("edit", [nan, one_failed, too_short])
def test_what_is_no_vector_is_left_to_the_sync(
    clinic: Database, stub: Stub, edit: Callable[[list[Any]], list[Any]]
) -> None:
    fill(clinic, 10)
    stub.bulk_state = "BATCH_STATE_RUNNING"
    hand_over(clinic, stub, wait=False)
    (job,) = stub.bulk_jobs
    good = stub._job({**job, "state": "BATCH_STATE_SUCCEEDED"}, whole=True)
    job["answers"] = edit(good["metadata"]["output"]["inlinedResponses"]["inlinedResponses"])
    state(stub, "BATCH_STATE_SUCCEEDED")
    stub.bulk_state = "BATCH_STATE_FAILED"  # of the job that asks for the missing one again
    assert hand_over(clinic, stub).vectors == 9
    synced = run(clinic, stub)
    assert (synced.cached, synced.embedded, synced.left) == (9, 1, 0)


@pytest.mark.parametrize("end", ["BATCH_STATE_FAILED", "BATCH_STATE_EXPIRED", "BATCH_STATE_CANCELLED", "forgotten"])
def test_a_job_that_failed_frees_its_texts_and_says_why(clinic: Database, stub: Stub, end: str) -> None:
    fill(clinic, 10)
    stub.bulk_state = "BATCH_STATE_RUNNING"
    hand_over(clinic, stub, wait=False)
    if end == "forgotten":
        stub.bulk_jobs[0]["name"] = "batches/other"
    state(stub, end)
    stub.bulk_state = "BATCH_STATE_SUCCEEDED"
    report = hand_over(clinic, stub)
    assert (report.failed, report.vectors, report.open) == (1, 10, 0)
    outcomes = [
        row[0] for row in rows(clinic, "select outcome from aura_ops.embedding_bulk_jobs order by submitted_at")
    ]
    assert outcomes[0].startswith(end.replace("BATCH_", "JOB_") if end != "forgotten" else "batches/1 is not known")
    assert outcomes[1] == "10 vectors"


def test_nothing_is_kept_of_who_has_gone_meanwhile(clinic: Database, stub: Stub) -> None:
    fill(clinic, 10)
    stub.bulk_state = "BATCH_STATE_RUNNING"
    hand_over(clinic, stub, wait=False)
    execute(clinic, "delete from public.customer_conversations")
    state(stub, "BATCH_STATE_SUCCEEDED")
    hand_over(clinic, stub)
    assert rows(clinic, "select count(*) from aura_ops.embedding_cache") == [(0,)]


def test_two_at_once_are_refused(clinic: Database, stub: Stub) -> None:
    with alone(clinic, "bulk embeddings"), pytest.raises(BulkRefused, match="Another bulk run"):
        hand_over(clinic, stub)


def test_the_command_says_the_price_and_asks_first(
    clinic: Database, stub: Stub, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(clinic, 10)
    for name, value in (
        ("BN_AURA_DATABASE_URL", url_of(clinic)),
        ("BN_AURA_GEMINI_BASE_URL", stub.url),
        ("GOOGLE_GEMINI_API_KEY", "key"),
    ):
        monkeypatch.setenv(name, value)
    get_settings.cache_clear()
    model = ["--model", "gemini-embedding-001", "--entity", "conversation"]
    asked = CliRunner().invoke(embeddings, ["bulk", *model], input="n\n")
    assert asked.exit_code == 1
    assert "10 rows" in asked.output
    assert stub.bulk_jobs == []
    done = CliRunner().invoke(embeddings, ["bulk", *model, "--yes"])
    assert done.exit_code == 0, done.output
    assert "10 texts handed over in 1 jobs, 10 vectors came" in done.output
    refused = CliRunner().invoke(embeddings, ["bulk", "--model", "offline-ngrams-1"])
    assert isinstance(refused.exception, BulkRefused)
    get_settings.cache_clear()


def test_the_price_is_half_of_the_usual_one(clinic: Database, stub: Stub) -> None:
    fill(clinic, 10)
    provider = gemini(stub)
    (usual,) = estimate(clinic, NOW, provider, ["conversation"])
    hand_over(clinic, stub)
    ((cost, tokens),) = rows(clinic, "select cost_usd, tokens from aura_ops.embedding_bulk_jobs")
    assert tokens == usual.tokens
    assert cost == pytest.approx(usual.cost_usd / 2)
