"""Fits the lifetime model, judges it on held-out months beside two baselines, and keeps it in the registry.

The laws are in `model`, writing everybody's values in `values`.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import sqlalchemy

from bn_aura_pipelines.models import registry
from bn_aura_pipelines.models.bgnbd import NotEnoughHistory
from bn_aura_pipelines.models.lifetime import model as laws
from bn_aura_pipelines.models.lifetime.histories import first_and_now, read_histories, read_revenue
from bn_aura_pipelines.models.lifetime.model import LifetimeModel, Staying, shortest_interval

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

MODEL = "lifetime"
HORIZON_DAYS = 365.0
SHORTEST_HORIZON_DAYS = 60.0
FEATURES = ("repeats", "last_days", "age_days", "paid_visits", "revenue_thb")
# Coverage within these needs no correction; what the interval claims lies in the middle.
LEAST_COVERAGE, MOST_COVERAGE = 0.75, 0.85
# "Own rate" takes a customer of a few days for one of a month.
LEAST_RATE_DAYS = 30.0


@dataclass(frozen=True)
class Accuracy:
    """Figures of one prediction of the revenue that followed: money in THB, shares of one."""

    candidate: str
    rmse_thb: float
    bias: float
    top_decile_share: float
    coverage: float | None = None


@dataclass(frozen=True)
class HeldOut:
    """What a model fitted before `cut` said about the revenue of the `horizon_days` after it.

    Figures are measured on every second customer; how many stay (`staying`) and the `interval_share` are learnt from
    the others.
    """

    cut: datetime
    horizon_days: float
    customers: int
    interval_share: float
    staying: Staying
    figures: tuple[Accuracy, ...]


@dataclass(frozen=True)
class LifetimeTraining:
    """The model that stands, its version, and how it did on held-out months; `model` is None for too little history."""

    version: int
    model: LifetimeModel | None
    decision: str
    held_out: HeldOut | None
    new: bool


def train(connection: sqlalchemy.Connection) -> LifetimeTraining:
    """Fit, judge and register; the same histories again give the version that stands."""
    first, now = first_and_now(connection)
    rows = read_histories(connection, now)
    fingerprint = _fingerprint(rows)
    known = registry.by_fingerprint(connection, MODEL, fingerprint)
    if known:
        return LifetimeTraining(
            known.version, LifetimeModel.from_bytes(known.artifact), known.decision, _stored(known.metrics), new=False
        )
    try:
        model = laws.fit(rows)
    except NotEnoughHistory as error:
        return LifetimeTraining(0, None, f"No value is predicted: {error}", None, new=False)
    held_out = judge(connection, first, now) if first else None
    if held_out:
        model = replace(model, interval_share=held_out.interval_share, staying=held_out.staying)
    decision = _decide(held_out)
    entry = registry.Entry(
        model=MODEL,
        version=registry.next_version(connection, MODEL),
        alias="champion",
        promoted=True,
        kind="bgnbd and gamma-gamma",
        artifact=model.to_bytes(),
        features=FEATURES,
        metrics=_metrics(held_out),
        decision=decision,
        n_train=len(rows),
        n_test=held_out.customers if held_out else 0,
        window_start=first,
        window_end=now,
        training_fingerprint=fingerprint,
        trained_as_of=now,
    )
    registry.store(connection, entry, ())
    return LifetimeTraining(entry.version, model, decision, held_out, new=True)


def judge(connection: sqlalchemy.Connection, first: datetime, now: datetime) -> HeldOut | None:
    """Fit on what was known a year ago (or half-way, where history is shorter than two years) and compare with what
    was paid since. "Mean" gives everybody an equal part of what as many days before brought in, "own rate" what each
    paid a day so far. None where there is too little history."""
    import numpy as np

    horizon = min(HORIZON_DAYS, (now - first) / timedelta(days=2))
    cut = now - timedelta(days=horizon)
    rows = read_histories(connection, cut)
    if horizon < SHORTEST_HORIZON_DAYS or rows.empty:
        return None
    try:
        model = laws.fit(rows)
    except NotEnoughHistory:
        return None
    paid = read_revenue(connection, cut, now).rename(columns={"revenue_thb": "actual_thb"})
    after = rows.merge(paid, how="left", on="customer_id").fillna({"actual_thb": 0, "visits": 0})
    actual = after["actual_thb"].to_numpy(float)
    known = rows["revenue_thb"].to_numpy(float)
    age = rows["age_days"].to_numpy(float)
    before = read_revenue(connection, cut - timedelta(days=horizon), cut)["revenue_thb"].to_numpy(float).sum()
    bare = model.forecast(rows, horizon)
    staying = laws.fit_staying(bare.visits[::2], after["visits"].to_numpy(float)[::2], horizon)
    model = replace(model, staying=staying)
    forecast = model.forecast(rows, horizon).revenue
    share, coverage = calibrate(model, rows, horizon, actual)
    tested, flat = slice(1, None, 2), np.full(len(rows), before / len(rows))
    rate = known / np.maximum(age, LEAST_RATE_DAYS) * horizon
    return HeldOut(
        cut=cut,
        horizon_days=horizon,
        customers=len(rows),
        interval_share=share,
        staying=staying,
        figures=(
            accuracy("model", actual[tested], forecast[tested], coverage),
            accuracy("the laws alone", actual[tested], bare.revenue[tested]),
            accuracy("mean", actual[tested], flat[tested]),
            accuracy("own rate", actual[tested], rate[tested]),
        ),
    )


def calibrate(model: LifetimeModel, rows: pd.DataFrame, horizon_days: float, actual: Array) -> tuple[float, float]:
    """The share of draws an interval must hold to hold 80 % of what came true, and its coverage.

    The share is chosen on every other customer and the coverage measured on the rest, who had no part in it. It stays
    at 80 % as long as that covers 75 to 85 %.
    """
    import numpy as np

    inside = np.zeros((len(laws.SHARES), len(rows)))
    for places, draws in model.draw(rows, horizon_days):
        for number, share in enumerate(laws.SHARES):
            low, high = shortest_interval(draws, share)
            inside[number, places] = (actual[places] >= low) & (actual[places] <= high)
    covered = inside[:, ::2].mean(axis=1)
    chosen = laws.SHARES.index(laws.INTERVAL)
    if not LEAST_COVERAGE <= covered[chosen] <= MOST_COVERAGE:
        chosen = int(np.abs(covered - laws.INTERVAL).argmin())
    return laws.SHARES[chosen], float(inside[chosen, 1::2].mean())


def accuracy(candidate: str, actual: Array, predicted: Array, coverage: float | None = None) -> Accuracy:
    """RMSE, bias of the total, and the share of the revenue that the tenth predicted highest brought in.

    Where a prediction does not tell customers apart, its top tenth is a tenth of everything.
    """
    import numpy as np

    total = float(actual.sum())
    if len(actual) == 0 or total == 0:
        return Accuracy(candidate, 0.0, 0.0, 0.0, coverage)
    top = np.argsort(-predicted, kind="stable")[: max(1, len(actual) // 10)]
    same = predicted.min() == predicted.max()
    return Accuracy(
        candidate=candidate,
        rmse_thb=float(np.sqrt(((predicted - actual) ** 2).mean())),
        bias=float(predicted.sum() / total - 1),
        top_decile_share=0.1 if same else float(actual[top].sum() / total),
        coverage=coverage,
    )


def _decide(held_out: HeldOut | None) -> str:
    if held_out is None:
        return "Not judged: the history is too short to hold months out."
    found = {one.candidate: one.rmse_thb for one in held_out.figures}
    verb = "beats" if found["model"] < min(found["mean"], found["own rate"]) else "does not beat"
    return (
        f"Over {held_out.horizon_days:.0f} held-out days the model {verb} the baselines: RMSE {found['model']:,.0f} "
        f"THB, mean {found['mean']:,.0f}, own rate {found['own rate']:,.0f}."
    )


def _metrics(held_out: HeldOut | None) -> dict[str, object]:
    if held_out is None:
        return {}
    return {**asdict(held_out), "cut": held_out.cut.isoformat()}


def _stored(metrics: dict[str, object]) -> HeldOut | None:
    if not metrics:
        return None
    fields: dict = dict(metrics)
    figures = tuple(Accuracy(**one) for one in fields.pop("figures"))
    fields["staying"] = Staying(**fields["staying"])
    return HeldOut(**{**fields, "cut": datetime.fromisoformat(fields["cut"])}, figures=figures)


def _fingerprint(rows: pd.DataFrame) -> str:
    """The same exactly when histories and settings are the same."""
    from pandas.core.util.hashing import hash_pandas_object

    settings = ("staying", FEATURES, laws.POOLED_CUSTOMERS, laws.MOST_POOLED, laws.SHARES, laws.DRAWS, laws.SEED)
    digest = hashlib.sha256(repr(settings).encode())
    digest.update(hash_pandas_object(rows, index=False).to_numpy().tobytes())
    return digest.hexdigest()
