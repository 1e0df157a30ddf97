from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from psycopg.types.json import Jsonb

from bn_aura_pipelines.database.connections import Database
from bn_aura_pipelines.database.view_files import load_views
from bn_aura_pipelines.database.views import build
from bn_aura_pipelines.models.registry import feature_hash
from bn_aura_pipelines.models.sentiment.training import read_texts, train
from bn_aura_pipelines.voice.champion import SentimentModelUnusable
from bn_aura_pipelines.voice.keeping import AnalysisResult, NoSuchConversation, analyse_changed, correct
from bn_aura_pipelines.voice.watching import shares, sudden_change
from bn_aura_pipelines_tests.embeddings.conftest import add_customer
from bn_aura_pipelines_tests.voice.conftest import AS_OF, BEGIN, CLINIC, execute, rows, say

VOICE_VIEWS = ("aura_marts.voice_of_customer_daily", "aura_marts.voice_topics")


def analyse(database: Database, at: datetime = AS_OF) -> AnalysisResult:
    with database.begin(at) as connection:
        return analyse_changed(connection)


def one(database: Database, identity: UUID, columns: str) -> Any:
    found = rows(database, f"select {columns} from aura_ops.conversation_analysis where conversation_id = %s", identity)
    return found[0] if found else None


def everything(database: Database) -> list[tuple[Any, ...]]:
    return rows(database, "select * from aura_ops.conversation_analysis order by conversation_id")


def element(role: Any, content: Any, at: datetime = BEGIN) -> dict[str, Any]:
    return {"role": role, "content": content, "timestamp": at.isoformat()}


def test_without_labels_the_lexicon_serves_and_is_named(clinic: Database) -> None:
    identity = say(clinic, "ไม่เจ็บเลยค่ะ ประทับใจมาก ขอบคุณค่ะ")
    assert analyse(clinic).provider == "lexicon"
    assert one(clinic, identity, "overall_sentiment, provider, model_version, positive_signals, language") == (
        *("positive", "lexicon", 0),
        ["pain"],
        "th",
    )


@pytest.mark.parametrize(
    ("messages", "status", "reason"),
    [
        ([], "not_analysed", "the customer wrote no words"),
        ({"not": "a list"}, "not_analysed", "the customer wrote no words"),
        ([1, None, "text", {"role": "customer"}], "not_analysed", "the customer wrote no words"),
        ([element("customer", 7), element("stranger", "hello")], "not_analysed", "the customer wrote no words"),
        ([element("sales", "สวัสดีค่ะ")], "not_analysed", "the customer wrote no words"),
        ([element("customer", "😍😍")], "not_analysed", "the customer wrote only emoji"),
        ([element("customer", "こんにちは元気ですか")], "not_analysed", "written in neither Thai nor English"),
        ([element("customer", "ดีมาก " * 200_000)], "analysed", None),
        ([{"role": "customer", "content": "แย่มาก", "timestamp": "not a time"}], "analysed", None),
        ([element("customer", "good \\u0000 \u200b")], "analysed", None),
    ],
)
def test_bad_input_has_an_outcome_and_blocks_nobody(
    clinic: Database, messages: Any, status: str, reason: str | None
) -> None:
    other = say(clinic, "บริการดีมาก ขอบคุณค่ะ")
    identity = say(clinic, messages if isinstance(messages, list) else [messages])
    if isinstance(messages, dict):
        execute(clinic, "update customer_conversations set messages = %s where id = %s", Jsonb(messages), identity)
    analyse(clinic)
    assert one(clinic, identity, "status, reason") == (status, reason)
    assert one(clinic, other, "status") == ("analysed",)


def test_only_what_changed_is_analysed_again_and_a_grown_conversation_is(clinic: Database) -> None:
    identity = say(clinic, "ราคาเท่าไหร่คะ")
    say(clinic, "ขอบคุณค่ะ")
    assert analyse(clinic).written == 2
    before = everything(clinic)
    assert analyse(clinic).written == 0
    assert everything(clinic) == before
    # What the application writes besides the messages, and the bumped updated_at, is no change.
    execute(clinic, "update customer_conversations set summary = 'x' where id = %s", identity)
    assert analyse(clinic).written == 0
    later = element("customer", "แย่มาก ผิดหวัง เสียเวลา รอนานมาก", BEGIN + timedelta(days=1))
    execute(
        clinic, "update customer_conversations set messages = messages || %s where id = %s", Jsonb([later]), identity
    )
    assert analyse(clinic).written == 1
    assert one(clinic, identity, "overall_sentiment, emotional_tone") == ("negative", "frustrated")
    execute(clinic, "delete from customer_conversations where id = %s", identity)
    assert analyse(clinic).removed == 1


