"""Evaluates the trigger rules at the run's moment: one decision a rule, subject and episode, and who is to be told.

An episode begins when the metric passes the rule's threshold and the cooldown since the last one is over; it ends when
the metric is back behind the hysteresis band. As long as it lasts nothing is decided again. A decision goes into
`aura_ops.trigger_events`, its messages into `aura_ops.outbox`; nothing is sent from here.
"""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy
from sqlalchemy import text

from bn_aura_pipelines.triggers.metrics import VALUES

# Every rule and subject within or beyond the rule's hysteresis band, in every clinic by the rule that holds there.
STANDING = f"""
    create temporary table standing on commit drop as
    with {VALUES}

    select
        r.rule,
        r.subject_type,
        v.subject_id,
        v.clinic_id,
        v.customer_id,
        v.sales_user_id,
        v.value,
        case r.operator when '>=' then v.value >= r.threshold else v.value <= r.threshold end as has_passed
    from aura_ops.rules_by_clinic as r
    inner join readings as v on r.metric = v.metric and r.clinic_id = v.clinic_id
    where r.is_active
        and case r.operator when '>=' then v.value >= r.release else v.value <= r.release end
"""

CLOSE = """
    update aura_ops.trigger_events as e set ended_at = aura_ops.as_of()
    where e.ended_at is null
        -- While a rule is switched off its episodes rest: switched on again it must not tell the same people twice.
        and (e.clinic_id, e.rule) in (select r.clinic_id, r.rule from aura_ops.rules_by_clinic as r where r.is_active)
        and not exists (select from standing as s where s.rule = e.rule and s.subject_id = e.subject_id)
"""

# Who passed the threshold and is due: no episode under way, the cooldown over. With whom to tell, and what stands
# against it. A cap counts what was or may still be sent within the days before, over all rules, and what this run adds.
# Ids begin with what the unique keys begin with, and are in order: each index is then filled from one end to the other,
# which takes a third of the time.
DECIDE = """
    create temporary table decisions on commit drop as
    with now as (
        select aura_ops.as_of() as decided_at, extract(epoch from aura_ops.as_of())::text as epoch
    ),

    episodes as (
        select
            rule,
            subject_id,
            max(episode) as episode,
            max(decided_at) as decided_at,
            bool_or(ended_at is null) as lasts
        from aura_ops.trigger_events
        group by rule, subject_id
    ),

    sellers as (
        select distinct clinic_id, user_id from aura_staging.stg_staff where is_active
    ),

    owners as (
        select clinic_id, array_agg(distinct user_id) as user_ids
        from aura_staging.stg_staff
        where is_active and role = 'clinic_owner'
        group by clinic_id
    ),

    due as (
        select
            s.rule,
            s.subject_type,
            s.subject_id,
            s.clinic_id,
            s.customer_id,
            s.value,
            r.metric || ' ' || s.value
            || case r.operator when '>=' then ' is at least ' else ' is at most ' end || r.threshold as why,
            r.action,
            r.audience,
            r.purpose,
            r.priority,
            r.holdout_share,
            r.expires_after,
            n.decided_at,
            n.epoch,
            coalesce(e.episode, 0) + 1 as episode,
            case r.audience
                when 'customer' then array[s.customer_id]
                when 'assigned_sales' then case when p.user_id is not null then array[p.user_id] end
                else o.user_ids
            end as recipients
        from standing as s
        cross join now as n
        inner join aura_ops.rules_by_clinic as r on s.clinic_id = r.clinic_id and s.rule = r.rule
        left join episodes as e on s.rule = e.rule and s.subject_id = e.subject_id
        left join sellers as p on s.clinic_id = p.clinic_id and s.sales_user_id = p.user_id
        left join owners as o on s.clinic_id = o.clinic_id
        where s.has_passed
            and not coalesce(e.lasts, false)
            and coalesce(e.decided_at < n.decided_at and e.decided_at + r.cooldown <= n.decided_at, true)
    ),

    permitted as (
        select
            d.*,
            p.max_weekly_contacts,
            p.max_monthly_contacts,
            case
                when d.audience = 'clinic_owners' and d.recipients is null then 'the clinic has no owner to notify'
                when d.recipients is null then 'nobody in charge to notify'
                when p.contact_obstacle is not null then p.contact_obstacle
                when d.action <> 'send_email' then null
                when p.customer_id is null then 'the customer no longer exists'
                when p.email_obstacle is not null then p.email_obstacle
                when d.purpose = 'marketing' then p.marketing_obstacle
            end as obstacle
        from due as d
        left join aura_staging.stg_contact_permissions as p on d.customer_id = p.customer_id
    ),

    sent as (
        select
            recipient_id,
            count(*) filter (where coalesce(sent_at, decided_at) >= aura_ops.as_of() - interval '7 days') as last_week,
            count(*) as last_month
        from aura_ops.outbox
        where action = 'send_email'
            and status not in ('suppressed', 'expired', 'dead', 'dry_run')
            and coalesce(sent_at, decided_at) >= aura_ops.as_of() - interval '30 days'
        group by recipient_id
    ),

    ranked as (
        select
            m.*,
            coalesce(s.last_week, 0) as last_week,
            coalesce(s.last_month, 0) as last_month,
            case when m.obstacle is null and m.action = 'send_email' then row_number() over (
                partition by m.customer_id, m.obstacle is null and m.action = 'send_email'
                order by m.priority desc, m.rule
            ) else 0 end as place
        from permitted as m
        left join sent as s on m.customer_id = s.recipient_id
    ),

    judged as (
        select
            *,
            (
                left(md5(rule || epoch), 8) || left(subject_id::text, 8)
                || right(md5(rule || subject_id || epoch), 16)
            )::uuid as event_id,
            case
                when obstacle is not null then obstacle
                when place > 0 and last_week + place > max_weekly_contacts then 'weekly cap over all rules reached'
                when place > 0 and last_month + place > max_monthly_contacts then 'monthly cap over all rules reached'
            end as against,
            -- A stable hash: the same subject is held out of a rule in every episode.
            ('x' || left(md5(rule || ':' || subject_id), 8))::bit(32)::bigint::float8 / 4294967296.0 < holdout_share
                as is_held_out
        from ranked
    )

    select
        event_id,
        clinic_id,
        rule,
        subject_type,
        subject_id,
        customer_id,
        action,
        value,
        episode,
        decided_at,
        case when against is not null then 'suppressed' when is_held_out then 'holdout' else 'eligible' end as status,
        coalesce(against, why) as reason,
        priority,
        decided_at + expires_after as expires_at,
        case audience when 'customer' then 'customer' else 'user' end as recipient_type,
        recipients
    from judged
    order by event_id
"""

