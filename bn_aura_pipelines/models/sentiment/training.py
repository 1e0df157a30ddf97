"""Trains the sentiment model on the older labels, judges it on the newest, decides whether it serves, and refits it.

Below 200 labels the lexicon of `voice.lexicon` serves. How texts become numbers is known in `voice.model`.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import sqlalchemy
from sqlalchemy import text

from bn_aura_pipelines.models import registry
from bn_aura_pipelines.models.judging import Judgement
from bn_aura_pipelines.voice import language, lexicon
from bn_aura_pipelines.voice.champion import MODEL
from bn_aura_pipelines.voice.judging import beats, figures
from bn_aura_pipelines.voice.model import CLASSES, FEATURES, LEAST_LABELS, LEAST_OF_A_CLASS, SentimentModel, fit
from bn_aura_pipelines.voice.ngrams import normalise
from bn_aura_pipelines.voice.reading import Label, labels

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

TEST_SHARE = 0.2
LEAST_TEST_LABELS = 50
# The newest labels teach enough; more would only take longer.
MOST_LABELS = 20_000
DIGITS = re.compile(r"\d+")


@dataclass(frozen=True)
class TrainingTexts:
    """Labels split in time: every one of `train` was known before the first of `test`. No text of `test` occurs in
    `train`, numbers aside: a template that was seen in training would only be recognised. `labels` are all of them."""

    train: tuple[Label, ...]
    test: tuple[Label, ...]
    labels: tuple[Label, ...]

    @property
    def fingerprint(self) -> str:
        """The same exactly when texts, labels, their split and the features are the same."""
        digest = hashlib.sha256(repr(FEATURES).encode())
        for part in (self.train, self.test, self.labels):
            for one in part:
                digest.update(repr((one.words, one.sentiment, one.satisfaction)).encode())
            digest.update(b"|")
        return digest.hexdigest()

    @property
    def shortage(self) -> str:
        """Why these labels cannot teach, or an empty string."""
        total = len(self.train) + len(self.test)
        if total < LEAST_LABELS:
            return f"{total} labels, at least {LEAST_LABELS} are needed"
        if len(self.test) < LEAST_TEST_LABELS:
            return f"{len(self.test)} new texts to be judged on, at least {LEAST_TEST_LABELS} are needed"
        for sentiment, count in Counter(one.sentiment for one in self.train).items():
            if count < LEAST_OF_A_CLASS:
                return f"{count} {sentiment} labels, at least {LEAST_OF_A_CLASS} are needed"
        missing = set(CLASSES) - {one.sentiment for one in self.train}
        return f"no {sorted(missing)[0]} label" if missing else ""


@dataclass(frozen=True)
class TrainingResult:
    """What became of a training: the version, the figures of all candidates, and the decision in words."""

    version: int
    kind: str
    promoted: bool
    decision: str
    n_train: int
    judgements: tuple[Judgement, ...]
    metrics: dict[str, float]
    new: bool


def train(connection: sqlalchemy.Connection) -> TrainingResult:
    """Train, judge and register; the same labels again give the version that stands, and change nothing."""
    texts = read_texts(connection)
    known = registry.by_fingerprint(connection, MODEL, texts.fingerprint)
    if known:
        return TrainingResult(
            version=known.version,
            kind=known.kind,
            promoted=known.promoted,
            decision=known.decision,
            n_train=known.n_train,
            judgements=registry.judgements(connection, MODEL, known.version),
            metrics=known.metrics,
            new=False,
        )
    artifact, promoted, judgements, metrics = b"", False, (), {}
    kind = "lexicon"
    decision = f"The lexicon serves: {texts.shortage}."
    if not texts.shortage:
        kind = "local"
        promoted, decision, judgements, metrics = _decide(connection, texts, fit(*_columns(texts.train)))
        # Judged on four fifths, it serves with all it could learn: the newest labels are those of today's customers.
        artifact = fit(*_columns(texts.labels)).to_bytes()
    entry = registry.Entry(
        model=MODEL,
        version=registry.next_version(connection, MODEL),
        alias="champion" if promoted else "challenger",
        promoted=promoted,
        kind=kind,
        artifact=artifact,
        features=FEATURES,
        metrics=metrics,
        decision=decision,
        n_train=len(texts.train),
        n_test=len(texts.test),
        window_start=_extreme(texts.labels, min),
        window_end=_extreme(texts.labels, max),
        training_fingerprint=texts.fingerprint,
        trained_as_of=connection.execute(text("select aura_ops.as_of()")).scalar_one(),
    )
    registry.store(connection, entry, judgements)
    return TrainingResult(entry.version, kind, promoted, decision, len(texts.train), judgements, metrics, new=True)


def read_texts(connection: sqlalchemy.Connection) -> TrainingTexts:
    """The labels known at the run's moment, of texts that can be analysed: four fifths to learn from, then the rest."""
    usable = [one for one in labels(connection) if language.why_not(language.detect(one.words)) is None]
    usable = usable[-MOST_LABELS:]
    end = round(len(usable) * (1 - TEST_SHARE))
    seen = {_template(one.words) for one in usable[:end]}
    return TrainingTexts(
        train=tuple(usable[:end]),
        test=tuple(one for one in usable[end:] if _template(one.words) not in seen),
        labels=tuple(usable),
    )


def _decide(
    connection: sqlalchemy.Connection, texts: TrainingTexts, model: SentimentModel
) -> tuple[bool, str, tuple[Judgement, ...], dict[str, float]]:
    import numpy as np

    words, places, _ = _columns(texts.test)
    truth = np.array(places)
    shares = np.bincount(_columns(texts.train)[1], minlength=3) / len(texts.train)
    candidates: dict[str, Array] = {
        "majority": np.tile(shares, (len(truth), 1)),
        "lexicon": lexicon.probabilities(words),
        "local": model.probabilities(words),
    }
    standing = registry.champion(connection, MODEL)
    if standing is not None and tuple(standing.features) != FEATURES:
        standing = None  # it cannot be read any more; the lexicon is what would serve
    name = "lexicon"
    if standing is not None:
        name = "champion before"
        candidates[name] = SentimentModel.from_bytes(standing.artifact).probabilities(words)
    promoted, why = beats(truth, candidates["local"], candidates[name])
    who = f"version {standing.version}" if standing else "the lexicon"
    verdict = f"The trained model replaces {who}" if promoted else f"{who[0].upper()}{who[1:]} stays"
    measured = {candidate: figures(truth, probabilities) for candidate, probabilities in candidates.items()}
    judgements = tuple(
        Judgement(
            candidate=candidate,
            n_test=len(truth),
            auc=found["auc"],
            log_loss=found["log_loss"],
            brier=found["brier"],
            ece=found["ece"],
            positive_share=float((truth == 2).mean()),
        )
        for candidate, found in measured.items()
    )
    ours = measured["local"]
    decision = f"{verdict}: {why}; micro-F1 {ours['micro_f1']:.3f}, macro-F1 {ours['macro_f1']:.3f}."
    return promoted, decision, judgements, ours


def _columns(part: Sequence[Label]) -> tuple[list[str], list[int], list[float | None]]:
    """Words, places in CLASSES and satisfaction scores."""
    return (
        [one.words for one in part],
        [CLASSES.index(one.sentiment) for one in part],
        [one.satisfaction for one in part],
    )


def _template(words: str) -> str:
    return DIGITS.sub("0", normalise(words))


def _extreme(part: Sequence[Label], which: Callable[[Iterable[datetime]], datetime]) -> datetime | None:
    return which(one.known_at for one in part) if part else None
