-- What was known of each customer with a completed visit, at each snapshot moment and nothing later, and what followed.
-- What was entered late counts from its entry on, and its gaps and places in the order never: a snapshot computed again
-- after later events is the same to the bit. Sums are over integers and decimals for the same reason.
-- materialized: table
-- key: snapshot_at, customer_id
-- owner: data-science
-- test: recency_days >= 0
-- test: visits >= 1
-- replaces: snapshot_at in (select m.snapshot_at from aura_features.snapshot_moments as m)
--   or coalesce(current_setting('bn_aura.months', true), '') = '' and (snapshot_at > aura_ops.as_of()
--   or snapshot_at <> date_trunc('month', snapshot_at at time zone 'Asia/Bangkok') at time zone 'Asia/Bangkok')
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
-- treatment_kinds: different treatments in completed visits so far
-- repeat_lateness: recency in units of the usual time until the last visit's treatment is repeated, among all customers
--   until the day before; null where fewer than five repeats of it were seen
-- conversations_90d: conversations in which the customer wrote during the last 90 days
-- customer_messages_90d: messages the customer wrote in the last 90 days
-- days_since_message: days since the customer's last message, null without one
-- channels: different ways (LINE, telephone, e-mail ...) of the conversations in which the customer wrote
-- response_hours_90d: mean hours to the answer, of answers in the last 90 days; null without one
-- mood_90d: words of praise less words of complaint in a message, mean of the last 90 days; null without a message
-- mood_slope: that less the mean of the messages before; null where either is missing
-- referrals_made: referrals by the customer
-- was_referred: 1 if another customer referred this one, else 0
-- loyalty_days: days since the customer joined the loyalty programme, null for those who have not; points and tier have
--   no history and are left out
-- same_month_last_year: completed visits in the 90 days that lie one year before the label's window
-- season_sin: sine of the day of the year
-- season_cos: cosine of the day of the year
-- churned: whether no completed visit followed within 90 days; null while that is not known
with moments as materialized (
    select
        snapshot_at,
        label_until,
        label_until <= (select aura_ops.as_of()) as is_complete,
        snapshot_at - interval '90 days' as since_90d,
        snapshot_at - interval '180 days' as since_180d,
        snapshot_at - interval '275 days' as since_275d,
        snapshot_at - interval '365 days' as since_365d,
        aura_ops.bangkok_day(snapshot_at) as today,
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
        array[
            extract(epoch from visit_at)::float8, revenue_thb::float8, hashtext(treatment_ids ->> 0)::float8
        ] as ticket
    from aura_staging.stg_appointments
),

-- Each treatment in a completed visit, and the days since the customer had it before.
treated as materialized (
    select
        customer_id,
        treatment,
        known_at,
        visit_date,
        case when is_on_time then
            visit_date - lag(visit_date) over (
                partition by customer_id, treatment, is_on_time order by visit_at, appointment_id
            )
        end as gap_days
    from (
        select
            a.customer_id,
            a.appointment_id,
            a.visit_at,
            a.visit_date,
            hashtext(t.treatment_id)::float8 as treatment,
            greatest(a.visit_at, a.created_at) as known_at,
            a.created_at <= a.visit_at as is_on_time
        from aura_staging.stg_appointments as a
        cross join lateral (
            select distinct jsonb_array_elements_text(a.treatment_ids) as treatment_id
        ) as t
        where a.status = 'completed'
    ) as each_treatment
),

daily_repeats as (
    select
        treatment,
        visit_date,
        count(*) as repeats,
        sum(gap_days) as days
    from treated
    where gap_days > 0
    group by treatment, visit_date
),

usual_repeats as (
    select
        m.snapshot_at,
        d.treatment,
        sum(d.days) / sum(d.repeats) as usual_days
    from moments as m
    inner join daily_repeats as d on m.today > d.visit_date
    group by m.snapshot_at, d.treatment
    having sum(d.repeats) >= 5
),

first_treatments as materialized (
    select
        customer_id,
        treatment,
        min(known_at) as known_at
    from treated
    group by customer_id, treatment
),

mix as (
    select
        m.snapshot_at,
        f.customer_id,
        count(*) as treatment_kinds
    from moments as m
    inner join first_treatments as f on m.snapshot_at > f.known_at
    group by m.snapshot_at, f.customer_id
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
        max(b.ticket) filter (where b.is_completed) as last_ticket,
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
        m.conversation_id,
        m.customer_id,
        m.sent_at,
        m.known_at,
        c.conversation_type,
        -- The words of voice/lexicon.py that count whatever stands around them; "not good" is no praise.
        regexp_count(
            m.content,
            'ประทับใจ|ดีใจ|ชอบ|รัก|พอใจ|มั่นใจ|สบายใจ|ไว้ใจ|คุ้ม|แนะนำ|เยี่ยม|ขอบคุณ|สวย|ดีมาก|ดีขึ้น|สุดยอด|ปลื้ม|ใจดี'
            || '|\m(good|great|love|lovely|happy|excellent|thanks?|perfect|amazing|gentle|friendly)\M'
            || '|\m(satisfied|impressed)\M',
            1, 'i'
        ) - regexp_count(
            m.content,
            'แย่|ผิดหวัง|เสียใจ|เสียดาย|เสียเวลา|หงุดหงิด|โกรธ|รำคาญ|ห่วย|แพงไป|แพงเกิน|แพงกว่า'
            || '|เจ็บมาก|กังวล|หลอก|เบื่อ|รอนาน|บวม|ช้ำ'
            || '|\m(bad|worse|worst|terrible|awful|disappoint|rude|angry|expensive|overpriced|painful)'
            || '|\m(hurt|upset|waste)',
            1, 'i'
        ) - 2 * regexp_count(
            m.content,
            'ไม่(ค่อย|ได้|เคย|รู้สึก)?(ประทับใจ|ดีใจ|ชอบ|พอใจ|มั่นใจ|สบายใจ|ไว้ใจ|คุ้ม|แนะนำ|สวย|ดีขึ้น)'
            || '|\m(not|never|isn''t|wasn''t|don''t|didn''t)\s+(\w+\s+)?(good|great|love|happy|perfect)',
            1, 'i'
        ) as mood
    from aura_staging.stg_messages as m
    inner join aura_staging.source_customer_conversations as c on m.conversation_id = c.id
    where m.role = 'customer' and m.customer_id is not null
),

