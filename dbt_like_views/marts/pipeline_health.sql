-- What each clinic's data looks like at the gate: how much, how fresh, and what belongs to nobody and is kept out.
-- materialized: table
-- key: clinic_id, source
-- owner: data
-- test: rows_28d <= row_count and without_customer <= row_count
-- clinic_id: the tenant; 00000000-0000-0000-0000-000000000000 counts rows without a clinic, which no tenant sees
-- source: customers, appointments, conversations or leads
-- row_count: rows known at the run's moment
-- rows_28d: of these, entered in the last 28 days
-- newest_at: when the newest was entered; null where there is none
-- days_since_newest: days since then
-- without_customer: rows that name no customer, or one of another clinic; on no customer's timeline
with every_row as (
    select
        'customers' as source,
        clinic_id,
        created_at,
        true as has_customer
    from aura_staging.stg_customers

    union all

    select
        'appointments' as source,
        a.clinic_id,
        a.created_at,
        c.customer_id is not null as has_customer
    from aura_staging.stg_appointments as a
    left join aura_staging.stg_customers as c on a.customer_id = c.customer_id and a.clinic_id = c.clinic_id

    union all

    select
        'conversations' as source,
        v.clinic_id,
        v.created_at,
        c.customer_id is not null as has_customer
    from aura_staging.stg_conversations as v
    left join aura_staging.stg_customers as c
        on v.customer_id = c.customer_id and coalesce(v.clinic_id, c.clinic_id) = c.clinic_id

    union all

    select
        'leads' as source,
        l.clinic_id,
        l.created_at,
        c.customer_id is not null as has_customer
    from aura_staging.stg_leads as l
    left join aura_staging.stg_customers as c
        on l.customer_id = c.customer_id and coalesce(l.clinic_id, c.clinic_id) = c.clinic_id
),

counted as (
    select
        coalesce(clinic_id, '00000000-0000-0000-0000-000000000000') as clinic_id,
        source,
        count(*) as row_count,
        count(*) filter (where created_at >= (select aura_ops.as_of()) - interval '28 days') as rows_28d,
        max(created_at) as newest_at,
        count(*) filter (where not has_customer) as without_customer
    from every_row
    group by coalesce(clinic_id, '00000000-0000-0000-0000-000000000000'), source
),

expected as (
    select
        c.clinic_id,
        s.source
    from (
        select clinic_id from aura_staging.stg_clinics
        union
        select '00000000-0000-0000-0000-000000000000'::uuid as clinic_id
    ) as c
    cross join unnest(array['customers', 'appointments', 'conversations', 'leads']) as s (source)
    union
    select
        clinic_id,
        source
    from counted
)

select
    e.clinic_id,
    e.source,
    coalesce(n.row_count, 0) as row_count,
    coalesce(n.rows_28d, 0) as rows_28d,
    n.newest_at,
    extract(epoch from aura_ops.as_of() - n.newest_at)::float8 / 86400 as days_since_newest,
    coalesce(n.without_customer, 0) as without_customer
from expected as e
left join counted as n on e.clinic_id = n.clinic_id and e.source = n.source
