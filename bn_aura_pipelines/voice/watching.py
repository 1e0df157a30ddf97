"""Watches the distribution of the analyses: shares for people, and a warning when one class suddenly changes."""

from __future__ import annotations

from typing import LiteralString

import sqlalchemy

from bn_aura_pipelines.database.connections import psycopg_connection

WEEKS = 4
# Below so many recent analyses a share says nothing.
LEAST_RECENT = 50
# A share that is off by more than chance explains (z above 4) and by a tenth of all conversations.
MOST_STANDARD_ERRORS = 4.0
MOST_DIFFERENCE = 0.1


def shares(connection: sqlalchemy.Connection) -> dict[str, float]:
    """The share of each sentiment among all analysed conversations, and of those not analysed or failed."""
    rows = psycopg_connection(connection).execute(SHARES).fetchall()
    return {f"share_{name}": round(float(share), 4) for name, share in rows}


def sudden_change(connection: sqlalchemy.Connection) -> str:
    """Which class's share differs most from before, where that is alarming; else an empty string."""
    for name, recent, share, before, usual in psycopg_connection(connection).execute(CHANGES, {"weeks": WEEKS}):
        if recent < LEAST_RECENT or before < LEAST_RECENT:
            continue
        error = (usual * (1 - usual) * (1 / recent + 1 / before)) ** 0.5
        if abs(share - usual) > max(MOST_STANDARD_ERRORS * error, MOST_DIFFERENCE):
            return f"{share:.0%} of the last {WEEKS} weeks' conversations are {name}, {usual:.0%} were before."
    return ""


SHARES: LiteralString = """
select
    coalesce(overall_sentiment, status) as name,
    count(*)::float8 / sum(count(*)) over () as share
from aura_ops.conversation_analysis
group by 1
order by 1
"""

CHANGES: LiteralString = """
with dated as (
    select
        a.overall_sentiment,
        c.created_at >= aura_ops.as_of() - make_interval(weeks => %(weeks)s) as is_recent
    from aura_ops.conversation_analysis as a
    inner join aura_staging.source_customer_conversations as c on c.id = a.conversation_id
    where
        a.status = 'analysed'
        and c.created_at >= aura_ops.as_of() - make_interval(weeks => 4 * %(weeks)s)
        and c.created_at < aura_ops.as_of()
)

select
    classes.name,
    count(*) filter (where d.is_recent),
    avg((d.overall_sentiment = classes.name)::int) filter (where d.is_recent)::float8,
    count(*) filter (where not d.is_recent),
    avg((d.overall_sentiment = classes.name)::int) filter (where not d.is_recent)::float8
from dated as d
cross join unnest(array['negative', 'neutral', 'positive']) as classes (name)
group by classes.name
order by classes.name
"""
