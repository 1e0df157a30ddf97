from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from pydantic import SecretStr

from bn_aura_pipelines.database.connections import Database
from bn_aura_pipelines.embeddings.leases import alone
from bn_aura_pipelines.embeddings.providers import ProviderUnusable
from bn_aura_pipelines.settings import Settings
from bn_aura_pipelines.voice import provided
from bn_aura_pipelines.voice.gemini import GeminiAnalyst
from bn_aura_pipelines.voice.keeping import analyse_changed
from bn_aura_pipelines.voice.provided import AskingResult, ask_provider, retry
from bn_aura_pipelines.voice.reading import labels
from bn_aura_pipelines_tests.embeddings.conftest import add_customer
from bn_aura_pipelines_tests.voice.conftest import AS_OF, BEGIN, rows, say
from bn_aura_pipelines_tests.voice.stub import Reaction, Stub, answer, error, rate_limited, refused

STATES = "select status, provider, overall_sentiment, reason from aura_ops.conversation_analysis order by 2, 3"


def ask(database: Database, stub: Stub | None, mode: str = "gemini", **changes: Any) -> AskingResult:
    """The house's analysis, then the provider's, as the asset does it."""
    settings = Settings(
        database_url=None,
        google_gemini_api_key=SecretStr("key"),
        gemini_base_url=stub.url if stub else "http://127.0.0.1:9",
        voice_mode=mode,  # pyright: ignore[reportArgumentType]
        **changes,
    )
    with database.begin(AS_OF) as connection:
        analyse_changed(connection)
    return ask_provider(database, AS_OF, settings, first_delay=0.01)


def test_answers_replace_the_houses_own_and_the_same_again_costs_nothing(clinic: Database) -> None:
    customer = add_customer(clinic, "Somchai Rakthai", BEGIN)
    say(clinic, "Somchai Rakthai ถามราคาค่ะ โทร 081-234-5678", customer=customer)
    say(clinic, "😍")
    with Stub() as stub:
        first = ask(clinic, stub)
        assert (first.answered, first.dead, first.left, first.requests, first.tokens) == (1, 0, 0, 1, 150)
        assert first.cost_usd == pytest.approx((100 * 0.30 + 50 * 2.50) / 1e6)
        again = ask(clinic, stub)
        assert (again.answered, again.requests) == (0, 0)
        assert "Somchai" not in str(stub.bodies)
        assert "5678" not in str(stub.bodies)
        assert "ถามราคา" in stub.transcripts[0]
        assert stub.bodies[0]["generationConfig"]["responseSchema"]["required"][0] == "overall_sentiment"
    found = rows(
        clinic,
        "select overall_sentiment, confidence, satisfaction_score, key_concerns, emotional_tone, provider, tokens"
        " from aura_ops.conversation_analysis where status = 'analysed'",
    )
    assert found == [("negative", 0.9, 2.5, ["price"], "frustrated", "gemini-2.5-flash", 150)]


@pytest.mark.parametrize(
    "spoiled",
    [
        answer("this is no JSON"),
        answer("[]"),
        answer(overall_sentiment="furious"),
        answer(satisfaction_score=11),
        answer(confidence=-0.1),
        answer(confidence="high"),
        answer(emotional_tone=...),
        answer(key_concerns=["astrology"]),
        refused(),
        Reaction({"candidates": [{"finishReason": "MAX_TOKENS"}]}),
        Reaction({}),
    ],
)
def test_what_is_no_answer_ends_in_the_dead_letter_and_is_no_neutral(clinic: Database, spoiled: Reaction) -> None:
    say(clinic, "ราคาเท่าไหร่คะ")
    say(clinic, "ขอบคุณค่ะ")
    with Stub(lambda number, transcript: spoiled if "ราคา" in transcript else answer()) as stub:
        result = ask(clinic, stub)
        assert (result.answered, result.dead, result.left, result.requests) == (1, 1, 0, 4)
        assert ask(clinic, stub).requests == 0
    (good, dead) = sorted(rows(clinic, STATES))
    assert good == ("analysed", "gemini-2.5-flash", "negative", None)
    assert dead[:3] == ("failed", "gemini-2.5-flash", None)
    assert dead[3]


def test_faults_of_the_moment_are_waited_out(clinic: Database) -> None:
    for number in range(6):
        say(clinic, f"ราคาเท่าไหร่คะ {number}")
    bad = {1: rate_limited("0.05s"), 2: error(500), 3: error(503), 5: answer("{"), 7: rate_limited("0.01s")}
    with Stub(lambda number, transcript: bad.get(number, answer())) as stub:
        result = ask(clinic, stub)
    assert (result.answered, result.dead, result.left) == (6, 0, 0)
    assert result.requests == len(stub.transcripts) == 6 + len(bad)


