"""A small lexicon of what clinics hear, and VADER for English that it does not know: they serve until there are labels.

Their probabilities are rough and marked as such (provider `lexicon`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from bn_aura_pipelines.voice.concerns import find
from bn_aura_pipelines.voice.language import detect
from bn_aura_pipelines.voice.ngrams import normalise

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# Weight of a word; a negation before it turns it round, see THAI_NOT and ENGLISH_NOT.
WORDS: dict[str, float] = {
    **dict.fromkeys(("ประทับใจ", "ดีใจ", "ชอบ", "รัก", "พอใจ", "มั่นใจ", "สบายใจ", "ไว้ใจ", "คุ้ม", "แนะนำ", "เยี่ยม"), 1.0),
    **dict.fromkeys(("ขอบคุณ", "น่ารัก", "อร่อย", "สวย", "ดีมาก", "ดีขึ้น", "สุดยอด", "ปลื้ม", "ใจดี", "สะดวก", "ยินดี"), 1.0),
    **dict.fromkeys(
        ("แย่", "ผิดหวัง", "เสียใจ", "เสียดาย", "เสียเวลา", "หงุดหงิด", "โกรธ", "รำคาญ", "เสียความรู้สึก", "ห่วย"), -1.3
    ),
    **dict.fromkeys(
        ("แพงกว่า", "แพงไป", "แพงเกิน", "เจ็บมาก", "กังวล", "เครียด", "น่ากลัว", "หลอก", "โกง", "เบื่อ", "รอนาน"), -1.0
    ),
    **dict.fromkeys(
        ("แพ้", "บวม", "ช้ำ", "ทรมาน", "สกปรก", "ยัดเยียด", "ไม่ไหว", "แย่มาก", "เกลียด", "กาก", "เซ็ง", "พัง"), -1.0
    ),
    **dict.fromkeys(
        ("good", "great", "love", "lovely", "happy", "excellent", "thank", "thanks", "perfect", "amazing"), 1.0
    ),
    **dict.fromkeys(
        ("recommend", "gentle", "friendly", "clean", "satisfied", "impressed", "worth", "nice", "best"), 1.0
    ),
    **dict.fromkeys(
        ("bad", "worse", "worst", "terrible", "awful", "disappointed", "disappointing", "rude", "angry"), -1.3
    ),
    **dict.fromkeys(
        ("expensive", "overpriced", "painful", "hurt", "upset", "waste", "annoying", "scam", "swollen"), -1.0
    ),
    **dict.fromkeys(
        ("dirty", "unhappy", "regret", "horrible", "unprofessional", "misleading", "ignored", "worried"), -1.0
    ),
}
SIGNS = {
    "😍": 1.0,
    "❤": 1.0,
    "🥰": 1.0,
    "😊": 0.7,
    "👍": 0.7,
    "🙏": 0.3,
    "😡": -1.3,
    "😭": -0.7,
    "😢": -1.0,
    "👎": -1.0,
}
THAI_NOT = ("ไม่", "ไม่ค่อย", "ไม่ได้", "ไม่เคย", "ไม่รู้สึก", "มิ", "ไร้")
ENGLISH_NOT = re.compile(r"(?:\b(?:not|no|never|isn't|wasn't|don't|didn't|doesn't|nothing)\b)(?:\s\w+){0,2}\s$")
PATTERN = re.compile(
    "|".join(
        rf"\b{re.escape(word)}\b" if word.isascii() else re.escape(word)
        for word in sorted((*WORDS, *SIGNS), key=len, reverse=True)
    )
)
# "ชอบมาก" and "very good" weigh more than the bare word, but the number of words counts more.
STEEPNESS = 1.6
NEUTRAL_WEIGHT = 1.6
# A compound of .5, which VADER gives one clearly good word, then weighs as much as such a word does here.
VADER_WEIGHT = 2.0


def polarity(text: str) -> float:
    """The sum of a text's words; positive is good."""
    normal = normalise(text)
    total = 0.0
    for match in PATTERN.finditer(normal):
        weight = WORDS.get(match[0]) or SIGNS[match[0]]
        before = normal[max(match.start() - 24, 0) : match.start()]
        total += -weight if _negated(before) else weight
    return total


def probabilities(texts: Sequence[str]) -> NDArray[np.float64]:
    """(n, 3): negative, neutral, positive; neutral where nothing is known of the words, and never very sure."""
    import numpy as np

    topics = [find(text) for text in texts]
    sums = np.array(
        [
            _feeling(text) + 0.7 * (len(found.praised) - len(found.complained))
            for text, found in zip(texts, topics, strict=True)
        ],
        float,
    )
    odds = np.column_stack([-STEEPNESS * sums, np.full(len(sums), NEUTRAL_WEIGHT), STEEPNESS * sums]).clip(-4, 4)
    weights = np.exp(odds)
    return weights / weights.sum(axis=1, keepdims=True)


def _feeling(text: str) -> float:
    """Polarity by the words of clinics; where an English text has none of them, VADER's compound score (Hutto and
    Gilbert 2014) on the same scale."""
    known = polarity(text)
    if known or detect(text) != "en":
        return known
    return VADER_WEIGHT * _vader().polarity_scores(text)["compound"]


@cache
def _vader() -> Any:
    from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

    return SentimentIntensityAnalyzer()


def _negated(before: str) -> bool:
    return before.rstrip().endswith(THAI_NOT) or ENGLISH_NOT.search(before) is not None
