from __future__ import annotations

import re

import pytest

from bn_aura_pipelines.settings import PROJECT_ROOT
from bn_aura_pipelines.voice.concerns import LONGEST_QUOTE, find, quote, sort_out
from bn_aura_pipelines.voice.topics import TOPICS


@pytest.mark.parametrize(
    ("words", "topic"),
    [
        ("แพงกว่าที่อื่นเยอะเลยค่ะ", "price"),
        ("ไม่คุ้มเลย", "price"),
        ("it was overpriced", "price"),
        ("ตอนทำเจ็บมากค่ะ", "pain"),
        ("It hurt a lot", "pain"),
        ("ทำแล้วไม่เห็นผลเลย", "results"),
        ("no visible results after a month", "results"),
        ("รอคิวเป็นชั่วโมง", "waiting"),
        ("ไม่ตรงเวลาเลย", "waiting"),
        ("the room was not really clean", "safety"),
        ("I waited for two hours", "waiting"),
        ("พนักงานพูดจาไม่ดี", "service"),
        ("the receptionist was rude", "service"),
        ("หน้าบวมหลายวันเลย", "downtime"),
        ("still swollen after a week", "downtime"),
        ("ทำแล้วแพ้ผื่นขึ้น", "safety"),
        ("the room was dirty", "safety"),
        ("โดนยัดเยียดขายคอร์ส", "promotion"),
        ("misleading offer", "promotion"),
        ("ห้องสกปรก มีฝุ่น", "hygiene"),
        ("the towels were not clean", "hygiene"),
        ("พนักงานชักสีหน้าใส่", "staff"),
        ("the nurse was careless", "staff"),
        ("ที่จอดรถไม่พอ เดินทางลำบาก", "location"),
        ("no parking and hard to find", "location"),
        ("ไม่มีใครโทรถามอาการหลังทำเลย", "aftercare"),
        ("nobody followed up afterwards", "aftercare"),
    ],
)
def test_a_complaint_is_found_in_both_languages(words: str, topic: str) -> None:
    assert topic in find(words).complained


@pytest.mark.parametrize(
    ("words", "topic"),
    [
        ("ไม่เจ็บเลยค่ะ", "pain"),
        ("ไม่ค่อยเจ็บ", "pain"),
        ("it did not hurt", "pain"),
        ("painless", "pain"),
        ("ไม่แพงเลย", "price"),
        ("not expensive at all", "price"),
        ("ไม่บวมเลยค่ะ", "downtime"),
        ("no swelling at all", "downtime"),
        ("ไม่ต้องรอเลย", "waiting"),
        ("ไม่แพ้เลย", "safety"),
        ("เดินทางสะดวก จอดรถง่าย", "location"),
        ("easy to find", "location"),
        ("คลินิกสะอาดมาก", "hygiene"),
        ("คุณหมอใจดีมาก", "staff"),
        ("โทรมาถามอาการด้วย", "aftercare"),
    ],
)
def test_what_is_denied_is_praise_and_no_complaint(words: str, topic: str) -> None:
    found = find(words)
    assert topic in found.praised
    assert topic not in found.complained


@pytest.mark.parametrize("words", ["เจ็บไหมคะ", "ราคาเท่าไหร่คะ", "Is it painful?", "how much is it"])
def test_a_question_is_a_mention_and_no_complaint(words: str) -> None:
    found = find(words)
    assert found.mentioned
    assert not found.complained


def test_praise_and_complaint_in_one_text_are_told_apart() -> None:
    found = find("ไม่เจ็บเลยค่ะ แต่รอนานมาก")
    assert "pain" in found.praised
    assert "waiting" in found.complained
    assert sort_out(found, "negative") == (["waiting"], ["pain"])


def test_a_mention_is_a_concern_unless_the_conversation_is_positive() -> None:
    found = find("ราคาเท่าไหร่คะ")
    assert sort_out(found, "neutral") == (["price"], [])
    assert sort_out(found, "positive") == ([], ["price"])


def test_a_quote_is_the_sentence_and_not_too_long() -> None:
    assert quote("สวัสดีค่ะ\nเจ็บมากเลยค่ะ\nขอบคุณ", "pain") == "เจ็บมากเลยค่ะ"
    long = quote("เจ็บ" + "มาก" * 200, "pain")
    assert long is not None
    assert len(long) == LONGEST_QUOTE
    assert quote("สวัสดีค่ะ", "pain") is None


def test_the_marts_name_every_topic() -> None:
    folder = PROJECT_ROOT / "dbt_like_views" / "marts"
    listed = re.search(r"array\[([^]]+)\]", (folder / "voice_topics.sql").read_text("utf-8"))
    assert listed is not None
    assert re.findall(r"'(\w+)'", listed[1]) == list(TOPICS)
    daily = (folder / "voice_of_customer_daily.sql").read_text("utf-8")
    assert re.findall(r"-- concern_(\w+):", daily) == list(TOPICS)
