"""The real client against a stub that answers as Gemini does, and as it does on a bad day."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from bn_aura_pipelines.database.connections import Database
from bn_aura_pipelines.embeddings import ledger
from bn_aura_pipelines.embeddings.gemini import GeminiEmbedder
from bn_aura_pipelines.embeddings.limits import Budget
from bn_aura_pipelines.embeddings.models import SwitchRefused, coverage, estimate, switch
from bn_aura_pipelines.embeddings.providers import Limits, ProviderUnusable
from bn_aura_pipelines.embeddings.sync import SyncReport, sync
from bn_aura_pipelines_tests.embeddings import stub as bad
from bn_aura_pipelines_tests.embeddings.conftest import CLINIC, add_conversation, execute, moment, rows
from bn_aura_pipelines_tests.embeddings.stub import Fault, Stub, vector_of

NOW = moment(20)
FAST = Limits(items_per_request=10, concurrency=4)


@pytest.fixture
def stub() -> Iterator[Stub]:
    with Stub() as running:
        yield running


def gemini(stub: Stub, **options: Any) -> GeminiEmbedder:
    return GeminiEmbedder("key", base_url=stub.url, **{"limits": FAST, "timeout_seconds": 20, **options})


def run(database: Database, stub: Stub, *, budget: Budget | None = None, **options: Any) -> SyncReport:
    return sync(database, "conversation", NOW, gemini(stub, **options), budget=budget or Budget(), first_delay=0.01)


def fill(database: Database, count: int) -> None:
    execute(
        database,
        """
        insert into public.customer_conversations (clinic_id, messages, created_at)
        select %s, jsonb_build_array(jsonb_build_object('role', 'customer', 'content', 'text ' || chr(97 + n / 26) ||
            chr(97 + n %% 26), 'timestamp', '2026-01-02T00:00:00Z')), '2026-01-01'
        from generate_series(1, %s) as n
        """,
        *(CLINIC, count),
    )


def vectors(database: Database) -> dict[str, str]:
    return dict(
        rows(
            database,
            "select c.messages -> 0 ->> 'content', e.embedding::text from aura_ops.embeddings as e"
            " join public.customer_conversations as c on c.id = e.entity_id",
        )
    )


def test_vectors_have_length_one_and_belong_to_their_texts(clinic: Database, stub: Stub) -> None:
    fill(clinic, 25)
    report = run(clinic, stub)
    assert (report.embedded, report.requests, report.left, report.stopped) == (25, 3, 0, None)
    for text, written in vectors(clinic).items():
        expected = vector_of(f"customer: {text}")
        assert np.allclose(json.loads(written), expected / np.linalg.norm(expected), atol=1e-3)
    assert run(clinic, stub).requests == 0


def test_each_model_is_asked_in_its_own_way(clinic: Database, stub: Stub) -> None:
    fill(clinic, 2)
    run(clinic, stub)
    run(clinic, stub, model="gemini-embedding-2")
    first, second = (json.loads(body)["requests"] for body in stub.bodies)
    assert [(one["taskType"], one["outputDimensionality"]) for one in first] == [("RETRIEVAL_DOCUMENT", 768)] * 2
    assert all(one["content"]["parts"][0]["text"].startswith("title: none | text: customer") for one in second)
    assert not any("taskType" in one for one in second)
    assert rows(clinic, "select model, count(*) from aura_ops.embeddings group by 1 order by 1") == [
        ("gemini-embedding-001", 2),
        ("gemini-embedding-2", 2),
    ]


def test_the_application_reads_the_active_model_only(clinic: Database, stub: Stub) -> None:
    fill(clinic, 2)
    run(clinic, stub)
    before = rows(clinic, "select message_embeddings::text from public.customer_conversations order by id")
    run(clinic, stub, model="gemini-embedding-2")
    assert rows(clinic, "select message_embeddings::text from public.customer_conversations order by id") == before


def test_a_switch_waits_until_the_new_models_vectors_are_complete(clinic: Database, stub: Stub) -> None:
    fill(clinic, 30)
    run(clinic, stub)
    with pytest.raises(SwitchRefused, match="has no vectors"):
        switch(clinic, "gemini-embedding-2")
    run(clinic, stub, model="gemini-embedding-2", budget=Budget(requests=2))
    with pytest.raises(SwitchRefused, match="10 rows have no finished vector"):
        switch(clinic, "gemini-embedding-2")
    run(clinic, stub, model="gemini-embedding-2")
    assert switch(clinic, "gemini-embedding-2") == 30
    assert rows(
        clinic,
        "select count(*) from public.customer_conversations as c join aura_ops.embeddings as e on e.entity_id = c.id"
        " where e.model = 'gemini-embedding-2' and c.message_embeddings = e.embedding::vector",
    ) == [(30,)]
    assert switch(clinic, "gemini-embedding-2") == 0
    assert run(clinic, stub, model="gemini-embedding-2").requests == 0
    with clinic.begin() as connection:
        assert [(one.model, one.active, one.done) for one in coverage(connection)] == [
            ("gemini-embedding-2", True, 30),
            ("gemini-embedding-001", False, 30),
        ]


def test_an_estimate_says_what_would_be_sent_and_sends_nothing(clinic: Database, stub: Stub) -> None:
    fill(clinic, 30)
    add_conversation(clinic, [])
    provider = gemini(stub, limits=Limits(items_per_request=10, items_per_minute=60))
    [told] = estimate(clinic, NOW, provider, ["conversation"])
    report = sync(clinic, "conversation", NOW, gemini(stub))
    assert (told.rows, told.tokens) == (report.embedded, report.tokens)
    assert told.cost_usd == pytest.approx(report.cost_usd)
    assert told.hours == pytest.approx(0.5 / 60)
    assert estimate(clinic, NOW, provider, ["conversation"])[0].rows == 0


def test_a_long_conversation_is_sent_whole_in_pieces(clinic: Database, stub: Stub) -> None:
    lines = [f"line{number} " + "คุยกันยาว " * 20 for number in range(300)]
    add_conversation(clinic, [("customer", line, moment(2)) for line in lines])
    assert run(clinic, stub).embedded == 1
    assert len(stub.texts) > 5
    sent = "\n".join(stub.texts)
    assert all(f"line{number} " in sent for number in range(300))
    weights = np.array([len(text) for text in stub.texts])
    units = np.stack([vector_of(text) / np.linalg.norm(vector_of(text)) for text in stub.texts])
    mean = np.average(units, axis=0, weights=weights)
    [written] = vectors(clinic).values()
    assert np.allclose(json.loads(written), mean / np.linalg.norm(mean), atol=1e-3)


def test_a_refused_text_is_found_by_halving_and_blocks_nobody(clinic: Database, stub: Stub) -> None:
    fill(clinic, 40)
    stub.misbehave = lambda _, texts: bad.input_refused() if "customer: text ag" in texts else None
    report = run(clinic, stub)
    assert (report.embedded, report.dead, report.left) == (39, 1, 0)
    assert report.requests <= 4 + 9
    assert rows(clinic, "select status, attempts, error from aura_ops.embedding_ledger where status <> 'done'") == [
        ("dead", 1, "400 The input is not acceptable.")
    ]
    assert run(clinic, stub).requests == 0
    stub.misbehave = None
    with clinic.begin() as connection:
        assert ledger.retry(connection) == 1
    assert run(clinic, stub).embedded == 1


@pytest.mark.parametrize(
    "spoil",
    [
        lambda _: '{"values":[NaN' + ",0.5" * 767 + "]}",
        lambda _: '{"values":[0.5,0.5]}',
        lambda _: '{"values":[0' + ",0" * 767 + "]}",
        lambda _: "{}",
    ],
)
def test_what_is_no_vector_is_asked_for_again_and_charged_to_its_text_alone(
    clinic: Database, stub: Stub, spoil: Any
) -> None:
    fill(clinic, 20)

    def misbehave(_: int, texts: list[str]) -> Fault:
        return Fault(
            edit=lambda given: [
                spoil(one) if text == "customer: text ac" else one for one, text in zip(given, texts, strict=True)
            ]
        )

    stub.misbehave = misbehave
    report = run(clinic, stub)
    assert (report.embedded, report.dead, report.requests) == (19, 1, 2 + 3)
    stub.misbehave = None
    with clinic.begin() as connection:
        ledger.retry(connection, "conversation")
    assert run(clinic, stub).embedded == 1


def test_fewer_vectors_than_texts_are_never_dealt_out(clinic: Database, stub: Stub) -> None:
    fill(clinic, 30)
    stub.misbehave = lambda number, _: Fault(edit=lambda given: given[1:]) if number in (1, 3) else None
    report = run(clinic, stub)
    assert (report.embedded, report.dead) == (30, 0)
    for text, written in vectors(clinic).items():
        expected = vector_of(f"customer: {text}")
        assert np.allclose(json.loads(written), expected / np.linalg.norm(expected), atol=1e-3)


def test_every_passing_fault_leaves_the_same_vectors_as_a_clean_run(clinic: Database, stub: Stub) -> None:
    fill(clinic, 200)
    run(clinic, stub)
    clean = vectors(clinic)
    execute(clinic, "truncate aura_ops.embeddings, aura_ops.embedding_ledger, aura_ops.embedding_cache")
    faults = [
        bad.rate_limited("0.02s"),
        bad.error(503, "UNAVAILABLE", "overloaded"),
        bad.error(500, "INTERNAL", "oops"),
        Fault(drop=True),
        Fault(body=b"<html>not json</html>"),
        Fault(body={"embeddings": []}),
        Fault(edit=lambda given: given[:-1]),
        Fault(edit=lambda given: [given[0].replace("[", "[NaN,", 1), *given[1:]]),
        Fault(status=500, body=b""),
    ]
    chance = random.Random(5)
    hit: Counter[str] = Counter()

    def misbehave(_: int, texts: list[str]) -> Fault | None:
        # A passing fault passes: no text leads more than two requests that fail.
        if not texts or hit[texts[0]] == 2 or chance.random() >= 0.3:
            return None
        hit[texts[0]] += 1
        return chance.choice(faults)

    stub.misbehave = misbehave
    left, requests = 200, stub.requests
    for _ in range(5):
        report = run(clinic, stub)
        left = report.left
        assert report.dead == 0
        if not left:
            break
    assert left == 0
    assert stub.requests - requests < 200
    assert vectors(clinic) == clean


def test_a_rate_limit_is_waiting_not_failing_and_its_delay_is_kept(clinic: Database, stub: Stub) -> None:
    fill(clinic, 20)
    stub.misbehave = lambda number, _: bad.rate_limited("0.5s") if number <= 2 else None
    report = run(clinic, stub)
    assert (report.embedded, report.failed, report.stopped) == (20, 0, None)
    assert report.seconds >= 0.5
    assert report.requests <= 4


def test_a_refused_key_stops_at_once_with_one_line(clinic: Database, stub: Stub) -> None:
    fill(clinic, 200)
    stub.misbehave = lambda *_: bad.key_refused()
    with pytest.raises(ProviderUnusable, match="GOOGLE_GEMINI_API_KEY") as caught:
        run(clinic, stub)
    assert "\n" not in str(caught.value)
    assert stub.requests <= FAST.concurrency
    stub.misbehave = None
    assert run(clinic, stub).embedded == 200


def test_a_days_quota_ends_the_run_cleanly_and_says_what_is_left(clinic: Database, stub: Stub) -> None:
    fill(clinic, 100)
    stub.misbehave = lambda number, _: bad.day_quota_exhausted() if number > 5 else None
    report = run(clinic, stub)
    assert report.left == 50
    assert report.stopped == "Gemini's quota for today is used up; 50 rows are left"
    assert stub.requests <= 5 + FAST.concurrency
    stub.misbehave = None
    assert run(clinic, stub).embedded == 50


def test_a_provider_that_is_down_ends_the_run_and_charges_no_row(clinic: Database, stub: Stub) -> None:
    fill(clinic, 300)
    stub.misbehave = lambda *_: Fault(drop=True)
    report = run(clinic, stub)
    assert report.stopped is not None and "does not answer" in report.stopped
    assert report.left == 300
    assert stub.requests <= 30
    assert rows(clinic, "select max(attempts) from aura_ops.embedding_ledger") == [(0,)]


def test_a_request_that_hangs_is_given_up_and_repeated(clinic: Database, stub: Stub) -> None:
    fill(clinic, 10)
    stub.misbehave = lambda number, _: Fault(hang=True) if number == 1 else None
    assert run(clinic, stub, timeout_seconds=0.3).embedded == 10


def test_the_budget_of_a_run_is_kept(clinic: Database, stub: Stub) -> None:
    fill(clinic, 100)
    report = run(clinic, stub, budget=Budget(requests=3))
    assert (report.requests, report.embedded, report.left) == (3, 30, 70)
    assert report.stopped == "this run's budget of 3 requests is used up; 70 rows are left"
    assert stub.requests == 3


def test_no_more_requests_are_in_flight_than_allowed(clinic: Database, stub: Stub) -> None:
    stub.latency = 0.02
    fill(clinic, 300)
    run(clinic, stub)
    assert stub.most_in_flight == FAST.concurrency


def test_equal_texts_are_sent_once(clinic: Database, stub: Stub) -> None:
    for _ in range(5):
        add_conversation(clinic, [("customer", "same", moment(2))])
    report = run(clinic, stub)
    assert (report.embedded, report.cached, stub.items) == (1, 4, 1)


def test_a_row_that_changes_while_it_is_embedded_is_embedded_again(clinic: Database, stub: Stub) -> None:
    one = add_conversation(clinic, [("customer", "before", moment(2))])

    def misbehave(number: int, _: list[str]) -> None:
        if number == 1:
            execute(
                clinic,
                "update public.customer_conversations set messages = messages || messages where id = %s",
                one,
            )

    stub.misbehave = misbehave
    report = run(clinic, stub)
    assert (report.embedded, report.left) == (1, 1)
    assert rows(clinic, "select message_embeddings from public.customer_conversations") == [(None,)]
    assert run(clinic, stub).embedded == 1
    assert stub.texts[-1] == "customer: before\ncustomer: before"
    assert run(clinic, stub).requests == 0


def test_without_a_key_or_with_an_unknown_model_nothing_starts() -> None:
    with pytest.raises(ProviderUnusable, match="GOOGLE_GEMINI_API_KEY is not set"):
        GeminiEmbedder(None)
    with pytest.raises(ProviderUnusable, match="set BN_AURA_EMBEDDING_MODEL to"):
        GeminiEmbedder("key", "text-embedding-004")
