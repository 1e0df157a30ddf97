-- What followed each decision that could have led to a message: told and held out, alike in all but that. The label of
-- effects and of uplift.
-- materialized: table
-- group: triggers
-- key: event_id
-- owner: crm
-- index: clinic_id, rule
-- test: coalesce(revenue_30d_thb >= 0, true)
-- event_id: the decision, see aura_marts.trigger_events
-- clinic_id: the tenant
-- rule: the rule that decided
-- subject_type: customer, lead or conversation
-- subject_id: the customer, the lead or the conversation
-- customer_id: the customer concerned, where there is one
-- is_holdout: whether the subject was held out at random
-- decided_at: when it was decided
-- outcome_until: 30 days later
-- is_complete: whether these days have passed
-- visited: whether a completed visit began within these days; null without a customer
-- revenue_30d_thb: revenue of the completed visits within these days; null without a customer
-- lead_won: whether the lead was won within these days; null where the subject is no lead
with decisions as (
    select
        event_id,
        clinic_id,
        rule,
        subject_type,
        subject_id,
        customer_id,
        status = 'holdout' as is_holdout,
        decided_at,
        decided_at + interval '30 days' as outcome_until
    from aura_ops.trigger_events
    where decided_at <= aura_ops.as_of() and status in ('eligible', 'holdout')
),

visits as (
    select
        d.event_id,
        count(*) as visits,
        sum(a.revenue_thb) as revenue_thb
    from decisions as d
    inner join aura_staging.stg_appointments as a
        on d.customer_id = a.customer_id and d.clinic_id = a.clinic_id
            and a.status = 'completed' and d.decided_at < a.visit_at and d.outcome_until >= a.visit_at
    group by d.event_id
),

won as (
    select distinct d.event_id
    from decisions as d
    inner join aura_staging.stg_lead_stages as s
        on d.subject_id = s.lead_id and s.stage = 'won'
            and d.decided_at < s.valid_from and d.outcome_until >= s.valid_from
    where d.subject_type = 'lead'
)

select
    d.event_id,
    d.clinic_id,
    d.rule,
    d.subject_type,
    d.subject_id,
    d.customer_id,
    d.is_holdout,
    d.decided_at,
    d.outcome_until,
    d.outcome_until <= aura_ops.as_of() as is_complete,
    case when d.customer_id is not null then v.visits is not null end as visited,
    case when d.customer_id is not null then coalesce(v.revenue_thb, 0) end::numeric(14, 2) as revenue_30d_thb,
    case when d.subject_type = 'lead' then w.event_id is not null end as lead_won
from decisions as d
left join visits as v on d.event_id = v.event_id
left join won as w on d.event_id = w.event_id
