-- What was known of each customer with a completed visit, at each snapshot moment and nothing later, and what followed.
-- Sums are over integers and decimals, so that a snapshot computed again is the same to the bit.
-- materialized: table
-- key: snapshot_at, customer_id
-- owner: data-science
-- test: recency_days >= 0
-- test: visits >= 1
-- snapshot_at: only what happened before this moment is known
-- clinic_id: the tenant
-- customer_id: the customer
-- is_active: whether the last completed visit is at most 365 days ago; churn is learnt and judged on these
-- recency_days: days since the last completed visit
-- tenure_days: days since the first completed visit
-- visits: completed visits so far
-- visits_90d: completed visits in the last 90 days
-- visits_180d: completed visits in the last 180 days
-- visits_365d: completed visits in the last 365 days
-- gap_mean_days: mean days between completed visits, null below two visits
-- gap_std_days: standard deviation of those gaps, null below three visits
-- lateness: recency in units of the person's own mean gap
-- revenue_thb: revenue so far
-- revenue_90d_thb: revenue of the last 90 days
-- revenue_365d_thb: revenue of the last 365 days
-- ticket_thb: mean revenue of a completed visit
-- last_ticket_thb: revenue of the last completed visit
-- cancellations_365d: cancelled visits of the last 365 days
-- no_shows_365d: missed visits of the last 365 days
-- treatments_per_visit: mean number of treatments in a completed visit
-- conversations_90d: conversations in which the customer wrote during the last 90 days
-- customer_messages_90d: messages the customer wrote in the last 90 days
-- days_since_message: days since the customer's last message, null without one
-- same_month_last_year: completed visits in the 90 days that lie one year before the label's window
-- season_sin: sine of the day of the year
-- season_cos: cosine of the day of the year
-- churned: whether no completed visit followed within 90 days; null while that is not known
with visits as (
    select
        clinic_id,
        customer_id,
        visit_at,
        status,
        revenue_thb,
        jsonb_array_length(treatment_ids) as treatments,
        visit_date - lag(visit_date) over (
            partition by customer_id, status order by visit_at, appointment_id
        ) as gap_days
    from aura_staging.stg_appointments
    where status in ('completed', 'cancelled', 'no_show')
),

behaviour as (
    select
        m.snapshot_at,
        v.customer_id,
        max(v.visit_at) filter (where v.status = 'completed') as last_visit_at,
        min(v.visit_at) filter (where v.status = 'completed') as first_visit_at,
        count(*) filter (where v.status = 'completed') as visits,
        count(*) filter (
            where v.status = 'completed' and v.visit_at >= m.snapshot_at - interval '90 days'
        ) as visits_90d,
        count(*) filter (
            where v.status = 'completed' and v.visit_at >= m.snapshot_at - interval '180 days'
        ) as visits_180d,
        count(*) filter (
            where v.status = 'completed' and v.visit_at >= m.snapshot_at - interval '365 days'
        ) as visits_365d,
        count(*) filter (
            where v.status = 'completed' and v.visit_at >= m.snapshot_at - interval '365 days'
                and v.visit_at < m.snapshot_at - interval '275 days'
        ) as same_month_last_year,
        count(v.gap_days) filter (where v.status = 'completed') as gaps,
        sum(v.gap_days) filter (where v.status = 'completed') as gap_sum,
        sum(v.gap_days::bigint * v.gap_days) filter (where v.status = 'completed') as gap_squares,
        sum(v.revenue_thb) as revenue_thb,
        sum(v.revenue_thb) filter (where v.visit_at >= m.snapshot_at - interval '90 days') as revenue_90d_thb,
        sum(v.revenue_thb) filter (where v.visit_at >= m.snapshot_at - interval '365 days') as revenue_365d_thb,
        sum(v.treatments) filter (where v.status = 'completed') as treatments,
        (array_agg(v.revenue_thb order by v.visit_at desc, v.revenue_thb desc) filter (
            where v.status = 'completed'
        ))[1] as last_ticket_thb,
        count(*) filter (
            where v.status = 'cancelled' and v.visit_at >= m.snapshot_at - interval '365 days'
        ) as cancellations_365d,
        count(*) filter (
            where v.status = 'no_show' and v.visit_at >= m.snapshot_at - interval '365 days'
        ) as no_shows_365d
    from aura_features.snapshot_moments as m
    inner join visits as v on m.snapshot_at > v.visit_at
    group by m.snapshot_at, v.customer_id
),

