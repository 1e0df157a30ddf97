-- What was known of each customer with a completed visit, at each snapshot moment and nothing later, and what followed.
-- What was entered late counts from its entry on, and its gaps and places in the order never: a snapshot computed again
-- after later events is the same to the bit. Sums are over integers and decimals for the same reason.
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
-- days_since_booking: days since the last booked time that has passed, whatever became of it
-- bookings_since_visit: bookings whose time has passed since the last completed visit
-- has_booking_ahead: 1 if a visit is booked, as far as it was booked before this moment, else 0
-- booking_ahead_days: days until that visit, null without one
-- treatments_per_visit: mean number of treatments in a completed visit
-- conversations_90d: conversations in which the customer wrote during the last 90 days
-- customer_messages_90d: messages the customer wrote in the last 90 days
-- days_since_message: days since the customer's last message, null without one
-- same_month_last_year: completed visits in the 90 days that lie one year before the label's window
-- season_sin: sine of the day of the year
-- season_cos: cosine of the day of the year
-- churned: whether no completed visit followed within 90 days; null while that is not known
with moments as materialized (
    select
        snapshot_at,
        label_until,
        label_until <= aura_ops.as_of() as is_complete,
        snapshot_at - interval '90 days' as since_90d,
        snapshot_at - interval '180 days' as since_180d,
        snapshot_at - interval '275 days' as since_275d,
        snapshot_at - interval '365 days' as since_365d,
        2 * pi() * extract(doy from snapshot_at at time zone 'Asia/Bangkok')::float8 / 365.25 as season
    from aura_features.snapshot_moments
),

bookings as materialized (
    select
        customer_id,
        visit_at,
        created_at,
        status = 'completed' as is_completed,
        status = 'cancelled' as is_cancelled,
        status = 'no_show' as is_no_show,
        revenue_thb,
        jsonb_array_length(treatment_ids) as treatments,
        case when created_at <= visit_at then
            visit_date - lag(visit_date) over (
                partition by customer_id, status, created_at <= visit_at order by visit_at, appointment_id
            )
        end as gap_days,
        case when created_at <= visit_at then
            row_number() over (partition by customer_id, created_at <= visit_at order by visit_at, appointment_id)
        end as place,
        array[extract(epoch from visit_at)::float8, revenue_thb::float8] as ticket
    from aura_staging.stg_appointments
),

behaviour as (
    select
        m.snapshot_at,
        b.customer_id,
        max(b.visit_at) filter (where b.is_completed) as last_visit_at,
        min(b.visit_at) filter (where b.is_completed) as first_visit_at,
        count(*) filter (where b.is_completed) as visits,
        count(*) filter (where b.is_completed and b.visit_at >= m.since_90d) as visits_90d,
        count(*) filter (where b.is_completed and b.visit_at >= m.since_180d) as visits_180d,
        count(*) filter (where b.is_completed and b.visit_at >= m.since_365d) as visits_365d,
        count(*) filter (
            where b.is_completed and b.visit_at >= m.since_365d and b.visit_at < m.since_275d
        ) as same_month_last_year,
        count(b.gap_days) filter (where b.is_completed) as gaps,
        sum(b.gap_days) filter (where b.is_completed) as gap_sum,
        sum(b.gap_days::bigint * b.gap_days) filter (where b.is_completed) as gap_squares,
        sum(b.revenue_thb) filter (where b.is_completed) as revenue_thb,
        sum(b.revenue_thb) filter (where b.is_completed and b.visit_at >= m.since_90d) as revenue_90d_thb,
        sum(b.revenue_thb) filter (where b.is_completed and b.visit_at >= m.since_365d) as revenue_365d_thb,
        sum(b.treatments) filter (where b.is_completed) as treatments,
        (max(b.ticket) filter (where b.is_completed))[2] as last_ticket_thb,
        count(*) filter (where b.is_cancelled and b.visit_at >= m.since_365d) as cancellations_365d,
        count(*) filter (where b.is_no_show and b.visit_at >= m.since_365d) as no_shows_365d,
        max(b.visit_at) as last_booking_at,
        max(b.place) - max(b.place) filter (where b.is_completed) as bookings_since_visit
    from moments as m
    inner join bookings as b on m.snapshot_at > b.visit_at and m.snapshot_at > b.created_at
    group by m.snapshot_at, b.customer_id
    having count(*) filter (where b.is_completed) > 0
),

ahead as (
    select
        m.snapshot_at,
        b.customer_id,
        min(b.visit_at) as next_booking_at
    from moments as m
    inner join bookings as b on m.snapshot_at > b.created_at and m.snapshot_at <= b.visit_at
    group by m.snapshot_at, b.customer_id
),

said as materialized (
    select
        conversation_id,
        customer_id,
        sent_at,
        known_at
    from aura_staging.stg_messages
    where role = 'customer' and customer_id is not null
),

recent_talk as (
    select
        m.snapshot_at,
        s.customer_id,
        count(distinct s.conversation_id) as conversations_90d,
        count(*) as customer_messages_90d
    from moments as m
    inner join said as s on m.snapshot_at > s.known_at and m.since_90d <= s.sent_at
    group by m.snapshot_at, s.customer_id
),

talk as (
    select
        m.snapshot_at,
        s.customer_id,
        max(s.sent_at) as last_message_at
    from moments as m
    inner join said as s on m.snapshot_at > s.known_at
    group by m.snapshot_at, s.customer_id
),

outcomes as (
    select distinct
        m.snapshot_at,
        b.customer_id
    from moments as m
    inner join bookings as b on m.snapshot_at <= b.visit_at and m.label_until > b.visit_at
    where b.is_completed
)

select
    b.snapshot_at,
    c.clinic_id,
    b.customer_id,
    b.last_visit_at >= m.since_365d as is_active,
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
    b.last_ticket_thb,
    b.cancellations_365d::int as cancellations_365d,
    b.no_shows_365d::int as no_shows_365d,
    extract(epoch from b.snapshot_at - b.last_booking_at)::float8 / 86400 as days_since_booking,
    coalesce(b.bookings_since_visit, 0)::int as bookings_since_visit,
    (a.next_booking_at is not null)::int as has_booking_ahead,
    extract(epoch from a.next_booking_at - b.snapshot_at)::float8 / 86400 as booking_ahead_days,
    (b.treatments::numeric / b.visits)::float8 as treatments_per_visit,
    coalesce(r.conversations_90d, 0)::int as conversations_90d,
    coalesce(r.customer_messages_90d, 0)::int as customer_messages_90d,
    extract(epoch from b.snapshot_at - t.last_message_at)::float8 / 86400 as days_since_message,
    b.same_month_last_year::int as same_month_last_year,
    sin(m.season) as season_sin,
    cos(m.season) as season_cos,
    case when m.is_complete then o.customer_id is null end as churned
from behaviour as b
inner join moments as m on b.snapshot_at = m.snapshot_at
inner join aura_staging.stg_customers as c on b.customer_id = c.customer_id and b.snapshot_at > c.created_at
left join ahead as a on b.snapshot_at = a.snapshot_at and b.customer_id = a.customer_id
left join recent_talk as r on b.snapshot_at = r.snapshot_at and b.customer_id = r.customer_id
left join talk as t on b.snapshot_at = t.snapshot_at and b.customer_id = t.customer_id
left join outcomes as o on b.snapshot_at = o.snapshot_at and b.customer_id = o.customer_id
