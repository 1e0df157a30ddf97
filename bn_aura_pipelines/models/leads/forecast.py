"""What open leads will bring within 30, 60 and 90 days: simulated from win probabilities and the hazards of decided
leads, and held against past months. Scores come from `scoring`; the marts only read what is stored here.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import sqlalchemy
from sqlalchemy import text

from bn_aura_pipelines.database.bulk import read_frame, replace_table
from bn_aura_pipelines.database.connections import set_as_of
from bn_aura_pipelines.models.judging import logit
from bn_aura_pipelines.models.leads.fields import as_numbers, column_of
from bn_aura_pipelines.models.leads.hazards import DAY, learn_hazards, read_places
from bn_aura_pipelines.models.leads.training import LeadRows, fit, inspect_rows, read_rows

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

HORIZONS = (30, 60, 90)
MONTHS = 12
SIMULATIONS = 2000
SEED = 5
ALL_STAGES = "all"
# How much better or worse than expected a whole month turns out, in log-odds: what all leads share.
MONTHS_SHOCK = 0.25


@dataclass(frozen=True)
class ForecastResult:
    """Rows written, and over how many back-tested clinic months the 80 % intervals cover how much."""

    written: int
    open_leads: int
    months: int
    wins_coverage: float | None
    thb_coverage: float | None


def forecast(connection: sqlalchemy.Connection) -> ForecastResult:
    """Replace `aura_models.lead_forecasts` and `lead_forecast_backtests`."""
    as_of: datetime = connection.execute(text("select aura_ops.as_of()")).scalar_one()
    rows = read_rows(connection)
    ahead = _forecast_rows(connection, rows, as_of)
    written = replace_table(connection, ahead, "aura_models", "lead_forecasts", ["clinic_id", "stage", "horizon_days"])
    past = backtest(connection, rows, as_of)
    written += replace_table(
        connection, past, "aura_models", "lead_forecast_backtests", ["clinic_id", "forecast_at", "horizon_days"]
    )
    return ForecastResult(
        written=written,
        open_leads=len(rows.open.won),
        months=len(set(past["forecast_at"].tolist())),
        wins_coverage=_mean(past["wins_inside"].tolist()),
        thb_coverage=_mean(past["thb_inside"].tolist()),
    )


def simulate(probability: Array, values: Array, seed: int) -> tuple[Array, Array]:
    """Wins and THB, shape (SIMULATIONS,) each, of leads that win with these probabilities and share one shock."""
    import numpy as np

    rng = np.random.default_rng(seed)
    shock = MONTHS_SHOCK * rng.standard_normal(SIMULATIONS)
    wins, thb = np.zeros(SIMULATIONS), np.zeros(SIMULATIONS)
    for piece in np.array_split(np.arange(len(probability)), max(len(probability) // 2000, 1)):
        odds = logit(probability[piece])[None, :] + shock[:, None]
        won = rng.random(odds.shape) < 1 / (1 + np.exp(-odds))
        wins += won.sum(axis=1)
        thb += won @ values[piece]
    return wins, thb


def backtest(connection: sqlalchemy.Connection, rows: LeadRows, as_of: datetime) -> pd.DataFrame:
    """The forecasts of the last twelve month starts whose 90 days are over, each made with what was known then."""
    import pandas as pd

    moments = (
        connection.execute(
            text(
                "select m from generate_series("
                " date_trunc('month', aura_ops.as_of() at time zone 'Asia/Bangkok') - make_interval(months => 16),"
                " date_trunc('month', aura_ops.as_of() at time zone 'Asia/Bangkok'), interval '1 month') as s (day)"
                " cross join lateral (select day at time zone 'Asia/Bangkok' as m) as moment"
                " where m + make_interval(days => :horizon) <= aura_ops.as_of() order by m desc limit :months"
            ),
            {"horizon": max(HORIZONS), "months": MONTHS},
        )
        .scalars()
        .all()
    )
    found: list[dict[str, Any]] = []
    values = values_of(rows)
    try:
        for moment in sorted(moments):
            set_as_of(connection, moment)
            found += _backtest_month(connection, rows, values, moment)
    finally:
        set_as_of(connection, as_of)
    columns = [
        "clinic_id",
        "forecast_at",
        "horizon_days",
        "open_leads",
        *(f"{unit}_{part}" for unit in ("wins", "thb") for part in ("p10", "p50", "p90", "actual", "inside")),
    ]
    return pd.DataFrame(found, columns=columns)


def values_of(rows: LeadRows) -> Array:
    """What each lead is worth, THB: its estimate, else the median of its clinic; NaN where no lead of it has one."""
    import numpy as np

    values = as_numbers(column_of(rows.values, "estimated_value_thb"))
    for clinic in np.unique(rows.clinics.astype(str)):
        mine = rows.clinics == clinic
        known = values[mine & ~np.isnan(values)]
        if len(known):
            values[mine & np.isnan(values)] = np.median(known)
    return values


def _forecast_rows(connection: sqlalchemy.Connection, rows: LeadRows, as_of: datetime) -> pd.DataFrame:
    import numpy as np
    import pandas as pd

    at = as_of.timestamp()
    hazards = learn_hazards(connection, rows, at)
    board = read_frame(
        connection,
        "select l.lead_id::text, l.clinic_id, s.win_probability, l.estimated_value_thb,"
        " extract(epoch from l.created_at)::float8 as created from aura_staging.stg_leads as l"
        " inner join aura_models.lead_scores as s on l.lead_id = s.lead_id"
        " where l.stage not in ('won', 'lost') order by l.lead_id",
    )
    found: list[dict[str, Any]] = []
    value = _board_values(board, rows)
    places = read_places(connection, board["lead_id"].tolist(), board["created"].to_numpy(float), at)
    probability = board["win_probability"].to_numpy(float)
    clinics, stages = board["clinic_id"].to_numpy(object), places.stage
    for clinic in sorted(set(clinics.tolist())) if hazards else ():
        for stage in [ALL_STAGES, *sorted(set(stages.tolist()))]:
            chosen = np.flatnonzero((clinics == clinic) & ((stages == stage) | (stage == ALL_STAGES)))
            for horizon in HORIZONS if len(chosen) else ():
                assert hazards is not None
                within = hazards.win_within(probability[chosen], places.take(chosen), horizon)
                wins, thb = simulate(within, np.nan_to_num(value[chosen]), SEED + horizon)
                found.append(
                    {
                        "clinic_id": clinic,
                        "stage": stage,
                        "horizon_days": horizon,
                        "open_leads": len(chosen),
                        "wins_mean": round(float(within.sum()), 6),
                        **_percentiles("wins", wins),
                        **_percentiles("thb", thb, unknown=bool(np.isnan(value[chosen]).any())),
                    }
                )
    columns = ["clinic_id", "stage", "horizon_days", "open_leads", "wins_mean"]
    columns += [f"{unit}_{part}" for unit in ("wins", "thb") for part in ("p10", "p50", "p90")]
    return pd.DataFrame(found, columns=columns)


def _board_values(board: pd.DataFrame, rows: LeadRows) -> Array:
    import numpy as np

    values = as_numbers(column_of(board, "estimated_value_thb"))
    estimates = values_of(rows)
    clinics = board["clinic_id"].astype(str).to_numpy()
    for clinic in np.unique(clinics.astype(str)):
        known = estimates[(rows.clinics == clinic) & ~np.isnan(estimates)]
        gaps = (clinics == clinic) & np.isnan(values)
        values[gaps] = np.median(known) if len(known) else np.nan
    return values


def _backtest_month(
    connection: sqlalchemy.Connection, later: LeadRows, values: Array, moment: datetime
) -> list[dict[str, Any]]:
    """One past month: `later` are the leads as they stand today, which the forecast does not see."""
    import numpy as np

    then = read_rows(connection)
    at = moment.timestamp()
    hazards, known = learn_hazards(connection, then, at), then.known_at(at)
    if hazards is None:
        return []
    model = fit(known, inspect_rows(known, then.open), boosted=False)[-1]
    waiting = then.open
    probability = model.predict(waiting.values, waiting.clinics.tolist())
    worth = values_of(then)[np.isnan(then.won)]
    places = read_places(connection, waiting.ids.tolist(), waiting.created, at)
    found: list[dict[str, Any]] = []
    for clinic in sorted(set(waiting.clinics.tolist()) - {""}):
        mine = waiting.clinics == clinic
        theirs = (later.clinics == clinic) & (later.created < at) & ~(np.nan_to_num(later.decided, nan=np.inf) < at)
        for horizon in HORIZONS:
            within = hazards.win_within(probability[mine], places.take(np.flatnonzero(mine)), horizon)
            wins, thb = simulate(within, np.nan_to_num(worth[mine]), SEED + horizon)
            came = theirs & (later.won == 1) & (later.decided < at + horizon * DAY)
            unknown = bool(np.isnan(worth[mine]).any() or np.isnan(values[came]).any())
            actual = float(values[came].sum())
            found.append(
                {
                    "clinic_id": clinic,
                    "forecast_at": moment,
                    "horizon_days": horizon,
                    "open_leads": int(mine.sum()),
                    **_percentiles("wins", wins),
                    "wins_actual": int(came.sum()),
                    "wins_inside": inside(wins, float(came.sum())),
                    **_percentiles("thb", thb, unknown=unknown),
                    "thb_actual": None if unknown else actual,
                    "thb_inside": None if unknown else inside(thb, actual),
                }
            )
    return found


def inside(simulated: Array, actual: float) -> float:
    """How much of what came lies between the 10th and 90th percentile: where it came with a probability of its own, the
    share of that probability that does."""
    below, upto = float((simulated < actual).mean()), float((simulated <= actual).mean())
    if upto == below:
        return float(0.1 <= below <= 0.9)
    return max(min(upto, 0.9) - max(below, 0.1), 0.0) / (upto - below)


def _percentiles(unit: str, simulated: Array, unknown: bool = False) -> dict[str, float | None]:
    import numpy as np

    low, middle, high = (float(v) for v in np.quantile(simulated, [0.1, 0.5, 0.9], method="inverted_cdf"))
    if unknown:
        return dict.fromkeys((f"{unit}_p10", f"{unit}_p50", f"{unit}_p90"))
    return {f"{unit}_p10": low, f"{unit}_p50": middle, f"{unit}_p90": high}


def _mean(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None and value == value]
    return sum(known) / len(known) if known else None