talk as (
    select
        m.snapshot_at,
        s.customer_id,
        count(distinct s.conversation_id) filter (
            where s.sent_at >= m.snapshot_at - interval '90 days'
        ) as conversations_90d,
        count(*) filter (where s.sent_at >= m.snapshot_at - interval '90 days') as customer_messages_90d,
        max(s.sent_at) as last_message_at
    from aura_features.snapshot_moments as m
    inner join aura_staging.stg_messages as s on m.snapshot_at > s.sent_at
    where s.role = 'customer' and s.customer_id is not null
    group by m.snapshot_at, s.customer_id
),

outcomes as (
    select distinct
        m.snapshot_at,
        v.customer_id
    from aura_features.snapshot_moments as m
    inner join visits as v on m.snapshot_at <= v.visit_at and m.label_until > v.visit_at
    where v.status = 'completed'
)

select
    b.snapshot_at,
    c.clinic_id,
    b.customer_id,
    b.last_visit_at >= b.snapshot_at - interval '365 days' as is_active,
    extract(epoch from b.snapshot_at - b.last_visit_at)::float8 / 86400 as recency_days,
    extract(epoch from b.snapshot_at - b.first_visit_at)::float8 / 86400 as tenure_days,
    b.visits::int as visits,
    b.visits_90d::int as visits_90d,
    b.visits_180d::int as visits_180d,
    b.visits_365d::int as visits_365d,
    (b.gap_sum::numeric / nullif(b.gaps, 0))::float8 as gap_mean_days,
    case
        when b.gaps >= 2
            then sqrt(((b.gap_squares - b.gap_sum::numeric * b.gap_sum / b.gaps) / (b.gaps - 1))::float8)
    end as gap_std_days,
    extract(epoch from b.snapshot_at - b.last_visit_at)::float8 / 86400
    / nullif((b.gap_sum::numeric / nullif(b.gaps, 0))::float8, 0) as lateness,
    b.revenue_thb::float8 as revenue_thb,
    coalesce(b.revenue_90d_thb, 0)::float8 as revenue_90d_thb,
    coalesce(b.revenue_365d_thb, 0)::float8 as revenue_365d_thb,
    (b.revenue_thb / b.visits)::float8 as ticket_thb,
    b.last_ticket_thb::float8 as last_ticket_thb,
    b.cancellations_365d::int as cancellations_365d,
    b.no_shows_365d::int as no_shows_365d,
    (b.treatments::numeric / b.visits)::float8 as treatments_per_visit,
    coalesce(t.conversations_90d, 0)::int as conversations_90d,
    coalesce(t.customer_messages_90d, 0)::int as customer_messages_90d,
    extract(epoch from b.snapshot_at - t.last_message_at)::float8 / 86400 as days_since_message,
    b.same_month_last_year::int as same_month_last_year,
    sin(2 * pi() * extract(doy from b.snapshot_at at time zone 'Asia/Bangkok')::float8 / 365.25) as season_sin,
    cos(2 * pi() * extract(doy from b.snapshot_at at time zone 'Asia/Bangkok')::float8 / 365.25) as season_cos,
    case when m.label_until <= aura_ops.as_of() then o.customer_id is null end as churned
from behaviour as b
inner join aura_features.snapshot_moments as m on b.snapshot_at = m.snapshot_at
inner join aura_staging.stg_customers as c on b.customer_id = c.customer_id
left join talk as t on b.snapshot_at = t.snapshot_at and b.customer_id = t.customer_id
left join outcomes as o on b.snapshot_at = o.snapshot_at and b.customer_id = o.customer_id
where b.visits > 0
