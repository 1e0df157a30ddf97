-- Each decision of a trigger rule up to the run's moment, once per rule, subject and episode.
-- materialized: table
-- key: event_id
-- owner: crm
-- index: clinic_id, decided_at, event_id
-- event_id: the decision; the same in every run
-- clinic_id: the tenant
-- rule: the rule that decided, see aura_ops.trigger_rules
-- subject_type: customer, lead or conversation
-- subject_id: the customer, the lead or the conversation
-- customer_id: the customer concerned, where there is one
-- action: send_email, notify or create_task
-- value: the metric's value that led to it
-- episode: which episode of the subject it is, from 1
-- decided_at: when the episode began and was decided
-- ended_at: when the metric was back behind the hysteresis band; null while the episode lasts
-- status: eligible (may be told), holdout (may be and is not, for comparison) or suppressed (must not be)
-- reason: why, in words
-- messages: how many messages the decision led to
-- delivery: what became of them at the run's moment: waiting, sent, delivered, bounced, complained, suppressed,
--   expired, dead, unknown or dry_run; of several the one that got furthest; null without any
-- delivery_reason: why a message was not sent
with messages as (
    select
        event_id,
        count(*)::int as messages,
        (array_agg(o.status order by array_position(
            array[
                'delivered', 'complained', 'bounced', 'sent', 'waiting', 'unknown', 'dry_run', 'dead', 'suppressed',
                'expired'
            ], o.status
        )))[1] as delivery,
        min(o.reason) as delivery_reason
    from (
        select
            event_id,
            case when finished_at <= aura_ops.as_of() then status else 'waiting' end as status,
            case when finished_at <= aura_ops.as_of() then reason end as reason
        from aura_ops.outbox
        where decided_at <= aura_ops.as_of()
    ) as o
    group by event_id
)

select
    e.event_id,
    e.clinic_id,
    e.rule,
    e.subject_type,
    e.subject_id,
    e.customer_id,
    e.action,
    e.value,
    e.episode,
    e.decided_at,
    case when e.ended_at <= aura_ops.as_of() then e.ended_at end as ended_at,
    e.status,
    e.reason,
    coalesce(m.messages, 0) as messages,
    m.delivery,
    m.delivery_reason
from aura_ops.trigger_events as e
left join messages as m on e.event_id = m.event_id
where e.decided_at <= aura_ops.as_of()
