-- Of the customers whose first completed visit fell in a month, how many came back in each month after; complete grid.
-- materialized: table
-- key: clinic_id, cohort_month, month_number
-- owner: analytics
-- test: active_customers <= cohort_size
-- test: month_number > 0 or active_customers = cohort_size
-- clinic_id: the tenant
-- cohort_month: first day of the Bangkok month of the first completed visit
-- month_number: months since then; 0 is the cohort's own month
-- cohort_size: customers of the cohort
-- active_customers: customers of the cohort with a completed visit in that month
-- retention: active_customers / cohort_size
-- revenue_thb: revenue of the cohort in that month
-- cumulative_revenue_thb: revenue of the cohort up to and including that month
-- revenue_per_customer_thb: revenue_thb / cohort_size
-- cumulative_revenue_per_customer_thb: cumulative_revenue_thb / cohort_size
with visits as (
    select
        clinic_id,
        customer_id,
        date_trunc('month', visit_date::timestamp)::date as visit_month,
        sum(revenue_thb) as revenue_thb
    from aura_staging.stg_appointments
    where status = 'completed'
    group by clinic_id, customer_id, date_trunc('month', visit_date::timestamp)::date
),

members as (
    select
        clinic_id,
        customer_id,
        min(visit_month) as cohort_month
    from visits
    group by clinic_id, customer_id
),

cohorts as (
    select
        clinic_id,
        cohort_month,
        count(*) as cohort_size
    from members
    group by clinic_id, cohort_month
),

activity as (
    select
        m.clinic_id,
        m.cohort_month,
        v.visit_month,
        count(*) as active_customers,
        sum(v.revenue_thb) as revenue_thb
    from members as m
    inner join visits as v on m.clinic_id = v.clinic_id and m.customer_id = v.customer_id
    group by m.clinic_id, m.cohort_month, v.visit_month
),

grid as (
    select
        c.clinic_id,
        c.cohort_month,
        c.cohort_size,
        spine.visit_month::date as visit_month,
        (
            12 * (extract(year from spine.visit_month) - extract(year from c.cohort_month))
            + extract(month from spine.visit_month) - extract(month from c.cohort_month)
        )::int as month_number
    from cohorts as c
    cross join lateral generate_series(
        c.cohort_month::timestamp, date_trunc('month', aura_ops.bangkok_day(aura_ops.as_of())::timestamp), '1 month'
    ) as spine (visit_month)
)

select
    g.clinic_id,
    g.cohort_month,
    g.month_number,
    g.cohort_size::int as cohort_size,
    coalesce(a.active_customers, 0)::int as active_customers,
    coalesce(a.active_customers, 0)::float8 / g.cohort_size as retention,
    coalesce(a.revenue_thb, 0)::numeric(14, 2) as revenue_thb,
    sum(coalesce(a.revenue_thb, 0)) over (
        partition by g.clinic_id, g.cohort_month order by g.month_number
    )::numeric(14, 2) as cumulative_revenue_thb,
    (coalesce(a.revenue_thb, 0) / g.cohort_size)::numeric(14, 2) as revenue_per_customer_thb,
    (
        sum(coalesce(a.revenue_thb, 0)) over (partition by g.clinic_id, g.cohort_month order by g.month_number)
        / g.cohort_size
    )::numeric(14, 2) as cumulative_revenue_per_customer_thb
from grid as g
left join activity as a
    on g.clinic_id = a.clinic_id and g.cohort_month = a.cohort_month and g.visit_month = a.visit_month
