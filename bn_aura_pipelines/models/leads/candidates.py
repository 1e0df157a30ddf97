"""What can be the lead model: the application's points, logistic regression, gradient boosting, and the hybrid.

A model is plain data (numbers and XGBoost's own bytes), never a pickle. Rows are read and decided on in `training`.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from bn_aura_pipelines.models.judging import logit
from bn_aura_pipelines.models.leads import points
from bn_aura_pipelines.models.leads.fields import Field, encode

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

Kind = Literal["points", "logistic", "xgboost", "hybrid"]

# A clinic with this many decided leads trusts what was learnt and the points alike.
HYBRID_LEADS = 200
# The latest decided leads that the level of all probabilities is set by.
RECENT_LEADS = 1000
# Chosen with ERA_DISTANCE of `guard` on the latest fifth of the training leads of the retail export (log loss .394 from
# 5 to 80); on its test leads all of these give AUC .636 and ECE .023 to .025.
RIDGE = 20.0
# What the points mean before anything is known: one win in five, and odds that grow by e^.75 for 25 points of 100.
PRIOR_RATE, PRIOR_LEADS = 0.2, 20.0
POINTS_SLOPE, POINTS_SLOPE_SD = 0.75, 0.5

XGBOOST_PARAMETERS = {
    "objective": "binary:logistic",
    "max_depth": 3,
    "learning_rate": 0.05,
    "subsample": 0.8,
    "min_child_weight": 10,
    "tree_method": "hist",
    "max_bin": 64,
    "seed": 1,
    "nthread": 1,
}
XGBOOST_ROUNDS = 120


@dataclass(frozen=True)
class LeadModel:
    """A fitted candidate. Arrays are in the order of the fields' columns; `kind` says which are used.

    `covariance` (columns + 1, intercept last) is what the interval of a probability comes from. `decided` counts the
    decided leads of each clinic, the weight of what was learnt in the hybrid. `shift` moves all log-odds to the level
    of the latest decided leads.
    """

    kind: Kind
    fields: tuple[Field, ...] = ()
    points_line: tuple[float, float] = (-1.386, POINTS_SLOPE)
    mean: list[float] = field(default_factory=list)
    scale: list[float] = field(default_factory=list)
    coefficients: list[float] = field(default_factory=list)
    intercept: float = 0.0
    covariance: list[list[float]] = field(default_factory=list)
    booster_ubj: bytes = b""
    decided: dict[str, int] = field(default_factory=dict)
    shift: float = 0.0

    @property
    def columns(self) -> list[str]:
        """The names of the model's columns."""
        return [column for one in self.fields for column in one.columns]

    @property
    def needs(self) -> tuple[str, ...]:
        """The fields that must be read to score."""
        return tuple(dict.fromkeys([*(one.name for one in self.fields), *points.INPUTS]))

    def to_bytes(self) -> bytes:
        """JSON; XGBoost's UBJ bytes inside in base64."""
        content: dict[str, Any] = asdict(self)
        content["booster_ubj"] = base64.b64encode(self.booster_ubj).decode()
        return json.dumps(content).encode()

    @classmethod
    def from_bytes(cls, content: bytes) -> LeadModel:
        found = json.loads(content)
        found["booster_ubj"] = base64.b64decode(found["booster_ubj"])
        found["fields"] = tuple(Field(**{**one, "levels": tuple(one["levels"])}) for one in found["fields"])
        found["points_line"] = tuple(found["points_line"])
        return cls(**found)

    def predict(self, values: pd.DataFrame, clinics: Sequence[str]) -> Array:
        """P(won), shape (n,)."""
        return self.explain(values, clinics, by_column=False).probability

    def explain(self, values: pd.DataFrame, clinics: Sequence[str], by_column: bool = True) -> Explanation:
        """Probability, its 80 % interval and what each column and the points add to the log-odds.

        Without `by_column` only the sum over columns is known, as if there were one: what trees add is split exactly
        (SHAP), and that takes most of the time.
        """
        import numpy as np

        rows = len(values)
        total = points.total(values)
        from_points = self.points_line[1] * (total - 50) / 25
        if self.kind == "points":
            odds = self.points_line[0] + from_points + self.shift
            return _explanation(odds, np.full(rows, 1.0), np.zeros((rows, 0)), from_points, total)
        x = encode(values, self.fields)
        standard = (x - np.array(self.mean)) / np.array(self.scale)
        learnt, base = self._learnt(x, standard, by_column)
        weight = np.ones(rows)
        if self.kind == "hybrid":
            known = np.array([self.decided.get(clinic, 0) for clinic in clinics], float)
            weight = known / (known + HYBRID_LEADS)
        covariance = np.array(self.covariance)
        spread = np.sqrt(np.maximum(_variance(standard, covariance), 0))
        deviation = weight * spread + (1 - weight)
        from_points = (1 - weight) * from_points
        learnt = weight[:, None] * learnt
        odds = weight * base + (1 - weight) * self.points_line[0] + learnt.sum(axis=1) + from_points + self.shift
        return _explanation(odds, deviation, learnt, from_points, total)

    def _learnt(self, x: Array, standard: Array, by_column: bool) -> tuple[Array, float]:
        """What each column adds (n, columns), or all of them (n, 1), and the base: linear, trees, or for the hybrid the
        mean of both."""
        import numpy as np

        weights = np.array(self.coefficients)
        linear = standard * weights if by_column else (standard @ weights)[:, None]
        if self.kind == "logistic":
            return linear, self.intercept
        trees, base = self._trees(x, by_column)
        if self.kind == "xgboost":
            return trees, base
        return (linear + trees) / 2, (self.intercept + base) / 2

    def _trees(self, x: Array, by_column: bool) -> tuple[Array, float]:
        import xgboost

        booster = xgboost.Booster()
        booster.load_model(bytearray(self.booster_ubj))
        booster.set_param({"nthread": 0})  # every core: unlike training, prediction does not depend on their number
        if not by_column:
            return booster.inplace_predict(x, predict_type="margin").astype(float)[:, None], 0.0
        added = booster.predict(xgboost.DMatrix(x), pred_contribs=True).astype(float)
        return added[:, :-1], float(added[0, -1]) if len(added) else 0.0


