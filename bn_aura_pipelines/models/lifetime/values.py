"""Writes everybody's lifetime value: what was paid, what the next twelve months will bring, how sure that is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy

from bn_aura_pipelines.database.bulk import replace_table
from bn_aura_pipelines.models.lifetime.histories import first_and_now, read_histories
from bn_aura_pipelines.models.lifetime.training import HORIZON_DAYS, LifetimeTraining, train

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class LifetimeResult:
    """How many customers have a value, how many rows were new or different, and the training behind them."""

    rows: int
    written: int
    total_12m_thb: float
    training: LifetimeTraining


def predict_values(connection: sqlalchemy.Connection) -> LifetimeResult:
    """Train where something changed, and replace `aura_models.lifetime_values`.

    With too little history to learn from only the current value is known; the rest is null.
    """
    import numpy as np

    training = train(connection)
    _, now = first_and_now(connection)
    rows = read_histories(connection, now)
    values = rows.filter(["customer_id", "clinic_id"]).assign(model_version=training.version)
    values["ltv_current_thb"] = _thb(rows["revenue_thb"])
    predicted = ("alive_probability", "expected_visits_12m", "ltv_12m_thb", "ltv_12m_low_thb", "ltv_12m_high_thb")
    if training.model is None:
        values[list(predicted)] = np.nan
    else:
        found = training.model.forecast(rows, HORIZON_DAYS)
        values["alive_probability"] = found.alive.clip(0, 1)
        values["expected_visits_12m"] = found.visits
        values["ltv_12m_thb"] = _thb(found.revenue)
        values["ltv_12m_low_thb"] = _thb(found.low)
        values["ltv_12m_high_thb"] = _thb(found.high)
    written = replace_table(connection, values, "aura_models", "lifetime_values", ["customer_id"])
    return LifetimeResult(len(values), written, float(np.nansum(values["ltv_12m_thb"].to_numpy(float))), training)


def _thb(values: pd.Series | object) -> pd.Series:
    """Baht and satang."""
    import numpy as np
    import pandas as pd

    return pd.Series(np.round(np.asarray(values, float), 2))
