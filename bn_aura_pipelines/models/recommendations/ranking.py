"""How good a ranking is, customer by customer, and whether one truly beats another. Nothing here knows treatments."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Floats = NDArray[np.floating]
    Bools = NDArray[np.bool_]

FIRST = 10
BOOTSTRAP_ROUNDS = 1000
BOOTSTRAP_SEED = 7


@dataclass(frozen=True)
class Figures:
    """A candidate's figures over the judged customers."""

    candidate: str
    n_test: int
    recall_at_10: float
    ndcg_at_10: float
    hit_at_1: float
    coverage: float
    novelty: float


@dataclass(frozen=True)
class Ranked:
    """What a candidate puts first for each judged customer, and how each fares, shape (n,)."""

    candidate: str
    recall: Array
    ndcg: Array
    hit: Array
    coverage: float
    novelty: float

    @property
    def figures(self) -> Figures:
        return Figures(
            self.candidate,
            len(self.recall),
            float(self.recall.mean()),
            float(self.ndcg.mean()),
            float(self.hit.mean()),
            self.coverage,
            self.novelty,
        )


def rank(candidate: str, scores: Floats, open_: Bools, relevant: Bools, first: Bools, known: Array) -> Ranked:
    """Judge scores (n, m) of which only the `open_` may be recommended; every row has something `relevant`.

    `first`: what counts as a hit at rank 1. `known` (m,): the share of customers who have had each item. Recall@10 is
    the share of the relevant among the first ten, nDCG@10 its discounted form (Järvelin and Kekäläinen 2002).
    """
    import numpy as np

    top = top_places(scores, open_, FIRST)
    shown = np.take_along_axis(open_, top, axis=1)
    hits = np.take_along_axis(relevant, top, axis=1) & shown
    count = relevant.sum(axis=1)
    discount = 1 / np.log2(np.arange(top.shape[1]) + 2)
    ideal = np.cumsum(discount)[np.minimum(count, top.shape[1]) - 1]
    items = top[shown]
    return Ranked(
        candidate=candidate,
        recall=hits.sum(axis=1) / count,
        ndcg=(hits * discount).sum(axis=1) / ideal,
        hit=(np.take_along_axis(first, top[:, :1], axis=1) & shown[:, :1])[:, 0].astype(float),
        coverage=len(np.unique(items)) / max(int(open_.any(axis=0).sum()), 1),
        novelty=float(-np.log2(np.maximum(known[items], 1e-6)).mean()) if len(items) else 0.0,
    )


def top_places(scores: Floats, open_: Bools, most: int) -> NDArray[np.int64]:
    """The places of the best `most` open items of each row, best first, ties by place; closed ones come last."""
    import numpy as np

    ordered = np.where(open_, -scores.astype(np.float64), np.inf)
    return np.argsort(ordered, axis=1, kind="stable")[:, :most]


def better(ours: Array, theirs: Array, comparisons: int = 1) -> tuple[bool, str]:
    """Whether ours is better than theirs beyond chance, and why: the whole 95 % paired bootstrap interval of the mean
    difference lies above zero, widened for as many comparisons (Bonferroni)."""
    import numpy as np

    difference, rng = ours - theirs, np.random.default_rng(BOOTSTRAP_SEED)
    size = len(difference)
    rounds = (difference[rng.integers(0, size, size, dtype=np.int32)].mean() for _ in range(BOOTSTRAP_ROUNDS))
    means = np.fromiter(rounds, float, BOOTSTRAP_ROUNDS)
    low, high = np.quantile(means, [0.025 / comparisons, 1 - 0.025 / comparisons])
    return bool(low > 0), f"nDCG@10 {difference.mean():+.4f} (95 % interval {low:+.4f} to {high:+.4f})"