def test_a_provider_that_is_down_or_hangs_leaves_the_conversations_for_the_next_run(
    clinic: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        provided, "GeminiAnalyst", lambda key, model, url: GeminiAnalyst(key, model, url, timeout_seconds=0.2)
    )
    for number in range(5):
        say(clinic, f"ราคาเท่าไหร่คะ {number}")
    with Stub(lambda number, transcript: Reaction({}, seconds=1) if number % 2 else error(500)) as stub:
        result = ask(clinic, stub)
    assert (result.answered, result.dead, result.left) == (0, 0, 5)
    assert "does not answer" in result.stopped
    assert {row[1] for row in rows(clinic, STATES)} == {"lexicon"}
    with Stub() as stub:
        assert ask(clinic, stub).answered == 5


def test_the_budget_is_kept_and_says_what_is_left(clinic: Database) -> None:
    for number in range(7):
        say(clinic, f"ราคาเท่าไหร่คะ {number}")
    with Stub(lambda number, transcript: error(500) if number == 2 else answer()) as stub:
        first = ask(clinic, stub, voice_requests_per_run=4)
        assert len(stub.transcripts) == first.requests == 4
        assert first.left == 7 - first.answered == 4
        assert "budget of 4 requests" in first.stopped
        second = ask(clinic, stub)
        assert (second.answered, second.left, second.stopped) == (4, 0, "")
        third = ask(clinic, stub, voice_tokens_per_run=0)
        assert third.requests == 0


def test_hybrid_asks_only_about_what_the_house_is_unsure_of(clinic: Database) -> None:
    say(clinic, "แย่มาก ผิดหวัง เสียเวลา รอนานมาก หงุดหงิด")
    say(clinic, "ราคาเท่าไหร่คะ แต่ก็ดี ชอบ แพง")
    with Stub(lambda number, transcript: answer(overall_sentiment="positive")) as stub:
        result = ask(clinic, stub, "hybrid", voice_unsure_below=0.8)
        assert len(stub.transcripts) == result.answered == 1
        assert "ชอบ" in stub.transcripts[0]
    assert [row[:3] for row in rows(clinic, STATES)] == [
        ("analysed", "gemini-2.5-flash", "positive"),
        ("analysed", "lexicon", "negative"),
    ]


def test_a_refused_key_stops_at_once_with_the_remedy(clinic: Database) -> None:
    say(clinic, "ราคาเท่าไหร่คะ")
    with Stub(lambda number, transcript: error(403, "denied")) as stub:
        with pytest.raises(ProviderUnusable, match="GOOGLE_GEMINI_API_KEY"):
            ask(clinic, stub)
        assert len(stub.transcripts) == 1


def test_in_local_mode_nothing_is_asked(clinic: Database) -> None:
    say(clinic, "ราคาเท่าไหร่คะ")
    assert ask(clinic, None, "local") == AskingResult()


def test_the_dead_letter_is_asked_about_again_after_retry(clinic: Database) -> None:
    say(clinic, "ราคาเท่าไหร่คะ")
    with Stub(lambda number, transcript: refused()) as stub:
        assert ask(clinic, stub).dead == 1
    with clinic.begin(AS_OF) as connection:
        assert retry(connection) == 1
        assert retry(connection) == 0
    with Stub() as stub:
        assert ask(clinic, stub).answered == 1
    assert [row[0] for row in rows(clinic, STATES)] == ["analysed"]


def test_two_runs_at_once_do_not_ask_twice(clinic: Database) -> None:
    say(clinic, "ราคาเท่าไหร่คะ")
    with Stub() as stub:
        with alone(clinic, "aura_ops.voice_answers") as free:
            assert free
            second = ask(clinic, stub)
            assert (second.requests, second.left, second.stopped) == (0, 1, "another run is asking already")
        assert ask(clinic, stub).requests == 1


def test_what_gemini_said_is_a_label_for_the_local_model(clinic: Database) -> None:
    say(clinic, "ราคาเท่าไหร่คะ", label="neutral")
    with Stub(lambda number, transcript: answer(overall_sentiment="positive", satisfaction_score=9)) as stub:
        ask(clinic, stub)
    with clinic.begin(AS_OF) as connection:
        (label,) = labels(connection)
    assert (label.sentiment, label.satisfaction, label.known_at) == ("positive", 9, AS_OF)
    with clinic.begin(AS_OF - timedelta(days=1)) as connection:
        (label,) = labels(connection)
    assert label.sentiment == "neutral"
