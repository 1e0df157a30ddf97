"""What each customer has had until a moment, and what followed: the rows that recommendations are made of.

Features of these are in `repeats` and `novelties`. A treatment id that no longer exists, or that belongs to another
clinic's catalogue, is left out here and counted.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING

import sqlalchemy

from bn_aura_pipelines.database.bulk import read_frame

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Floats = NDArray[np.floating]
    Ints = NDArray[np.int64]
    Bools = NDArray[np.bool_]

# Customers and treatments by number and every treatment of every booking, once for all moments of a transaction. A
# course is bought in one visit, at a multiple of the price, and used in later ones that cost nothing.
LINES = """
    create temporary table recommendation_customers on commit drop as
    select
        (row_number() over (order by clinic_id, customer_id) - 1)::int as customer,
        (dense_rank() over (order by clinic_id) - 1)::int as clinic,
        customer_id, clinic_id, status = 'blacklisted' as is_blacklisted, allergies, medical_notes, created_at
    from aura_staging.stg_customers;
    create temporary table recommendation_treatments on commit drop as
    select (row_number() over (order by treatment_id) - 1)::int as treatment, treatment_id::text as treatment_id,
        clinic_id, category, is_active, name_en, name_th, price_min_thb, price_max_thb
    from aura_staging.stg_treatments;
    create temporary table recommendation_lines on commit drop as
    select
        a.appointment_id, c.customer, c.clinic, t.treatment, a.visit_at, a.created_at, a.revenue_thb,
        a.status = 'completed' as is_completed,
        a.revenue_thb > 1.5 * sum(t.price_max_thb) over (partition by a.appointment_id) as is_bulk
    from (
        select distinct
            v.appointment_id, v.clinic_id, v.customer_id, v.visit_at, v.created_at, v.revenue_thb, v.status,
            named.treatment_id
        from aura_staging.stg_appointments as v
        cross join lateral jsonb_array_elements_text(v.treatment_ids) as named (treatment_id)
    ) as a
    inner join recommendation_customers as c on a.customer_id = c.customer_id and a.clinic_id = c.clinic_id
    inner join recommendation_treatments as t
        on a.treatment_id = t.treatment_id and coalesce(t.clinic_id, a.clinic_id) = a.clinic_id;
    analyze recommendation_customers;
    analyze recommendation_lines
"""

CUSTOMERS = """
    with visits as (
        select
            customer_id,
            count(*) as visits,
            extract(epoch from '{cut}'::timestamptz - max(visit_at))::float8 / 86400 as recency_days,
            extract(epoch from max(visit_at) - min(visit_at))::float8 / 86400 as span_days,
            sum(revenue_thb)::float8 as revenue_thb
        from aura_staging.stg_appointments
        where status = 'completed' and visit_at < '{cut}' and created_at < '{cut}'
        group by customer_id
    )
    select
        c.customer_id, c.clinic_id, c.clinic, (c.created_at < '{cut}' and not c.is_blacklisted)::int as is_known,
        coalesce(v.visits, 0) as visits, coalesce(v.recency_days, 9999)::float8 as recency_days,
        coalesce(v.span_days, 0)::float8 as span_days, coalesce(v.revenue_thb, 0)::float8 as revenue_thb
    from recommendation_customers as c
    left join visits as v on c.customer_id = v.customer_id
    order by c.customer
"""

TREATMENTS = """
    select
        treatment_id, coalesce(category, '') as category,
        coalesce(nullif(name_en, ''), nullif(name_th, ''), 'treatment') as name_en,
        coalesce(nullif(name_th, ''), nullif(name_en, ''), 'ทรีตเมนต์') as name_th,
        coalesce(price_min_thb, 0)::float8 as price_min_thb,
        coalesce(price_max_thb, price_min_thb, 0)::float8 as price_max_thb
    from recommendation_treatments
    order by treatment
"""

PAST = "is_completed and visit_at < '{cut}' and created_at < '{cut}'"

# A visit counts half after so many days in `times_lately`: twice the days ahead that recommendations are judged on.
HALF_LIFE_DAYS = 180

PAIRS = f"""
    with placed as (
        select
            customer, treatment, visit_at, revenue_thb,
            max(visit_at) over (partition by customer) as last_visit_at,
            max(visit_at) over (partition by customer, treatment) as last_at,
            max(visit_at) filter (where is_bulk) over (partition by customer, treatment) as bulk_at,
            extract(epoch from visit_at - lag(visit_at) over (
                partition by customer, treatment order by visit_at, appointment_id
            ))::float8 / 86400 as gap
        from recommendation_lines
        where {PAST}
    )
    select
        customer, treatment,
        count(*) as times,
        -- Over decimals, since sums of floats depend on the order of rows.
        sum((
            0.5 ^ (extract(epoch from '{{cut}}'::timestamptz - visit_at)::float8 / 86400 / {HALF_LIFE_DAYS})
        )::numeric(9, 8))::float8 as times_lately,
        extract(epoch from '{{cut}}'::timestamptz - max(visit_at))::float8 / 86400 as days_since,
        extract(epoch from '{{cut}}'::timestamptz - min(visit_at))::float8 / 86400 as days_since_first,
        percentile_disc(0.5) within group (order by gap) filter (where gap is not null) as gap_days,
        bool_or(visit_at = last_visit_at)::int as in_last_visit,
        count(*) filter (where visit_at > bulk_at) as uses_of_course,
        bool_or(bulk_at is not null)::int as has_course,
        bool_or(visit_at = last_at and revenue_thb = 0)::int as last_was_free
    from placed
    group by customer, treatment
    order by customer, treatment
