"""What can be the churn model: from the application's points to gradient boosting. Fits, predicts, explains.

A model is plain data (numbers and XGBoost's own bytes), never a pickle. Rows are read and decided on in `training`.
"""

from __future__ import annotations

import base64
import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from bn_aura_pipelines.models.bgnbd import BgNbd
from bn_aura_pipelines.models.churn.contributions import contributions
from bn_aura_pipelines.models.judging import logit

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import xgboost
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

HORIZON_DAYS = 90.0

Kind = Literal["points", "recency", "bgnbd", "logistic", "xgboost", "blend"]

# Counts, days and amounts are taken as log(1 + x): all of them are skewed, and a linear model then sees ratios.
LOGARITHMIC = (
    "recency_days",
    "tenure_days",
    "visits",
    "visits_90d",
    "visits_180d",
    "visits_365d",
    "gap_mean_days",
    "gap_std_days",
    "lateness",
    "revenue_thb",
    "revenue_90d_thb",
    "revenue_365d_thb",
    "ticket_thb",
    "last_ticket_thb",
    "cancellations_365d",
    "no_shows_365d",
    "treatments_per_visit",
    "conversations_90d",
    "customer_messages_90d",
    "days_since_message",
    "same_month_last_year",
    "days_since_booking",
    "bookings_since_visit",
    "booking_ahead_days",
    "treatment_kinds",
    "repeat_lateness",
    "channels",
    "response_hours_90d",
    "referrals_made",
    "loyalty_days",
)
PLAIN = ("has_booking_ahead", "was_referred", "mood_90d", "mood_slope", "season_sin", "season_cos")
SNAPSHOT_COLUMNS = (*LOGARITHMIC, *PLAIN)
FEATURES = (*SNAPSHOT_COLUMNS, "bgnbd_logit", "bgnbd_alive")

# Depth 3, small steps: the defaults lose to logistic regression on transactional churn. One seed gives the
# same model for the same rows; so do two threads, but beside anything else that runs they wait for each other and are
# slower than one.
XGBOOST_PARAMETERS = {
    "objective": "binary:logistic",
    "max_depth": 3,
    "learning_rate": 0.05,
    "subsample": 0.8,
    "min_child_weight": 20,
    "tree_method": "hist",
    "seed": 1,
    "nthread": 1,
}
XGBOOST_ROUNDS = 300


@dataclass(frozen=True)
class ChurnModel:
    """A fitted candidate. Arrays are in the order of FEATURES; which fields are filled depends on `kind`."""

    kind: Kind
    bgnbd: BgNbd | None = None
    mean: list[float] = field(default_factory=list)
    scale: list[float] = field(default_factory=list)
    coefficients: list[float] = field(default_factory=list)
    intercept: float = 0.0
    booster_ubj: bytes = b""

    def to_bytes(self) -> bytes:
        """JSON; XGBoost's UBJ bytes inside in base64."""
        content: dict[str, Any] = asdict(self)
        content["booster_ubj"] = base64.b64encode(self.booster_ubj).decode()
        return json.dumps(content).encode()

    @classmethod
    def from_bytes(cls, content: bytes) -> ChurnModel:
        fields = json.loads(content)
        fields["bgnbd"] = BgNbd(**fields["bgnbd"]) if fields["bgnbd"] else None
        fields["booster_ubj"] = base64.b64decode(fields["booster_ubj"])
        return cls(**fields)

    def predict(self, rows: pd.DataFrame) -> Array:
        """P(no completed visit within 90 days) of snapshot rows, shape (n,)."""
        import numpy as np

        if self.kind == "points":
            return sum_points(rows) / 100
        if self.kind == "bgnbd":
            assert self.bgnbd is not None
            return self.bgnbd.no_visit(*history_of(rows), HORIZON_DAYS)
        x = matrix(rows, self.bgnbd)
        odds = self._linear(x).sum(axis=1) + self.intercept
        if self.booster_ubj:
            trees = self._booster().predict(_dmatrix(x), output_margin=True).astype(float)
            odds = trees if self.kind == "xgboost" else (odds + trees) / 2
        return 1 / (1 + np.exp(-odds))

    def explain(self, rows: pd.DataFrame) -> tuple[Array, float]:
        """What each feature adds to the log-odds: shape (n, len(FEATURES)), and the base all rows share.

        Linear: coefficient times distance from the training mean. Trees: XGBoost's own `pred_contribs`, which equals
        SHAP's TreeExplainer. A blend is the mean of both. For the others the whole score hangs on recency.
        """
        import numpy as np

        x = matrix(rows, self.bgnbd)
        if self.kind in ("points", "bgnbd"):
            alone = np.zeros(x.shape)
            odds = logit(self.predict(rows))
            alone[:, FEATURES.index("recency_days")] = odds
            return alone, 0.0
        linear = self._linear(x)
        if self.kind in ("logistic", "recency"):
            return linear, self.intercept
        trees = contributions(self._booster(), x)
        if self.kind == "xgboost":
            return trees[:, :-1], float(trees[0, -1]) if len(trees) else 0.0
        base = (self.intercept + (float(trees[0, -1]) if len(trees) else 0.0)) / 2
        return (linear + trees[:, :-1]) / 2, base

    def _linear(self, x: Array) -> Array:
        """What each feature adds to the log-odds of the linear part, the shape of x."""
        import numpy as np

        return (x - np.array(self.mean)) / np.array(self.scale) * np.array(self.coefficients)

    def _booster(self) -> xgboost.Booster:
        import xgboost

        booster = xgboost.Booster()
        booster.load_model(bytearray(self.booster_ubj))
        booster.set_param({"nthread": XGBOOST_PARAMETERS["nthread"]})
        return booster


