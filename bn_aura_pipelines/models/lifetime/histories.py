"""What each customer did until a moment, in visit days, and what was paid after it: rows for the lifetime model."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import sqlalchemy
from sqlalchemy import text

from bn_aura_pipelines.database.bulk import read_frame

if TYPE_CHECKING:
    import pandas as pd

# A visit is a day with completed appointments. One that was entered later is not known yet.
DAYS = """
    select c.clinic_id, c.customer_id, a.visit_date, sum(a.revenue_thb) as revenue_thb
    from aura_staging.stg_appointments as a
    inner join aura_staging.stg_customers as c on a.customer_id = c.customer_id
    where a.status = 'completed' and a.visit_at < '{cut}' and a.created_at < '{cut}'
    group by c.clinic_id, c.customer_id, a.visit_date
"""

HISTORIES = """
    with days as ({days})
    select
        clinic_id, customer_id,
        count(*) - 1 as repeats,
        max(visit_date) - min(visit_date) as last_days,
        extract(epoch from '{cut}'::timestamptz - min(visit_date)::timestamptz)::float8 / 86400 as age_days,
        count(*) filter (where revenue_thb > 0) as paid_visits,
        sum(revenue_thb) as revenue_thb
    from days
    group by clinic_id, customer_id
    order by customer_id
"""

AFTERWARDS = """
    select
        customer_id,
        count(distinct visit_date) as visits,
        sum(revenue_thb) as revenue_thb
    from aura_staging.stg_appointments
    where status = 'completed' and visit_at >= '{cut}' and visit_at < '{end}'
    group by customer_id
"""


def read_histories(connection: sqlalchemy.Connection, cut: datetime) -> pd.DataFrame:
    """One row a customer with a completed visit before `cut`: clinic_id, customer_id, repeats, last_days, age_days,
    paid_visits, revenue_thb; in order of customer_id."""
    moment = cut.isoformat()
    return read_frame(connection, HISTORIES.format(days=DAYS.format(cut=moment), cut=moment))


def read_revenue(connection: sqlalchemy.Connection, cut: datetime, end: datetime) -> pd.DataFrame:
    """customer_id, visits (days) and revenue_thb of completed visits from `cut` until `end`; customers without one are
    left out."""
    return read_frame(connection, AFTERWARDS.format(cut=cut.isoformat(), end=end.isoformat()))


def first_and_now(connection: sqlalchemy.Connection) -> tuple[datetime | None, datetime]:
    """The first completed visit, and the run's moment."""
    first, now = connection.execute(
        text(
            "select min(visit_at) filter (where status = 'completed'), aura_ops.as_of()"
            " from aura_staging.stg_appointments"
        )
    ).one()
    return first, now
