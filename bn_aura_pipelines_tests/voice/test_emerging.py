from __future__ import annotations

import random
from datetime import timedelta
from typing import Any

from bn_aura_pipelines.database.connections import Database
from bn_aura_pipelines.database.view_files import load_views
from bn_aura_pipelines.database.views import build
from bn_aura_pipelines.embeddings.offline import OfflineEmbedder
from bn_aura_pipelines.embeddings.sync import sync
from bn_aura_pipelines.voice.emerging import EmergingResult, find_emerging, terms
from bn_aura_pipelines.voice.keeping import analyse_changed
from bn_aura_pipelines_tests.embeddings.conftest import add_customer
from bn_aura_pipelines_tests.voice.conftest import AS_OF, BEGIN, rows, say

VOUCHER = ("อยากซื้อบัตรกำนัลเป็นของขวัญวันเกิดให้เพื่อน", "บัตรกำนัลวันเกิดซื้อให้แม่ได้ไหม", "ขอบัตรกำนัลของขวัญวันเกิดใบนึง")
OTHER = "กขคงจฉชซดตถทนบปผพฟมยรลวสหอ"


def chat(database: Database, weeks: range, seed: int) -> None:
    """Each week three conversations about a gift voucher, and ten about nothing that anybody else speaks of."""
    draw = random.Random(seed)
    for week in weeks:
        at = BEGIN + timedelta(weeks=week)
        for words in VOUCHER:
            say(database, f"{words} {draw.choice(('นะ', 'จ้า', 'ด้วย'))}", at=at)
        for _ in range(10):
            say(database, " ".join("".join(draw.choices(OTHER, k=4)) for _ in range(8)), at=at)


def found(database: Database, at: Any) -> EmergingResult:
    sync(database, "conversation", at, OfflineEmbedder())
    with database.begin(at) as connection:
        analyse_changed(connection)
        return find_emerging(connection)


def topics(database: Database) -> dict[Any, tuple[Any, ...]]:
    return {row[0]: row for row in rows(database, "select * from aura_ops.emerging_topics")}


def test_a_planted_topic_is_found_named_and_keeps_its_name_while_weeks_go_by(clinic: Database) -> None:
    chat(clinic, range(4), 1)
    result = found(clinic, BEGIN + timedelta(weeks=4))
    assert result.topics == 1
    assert result.with_topic >= 10  # of the twelve that were planted
    before = topics(clinic)
    (name,) = {row[2] for row in before.values()}
    assert "กำนัล" in name
    assert all("บัตรกำนัล" in row[4] for row in before.values())
    chat(clinic, range(4, 8), 2)
    later = BEGIN + timedelta(weeks=8)
    assert found(clinic, later).topics == 1
    after = topics(clinic)
    assert len(after) >= 21
    assert {key: after[key] for key in before} == before
    assert {row[2] for row in after.values()} == {name}
    found(clinic, later)
    assert topics(clinic) == after
    # A run about the earlier moment finds what was found then.
    found(clinic, BEGIN + timedelta(weeks=4))
    assert topics(clinic) == before


def test_an_emerging_topic_stands_in_the_mart_with_its_change(clinic: Database) -> None:
    chat(clinic, range(14, 21), 3)
    found(clinic, AS_OF)
    with clinic.begin(AS_OF) as connection:
        build(connection, [view for view in load_views() if view.relation == "aura_marts.voice_topics"])
    ((name, recent, before, analysed, *quotes),) = rows(
        clinic,
        "select topic, conversations_28d, conversations_before, analysed_28d,"
        " example_quote_1, example_quote_2, example_quote_3 from aura_marts.voice_topics where kind = 'emerging'",
    )
    assert "กำนัล" in name
    assert analysed == 39
    assert recent == 9
    assert before >= 10
    assert all(quotes) and len(set(quotes)) == 3


def test_no_topic_is_named_after_a_person(clinic: Database) -> None:
    customer = add_customer(clinic, "Wilhelmina Stone", BEGIN)
    for day in range(8):
        say(clinic, "wilhelmina stone asks for a gift voucher", at=BEGIN + timedelta(days=day), customer=customer)
    chat(clinic, range(1, 3), 4)
    found(clinic, AS_OF)
    assert topics(clinic)
    assert "ilhelmina" not in str(topics(clinic))


def test_terms_are_words_that_can_name_something() -> None:
    assert terms("[NAME] อยากได้ บัตรกำนัล 500 บาท ค่ะ ๆๆ the voucher") >= {"กำนัล", "voucher"}
    assert not terms("[PHONE] the 12345 ค่ะ ๆๆ") & {"phone", "the", "ค่ะ", "ๆๆ"}