OPEN = """
    insert into aura_ops.trigger_events (
        event_id, clinic_id, rule, subject_type, subject_id, customer_id, action, value, episode, decided_at, status,
        reason
    )
    select
        event_id, clinic_id, rule, subject_type, subject_id, customer_id, action, value, episode, decided_at, status,
        reason
    from decisions
    on conflict do nothing
"""

MESSAGES = """
    insert into aura_ops.outbox (
        message_id, event_id, clinic_id, rule, action, recipient_type, recipient_id, priority, decided_at, not_before,
        expires_at
    )
    select
        (left(replace(d.event_id::text, '-', ''), 16) || left(md5(d.event_id || ':' || r.recipient_id), 16))::uuid,
        d.event_id,
        d.clinic_id,
        d.rule,
        d.action,
        d.recipient_type,
        r.recipient_id,
        d.priority,
        d.decided_at,
        d.decided_at,
        d.expires_at
    from decisions as d
    cross join unnest(d.recipients) as r (recipient_id)
    where d.status = 'eligible'
    on conflict do nothing
"""


@dataclass(frozen=True)
class EvaluationResult:
    """Episodes begun and ended by this evaluation. `skipped`: a later moment was evaluated before."""

    opened: int
    ended: int
    skipped: bool = False


def evaluate(connection: sqlalchemy.Connection) -> EvaluationResult:
    """Decide at the run's moment. Again at the same moment nothing changes; about a moment before decisions that stand
    nothing is decided at all, since history is not rewritten."""
    connection.execute(text("select pg_advisory_xact_lock(hashtext('bn_aura triggers'))"))
    later = connection.execute(
        text(
            "select exists (select from aura_ops.trigger_events"
            " where greatest(decided_at, ended_at) > aura_ops.as_of())"
        )
    ).scalar_one()
    if later:
        return EvaluationResult(0, 0, skipped=True)
    connection.execute(text("drop table if exists pg_temp.standing, pg_temp.decisions"))
    connection.execute(text(STANDING))
    connection.execute(text("analyze standing"))
    ended = connection.execute(text(CLOSE)).rowcount
    connection.execute(text(DECIDE))
    opened = connection.execute(text(OPEN)).rowcount
    connection.execute(text(MESSAGES))
    return EvaluationResult(opened=opened, ended=ended)