def test_a_run_about_the_past_knows_only_its_messages_conversations_and_labels(labelled: Database) -> None:
    earlier = BEGIN + timedelta(days=20)
    grown = say(
        labelled,
        [element("customer", "ราคาเท่าไหร่คะ"), element("customer", "แย่มาก ผิดหวัง", earlier + timedelta(days=1))],
    )
    with labelled.begin(earlier) as connection:
        known = read_texts(connection)
        first = train(connection)
        analyse_changed(connection)
    assert all(label.known_at < earlier for label in (*known.train, *known.test))
    past = everything(labelled)
    assert one(labelled, grown, "overall_sentiment") == ("neutral",)
    with labelled.begin(AS_OF) as connection:
        assert train(connection).new
        analyse_changed(connection)
    assert everything(labelled) != past
    with labelled.begin(earlier) as connection:
        assert not train(connection).new
        analyse_changed(connection)
    assert everything(labelled) == past
    assert first.kind in ("lexicon", "local")


def test_a_label_counts_from_its_own_moment_and_for_the_words_before_it(clinic: Database) -> None:
    analysed_at = BEGIN + timedelta(days=3)
    words = [element("customer", "แย่มาก"), element("customer", "ขอบคุณค่ะ", BEGIN + timedelta(days=5))]
    say(clinic, words, label="negative", analysed_at=analysed_at)
    say(clinic, "แปลก", label="furious")
    with clinic.begin(BEGIN + timedelta(days=2)) as connection:
        assert read_texts(connection).train == ()
    with clinic.begin(AS_OF) as connection:
        (label,) = read_texts(connection).train
    assert (label.words, label.sentiment, label.known_at) == ("แย่มาก", "negative", analysed_at)


def test_the_model_is_trained_judged_promoted_and_serves(labelled: Database) -> None:
    say(labelled, "เจ็บมากค่ะ ไม่ประทับใจเลย", at=BEGIN + timedelta(days=60))
    with labelled.begin(AS_OF) as connection:
        result = train(connection)
        assert result.promoted, result.decision
        assert {one.candidate for one in result.judgements} == {"majority", "lexicon", "local"}
        again = train(connection)
        assert (again.version, again.new) == (result.version, False)
    done = analyse(labelled)
    assert (done.provider, done.model_version, done.analysed) == ("local", 1, 301)
    assert analyse(labelled).written == 0


def test_too_few_labels_leave_the_lexicon_and_say_so(clinic: Database) -> None:
    say(clinic, "แย่มาก", label="negative")
    with clinic.begin(AS_OF) as connection:
        result = train(connection)
    assert (result.kind, result.promoted) == ("lexicon", False)
    assert "at least 200 are needed" in result.decision
    assert analyse(clinic).provider == "lexicon"


def test_a_damaged_model_stops_with_the_remedy(labelled: Database) -> None:
    with labelled.begin(AS_OF) as connection:
        assert train(connection).promoted
    execute(labelled, "update aura_models.registry set artifact = 'x' where model = 'sentiment'")
    with pytest.raises(SentimentModelUnusable, match="sentiment_model"):
        analyse(labelled)


def test_a_champion_made_for_other_features_counts_as_none_and_is_replaced(labelled: Database) -> None:
    with labelled.begin(AS_OF) as connection:
        assert train(connection).promoted
    execute(
        labelled,
        "update aura_models.registry set features = array['of old'], feature_hash = %s, training_fingerprint = 'old'"
        " where model = 'sentiment'",
        feature_hash(("of old",)),
    )
    assert analyse(labelled).provider == "lexicon"
    with labelled.begin(AS_OF) as connection:
        result = train(connection)
    assert result.promoted, result.decision
    assert (analyse(labelled).provider, result.version) == ("local", 2)


