"""The sentiment model: a calibrated linear classifier over hashed n-grams and words, as plain data.

Logistic regression over the counts, each times the log of how much more often it occurs in a class (NB-SVM: Wang and
Manning, ACL 2012), fitted twice and added up: with texts as they come, and with every class weighing the same, which
the rarer classes gain by. The lexicon's polarity joins when the sums are made probabilities. Grams, strength and the
lexicon were chosen by five-fold cross-validation on training labels alone. Judging and promotion are not done here.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from bn_aura_pipelines.voice import lexicon
from bn_aura_pipelines.voice.ngrams import BUCKETS, count_grams

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Counts = Any  # scipy.sparse.csr_matrix, whose annotations know neither shape nor slices

CLASSES = ("negative", "neutral", "positive")
LEAST_LABELS = 200
LEAST_OF_A_CLASS = 20
# Part of the registry's feature hash: raise it when texts are counted or normalised differently.
FEATURES = ("character n-grams 1-5 and newmm words 1-2, hashed to 2 x 2^18, and the lexicon's polarity, version 2",)

FOLDS = 3
SEED = 11
TOLERANCE = 0.1  # of the dual; a hundredth of it changes no answer and takes half as long again
RARE = 2  # grams of fewer texts than this are left out
STRENGTH = 4.0
WEIGHTS = (None, "balanced")
MOST_POLARITY = 5.0  # a long text of many kind words is no surer than one of five
# A satisfaction score where nobody has given one for a class of sentiment.
USUAL_SATISFACTION = (2.0, 5.5, 8.5)
BATCH = 1_000


@dataclass(frozen=True)
class SentimentModel:
    """Coefficients of the grams in `columns` (sorted), and what makes probabilities of their sums."""

    columns: NDArray[np.int32]  # (k,)
    coefficients: NDArray[np.float16]  # (k, 3)
    intercept: tuple[float, ...]  # (3,)
    calibration: tuple[tuple[float, ...], ...]  # (3, 6): for each class the weights of `_evidence`, and a constant
    satisfaction: tuple[float, ...]  # (3,): mean score of conversations of each class

    def to_bytes(self) -> bytes:
        """A line of JSON, then the columns and the coefficients, compressed; little endian."""
        head = {
            "grams": len(self.columns),
            "intercept": self.intercept,
            "calibration": self.calibration,
            "satisfaction": self.satisfaction,
        }
        numbers = self.columns.astype("<i4").tobytes() + self.coefficients.astype("<f2").tobytes()
        return json.dumps(head).encode() + b"\n" + zlib.compress(numbers, 6)

    @classmethod
    def from_bytes(cls, content: bytes) -> SentimentModel:
        import numpy as np

        head, _, packed = content.partition(b"\n")
        fields = json.loads(head)
        count = fields.pop("grams")
        numbers = zlib.decompress(packed)
        return cls(
            columns=np.frombuffer(numbers, "<i4", count).astype(np.int32),
            coefficients=np.frombuffer(numbers, "<f2", 3 * count, 4 * count).reshape(count, 3).astype(np.float16),
            intercept=tuple(fields["intercept"]),
            calibration=tuple(tuple(row) for row in fields["calibration"]),
            satisfaction=tuple(fields["satisfaction"]),
        )

    @cached_property
    def _weights(self) -> NDArray[np.float32]:
        import numpy as np

        weights = np.zeros((BUCKETS, 3), np.float32)
        weights[self.columns] = self.coefficients
        return weights

    @cached_property
    def _known(self) -> NDArray[np.bool_]:
        import numpy as np

        known = np.zeros(BUCKETS, bool)
        known[self.columns] = True
        return known

    def probabilities(self, texts: Sequence[str]) -> Array:
        """(n, 3): calibrated probabilities in the order of CLASSES."""
        import numpy as np

        parts = [self._batch(texts[start : start + BATCH]) for start in range(0, len(texts), BATCH)]
        return np.concatenate(parts) if parts else np.zeros((0, 3))

    def _batch(self, texts: Sequence[str]) -> Array:
        import numpy as np

        scaled = scale(count_grams(texts), self._known)
        sums = scaled @ self._weights + np.array(self.intercept)
        return _calibrated(_evidence(sums, texts), np.array(self.calibration))


def scale(counts: Counts, known: NDArray[np.bool_]) -> Counts:
    """Rows whose characters, and whose words, have length 1; unknown grams count nothing."""
    import numpy as np
    from scipy.sparse import csr_matrix

    values = counts.data * known[counts.indices]
    rows = np.repeat(np.arange(counts.shape[0]), np.diff(counts.indptr))
    part = rows * 2 + (counts.indices >= BUCKETS // 2)
    lengths = np.sqrt(np.bincount(part, values.astype(float) ** 2, 2 * counts.shape[0]))
    lengths[lengths == 0] = 1
    return csr_matrix(((values / lengths[part]).astype(np.float32), counts.indices, counts.indptr), counts.shape)


def fit(texts: Sequence[str], truth: Sequence[int], satisfaction: Sequence[float | None] = ()) -> SentimentModel:
    """Fit on texts with their class (place in CLASSES) and, where known, satisfaction scores, in the same order.

    Probabilities are calibrated on texts that were held out three times in turn. Raises ValueError below FOLDS texts
    of a class.
    """
    import numpy as np
    from sklearn.model_selection import StratifiedKFold

    y = np.asarray(truth)
    counts = count_grams(texts)
    held_out = np.zeros((len(y), 3))
    for rows, others in StratifiedKFold(FOLDS, shuffle=True, random_state=SEED).split(held_out, y):
        columns, weights, intercept = _linear(counts[rows], y[rows])
        held_out[others] = scale(counts[others], _mask(columns))[:, columns] @ weights + intercept
    calibration = _calibrate(_evidence(held_out, texts), y)
    columns, weights, intercept = _linear(counts, y)
    return SentimentModel(
        columns=columns.astype(np.int32),
        coefficients=weights.astype(np.float16),
        intercept=tuple(intercept.tolist()),
        calibration=tuple(tuple(row) for row in calibration.tolist()),
        satisfaction=_satisfaction(y, satisfaction),
    )


def _linear(counts: Counts, y: NDArray[Any]) -> tuple[NDArray[np.intp], Array, Array]:
    """Columns, weights (k, 3) and intercept (3,) of the two models' sum."""
    import numpy as np
    from scipy.sparse import diags_array
    from sklearn.linear_model import LogisticRegression

    seen = np.bincount(counts.indices, minlength=BUCKETS)
    columns = np.flatnonzero(seen >= RARE)
    x = scale(counts, _mask(columns))[:, columns]
    present: Any = x.copy()
    present.data[:] = 1
    weights, intercept = np.zeros((len(columns), 3)), np.zeros(3)
    for place in range(3):
        ours = y == place
        factors = _log_ratio(present, ours)
        ratios = (x @ diags_array(factors)).tocsr()
        for class_weight in WEIGHTS:
            model: Any = LogisticRegression(
                C=STRENGTH, solver="liblinear", tol=TOLERANCE, dual=True, class_weight=class_weight, random_state=SEED
            )
            model.fit(ratios, ours)
            weights[:, place] += model.coef_[0] * factors / 2
            intercept[place] += model.intercept_[0] / 2
    return columns, weights, intercept