"""

STEPS = f"""
    with visits as (
        select customer, appointment_id, array_agg(treatment order by treatment) as treatments,
            row_number() over (partition by customer order by visit_at, appointment_id) as place
        from recommendation_lines where {PAST}
        group by customer, appointment_id, visit_at
    )
    select one as before, other as after, count(*) as times
    from visits as a
    inner join visits as b on a.customer = b.customer and b.place = a.place + 1
    cross join lateral unnest(a.treatments) as one
    cross join lateral unnest(b.treatments) as other
    group by 1, 2 order by 1, 2
"""

# What a customer took up after the cut and had not booked by then, in the order of visits.
AFTERWARDS = """
    select customer, treatment, dense_rank() over (partition by customer order by min(visit_at)) as place
    from recommendation_lines
    where is_completed and visit_at >= '{cut}' and visit_at < '{end}' and created_at >= '{cut}'
    group by customer, treatment order by customer, treatment
"""

# Whether a booking of the past was kept or cancelled was not known before its time.
BOOKED = """
    select distinct customer, treatment from recommendation_lines
    where created_at < '{cut}' and visit_at >= '{cut}' order by customer, treatment
"""

# Active treatments of the clinic's own catalogue, and of a shared one those that the clinic has ever booked.
OFFERED = """
    select l.clinic, t.treatment
    from (
        select distinct clinic, treatment from recommendation_lines where created_at < '{cut}'
        union
        select distinct c.clinic, t.treatment
        from recommendation_treatments as t inner join recommendation_customers as c on t.clinic_id = c.clinic_id
    ) as l
    inner join recommendation_treatments as t on l.treatment = t.treatment
    where t.is_active
    order by 1, 2
"""

UNKNOWN = """
    select count(*)
    from aura_staging.stg_appointments as a
    cross join lateral jsonb_array_elements_text(a.treatment_ids) as named (treatment_id)
    where a.status = 'completed' and not exists (
        select from aura_staging.stg_treatments as t
        where t.treatment_id::text = named.treatment_id and coalesce(t.clinic_id, a.clinic_id) = a.clinic_id
    )
"""


@dataclass(frozen=True)
class Histories:
    """Everything known before `cut`. Customers stand clinic by clinic; other frames name customers and treatments by
    their places. `offered` (clinics, treatments) says what may be recommended, `steps` (treatments, treatments) how
    often one was followed by another in the next visit; `followed` is what came afterwards."""

    cut: datetime
    customers: pd.DataFrame
    treatments: pd.DataFrame
    pairs: pd.DataFrame
    booked: pd.DataFrame
    steps: Array
    offered: Bools
    followed: pd.DataFrame | None = None

    @cached_property
    def clinic(self) -> Ints:
        """The clinic's number of each customer, in the order of the rows of `offered`."""
        return self.customers["clinic"].to_numpy(int)

    @cached_property
    def recency(self) -> Floats:
        """Days since each customer last had each treatment, shape (customers, treatments); infinite if never."""
        import numpy as np

        days = np.full((len(self.customers), len(self.treatments)), np.inf, np.float32)
        days[self.pairs["customer"], self.pairs["treatment"]] = self.pairs["days_since"]
        return days

    @cached_property
    def closed(self) -> Bools:
        """What nobody is recommended: what the clinic does not offer and what is booked already. The shape of
        `recency`; customers who are not known yet, or blacklisted, are recommended nothing."""
        closed = ~self.offered[self.clinic]
        closed[self.booked["customer"], self.booked["treatment"]] = True
        closed[self.customers["is_known"].to_numpy() == 0] = True
        return closed


def read_histories(connection: sqlalchemy.Connection, cut: datetime, end: datetime | None = None) -> Histories:
    """Histories before `cut`; with `end` also what was completed from then until `end`. Both are aware."""
    import numpy as np

    if connection.exec_driver_sql("select to_regclass('pg_temp.recommendation_lines')").scalar() is None:
        connection.exec_driver_sql(LINES)
    moment = cut.isoformat()

    def read(query: str) -> pd.DataFrame:
        return read_frame(connection, query.format(cut=moment, end=end.isoformat() if end else None))

    customers, treatments = read(CUSTOMERS), read(TREATMENTS)
    steps = np.zeros((len(treatments), len(treatments)))
    found = _whole(read(STEPS))
    steps[found["before"], found["after"]] = found["times"]
    clinics = int(customers["clinic"].to_numpy(int).max(initial=-1)) + 1
    offered = np.zeros((clinics, len(treatments)), bool)
    found = _whole(read(OFFERED))
    offered[found["clinic"], found["treatment"]] = True
    return Histories(
        cut=cut,
        customers=customers,
        treatments=treatments,
        pairs=_whole(read(PAIRS), "customer", "treatment"),
        booked=_whole(read(BOOKED)),
        steps=steps,
        offered=offered,
        followed=_whole(read(AFTERWARDS)) if end else None,
    )


def count_unknown(connection: sqlalchemy.Connection) -> int:
    """Treatments of completed visits that no longer exist, or are not of the clinic."""
    return connection.exec_driver_sql(UNKNOWN).scalar_one()


def _whole(rows: pd.DataFrame, *columns: str) -> pd.DataFrame:
    """The same rows with whole numbers in these columns, or in all: those of no row at all arrive as floats."""
    return rows.astype(dict.fromkeys(columns or rows.columns, int))