def test_no_text_of_the_test_was_seen_in_training(labelled: Database) -> None:
    for days in (1, 120):
        say(labelled, f"ขอบคุณค่ะ {days}", at=BEGIN + timedelta(days=days), label="positive")
    with labelled.begin(AS_OF) as connection:
        texts = read_texts(connection)
    assert max(label.known_at for label in texts.train) <= min(label.known_at for label in texts.test)
    assert "ขอบคุณค่ะ 1" in [label.words for label in texts.train]
    assert "ขอบคุณค่ะ 120" not in [label.words for label in texts.test]


def test_quotes_hold_no_personal_data(clinic: Database) -> None:
    customer = add_customer(clinic, "Somchai Rakthai", BEGIN)
    identity = say(clinic, "Somchai Rakthai here, it hurt a lot, call 081-234-5678", customer=customer)
    analyse(clinic)
    (quotes,) = one(clinic, identity, "quotes")
    assert "hurt" in quotes["pain"]
    assert "Somchai" not in str(quotes)
    assert "5678" not in str(quotes)


def test_the_marts_count_every_day_and_leave_out_what_has_no_clinic(clinic: Database) -> None:
    newest = AS_OF - timedelta(days=3)
    say(clinic, "เจ็บมาก แย่มาก ผิดหวัง", at=newest)
    say(clinic, "😍", at=newest)
    say(clinic, "ราคาเท่าไหร่คะ", at=newest - timedelta(days=40))
    say(clinic, "แพงมาก", at=newest, clinic=None)
    with clinic.begin(AS_OF) as connection:
        analyse_changed(connection)
        build(connection, [view for view in load_views() if view.relation in VOICE_VIEWS])
        assert shares(connection)["share_not_analysed"] == 0.25
        assert sudden_change(connection) == ""
    days = rows(
        clinic,
        "select day, conversations, negative, neutral, not_analysed, concern_pain, mean_satisfaction"
        " from aura_marts.voice_of_customer_daily where clinic_id = %s order by day",
        CLINIC,
    )
    assert len(days) == 44  # from the first conversation to the run's own day
    assert [day[1:6] for day in days if day[1]] == [(1, 0, 1, 0, 0), (2, 1, 0, 1, 1)]
    assert [day[6] is None for day in days if not day[1]] == [True] * 42
    topics = {
        topic: found
        for topic, *found in rows(
            clinic,
            "select topic, conversations_28d, conversations_before, analysed_28d, is_significant, example_quote_1"
            " from aura_marts.voice_topics where clinic_id = %s",
            CLINIC,
        )
    }
    assert len(topics) == 12
    assert topics["pain"] == [1, 0, 1, False, "เจ็บมาก แย่มาก ผิดหวัง"]
    assert topics["price"] == [0, 1, 1, False, None]


def test_a_sudden_share_of_one_class_is_told(clinic: Database) -> None:
    for number in range(120):
        bad = number < 60
        words = f"แย่มาก ผิดหวัง {number}" if bad else f"ขอบคุณค่ะ ดีมาก {number}"
        say(clinic, words, at=AS_OF - timedelta(days=2 if bad else 60, minutes=number))
    with clinic.begin(AS_OF) as connection:
        analyse_changed(connection)
        assert "negative" in sudden_change(connection)


def test_a_correction_by_a_person_is_shown_learnt_from_and_ends_when_the_conversation_grows(clinic: Database) -> None:
    identity = say(clinic, "แปลกดีนะ", label="positive")
    analyse(clinic)
    with clinic.begin(AS_OF) as connection:
        correct(connection, identity, "negative")
    assert one(clinic, identity, "overall_sentiment, provider, confidence") == ("negative", "person", 1)
    assert analyse(clinic).written == 0
    with clinic.begin(AS_OF) as connection:
        assert [label.sentiment for label in read_texts(connection).labels] == ["negative"]
    # A run about an earlier moment does not know of it.
    analyse(clinic, AS_OF - timedelta(days=1))
    assert one(clinic, identity, "provider") == ("lexicon",)
    analyse(clinic)
    assert one(clinic, identity, "provider") == ("person",)
    later = element("customer", "ขอบคุณค่ะ ชอบมาก", BEGIN + timedelta(days=1))
    execute(
        clinic, "update customer_conversations set messages = messages || %s where id = %s", Jsonb([later]), identity
    )
    analyse(clinic)
    assert one(clinic, identity, "overall_sentiment, provider") == ("positive", "lexicon")
    with clinic.begin(AS_OF) as connection, pytest.raises(NoSuchConversation):
        correct(connection, CLINIC, "negative")