def _log_ratio(present: Counts, ours: NDArray[np.bool_]) -> Array:
    """How much more often each gram occurs among ours than among the others, as a log, smoothed by one text."""
    import numpy as np

    inside = np.asarray(present[ours].sum(axis=0)).ravel() + 1.0
    outside = np.asarray(present[~ours].sum(axis=0)).ravel() + 1.0
    return np.log(inside / inside.sum()) - np.log(outside / outside.sum())


def _mask(columns: NDArray[np.intp]) -> NDArray[np.bool_]:
    import numpy as np

    mask = np.zeros(BUCKETS, bool)
    mask[columns] = True
    return mask


def _evidence(sums: Array, texts: Sequence[str]) -> Array:
    """(n, 5): the three sums; the lexicon's polarity, which knows words that no label has shown; and its strength."""
    import numpy as np

    polarities = np.array([lexicon.polarity(text) for text in texts], float).clip(-MOST_POLARITY, MOST_POLARITY)
    return np.column_stack([sums, polarities, np.abs(polarities)])


def _calibrate(evidence: Array, y: NDArray[Any]) -> Array:
    """(3, 6): multinomial logistic regression of the class on the evidence."""
    import numpy as np
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=100.0, max_iter=2_000).fit(evidence, y)
    return np.column_stack([model.coef_, model.intercept_])


def _calibrated(evidence: Array, calibration: Array) -> Array:
    import numpy as np

    odds = evidence @ calibration[:, :-1].T + calibration[:, -1]
    odds = np.exp(odds - odds.max(axis=1, keepdims=True))
    return odds / odds.sum(axis=1, keepdims=True)


def _satisfaction(y: NDArray[Any], scores: Sequence[float | None]) -> tuple[float, ...]:
    known: list[list[float]] = [[], [], []]
    for place, score in zip(y.tolist(), scores, strict=False):
        if score is not None:
            known[place].append(score)
    return tuple(
        sum(found) / len(found) if len(found) >= LEAST_OF_A_CLASS else usual
        for found, usual in zip(known, USUAL_SATISFACTION, strict=True)
    )
