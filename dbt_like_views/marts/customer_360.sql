-- One row a customer: who, how often, how much, how likely to leave and why.
-- materialized: table
-- key: clinic_id, customer_id
-- owner: analytics
-- index: clinic_id, churn_rank, customer_id
-- index: clinic_id, risk_rank, customer_id
-- test: revenue_thb >= 0
-- clinic_id: the tenant
-- customer_id: the customer
-- customer_code: the code people use
-- full_name: name
-- sales_user_id: who is in charge
-- status: active, inactive or blacklisted, as it stands
-- is_active: whether a visit was completed in the last 365 days
-- first_visit_date: Bangkok day of the first completed visit
-- last_visit_date: Bangkok day of the last completed visit
-- completed_visits: completed visits so far
-- visits_365d: completed visits of the last 365 days
-- revenue_thb: revenue so far
-- revenue_365d_thb: revenue of the last 365 days
-- ticket_thb: mean revenue of a completed visit
-- next_appointment_at: the next booked visit
-- conversations: conversations so far
-- last_contact_at: the latest message, from either side
-- churn_probability: probability of no completed visit in the next 90 days; null without a completed visit
-- churn_score: the probability in percent, 0 to 100
-- churn_rank: churn_score, or -1 without one: a column to page by that is never null
-- churn_level: high from 70, medium from 40, else low
-- churn_reasons_en: why, in English
-- churn_reasons_th: why, in Thai
-- alive_probability: probability of not having left for good
-- ltv_current_thb: paid so far
-- ltv_12m_thb: revenue expected within twelve months; null where there is too little history
-- ltv_12m_low_thb: low end of the interval that holds it with a probability of 80 %
-- ltv_12m_high_thb: high end of that interval
-- revenue_at_risk_thb: churn_probability times the revenue of the last 365 days
-- risk_rank: revenue_at_risk_thb in whole THB, or -1 without one: a column to page by that is never null
-- next_best_action: what is expected to gain most now, see next_best_actions
-- rebook_treatment_en: the treatment that is due again first, in English, see treatment_recommendations
-- rebook_treatment_th: the same in Thai
-- new_treatment_en: the new treatment that suits best, in English, see treatment_recommendations
-- new_treatment_th: the same in Thai
-- last_sentiment: positive, neutral or negative: the latest conversation that was analysed
-- negative_conversations_365d: conversations of the last 365 days that went badly
-- loyalty_tier: tier in the loyalty programme as it stands, null without one
-- loyalty_points: points that can be spent, as they stand
with visits as (
    select
        customer_id,
        min(visit_date) as first_visit_date,
        max(visit_date) as last_visit_date,
        max(visit_at) as last_visit_at,
        count(*) as completed_visits,
        count(*) filter (where visit_at >= (select aura_ops.as_of()) - interval '365 days') as visits_365d,
        sum(revenue_thb) as revenue_thb,
        sum(revenue_thb) filter (
            where visit_at >= (select aura_ops.as_of()) - interval '365 days'
        ) as revenue_365d_thb
    from aura_staging.stg_appointments
    where status = 'completed'
    group by customer_id
),

booked as (
    select
        customer_id,
        min(visit_at) as next_appointment_at
    from aura_staging.stg_appointments
    where status = 'scheduled' and visit_at >= (select aura_ops.as_of())
    group by customer_id
),

talk as (
    select
        s.customer_id,
        count(*) as conversations,
        max(s.last_message_at) filter (where s.last_message_at < (select aura_ops.as_of())) as last_contact_at
    from aura_features.conversation_spans as s
    where s.first_message_at < (select aura_ops.as_of())
    group by s.customer_id
),

-- Those that go on after the run's moment are few, if any.
unfinished as materialized (
    select
        customer_id,
        conversation_id
    from aura_features.conversation_spans
    where first_message_at < (select aura_ops.as_of()) and last_message_at >= (select aura_ops.as_of())
),

-- Of these the latest message before it has to be looked for.
unfinished_talk as (
    select
        s.customer_id,
        max((
            select max(m.sent_at)
            from aura_staging.stg_messages as m
            where m.conversation_id = s.conversation_id
        )) as last_contact_at
    from unfinished as s
    group by s.customer_id
),

