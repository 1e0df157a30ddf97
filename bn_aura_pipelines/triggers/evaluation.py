"""Evaluates the trigger rules at the run's moment: one event per rule, subject and episode.

An episode begins when the score reaches the rule's threshold and ends when it falls below `ends_below`; as long as it
lasts nothing is decided again. Nothing is sent from here.
"""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy
from sqlalchemy import text

# What each rule looks at, with everything that decides whether somebody may be told. A customer who has not come for a
# year is no news, and neither is one who was blacklisted.
SUBJECTS = """
    subjects as (
        select
            'customer' as subject_type,
            s.customer_id as subject_id,
            s.clinic_id,
            'churn_score' as measure,
            s.churn_score as score,
            c.assigned_sales_id as sales_user_id,
            c.email,
            coalesce(p.do_not_contact, false) as do_not_contact,
            coalesce(p.marketing_opt_in, false) as marketing_opt_in,
            u.email is not null as unsubscribed
        from aura_models.churn_scores as s
        inner join aura_staging.stg_customers as c on s.customer_id = c.customer_id and c.status = 'active'
        inner join aura_features.customer_snapshots as f
            on s.customer_id = f.customer_id and s.snapshot_at = f.snapshot_at and f.is_active
        left join aura_staging.stg_contact_preferences as p on s.customer_id = p.customer_id
        left join aura_staging.stg_email_unsubscribes as u on c.clinic_id = u.clinic_id and c.email = u.email
        union all
        select
            'lead', l.lead_id, l.clinic_id, 'lead_score', s.score, l.sales_user_id, l.email, false, false, false
        from aura_staging.stg_leads as l
        inner join aura_models.lead_scores as s on l.lead_id = s.lead_id
        where l.clinic_id is not null and l.stage not in ('won', 'lost')
    ),

    standing as (
        select r.rule, r.channel, r.at_least, r.ends_below, s.*
        from aura_ops.trigger_rules as r
        inner join subjects as s on r.subject_type = s.subject_type and r.measure = s.measure
        where r.is_enabled
    )
"""

CLOSE = f"""
    with {SUBJECTS}
    update aura_ops.trigger_events as e set ended_at = aura_ops.as_of()
    where e.ended_at is null
        -- While a rule is switched off its episodes rest: switched on again it must not tell the same people twice.
        and e.rule in (select r.rule from aura_ops.trigger_rules as r where r.is_enabled)
        and not exists (
            select from standing as s
            where s.rule = e.rule and s.subject_id = e.subject_id and s.score >= s.ends_below
        )
"""

OPEN = f"""
    with {SUBJECTS},

    decisions as (
        select
            *,
            case
                when channel = 'notify_sales' and sales_user_id is null then 'nobody in charge to notify'
                when channel = 'notify_sales' then null
                when email is null then 'no e-mail address'
                when unsubscribed then 'unsubscribed from e-mail'
                when do_not_contact then 'asked not to be contacted'
                when not marketing_opt_in then 'no consent to marketing on record'
            end as obstacle
        from standing
        where score >= at_least
    )

    insert into aura_ops.trigger_events (
        event_id, clinic_id, rule, subject_type, subject_id, channel, score, decided_at, status, reason
    )
    select
        md5(rule || subject_id || extract(epoch from aura_ops.as_of()))::uuid,
        clinic_id,
        rule,
        subject_type,
        subject_id,
        channel,
        score,
        aura_ops.as_of(),
        case when obstacle is null then 'eligible' else 'suppressed' end,
        coalesce(obstacle, measure || ' ' || score || ' is at least ' || at_least)
    from decisions
    on conflict (rule, subject_id) where ended_at is null do nothing
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
    ended = connection.execute(text(CLOSE)).rowcount
    opened = connection.execute(text(OPEN)).rowcount
    return EvaluationResult(opened=opened, ended=ended)
