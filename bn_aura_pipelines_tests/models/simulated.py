"""Customers drawn from a BG/NBD with known parameters, and snapshot rows drawn at random."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bn_aura_pipelines.models.bgnbd import BgNbd
from bn_aura_pipelines.models.churn.candidates import SNAPSHOT_COLUMNS

Array = NDArray[np.float64]


def draw_visits(model: BgNbd, customers: int, days: float, seed: int) -> tuple[Array, Array]:
    """Ages (n,) and visit times since the first, shape (n, k), infinite where there is none within `days`."""
    rng = np.random.default_rng(seed)
    rate = rng.gamma(model.r, 1 / model.alpha, customers)
    leaving = rng.beta(model.a, model.b, customers)
    age = rng.uniform(0.6 * days, days, customers)
    most = 60  # almost everybody has left before
    times = np.cumsum(rng.exponential(1, (customers, most)) / rate[:, None], axis=1)
    lost = np.cumsum(rng.random((customers, most)) < leaving[:, None], axis=1)
    after_leaving = np.column_stack([np.zeros(customers), lost[:, :-1]]) > 0
    return age, np.where(after_leaving, np.inf, times)


def summarise(times: Array, age: Array) -> tuple[Array, Array, Array]:
    """Repeats, last and age: what BG/NBD is fitted on."""
    seen = times < age[:, None]
    return seen.sum(axis=1).astype(float), np.where(seen, times, 0).max(axis=1), age


def snapshot_rows(count: int, seed: int) -> pd.DataFrame:
    """Labelled snapshot rows in which recency and rhythm decide; some customers came once and never wrote."""
    rng = np.random.default_rng(seed)
    rows = pd.DataFrame({name: rng.integers(0, 6, count).astype(float) for name in SNAPSHOT_COLUMNS})
    rows["visits"] = rng.integers(1, 9, count).astype(float)
    rows["recency_days"] = rng.gamma(1.5, 50, count)
    rows["gap_mean_days"] = np.where(rows["visits"] > 1, rng.gamma(3, 20, count) + 1, np.nan)
    rows["gap_std_days"] = np.where(rows["visits"] > 2, rng.gamma(2, 10, count), np.nan)
    rows["lateness"] = rows["recency_days"] / rows["gap_mean_days"]
    rows["tenure_days"] = rows["recency_days"] + (rows["visits"] - 1) * rows["gap_mean_days"].fillna(0)
    rows["days_since_message"] = np.where(rng.random(count) < 0.3, np.nan, rng.gamma(1, 80, count))
    for name in ("revenue_thb", "revenue_365d_thb", "ticket_thb", "last_ticket_thb"):
        rows[name] = rng.gamma(2, 3000, count)
    odds = 0.02 * rows["recency_days"] - 0.3 * rows["visits"]
    rows["churned"] = (rng.random(count) < 1 / (1 + np.exp(-odds))).astype(int)
    return rows
