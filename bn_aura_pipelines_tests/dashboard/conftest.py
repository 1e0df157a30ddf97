"""The clinics of the API's tests with forecasts, analyses and decisions besides, and the dashboard over them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest
import sqlalchemy

from bn_aura_pipelines.api.keys import create_key
from bn_aura_pipelines.dashboard.app import make_app
from bn_aura_pipelines.database.connections import Database
from bn_aura_pipelines.database.view_files import load_views
from bn_aura_pipelines.database.views import build
from bn_aura_pipelines.models.leads.history import record
from bn_aura_pipelines.settings import Settings
from bn_aura_pipelines.triggers.evaluation import evaluate
from bn_aura_pipelines_tests.api.conftest import NOW, SIAM, THONGLOR, clinics, serving

__all__ = ["SIAM", "THONGLOR", "clinics"]
SPAN = 7
FORECASTS = """
    insert into aura_models.lead_forecasts
    select b.clinic_id, coalesce(b.stage, 'all'), h.days, count(*), count(*) * .3, count(*) * .1, count(*) * .3,
        count(*) * .5, h.days * 100.0, h.days * 300.0, h.days * 700.0
    from aura_marts.lead_board as b cross join unnest(array[30, 60, 90]) as h (days)
    group by grouping sets ((b.clinic_id, h.days), (b.clinic_id, b.stage, h.days))
"""
ANALYSES = """
    insert into aura_ops.conversation_analysis (
        conversation_id, clinic_id, status, overall_sentiment, confidence, satisfaction_score, key_concerns,
        positive_signals, improvement_suggestions, language, quotes, provider, model_version, content_hash, tokens,
        cost_usd
    )
    select conversation_id, clinic_id, 'analysed', (array['positive', 'neutral', 'negative'])[1 + n % 3], .8,
        4 + n % 5, array['price'], '{}', '{}', 'en', '{"price": "<script>alert(1)</script> too dear"}', 'local', 1, '',
        0, 0
    from (select *, row_number() over (order by created_at) as n from aura_staging.stg_conversations) as c
    where clinic_id is not null and n % 4 > 0
"""

# Each clinic gets thirty copies of an open lead, so that there is something to see and to page through.
LEADS = """
    with copies as (
        insert into public.sales_leads (id, clinic_id, sales_user_id, name, status, source, estimated_value, created_at,
            updated_at, metadata)
        select gen_random_uuid(), c.id, s.user_id, 'Lead ' || n, 'contacted', 'line', 3000 * n, l.created_at,
            l.updated_at, l.metadata
        from (select * from public.sales_leads where id in (select lead_id from aura_marts.lead_board) limit 1) as l
        cross join public.clinics as c
        cross join generate_series(1, 30) as n
        cross join lateral (
            select user_id from public.clinic_staff as s where s.clinic_id = c.id and s.role = 'sales_staff'
            order by user_id limit 1
        ) as s
        returning id, clinic_id
    )
    insert into aura_models.lead_scores (lead_id, clinic_id, model_version, win_probability, win_low, win_high, score,
        category, confidence, completeness, reasons_en, reasons_th, engagement_points)
    select id, clinic_id, 1, .2 + n * .01, .1 + n * .01, .3 + n * .01, 20 + n, 'cold', .5, 1, 'x', 'x', n % 25
    from (select *, (row_number() over (partition by clinic_id order by id))::int as n from copies) as numbered
"""


@pytest.fixture(scope="module")
def shown(clinics: Database) -> Database:
    """The clinics with something in every mart; one customer has a name of markup, one a name of 300 letters."""
    with clinics.begin(NOW) as connection:
        connection.execute(sqlalchemy.text(LEADS))
        record(connection)
        build(connection, load_views())
        connection.execute(sqlalchemy.text(FORECASTS))
        connection.execute(sqlalchemy.text(ANALYSES))
        codes = connection.execute(
            sqlalchemy.text(
                "select customer_code from aura_marts.customer_360 join public.clinics on clinics.id = clinic_id"
                " where clinic_code = :clinic order by risk_rank desc, customer_id desc limit 2"
            ),
            {"clinic": SIAM},
        ).scalars()
        rename = sqlalchemy.text("update public.customers set full_name = :name where customer_code = :code")
        for code, name in zip(codes, ("<img src=x onerror=alert(1)> \"&'", "W" * 300), strict=True):
            connection.execute(rename, {"code": code, "name": name})
        connection.execute(
            sqlalchemy.text("update aura_ops.trigger_rules set threshold = 42, hysteresis = 1 where threshold = 70")
        )
        evaluate(connection)
        build(connection, load_views())
    return clinics


@pytest.fixture(scope="module")
def address(shown: Database) -> Iterator[str]:
    """Where the dashboard answers."""
    with serving(shown, Settings(api_pool_size=4, api_requests_per_second=100_000), make_app) as client:
        yield str(client.base_url)


def key_of(database: Database, clinic: str, *scopes: str) -> str:
    with database.begin() as connection:
        return create_key(connection, clinic, scopes=scopes)


@contextmanager
def signed_in(address: str, key: str, **cookies: str) -> Iterator[httpx.Client]:
    """A browser without JavaScript, so to speak, after signing in with this key."""
    with httpx.Client(base_url=address, cookies=cookies, headers={"Origin": address}, timeout=30) as client:
        answer = client.post("/dashboard/sign-in", data={"credential": key})
        assert answer.status_code == 303, answer.text
        yield client


@pytest.fixture(scope="module")
def siam(address: str, shown: Database) -> Iterator[httpx.Client]:
    with signed_in(address, key_of(shown, SIAM, "personal")) as client:
        yield client
