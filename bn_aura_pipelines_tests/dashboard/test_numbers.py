"""What the pages say is what the marts hold."""

from __future__ import annotations

import csv
import io
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

import httpx
import pytest
import sqlalchemy

from bn_aura_pipelines.dashboard.figures import BY_NAME, FIGURES
from bn_aura_pipelines.database.connections import Database
from bn_aura_pipelines_tests.dashboard.conftest import SIAM
from bn_aura_pipelines_tests.dashboard.pages import Tables, first_link

OF_SIAM = f"where clinic_id = (select id from public.clinics where clinic_code = '{SIAM}')"
STAGES = "array['new', 'contacted', 'qualified', 'proposal_sent', 'negotiation']"
PAGES = {
    "funnel": (
        "/sales?months=24",
        f"select stage, sum(entered) as entered, sum(moved_on) as moved_on, sum(still_there) as still_there,"
        f" sum(lost) as lost, case when stage <> 'won' then sum(moved_on) / nullif(sum(entered), 0)::float8 end as"
        f" conversion from aura_marts.sales_funnel {OF_SIAM} and month > date '2026-05-01' - interval '24 months'"
        " group by stage, stage_number order by stage_number",
    ),
    "forecast": (
        "/sales",
        f"select * from aura_marts.pipeline_forecast {OF_SIAM} and stage = 'all' order by horizon_days",
    ),
    "forecast-by-stage": (
        "/sales?days=60",
        f"select * from aura_marts.pipeline_forecast {OF_SIAM} and stage <> 'all' and horizon_days = 60"
        f" order by array_position({STAGES}, stage)",
    ),
    "cohorts": (
        "/sales/cohorts?months=6",
        f"select * from aura_marts.cohort_retention {OF_SIAM} and cohort_month >= '2025-12-01' and month_number <= 12"
        " order by cohort_month desc, month_number",
    ),
    "win-map": (
        "/sales/map",
        f"select * from aura_marts.win_probability_map {OF_SIAM} order by engagement_band, value_band",
    ),
    "staff": (
        "/sales/staff",
        f"select * from aura_marts.staff_performance {OF_SIAM} order by adjusted_win_rate desc, sales_user_id",
    ),
    "voice-days": (
        "/voice?days=84",
        f"select * from aura_marts.voice_of_customer_daily {OF_SIAM} and day > date '2026-06-01' - 84 order by day",
    ),
    "voice-topics": (
        "/voice",
        f"select * from aura_marts.voice_topics {OF_SIAM} order by share_28d desc nulls last, topic",
    ),
    "decisions": (
        "/triggers",
        "select rule, status, case when status = 'suppressed' then reason else '' end as reason,"
        f" count(*) as decisions from aura_marts.trigger_events {OF_SIAM} group by 1, 2, 3"
        " order by 1, 2, 4 desc, 3",
    ),
    "effects": ("/triggers", f"select * from aura_marts.trigger_effects {OF_SIAM} order by rule, outcome"),
    "models": (
        "/trust",
        "select * from aura_marts.model_performance where alias is not null order by model, version desc",
    ),
}


def test_every_figure_with_a_chart_is_compared() -> None:
    without_a_chart = {"clinic", "sources"}
    assert set(PAGES) | without_a_chart == {figure.name for figure in FIGURES}


@pytest.mark.parametrize("name", PAGES)
def test_the_table_of_a_chart_and_its_file_are_the_rows_of_the_mart(
    siam: httpx.Client, shown: Database, name: str
) -> None:
    address, query = PAGES[name]
    relation = BY_NAME[name].relation
    with shown.begin() as connection:
        if connection.execute(sqlalchemy.text("select to_regclass(:name)"), {"name": relation}).scalar() is None:
            assert f"+{relation.removeprefix('aura_marts.')}" in siam.get(f"/dashboard{address}").text
            return
        rows = [dict(row) for row in connection.execute(sqlalchemy.text(query)).mappings()]
    assert rows or name in ("models", "effects")
    columns = BY_NAME[name].columns
    expected = [[_plain(row[column]) for column in columns] for row in rows]
    page = siam.get(f"/dashboard{address}")
    assert page.status_code == 200
    told = Tables(page.text).tables.get(name, [])
    assert [[row[column] for column in columns] for row in told] == expected
    asked = address.partition("?")[2]
    file = siam.get(f"/dashboard/csv/{name}?{asked}")
    header, *lines = csv.reader(io.StringIO(file.content.decode("utf-8-sig")))
    assert header == [*columns]
    assert [[_read(cell) for cell in line] for line in lines] == [[_cell(value) for value in row] for row in expected]


def test_a_list_shows_the_marts_rows_in_the_order_of_the_risk(siam: httpx.Client, shown: Database) -> None:
    with shown.begin() as connection:
        query = (
            f"select customer_id::text from aura_marts.customer_360 {OF_SIAM} order by risk_rank desc, customer_id desc"
        )
        ids = connection.execute(sqlalchemy.text(query + " limit 50")).scalars().all()
    page = siam.get("/dashboard/customers").text
    assert first_link(page, "/customers") == f"/customers/{ids[0]}"
    assert [one for one in ids if f"/dashboard/customers/{one}" in page] == ids


def _plain(value: Any) -> Any:
    """As JSON has it."""
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() and value.as_tuple().exponent == 0 else float(value)
    if isinstance(value, date):
        return value.isoformat()
    return str(value) if isinstance(value, UUID) else value


def _cell(value: Any) -> Any:
    """As a CSV tells it."""
    if isinstance(value, list):
        return " | ".join(value)
    return str(value) if isinstance(value, bool) else "" if value is None else value


def _read(cell: str) -> Any:
    try:
        return float(cell)
    except ValueError:
        return cell
