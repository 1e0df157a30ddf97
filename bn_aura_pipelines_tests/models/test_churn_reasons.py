"""Reasons are the strongest topics, in the direction of the score, in plain words with the customer's own numbers."""

from __future__ import annotations

import re

import numpy as np
import pytest

from bn_aura_pipelines.models.churn.candidates import FEATURES
from bn_aura_pipelines.models.churn.reasons import MOST_REASONS, TOPICS, write_reasons
from bn_aura_pipelines_tests.models.simulated import snapshot_rows

THAI = re.compile(r"[\u0e00-\u0e7f]")
ROW = snapshot_rows(1, seed=1).assign(
    visits=4.0, recency_days=75.0, gap_mean_days=30.0, lateness=2.5, visits_365d=4.0, visits_90d=1.0, tenure_days=165.0,
    cancellations_365d=2.0, no_shows_365d=1.0, customer_messages_90d=0.0, days_since_message=44.0,
)  # fmt: skip


def reasons(raised: bool, **weights: float) -> tuple[str, str]:
    contributions = np.zeros((1, len(FEATURES)))
    for name, weight in weights.items():
        contributions[0, FEATURES.index(name)] = weight
    english, thai = write_reasons(ROW, contributions, np.array([raised]))
    return english[0], thai[0]


def test_the_strongest_topics_come_first_with_the_persons_own_numbers() -> None:
    english, thai = reasons(True, recency_days=1.0, lateness=0.5, cancellations_365d=0.7, tenure_days=-2.0)
    assert english == (
        "last visit 75 days ago, usually every 30; 2 cancelled and 1 missed appointments in the last year"
    )
    assert thai == "มาครั้งล่าสุด 75 วันก่อน ปกติมาทุก 30 วัน; ยกเลิกนัด 2 ครั้ง และไม่มาตามนัด 1 ครั้งในปีที่ผ่านมา"


def test_a_low_score_is_explained_by_what_lowers_it() -> None:
    english, _ = reasons(False, recency_days=1.0, visits_365d=-0.8, days_since_message=-0.2)
    assert english == "4 visits in the last year, 1 in the last 90 days; has not written for 44 days"


def test_at_most_three_are_named_and_never_none() -> None:
    english, thai = reasons(True, **{names[0]: 1.0 for names in TOPICS.values()})
    assert english.count("; ") == thai.count("; ") == MOST_REASONS - 1
    assert all(reasons(True))


@pytest.mark.parametrize("topic", TOPICS)
def test_every_topic_speaks_thai_and_english(topic: str) -> None:
    english, thai = reasons(True, **{TOPICS[topic][0]: 1.0})
    assert THAI.search(thai) and not THAI.search(english)
    assert re.search(r"\d", english + thai)


def test_every_feature_but_the_season_belongs_to_a_topic() -> None:
    told = {name for names in TOPICS.values() for name in names}
    assert set(FEATURES) - told == {"season_sin", "season_cos"}


def test_a_single_visit_and_silence_are_told_as_such() -> None:
    row = ROW.assign(visits=1.0, gap_mean_days=np.nan, days_since_message=np.nan)
    contributions = np.zeros((1, len(FEATURES)))
    contributions[0, FEATURES.index("recency_days")] = 2
    contributions[0, FEATURES.index("days_since_message")] = 1
    english, thai = write_reasons(row, contributions, np.array([True]))
    assert english == ["last visit 75 days ago, the only one so far; has never written"]
    assert thai == ["มาครั้งล่าสุด 75 วันก่อน และเคยมาเพียงครั้งเดียว; ยังไม่เคยทักมา"]