@dataclass(frozen=True)
class Explanation:
    """Of n leads: probability, 80 % interval, what each column and the points add to the log-odds, and the points."""

    probability: Array
    low: Array
    high: Array
    columns: Array
    from_points: Array
    points: Array


def fit_all(
    values: pd.DataFrame,
    won: Array,
    clinics: Sequence[str],
    fields: Sequence[Field],
    boosted: bool = True,
    weights: Array | None = None,
) -> list[LeadModel]:
    """Every candidate, fitted on decided leads in time order; without both outcomes only the points. Without `boosted`
    the points and logistic regression, for who needs many fits. `weights` (n,) say how much each lead counts to what is
    learnt."""
    import numpy as np

    line = fit_points(points.total(values), won)
    candidates = [LeadModel("points", points_line=line)]
    if len(won) and fields and 0 < won.sum() < len(won):
        x = encode(values, fields)
        mean, scale = x.mean(axis=0), x.std(axis=0)
        scale[scale == 0] = 1.0
        line_weights, covariance = fit_logistic((x - mean) / scale, won, weights)
        names, counts = np.unique(np.array(clinics, str), return_counts=True)
        learnt = LeadModel(
            "logistic",
            fields=tuple(fields),
            points_line=line,
            mean=mean.tolist(),
            scale=scale.tolist(),
            coefficients=line_weights[:-1].tolist(),
            intercept=float(line_weights[-1]),
            covariance=covariance.tolist(),
            booster_ubj=_boost(x, won, weights) if boosted else b"",
            decided=dict(zip(names.tolist(), counts.tolist(), strict=True)),
        )
        candidates += [learnt, *(replace(learnt, kind=kind) for kind in ("xgboost", "hybrid") if boosted)]
    return [recalibrated(model, values, won, clinics) for model in candidates]