answers as materialized (
    select
        customer_id,
        answered_at,
        answer_known_at,
        extract(epoch from greatest(answered_at - sent_at, interval '0'))::bigint as seconds
    from (
        select
            customer_id,
            role,
            sent_at,
            lead(role) over conversation as next_role,
            lead(sent_at) over conversation as answered_at,
            greatest(lead(known_at) over conversation, known_at) as answer_known_at
        from aura_staging.stg_messages
        where customer_id is not null
        window conversation as (partition by conversation_id order by position)
    ) as turns
    where role = 'customer' and next_role <> 'customer'
),

recent_talk as (
    select
        m.snapshot_at,
        s.customer_id,
        count(distinct s.conversation_id) as conversations_90d,
        count(*) as customer_messages_90d,
        sum(s.mood) as mood
    from moments as m
    inner join said as s on m.snapshot_at > s.known_at and m.since_90d <= s.sent_at
    group by m.snapshot_at, s.customer_id
),

talk as (
    select
        m.snapshot_at,
        s.customer_id,
        max(s.sent_at) as last_message_at,
        count(distinct s.conversation_type) as channels,
        count(*) as messages,
        sum(s.mood) as mood
    from moments as m
    inner join said as s on m.snapshot_at > s.known_at
    group by m.snapshot_at, s.customer_id
),

waits as (
    select
        m.snapshot_at,
        a.customer_id,
        avg(a.seconds) as seconds
    from moments as m
    inner join answers as a on m.snapshot_at > a.answer_known_at and m.since_90d <= a.answered_at
    group by m.snapshot_at, a.customer_id
),

referred as (
    select
        m.snapshot_at,
        r.customer_id,
        count(*) filter (where r.is_referrer) as referrals_made,
        count(*) filter (where not r.is_referrer) as referred_by
    from moments as m
    inner join (
        select
            referrer_customer_id as customer_id,
            created_at,
            true as is_referrer
        from aura_staging.source_referrals
        union all
        select
            referred_customer_id as customer_id,
            created_at,
            false as is_referrer
        from aura_staging.source_referrals
        where referred_customer_id is not null
    ) as r on m.snapshot_at > r.created_at
    group by m.snapshot_at, r.customer_id
),

loyalty as (
    select
        customer_id,
        min(joined_at) as joined_at
    from aura_staging.source_loyalty_profiles
    group by customer_id
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
    b.last_ticket[2] as last_ticket_thb,
    b.cancellations_365d::int as cancellations_365d,
    b.no_shows_365d::int as no_shows_365d,
    extract(epoch from b.snapshot_at - b.last_booking_at)::float8 / 86400 as days_since_booking,
    coalesce(b.bookings_since_visit, 0)::int as bookings_since_visit,
    (a.next_booking_at is not null)::int as has_booking_ahead,
    extract(epoch from a.next_booking_at - b.snapshot_at)::float8 / 86400 as booking_ahead_days,
    (b.treatments::numeric / b.visits)::float8 as treatments_per_visit,
    coalesce(x.treatment_kinds, 0)::int as treatment_kinds,
    extract(epoch from b.snapshot_at - b.last_visit_at)::float8 / 86400 / u.usual_days::float8 as repeat_lateness,
    coalesce(r.conversations_90d, 0)::int as conversations_90d,
    coalesce(r.customer_messages_90d, 0)::int as customer_messages_90d,
    extract(epoch from b.snapshot_at - t.last_message_at)::float8 / 86400 as days_since_message,
    coalesce(t.channels, 0)::int as channels,
    w.seconds::float8 / 3600 as response_hours_90d,
    (r.mood::numeric / r.customer_messages_90d)::float8 as mood_90d,
    (
        r.mood::numeric / r.customer_messages_90d
        - (t.mood - r.mood)::numeric / nullif(t.messages - r.customer_messages_90d, 0)
    )::float8 as mood_slope,
    coalesce(f.referrals_made, 0)::int as referrals_made,
    least(coalesce(f.referred_by, 0), 1)::int as was_referred,
    extract(epoch from b.snapshot_at - l.joined_at)::float8 / 86400 as loyalty_days,
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
left join mix as x on b.snapshot_at = x.snapshot_at and b.customer_id = x.customer_id
left join usual_repeats as u on b.snapshot_at = u.snapshot_at and b.last_ticket[3] = u.treatment
left join waits as w on b.snapshot_at = w.snapshot_at and b.customer_id = w.customer_id
left join referred as f on b.snapshot_at = f.snapshot_at and b.customer_id = f.customer_id
left join loyalty as l on b.customer_id = l.customer_id and b.snapshot_at > l.joined_at
left join outcomes as o on b.snapshot_at = o.snapshot_at and b.customer_id = o.customer_id
