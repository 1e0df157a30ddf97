"""What the rules look at: each metric's value for each subject at the run's moment, as SQL.

Descriptions and bounds of the metrics are in `aura_ops.trigger_metrics`; what becomes of the values is decided in
`evaluation`.
"""

from __future__ import annotations

# One row a metric and subject. Whoever is no news has no row: a customer who is blacklisted or has not come for a year,
# a lead that is won or lost, a conversation that has ended a week ago.
VALUES = """
    active_customers as materialized (
        select
            c.clinic_id,
            c.customer_id,
            c.assigned_sales_id as sales_user_id,
            f.snapshot_at,
            f.recency_days,
            f.visits,
            f.gap_mean_days,
            f.has_booking_ahead
        from aura_features.customer_snapshots as f
        inner join aura_staging.stg_customers as c on f.customer_id = c.customer_id
        where f.is_active and c.status = 'active'
            and f.snapshot_at = (
                select max(s.snapshot_at) from aura_features.customer_snapshots as s
                where s.snapshot_at <= aura_ops.as_of()
            )
    ),

    open_leads as materialized (
        select l.clinic_id, l.lead_id, l.customer_id, l.sales_user_id, l.stage, l.created_at, l.last_contacted_at,
            s.score
        from aura_staging.stg_leads as l
        inner join aura_models.lead_scores as s on l.lead_id = s.lead_id
        where l.clinic_id is not null and l.stage not in ('won', 'lost')
    ),

    last_words as (
        select
            m.customer_id,
            max(m.sent_at) filter (where m.role <> 'customer') as answered_at,
            max(m.sent_at) filter (where m.role = 'customer') as asked_at
        from aura_staging.stg_messages as m
        where m.customer_id in (select l.customer_id from open_leads as l where l.score >= 75)
        group by m.customer_id
    ),

    waiting_leads as (
        select
            l.*,
            case
                when w.asked_at > greatest(w.answered_at, l.last_contacted_at, l.created_at) then w.asked_at
                when l.last_contacted_at is null and w.answered_at is null and l.stage = 'new' then l.created_at
            end as waits_since
        from open_leads as l
        left join last_words as w on l.customer_id = w.customer_id
        where l.score >= 75
    ),

    readings as (
        select 'churn_score' as metric, a.clinic_id, a.customer_id as subject_id, a.customer_id, a.sales_user_id,
            s.churn_score::float8 as value
        from active_customers as a
        inner join aura_models.churn_scores as s on a.customer_id = s.customer_id and a.snapshot_at = s.snapshot_at
        union all
        select 'days_since_visit', clinic_id, customer_id, customer_id, sales_user_id, recency_days::float8
        from active_customers
        where has_booking_ahead = 0
        union all
        select 'repeat_lateness', clinic_id, customer_id, customer_id, sales_user_id,
            round((100 * recency_days / gap_mean_days)::numeric, 1)::float8
        from active_customers
        where has_booking_ahead = 0 and visits >= 3 and gap_mean_days > 0
        union all
        select 'lead_score', clinic_id, lead_id, customer_id, sales_user_id, score::float8
        from open_leads
        union all
        select 'hours_unanswered', clinic_id, lead_id, customer_id, sales_user_id,
            floor(extract(epoch from aura_ops.as_of() - waits_since) / 3600)::float8
        from waiting_leads
        where waits_since is not null
        union all
        select 'negativity', c.clinic_id, c.conversation_id, c.customer_id,
            coalesce(c.sales_staff_id, k.assigned_sales_id),
            round((100 * case
                when a.p_negative is not null then a.p_negative
                when a.overall_sentiment = 'negative' then a.confidence
                else 0
            end)::numeric, 1)::float8
        from aura_staging.stg_conversations as c
        inner join aura_ops.conversation_analysis as a
            on c.conversation_id = a.conversation_id and a.status = 'analysed'
        left join aura_staging.stg_customers as k on c.customer_id = k.customer_id
        where c.clinic_id is not null and c.customer_messages > 0
            and c.last_message_at >= aura_ops.as_of() - interval '7 days'
    )
"""
