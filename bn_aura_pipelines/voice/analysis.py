"""One conversation's analysis from the customer's words: what the house itself finds, without a provider.

Where it is kept, and what is analysed again, is the business of `keeping`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bn_aura_pipelines.voice import concerns, language, lexicon
from bn_aura_pipelines.voice.model import CLASSES, USUAL_SATISFACTION, SentimentModel
from bn_aura_pipelines.voice.reading import Conversation

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

TONES = ("excited", "curious", "hesitant", "frustrated", "satisfied", "neutral")
EXCITED = re.compile(r"!{2,}|!|มากๆ|สุดๆ|สุด ๆ|รีบจอง|ตื่นเต้น|อยากทำ|😍|🥰|❤|love|amazing|can't wait|excited", re.IGNORECASE)
HESITANT = re.compile(
    r"ไม่แน่ใจ|ลังเล|ขอคิดดู|คิดดูก่อน|กลัว|ขอปรึกษา|ไว้ก่อน|not sure|think about it|hesita|afraid|maybe later|nervous",
    re.IGNORECASE,
)
ASKING = re.compile(
    r"\?|ไหม|มั้ย|หรือเปล่า|หรือยัง|เท่าไหร่|เท่าไร|เมื่อไหร่|กี่|ยังไง|อย่างไร|ขอทราบ|how|what|when|which", re.IGNORECASE
)


@dataclass(frozen=True)
class Analysis:
    """What `aura_ops.conversation_analysis` holds of a conversation; field by field its columns."""

    conversation: Conversation
    status: str
    language: str
    provider: str
    model_version: int = 0
    reason: str | None = None
    overall_sentiment: str | None = None
    confidence: float | None = None
    p_negative: float | None = None
    p_positive: float | None = None
    satisfaction_score: float | None = None
    key_concerns: list[str] = field(default_factory=list)
    positive_signals: list[str] = field(default_factory=list)
    improvement_suggestions: list[str] = field(default_factory=list)
    emotional_tone: str | None = None
    quotes: dict[str, str] = field(default_factory=dict)
    tokens: int = 0
    cost_usd: float = 0.0


@dataclass(frozen=True)
class Analyst:
    """Who analyses: version `version` of the trained model, or the lexicon where there is none yet."""

    model: SentimentModel | None
    version: int

    @property
    def provider(self) -> str:
        return "local" if self.model else "lexicon"

    def analyse(self, conversations: Sequence[Conversation]) -> list[Analysis]:
        """An analysis of each, in order; `not_analysed` with the reason where there is nothing to analyse."""
        languages: list[language.Language] = [language.detect(one.words[:20_000]) for one in conversations]
        readable = [n for n, found in enumerate(languages) if language.why_not(found) is None]
        probabilities = self._probabilities([conversations[n].words for n in readable])
        rows = dict(zip(readable, probabilities, strict=True))
        return [
            self._analysis(one, languages[n], rows[n]) if n in rows else not_analysed(one, languages[n])
            for n, one in enumerate(conversations)
        ]

    def _probabilities(self, texts: list[str]) -> NDArray[np.float64]:
        return self.model.probabilities(texts) if self.model else lexicon.probabilities(texts)

    def _analysis(
        self, one: Conversation, written_in: language.Language, probabilities: NDArray[np.float64]
    ) -> Analysis:
        place = int(probabilities.argmax())
        sentiment = CLASSES[place]
        found = concerns.find(one.words)
        minded, liked = concerns.sort_out(found, sentiment)
        satisfaction = self.model.satisfaction if self.model else USUAL_SATISFACTION
        return Analysis(
            conversation=one,
            status="analysed",
            language=written_in,
            provider=self.provider,
            model_version=self.version,
            overall_sentiment=sentiment,
            confidence=round(float(probabilities[place]), 4),
            p_negative=round(float(probabilities[0]), 4),
            p_positive=round(float(probabilities[2]), 4),
            satisfaction_score=round(float(probabilities @ satisfaction), 2),
            key_concerns=minded,
            positive_signals=liked,
            improvement_suggestions=concerns.suggest(found.complained),
            emotional_tone=tone(one.words, sentiment),
            quotes=quotes(one, [*minded, *liked]),
        )


def not_analysed(one: Conversation, written_in: language.Language) -> Analysis:
    """That there is nothing to analyse, and why."""
    return Analysis(one, "not_analysed", written_in, provider="none", reason=language.why_not(written_in))


def tone(words: str, sentiment: str) -> str:
    """One of TONES, by rules: a negative conversation is frustrated unless it hesitates; a positive one excited or
    satisfied; a neutral one hesitant, curious when it asks, or neutral."""
    start = words[:4_000]
    if HESITANT.search(start) and sentiment != "positive":
        return "hesitant"
    if sentiment == "negative":
        return "frustrated"
    if sentiment == "positive":
        return "excited" if EXCITED.search(start) else "satisfied"
    return "curious" if ASKING.search(start) else "neutral"


def quotes(one: Conversation, topics: Sequence[str]) -> dict[str, str]:
    """For each topic the redacted sentence it stands in."""
    if not topics:
        return {}
    words = one.redacted()
    found = ((topic, concerns.quote(words, topic)) for topic in topics)
    return {topic: sentence for topic, sentence in found if sentence}
