"""The funnel of the sample clinic against its leads; its arithmetic is held in `models/leads/test_history.py`."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy

from bn_aura_pipelines.database.connections import Database
from bn_aura_pipelines.database.view_files import load_views
from bn_aura_pipelines.database.views import build
from bn_aura_pipelines.models.leads.history import record
from bn_aura_pipelines.sources.relations import build_source_relations
from bn_aura_pipelines.sources.sample.generate import generate

NOW = datetime.fromisoformat("2026-06-01T00:00:00+07:00")

LEADS = """
    select clinic_id::text, date_trunc('month', created_at at time zone 'Asia/Bangkok')::date, source, count(*),
        count(*) filter (where status = 'won'), count(*) filter (where status = 'lost')
    from public.sales_leads where clinic_id is not null and created_at < :now
    group by 1, 2, 3
"""
FUNNEL = """
    select clinic_id::text, month, source, sum(entered) filter (where stage = 'new'),
        sum(entered) filter (where stage = 'won'), sum(lost)
    from aura_marts.sales_funnel group by 1, 2, 3
"""


def test_every_lead_enters_once_and_is_won_or_lost_as_the_application_says(database: Database) -> None:
    generate(database, 200, NOW, seed=3)
    with database.begin(NOW) as connection:
        build_source_relations(connection)
        build(connection, [view for view in load_views() if view.schema == "aura_staging"])
        record(connection)
        build(connection, [view for view in load_views() if view.name == "sales_funnel"])
        leads = connection.execute(sqlalchemy.text(LEADS), {"now": NOW}).tuples().all()
        funnel = connection.execute(sqlalchemy.text(FUNNEL)).tuples().all()
    assert sum(row[4] for row in leads) > 0 and sum(row[5] for row in leads) > 0
    assert sorted(map(tuple, funnel)) == sorted(map(tuple, leads))
