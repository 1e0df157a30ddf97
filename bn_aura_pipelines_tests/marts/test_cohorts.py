"""The cohort grid against an independent computation in pandas."""

from __future__ import annotations

from datetime import datetime

import pandas as pd
import sqlalchemy

from bn_aura_pipelines.database.connections import Database
from bn_aura_pipelines.database.view_files import load_views
from bn_aura_pipelines.database.views import build
from bn_aura_pipelines.sources.relations import build_source_relations
from bn_aura_pipelines.sources.sample.generate import generate

NOW = datetime.fromisoformat("2026-06-01T00:00:00+07:00")

VISITS = """
    select clinic_id::text, customer_id::text, appointment_date, total_price::float8 as price
    from public.appointments
    where status = 'completed' and created_at < :now
        and (appointment_date + start_time) at time zone 'Asia/Bangkok' < :now
"""
GRID = """
    select clinic_id::text, cohort_month, month_number, cohort_size, active_customers, retention,
        revenue_thb::float8 as revenue, cumulative_revenue_thb::float8 as cumulative
    from aura_marts.cohort_retention
"""


def months(day: pd.Series) -> pd.Series:
    return day.dt.year * 12 + day.dt.month


def test_the_grid_equals_an_independent_computation(database: Database) -> None:
    generate(database, 300, NOW, seed=3)
    with database.begin(NOW) as connection:
        build_source_relations(connection)
        build(connection, load_views())
        visits = pd.read_sql(sqlalchemy.text(VISITS), connection, params={"now": NOW})
        grid = pd.read_sql(sqlalchemy.text(GRID), connection)
    visits["month"] = months(pd.to_datetime(visits["appointment_date"]))
    visits["cohort"] = visits.groupby(["clinic_id", "customer_id"])["month"].transform("min")
    visits["number"] = visits["month"] - visits["cohort"]
    grid["cohort"] = months(pd.to_datetime(grid["cohort_month"]))
    sizes = visits.groupby(["clinic_id", "cohort"])["customer_id"].nunique()
    last = NOW.year * 12 + NOW.month
    assert len(grid) == sum(last - cohort + 1 for _, cohort in sizes.index)
    by_cell = visits.groupby(["clinic_id", "cohort", "number"])
    active, revenue = by_cell["customer_id"].nunique(), by_cell["price"].sum()
    for row in grid.itertuples():
        cell = (row.clinic_id, row.cohort, row.month_number)
        assert row.cohort_size == sizes[cell[:2]]
        assert row.active_customers == active.get(cell, 0)
        assert row.retention == row.active_customers / row.cohort_size
        assert round(row.revenue, 2) == round(revenue.get(cell, 0.0), 2)
    totals = grid.sort_values("month_number").groupby(["clinic_id", "cohort"])["cumulative"].last().sum()
    assert round(totals, 2) == round(visits["price"].sum(), 2)