def sum_points(rows: pd.DataFrame) -> Array:
    """The application's churn score 0..100, shape (n,): its if-statements, unchanged."""
    import numpy as np

    recency = rows["recency_days"].to_numpy()
    points = np.select([recency > 120, recency > 90, recency > 60], [40.0, 30.0, 15.0], 0.0)
    points += 20.0 * ((rows["visits"].to_numpy() > 5) & (recency > 60))
    points += 20.0 * (rows["cancellations_365d"].to_numpy() > 2)
    return points


def matrix(rows: pd.DataFrame, bgnbd: BgNbd | None) -> Array:
    """Snapshot rows as numbers, shape (n, len(FEATURES)). What a single visit cannot tell is filled: a gap with the
    time since that visit, lateness with 1; no message and no booking ahead count as one far away; without messages the
    mood is even, without an answer nobody waited."""
    import numpy as np

    filled = rows[list(SNAPSHOT_COLUMNS)].astype(float)
    filled = filled.fillna(
        {
            "gap_mean_days": filled["tenure_days"],
            "gap_std_days": filled["tenure_days"],
            "lateness": 1.0,
            "days_since_message": 999.0,
            "booking_ahead_days": 999.0,
            "repeat_lateness": 1.0,
            "response_hours_90d": 0.0,
            "mood_90d": 0.0,
            "mood_slope": 0.0,
            "loyalty_days": 0.0,
        }
    )
    for name in ("lateness", "repeat_lateness"):
        filled[name] = filled[name].clip(upper=50)
    x = filled.to_numpy()
    x[:, : len(LOGARITHMIC)] = np.log1p(np.maximum(x[:, : len(LOGARITHMIC)], 0))
    if bgnbd is None:
        estimates = np.zeros((len(x), 2))
    else:
        history = history_of(rows)
        estimates = np.column_stack([logit(bgnbd.no_visit(*history, HORIZON_DAYS)), bgnbd.alive(*history)])
    return np.column_stack([x, estimates])


def fit_all(rows: pd.DataFrame, bgnbd: BgNbd | None) -> list[ChurnModel]:
    """Every candidate, fitted on labelled snapshot rows (column `churned`, 0 or 1; `weight` where there is one).
    `bgnbd` comes fitted on all customers of the last training snapshot, or None where its likelihood has no use for so
    little history."""
    import numpy as np

    truth = rows["churned"].to_numpy(float)
    weights = rows["weight"].to_numpy(float) if "weight" in rows else np.ones(len(rows))
    x = matrix(rows, bgnbd)
    mean, scale = x.mean(axis=0), x.std(axis=0)
    scale[scale == 0] = 1.0
    standard = (x - mean) / scale
    moments = {"bgnbd": bgnbd, "mean": mean.tolist(), "scale": scale.tolist()}
    coefficients, intercept = _logistic(standard, truth, weights)
    only_recency = np.zeros(len(FEATURES))
    recency = FEATURES.index("recency_days")
    (only_recency[recency],), recency_intercept = _logistic(standard[:, [recency]], truth, weights)
    booster = _boost(x, truth, weights)
    linear = {"coefficients": coefficients.tolist(), "intercept": intercept}
    models = [
        ChurnModel("points"),
        ChurnModel("recency", **moments, coefficients=only_recency.tolist(), intercept=recency_intercept),
        ChurnModel("logistic", **moments, **linear),
        ChurnModel("xgboost", **moments, coefficients=[0.0] * len(FEATURES), booster_ubj=booster),
        ChurnModel("blend", **moments, **linear, booster_ubj=booster),
    ]
    return [*models, ChurnModel("bgnbd", bgnbd=bgnbd)] if bgnbd else models


def history_of(rows: pd.DataFrame) -> tuple[Array, Array, Array]:
    """Repeat visits, time of the last and age in days since the first visit, each (n,): what BG/NBD is fitted on."""
    tenure = rows["tenure_days"].to_numpy(float)
    return rows["visits"].to_numpy(float) - 1, tenure - rows["recency_days"].to_numpy(float), tenure


def _logistic(x: Array, truth: Array, weights: Array) -> tuple[Array, float]:
    from sklearn.linear_model import LogisticRegression

    # With so few columns Newton's steps on the whole Hessian take a fraction of the time of lbfgs, to the same optimum.
    model = LogisticRegression(C=1.0, solver="newton-cholesky").fit(x, truth, sample_weight=weights)
    return model.coef_[0], float(model.intercept_[0])


def _boost(x: Array, truth: Array, weights: Array) -> bytes:
    import xgboost

    booster = xgboost.train(XGBOOST_PARAMETERS, _dmatrix(x, truth, weights), XGBOOST_ROUNDS)
    return bytes(booster.save_raw("ubj"))


def _dmatrix(x: Array, truth: Array | None = None, weights: Array | None = None) -> xgboost.DMatrix:
    import xgboost

    return xgboost.DMatrix(x, label=truth, weight=weights, feature_names=list(FEATURES))
