"""Pictures of the pipeline forecast for people; drawn from what is stored, nothing is computed here."""

from __future__ import annotations

import base64
import io

import sqlalchemy

from bn_aura_pipelines.database.bulk import read_frame

BLUE, RED = "#2563eb", "#dc2626"

BACKTESTS = (
    "select horizon_days, aura_ops.bangkok_day(forecast_at)::text as day, sum(wins_p10) as low,"
    " sum(wins_p50) as middle, sum(wins_p90) as high, sum(wins_actual) as actual, avg(wins_inside) as inside"
    " from aura_models.lead_forecast_backtests group by horizon_days, forecast_at order by horizon_days, forecast_at"
)


def coverage_plot(connection: sqlalchemy.Connection) -> str:
    """Forecast and what came, month by month, for each horizon, as Markdown with a PNG inside. Percentiles are summed
    over clinics, which makes the band wider than the chain's own."""
    rows = read_frame(connection, BACKTESTS)
    if rows.empty:
        return "No past month can be back-tested: there are too few decided leads before it."
    from matplotlib.figure import Figure

    horizons = sorted(set(rows["horizon_days"].tolist()))
    figure = Figure(figsize=(11, 3), dpi=62, layout="constrained")
    for axes, horizon in zip(figure.subplots(1, len(horizons), squeeze=False)[0], horizons, strict=True):
        months = rows[rows["horizon_days"] == horizon]
        places = range(len(months))
        axes.fill_between(places, months["low"], months["high"], color=BLUE, alpha=0.2, linewidth=0)
        axes.plot(places, months["middle"], color=BLUE)
        axes.plot(places, months["actual"], "o", color=RED, markersize=4)
        axes.set_xticks(list(places), [str(day)[2:7] for day in months["day"].tolist()], rotation=90, fontsize=7)
        axes.set_title(
            f"Wins within {horizon} days: {sum(months['inside'].tolist()) / len(months):.0%} inside", fontsize=10
        )
        axes.spines[["top", "right"]].set_visible(False)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return f"![forecast and what came](data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()})"
