"""The plots are drawn for whatever the marts hold, nothing included."""

from __future__ import annotations

import base64
import re
from datetime import datetime

import pytest
import sqlalchemy

from bn_aura_pipelines.database.connections import Database
from bn_aura_pipelines.database.view_files import load_views
from bn_aura_pipelines.database.views import build
from bn_aura_pipelines.marts.plots import PLOTS
from bn_aura_pipelines.sources.relations import build_source_relations

CLINIC = "00000000-0000-0000-0000-00000000000a"
VISITS = """
    insert into public.clinics (id, clinic_code, created_at) values (:clinic, 'A', '2024-01-01');
    insert into public.customers (id, clinic_id, full_name, created_at)
    select md5(n::text)::uuid, :clinic, 'x', '2024-01-01' from generate_series(1, 3) as n;
    insert into public.appointments (
        clinic_id, customer_id, status, appointment_date, start_time, end_time, total_price, created_at
    )
    select :clinic, md5(n::text)::uuid, 'completed', date '2024-02-10' + 40 * n, '10:00', '11:00', 100, '2024-02-01'
    from generate_series(1, 3) as n;
"""


FUNNEL = """
    insert into aura_marts.sales_funnel (clinic_id, month, source, stage, stage_number, entered, moved_on, lost)
    select :clinic, '2024-03-01', 'ads', stage, row_number() over (), 6 - row_number() over (), 0, 0
    from unnest(array['new', 'contacted', 'qualified', 'proposal_sent', 'negotiation', 'won']) as stage
"""

FORECAST = """
    insert into aura_marts.pipeline_forecast
        (clinic_id, stage, horizon_days, open_leads, wins_mean, wins_p10, wins_p50, wins_p90, backtest_months,
        wins_coverage)
    select :clinic, 'all', days, 9, days / 15.0, days / 30.0, days / 15.0, days / 9.0, 12, :coverage
    from unnest(array[30, 60, 90]) as days
"""


def plots(database: Database, as_of: datetime, funnel: str = "") -> list[str]:
    with database.begin(as_of) as connection:
        build_source_relations(connection)
        build(connection, load_views())
        if funnel:
            connection.execute(sqlalchemy.text(funnel), {"clinic": CLINIC})
        return [PLOTS[relation](connection) for relation in ("aura_marts.cohort_retention", "aura_marts.sales_funnel")]


def test_without_rows_a_plot_says_so(database: Database) -> None:
    assert plots(database, datetime.fromisoformat("2024-06-01T00:00:00+07:00")) == [
        "No completed visit yet.",
        "No lead yet.",
    ]


@pytest.mark.parametrize(
    "as_of", ["2024-03-25T00:00:00+07:00", "2024-07-01T00:00:00+07:00", "2025-12-31T00:00:00+07:00"]
)
def test_a_plot_is_small_enough_for_the_event_log(database: Database, as_of: str) -> None:
    with database.begin() as connection:
        for statement in VISITS.split(";"):
            if statement.strip():
                connection.execute(sqlalchemy.text(statement), {"clinic": CLINIC} if ":clinic" in statement else {})
    for shown in plots(database, datetime.fromisoformat(as_of), FUNNEL):
        match = re.fullmatch(r"!\[.+\]\(data:image/png;base64,(.+)\)", shown)
        assert match, shown
        assert base64.b64decode(match[1]).startswith(b"\x89PNG")
        assert len(shown) < 50_000


@pytest.mark.parametrize("coverage", [0.83, None])
def test_the_forecast_is_drawn_with_and_without_a_past(database: Database, coverage: float | None) -> None:
    with database.begin(datetime.fromisoformat("2024-06-01T00:00:00+07:00")) as connection:
        build_source_relations(connection)
        build(connection, load_views())
        draw = PLOTS["aura_marts.pipeline_forecast"]
        assert draw(connection) == "No open lead."
        connection.execute(sqlalchemy.text(FORECAST), {"clinic": CLINIC, "coverage": coverage})
        shown = draw(connection)
    assert shown.startswith("![pipeline forecast](data:image/png;base64,") and len(shown) < 50_000