def recalibrated(model: LeadModel, values: pd.DataFrame, won: Array, clinics: Sequence[str]) -> LeadModel:
    """The model with its level set by the latest of these decided leads: the log-odds are moved until they agree in
    sum, as far as the distance is more than chance (shrunk by 1 - 1/z^2, as James and Stein do)."""
    import numpy as np

    recent = slice(max(len(won) - RECENT_LEADS, 0), None)
    truth = won[recent]
    if len(truth) < 50:
        return model
    odds = logit(replace(model, shift=0.0).predict(values.iloc[recent], list(clinics)[recent]))
    shift = 0.0
    wins = (truth.sum() + 0.5) * len(truth) / (len(truth) + 1)
    for _ in range(20):
        p = 1 / (1 + np.exp(-(odds + shift)))
        step = (wins - p.sum()) / max((p * (1 - p)).sum(), 1e-6)
        shift += float(np.clip(step, -1, 1))
    p = 1 / (1 + np.exp(-(odds + shift)))
    z2 = shift**2 * float((p * (1 - p)).sum())
    return replace(model, shift=float(np.clip(shift * max(0.0, 1 - 1 / z2), -5, 5)) if z2 else 0.0)


def fit_points(total: Array, won: Array) -> tuple[float, float]:
    """Intercept and slope of the log-odds on (points - 50) / 25, held close to what they mean without any lead."""
    import numpy as np

    x = np.column_stack([(total - 50) / 25, np.ones(len(total))])
    prior_odds = float(np.log(PRIOR_RATE / (1 - PRIOR_RATE)))
    prior = np.array([POINTS_SLOPE, prior_odds])
    precision = np.diag([1 / POINTS_SLOPE_SD**2, PRIOR_LEADS * PRIOR_RATE * (1 - PRIOR_RATE)])
    weights, _ = _newton(x, won, prior, precision)
    return float(weights[1]), float(weights[0])


def fit_logistic(x: Array, won: Array, weights: Array | None = None) -> tuple[Array, Array]:
    """Ridge logistic regression on standardised columns: weights with the intercept last, and their covariance."""
    import numpy as np

    columns = np.column_stack([x, np.ones(len(x))])
    precision = np.diag(np.append(np.full(x.shape[1], RIDGE), 1e-3))
    return _newton(columns, won, np.zeros(columns.shape[1]), precision, weights)


def _newton(x: Array, won: Array, prior: Array, precision: Array, counts: Array | None = None) -> tuple[Array, Array]:
    """The mode of a logistic likelihood times a normal prior, and the inverse curvature there."""
    import numpy as np

    weights = prior.copy()
    curvature = precision
    each = np.ones(len(won)) if counts is None else counts
    for _ in range(30):
        p = 1 / (1 + np.exp(-np.clip(x @ weights, -30, 30)))
        curvature = (x * (each * p * (1 - p))[:, None]).T @ x + precision
        step = np.linalg.solve(curvature, x.T @ (each * (won - p)) - precision @ (weights - prior))
        weights = weights + np.clip(step, -5, 5)
        if np.abs(step).max() < 1e-8:
            break
    return weights, np.asarray(np.linalg.inv(curvature), float)


def _variance(standard: Array, covariance: Array) -> Array:
    import numpy as np

    own = np.einsum("ij,ij->i", standard @ covariance[:-1, :-1], standard)
    return own + 2 * standard @ covariance[:-1, -1] + covariance[-1, -1]


def _explanation(odds: Array, deviation: Array, columns: Array, from_points: Array, total: Array) -> Explanation:
    import numpy as np

    def share(logits: Array) -> Array:
        return 1 / (1 + np.exp(-np.clip(logits, -30, 30)))

    return Explanation(
        share(odds), share(odds - 1.2816 * deviation), share(odds + 1.2816 * deviation), columns, from_points, total
    )


def _boost(x: Array, won: Array, weights: Array | None) -> bytes:
    import xgboost

    booster = xgboost.train(XGBOOST_PARAMETERS, xgboost.DMatrix(x, label=won, weight=weights), XGBOOST_ROUNDS)
    return bytes(booster.save_raw("ubj"))