mood as (
    select
        c.customer_id,
        (array_agg(a.overall_sentiment order by c.created_at desc, c.conversation_id asc))[1] as last_sentiment,
        count(*) filter (
            where a.overall_sentiment = 'negative' and c.created_at >= (select aura_ops.as_of()) - interval '365 days'
        ) as negative_conversations_365d
    from aura_staging.stg_conversations as c
    inner join aura_ops.conversation_analysis as a on c.conversation_id = a.conversation_id
    where a.overall_sentiment is not null
    group by c.customer_id
),

recommended as (
    select
        r.clinic_id,
        r.customer_id,
        max(t.name_en) filter (where r.kind = 'rebook') as rebook_treatment_en,
        max(t.name_th) filter (where r.kind = 'rebook') as rebook_treatment_th,
        max(t.name_en) filter (where r.kind = 'cross_sell') as new_treatment_en,
        max(t.name_th) filter (where r.kind = 'cross_sell') as new_treatment_th
    from aura_models.treatment_recommendations as r
    inner join aura_staging.stg_treatments as t on r.treatment_id = t.treatment_id
    where r.rank = 1
    group by r.clinic_id, r.customer_id
),

loyalty as (
    select distinct on (clinic_id, customer_id)
        clinic_id,
        customer_id,
        current_tier as loyalty_tier,
        available_points as loyalty_points
    from aura_staging.source_loyalty_profiles
    where joined_at < (select aura_ops.as_of())
    order by clinic_id asc, customer_id asc, joined_at desc
)

select
    c.clinic_id,
    c.customer_id,
    c.customer_code,
    c.full_name,
    c.assigned_sales_id as sales_user_id,
    c.status,
    coalesce(v.last_visit_at >= (select aura_ops.as_of()) - interval '365 days', false) as is_active,
    v.first_visit_date,
    v.last_visit_date,
    coalesce(v.completed_visits, 0)::int as completed_visits,
    coalesce(v.visits_365d, 0)::int as visits_365d,
    coalesce(v.revenue_thb, 0)::numeric(14, 2) as revenue_thb,
    coalesce(v.revenue_365d_thb, 0)::numeric(14, 2) as revenue_365d_thb,
    (v.revenue_thb / nullif(v.completed_visits, 0))::numeric(14, 2) as ticket_thb,
    b.next_appointment_at,
    coalesce(t.conversations, 0)::int as conversations,
    greatest(t.last_contact_at, u.last_contact_at) as last_contact_at,
    s.churn_probability,
    s.churn_score,
    coalesce(s.churn_score, -1) as churn_rank,
    s.churn_level,
    s.churn_reasons_en,
    s.churn_reasons_th,
    l.alive_probability,
    coalesce(l.ltv_current_thb, 0)::numeric(14, 2) as ltv_current_thb,
    l.ltv_12m_thb,
    l.ltv_12m_low_thb,
    l.ltv_12m_high_thb,
    (s.churn_probability * coalesce(v.revenue_365d_thb, 0))::numeric(14, 2) as revenue_at_risk_thb,
    coalesce(round((s.churn_probability * coalesce(v.revenue_365d_thb, 0))::numeric), -1)::bigint as risk_rank,
    n.action as next_best_action,
    r.rebook_treatment_en,
    r.rebook_treatment_th,
    r.new_treatment_en,
    r.new_treatment_th,
    m.last_sentiment,
    coalesce(m.negative_conversations_365d, 0)::int as negative_conversations_365d,
    y.loyalty_tier,
    y.loyalty_points
from aura_staging.stg_customers as c
left join visits as v on c.customer_id = v.customer_id
left join booked as b on c.customer_id = b.customer_id
left join talk as t on c.customer_id = t.customer_id
left join unfinished_talk as u on c.customer_id = u.customer_id
left join aura_models.churn_scores as s on c.customer_id = s.customer_id
left join aura_models.lifetime_values as l on c.customer_id = l.customer_id
left join aura_ops.next_best_actions as n on c.customer_id = n.customer_id and c.clinic_id = n.clinic_id
left join recommended as r on c.customer_id = r.customer_id and c.clinic_id = r.clinic_id
left join mood as m on c.customer_id = m.customer_id
left join loyalty as y on c.customer_id = y.customer_id and c.clinic_id = y.clinic_id
