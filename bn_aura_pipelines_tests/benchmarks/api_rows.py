"""Marts for the benchmark of the read API: clinics of equal size, rows as wide as real ones, the same every time."""

from __future__ import annotations

import sqlalchemy

from bn_aura_pipelines.database.connections import Database
from bn_aura_pipelines.database.view_files import load_views
from bn_aura_pipelines.database.views import build

COHORTS, MONTHS = 12, 12


def fill_marts(database: Database, clinics: int, customers: int, leads: int) -> None:
    """Every mart built, and those that are measured filled; clinics are named as in `embedding_rows`."""
    numbers = {"clinics": clinics, "customers": customers, "leads": leads, "cohorts": COHORTS, "months": MONTHS}
    with database.begin() as connection:
        build(connection, load_views())
        for statement in (CUSTOMERS, LEADS, STAGES, COHORT_TABLE):
            connection.execute(sqlalchemy.text(statement), numbers)
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for relation in ("customer_360", "lead_board", "lead_stages", "cohort_retention"):
            connection.exec_driver_sql(f"vacuum analyze aura_marts.{relation}")


CUSTOMERS = """
insert into aura_marts.customer_360 (
    clinic_id, customer_id, customer_code, full_name, status, is_active, first_visit_date, last_visit_date,
    completed_visits, visits_365d, revenue_thb, revenue_365d_thb, ticket_thb, conversations, last_contact_at,
    churn_probability, churn_score, churn_rank, churn_level, churn_reasons_en, churn_reasons_th, alive_probability,
    ltv_current_thb, ltv_12m_thb, ltv_12m_low_thb, ltv_12m_high_thb, revenue_at_risk_thb
)
select
    md5('clinic' || 1 + n % :clinics)::uuid, md5('customer' || n)::uuid, 'K' || n, 'สมชาย ใจดี ' || n, 'active', true,
    '2024-01-01'::date + (h % 500)::int, '2026-01-01'::date + (h % 150)::int, 1 + h % 20, h % 8,
    h % 100000, h % 30000, h % 9000, h % 5, '2026-05-01 10:00+00'::timestamptz, (h % 100) / 100.0, h % 100, h % 100,
    case when h % 100 >= 70 then 'high' when h % 100 >= 40 then 'medium' else 'low' end,
    'last visit 143 days ago (+.41); visits less often than before (+.22); no conversation for 90 days (+.08)',
    'มาครั้งล่าสุดเมื่อ 143 วันก่อน (+.41); มาห่างขึ้นกว่าเดิม (+.22); ไม่ได้คุยกันมา 90 วัน (+.08)',
    (h % 97) / 97.0, h % 100000, h % 50000, h % 20000, h % 90000, h % 30000
from generate_series(1, :customers) as n
cross join lateral (select abs(hashint4(n)::bigint) as h) as drawn
"""

LEADS = """
insert into aura_marts.lead_board (
    clinic_id, lead_id, name, source, primary_concern, stage, created_at, days_open, last_contacted_at,
    win_probability, win_low, win_high, score, category, confidence, reasons_en, reasons_th, estimated_value_thb,
    expected_value_thb, priority, suggested_action_en, suggested_action_th
)
select
    md5('clinic' || 1 + n % :clinics)::uuid, md5('lead' || n)::uuid, 'Anna Berg ' || n, 'facebook', 'melasma',
    'contacted',
    '2026-01-01 08:00+00'::timestamptz + h % 12000000 * interval '1 second', h % 150,
    '2026-05-01 10:00+00'::timestamptz, (h % 101) / 100.0, .1, .9, h % 101,
    case when h % 101 >= 75 then 'hot' when h % 101 >= 50 then 'warm' else 'cold' end, .7,
    'answered within a day (+.31); asked for a price (+.24); comes from a referral (+.12)',
    'ตอบภายในหนึ่งวัน (+.31); ถามราคา (+.24); มาจากการแนะนำ (+.12)', h % 60000, h % 60000, 'high',
    'Offer an appointment now', 'เสนอนัดหมายทันที'
from generate_series(1, :leads) as n
cross join lateral (select abs(hashint4(n)::bigint) as h) as drawn
"""

STAGES = """
insert into aura_marts.lead_stages (clinic_id, lead_id, position, stage, valid_from, observed)
select clinic_id, lead_id, 1, stage, created_at, false from aura_marts.lead_board
"""

COHORT_TABLE = """
insert into aura_marts.cohort_retention (
    clinic_id, cohort_month, month_number, cohort_size, active_customers, retention, revenue_thb, cumulative_revenue_thb
)
select
    md5('clinic' || c)::uuid, ('2025-01-01'::date + k * interval '1 month')::date, m, 500, 500 / (1 + m), 1.0 / (1 + m),
    1000000 / (1 + m), 1000000 * (1 + m)
from generate_series(1, :clinics) as c, generate_series(0, :cohorts - 1) as k, generate_series(0, :months - 1) as m
"""
