"""Small plots of the marts for the Dagster UI, over all clinics: shares and counts only, nobody's data.

They live in Dagster's event log, so each stays below about 50 kB. Grey text reads on light and on dark.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Mapping
from typing import Any

import sqlalchemy
from sqlalchemy import text

Plot = Callable[[sqlalchemy.Connection], str]

INK = "#64748b"
BLUE = "#2563eb"
PALE = "#bfdbfe"
SENTIMENT_COLORS = {"negative": "#dc2626", "neutral": "#94a3b8", "positive": BLUE, "not_analysed": "#e2e8f0"}
MOST_MONTHS = 13
MOST_WEEKS = 26

COHORTS = """
    select cohort_month, month_number, sum(active_customers)::float8 / sum(cohort_size) as retention
    from aura_marts.cohort_retention
    where cohort_month > (select max(cohort_month) from aura_marts.cohort_retention) - make_interval(months => :months)
    group by cohort_month, month_number order by cohort_month, month_number
"""
WEEKS = """
    select
        cast(date_trunc('week', day) as date) as week, sum(negative) as negative, sum(neutral) as neutral,
        sum(positive) as positive, sum(not_analysed + failed) as not_analysed
    from aura_marts.voice_of_customer_daily
    where day > (select max(day) from aura_marts.voice_of_customer_daily) - make_interval(weeks => :weeks)
    group by 1 order by 1
"""
STAGES = """
    select stage, sum(entered) as entered, sum(lost) as lost
    from aura_marts.sales_funnel
    where month > (select max(month) from aura_marts.sales_funnel) - make_interval(months => :months)
    group by stage, stage_number order by stage_number
"""
FORECASTS = """
    select
        horizon_days, sum(wins_mean) as mean, sum(wins_p10) as low, sum(wins_p90) as high,
        avg(wins_coverage::numeric)::float8 as coverage, max(backtest_months) as months
    from aura_marts.pipeline_forecast
    where stage = 'all'
    group by horizon_days order by horizon_days
"""


def cohort_heatmap(connection: sqlalchemy.Connection) -> str:
    """Retention by cohort and month, as Markdown with a PNG inside."""
    import numpy as np

    rows = connection.execute(text(COHORTS), {"months": MOST_MONTHS}).all()
    if not rows:
        return "No completed visit yet."
    months = sorted({row.cohort_month for row in rows})
    grid = np.full((len(months), max(2, 1 + max(row.month_number for row in rows))), np.nan)
    for row in rows:
        grid[months.index(row.cohort_month), row.month_number] = row.retention
    figure, axes = _figure(7, 0.6 + 0.28 * len(months))
    # The first month is everybody: it would only pale the others.
    later = grid[:, 1:]
    highest = np.nanmax(later) if np.isfinite(later).any() else 1.0
    axes.imshow(later, cmap="Blues", aspect="auto", vmin=0, vmax=highest)
    for (y, x), share in np.ndenumerate(later):
        if np.isfinite(share):
            dark = share > 0.6 * highest
            axes.text(x, y, f"{share:.0%}", ha="center", va="center", fontsize=7, color="white" if dark else "#1e293b")
    axes.set_xticks(range(later.shape[1]), [str(number + 1) for number in range(later.shape[1])])
    axes.set_yticks(range(len(months)), [f"{month:%Y-%m}" for month in months])
    axes.set_xlabel("months after the first visit", fontsize=8, color=INK)
    axes.set_title("Share of a month's new customers who came again", fontsize=10, color=INK)
    return _markdown(figure, "retention by cohort")


def funnel_bars(connection: sqlalchemy.Connection) -> str:
    """Leads that reached each stage, of those entered in the last thirteen months."""
    rows = connection.execute(text(STAGES), {"months": MOST_MONTHS}).all()
    if not rows:
        return "No lead yet."
    figure, axes = _figure(7, 2.4)
    names = [row.stage.replace("_", " ") for row in rows]
    reached = [int(row.entered) for row in rows]
    axes.barh(names, reached, color=[PALE if name == "new" else BLUE for name in names])
    for place, count in enumerate(reached):
        share = f"{count:,}  ({count / reached[0]:.0%})" if reached[0] else "0"
        axes.text(count, place, f" {share}", va="center", fontsize=8, color=INK)
    axes.invert_yaxis()
    axes.set_xlim(0, max(reached) * 1.2 + 1)
    axes.set_title("Leads of the last 13 months that reached each stage", fontsize=10, color=INK)
    return _markdown(figure, "sales funnel")


def sentiment_trend(connection: sqlalchemy.Connection) -> str:
    """Conversations of each week by sentiment, those not analysed included, over the last half year."""
    rows = connection.execute(text(WEEKS), {"weeks": MOST_WEEKS}).all()
    if not rows:
        return "No conversation yet."
    figure, axes = _figure(7, 2.6)
    weeks = [row.week for row in rows]
    below = [0] * len(rows)
    for name, color in SENTIMENT_COLORS.items():
        heights = [int(getattr(row, name)) for row in rows]
        axes.bar(weeks, heights, width=6, bottom=below, color=color, label=name.replace("_", " "))
        below = [low + height for low, height in zip(below, heights, strict=True)]
    axes.legend(fontsize=7, frameon=False, labelcolor=INK, ncols=len(SENTIMENT_COLORS), loc="upper left")
    axes.set_ylim(0, max(below) * 1.25 + 1)
    axes.set_title("Conversations a week by sentiment", fontsize=10, color=INK)
    return _markdown(figure, "sentiment by week")


def forecast_band(connection: sqlalchemy.Connection) -> str:
    """Wins that the open leads will bring, and how often what came in past months lay within such a band."""
    rows = connection.execute(text(FORECASTS)).all()
    if not rows:
        return "No open lead."
    figure, axes = _figure(7, 2.2)
    for place, row in enumerate(rows):
        axes.barh(place, row.high - row.low, left=row.low, height=0.5, color=PALE)
        axes.plot(row.mean, place, "o", color=BLUE, markersize=6)
        past = "not back-tested yet" if row.coverage is None else f"held in {row.coverage:.0%} of {row.months} months"
        axes.text(row.high, place, f"  {row.low:,.0f} to {row.high:,.0f}, {past}", va="center", fontsize=8, color=INK)
    axes.set_yticks(range(len(rows)), [f"{row.horizon_days} days" for row in rows])
    axes.invert_yaxis()
    axes.set_xlim(0, max(row.high for row in rows) * 1.6 + 1)
    axes.set_title("Wins expected of the open leads; clinics' 80 % bands added up", fontsize=10, color=INK)
    return _markdown(figure, "pipeline forecast")


PLOTS: Mapping[str, Plot] = {
    "aura_marts.cohort_retention": cohort_heatmap,
    "aura_marts.sales_funnel": funnel_bars,
    "aura_marts.pipeline_forecast": forecast_band,
    "aura_marts.voice_of_customer_daily": sentiment_trend,
}


def _figure(width: float, height: float) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=70, layout="constrained")
    axes = figure.subplots()
    axes.spines[:].set_visible(False)
    axes.tick_params(labelsize=8, colors=INK, length=0)
    return figure, axes


def _markdown(figure: Any, name: str) -> str:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", transparent=True)
    return f"![{name}](data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()})"
