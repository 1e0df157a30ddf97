-- Each decision of a trigger rule up to the run's moment, once per rule, subject and episode.
-- materialized: table
-- key: event_id
-- owner: crm
-- index: clinic_id, decided_at, event_id
-- event_id: the decision; the same in every run
-- clinic_id: the tenant
-- rule: the rule that decided, see aura_ops.trigger_rules
-- subject_type: customer or lead
-- subject_id: the customer or the lead
-- channel: notify_sales or email_customer
-- score: the score that led to it
-- decided_at: when the episode began and was decided
-- ended_at: when the score had fallen again; null while the episode lasts
-- status: eligible (may be delivered) or suppressed (must not be)
-- reason: why, in words
select
    event_id,
    clinic_id,
    rule,
    subject_type,
    subject_id,
    channel,
    score,
    decided_at,
    case when ended_at <= aura_ops.as_of() then ended_at end as ended_at,
    status,
    reason
from aura_ops.trigger_events
where decided_at <= aura_ops.as_of()
