"""A fitted way to order treatments: one of the simple scores made a probability, or trees over all of them.

Plain data, never a pickle. Which one is in charge is decided in `training`.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from bn_aura_pipelines.models.judging import logit
from bn_aura_pipelines.models.recommendations.novelties import Novelties
from bn_aura_pipelines.models.recommendations.repeats import Repeats

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Floats = NDArray[np.floating]
    Ints = NDArray[np.int64]

Problem = Repeats | Novelties

LEARNT = "trees"
# Small steps of one thread: the same rows give the same trees.
XGBOOST_PARAMETERS = {
    "objective": "binary:logistic",
    "max_depth": 4,
    "learning_rate": 0.1,
    "subsample": 0.5,
    "colsample_bytree": 0.5,
    "min_child_weight": 20,
    "tree_method": "hist",
    "seed": 1,
    "nthread": 1,
}
XGBOOST_ROUNDS = 150
# Customers of a window who teach: those who took something up, and a sample of the others, weighted for the rest.
MOST_TAKERS, MOST_OTHERS = 2_000, 500
CHUNK = 2_000


@dataclass(frozen=True)
class RankingModel:
    """A baseline by its name with the plane that makes its score a probability, or `trees` with XGBoost's bytes.

    `silence`: what the logarithm of the days since the last visit adds to the log-odds. It is the same for all
    treatments of a customer, so the order stays the baseline's.
    """

    kind: str
    slope: float = 1.0
    silence: float = 0.0
    intercept: float = 0.0
    booster_ubj: bytes = b""

    def to_bytes(self) -> bytes:
        """JSON; XGBoost's UBJ bytes inside in base64."""
        return json.dumps({**asdict(self), "booster_ubj": base64.b64encode(self.booster_ubj).decode()}).encode()

    @classmethod
    def from_bytes(cls, content: bytes) -> RankingModel:
        fields: dict[str, Any] = json.loads(content)
        return cls(**{**fields, "booster_ubj": base64.b64decode(fields["booster_ubj"])})

    def predict(self, problem: Problem, places: Ints) -> Floats:
        """The probability that each customer of `places` takes each treatment within the horizon, shape
        (len(places), treatments). Zero for what the trees were not asked about; what is not open means nothing."""
        import numpy as np

        if self.kind != LEARNT:
            odds = self.slope * logit(problem.score(self.kind, places).astype(float)) + self.intercept
            odds += self.silence * _silence(problem, places)[:, None]
            return (1 / (1 + np.exp(-odds))).astype(np.float32)
        probability = np.zeros((len(places), len(problem.histories.treatments)), np.float32)
        booster = self._booster()
        for begin in range(0, len(places), CHUNK):
            who, treatment, x = problem.matrix(places[begin : begin + CHUNK])
            if len(x):
                probability[begin + who, treatment] = booster.inplace_predict(x)
        return probability

    def _booster(self) -> Any:
        import xgboost

        booster = xgboost.Booster()
        booster.load_model(bytearray(self.booster_ubj))
        booster.set_param({"nthread": XGBOOST_PARAMETERS["nthread"]})
        return booster


@dataclass(frozen=True)
class Examples:
    """What was open to customers and whether it was taken: features (n, k), truth (n,) and weight (n,)."""

    x: Floats
    truth: Array
    weight: Array


def examples(problem: Problem) -> Examples:
    """The examples of one window, whose histories say what followed."""
    import numpy as np

    had = np.flatnonzero(np.isfinite(problem.histories.recency).any(axis=1))
    takes = problem.relevant(had)[0].any(axis=1)
    takers, others = thin(had[takes], MOST_TAKERS), thin(had[~takes], MOST_OTHERS)
    places = np.concatenate([takers, others])
    weight = np.repeat(
        [takes.sum() / max(len(takers), 1), (~takes).sum() / max(len(others), 1)], [len(takers), len(others)]
    )
    who, treatment, x = problem.matrix(places, everything=True)
    truth = problem.relevant(places)[0][who, treatment]
    return Examples(x, truth.astype(float), weight[who])


def thin(places: Ints, most: int) -> Ints:
    """Evenly spread ones, at most so many."""
    return places[:: max(1, -(-len(places) // most))]


def fit_trees(windows: Sequence[Examples], features: Sequence[str]) -> RankingModel:
    """Trees over the examples of all windows."""
    import numpy as np
    import xgboost

    data = xgboost.DMatrix(
        np.concatenate([one.x for one in windows]),
        label=np.concatenate([one.truth for one in windows]),
        weight=np.concatenate([one.weight for one in windows]),
        feature_names=list(features),
    )
    booster = xgboost.train(XGBOOST_PARAMETERS, data, XGBOOST_ROUNDS)
    return RankingModel(LEARNT, booster_ubj=bytes(booster.save_raw("ubj")))


def calibrate(baseline: str, problem: Problem) -> RankingModel:
    """A baseline with the plane, over the log-odds of its score and the silence since the last visit, that fits what
    followed best (after Platt 1999); the score itself is the probability where nothing or everything was taken."""
    import numpy as np
    from sklearn.linear_model import LogisticRegression

    places = thin(np.flatnonzero(np.isfinite(problem.histories.recency).any(axis=1)), MOST_TAKERS + MOST_OTHERS)
    open_, (truth, _) = problem.open(places), problem.relevant(places)
    if not len(places) or len(np.unique(truth[open_])) < 2:
        return RankingModel(baseline)
    who, _ = np.nonzero(open_)
    odds = logit(problem.score(baseline, places)[open_].astype(float))
    x = np.column_stack([odds, _silence(problem, places)[who]])
    plane = LogisticRegression(solver="newton-cholesky").fit(x, truth[open_])
    slope, silence = plane.coef_[0].tolist()
    # One that falls would turn the order round.
    return RankingModel(baseline, max(slope, 1e-3), silence, float(plane.intercept_[0]))


def _silence(problem: Problem, places: Ints) -> Array:
    import numpy as np

    return np.log1p(problem.histories.customers["recency_days"].to_numpy(float)[places])
