"""Suites of what the pipelines compute: features, scores, and marts reconciled with what they were computed from."""

from __future__ import annotations

from bn_aura_pipelines.quality.suites import Suite, between, nothing_from, null_share, unique

FEATURES = (
    Suite(
        "customer_snapshots",
        "aura_features.customer_snapshots",
        ("snapshot_at", "customer_id"),
        (
            between("recency_days", 0, 36_500, blocking=True),
            between("revenue_365d_thb", 0, None, blocking=True),
            between("season_sin", -1, 1, blocking=True),
            null_share("gap_mean_days", 0.95),
            nothing_from(
                "no_snapshot_of_the_future",
                "No snapshot is about a later moment than the run, and no label was known before its window had ended.",
                """
                select t.snapshot_at, t.customer_id from (select * from {batch}) as t
                where t.snapshot_at > aura_ops.as_of()
                    or (t.churned is not null and t.snapshot_at + interval '90 days' > aura_ops.as_of())
                """,
                blocking=True,
            ),
        ),
    ),
    Suite(
        "lead_facts",
        "aura_features.lead_facts",
        ("lead_id",),
        (
            unique("lead_id"),
            between("response_hours", 0, 72, blocking=True),
            nothing_from(
                "no_decision_of_the_future",
                "No lead was decided before it was entered or after the run's moment.",
                """
                select t.lead_id from (select * from {batch}) as t
                where t.decided_at < t.created_at or t.decided_at > aura_ops.as_of()
                """,
                blocking=True,
            ),
        ),
    ),
)

SCORES = (
    Suite(
        "churn_scores",
        "aura_models.churn_scores",
        ("customer_id",),
        (
            between("churn_score", 0, 100, blocking=True),
            nothing_from(
                "every_active_customer_is_scored",
                "Every customer with a completed visit in the last 365 days has a score.",
                """
                select distinct a.customer_id from aura_staging.stg_appointments as a
                inner join aura_staging.stg_customers as c on a.customer_id = c.customer_id
                where a.status = 'completed' and a.visit_at >= aura_ops.as_of() - interval '365 days'
                    and not exists (select from (select * from {batch}) as t where t.customer_id = a.customer_id)
                """,
                blocking=True,
            ),
            nothing_from(
                "scores_are_spread",
                "From a hundred customers on, not all of them have the same score.",
                """
                select min(t.churn_score) as only_score from (select * from {batch}) as t
                having count(*) >= 100 and count(distinct t.churn_score) < 2
                """,
                blocking=False,
            ),
            nothing_from(
                "score_is_of_its_clinic",
                "A score carries the clinic of its customer.",
                """
                select t.customer_id from (select * from {batch}) as t
                inner join aura_staging.stg_customers as c on t.customer_id = c.customer_id
                where t.clinic_id <> c.clinic_id
                """,
                blocking=True,
            ),
        ),
    ),
    Suite(
        "lead_scores",
        "aura_models.lead_scores",
        ("lead_id",),
        (
            between("score", 0, 100, blocking=True),
            nothing_from(
                "every_open_lead_is_scored",
                "Every open lead of a clinic has a score.",
                """
                select l.lead_id from aura_staging.stg_leads as l
                where l.stage not in ('won', 'lost') and l.clinic_id is not null
                    and not exists (select from (select * from {batch}) as t where t.lead_id = l.lead_id)
                """,
                blocking=True,
            ),
        ),
    ),
    Suite(
        "lifetime_values",
        "aura_models.lifetime_values",
        ("customer_id",),
        (
            between("ltv_12m_thb", 0, None, blocking=True),
            nothing_from(
                "value_lies_in_its_interval",
                "The low end of the interval is not above the high end.",
                "select t.customer_id from (select * from {batch}) as t where t.ltv_12m_low_thb > t.ltv_12m_high_thb",
                blocking=True,
            ),
        ),
    ),
)

MARTS = (
    Suite(
        "customer_360",
        "aura_marts.customer_360",
        ("customer_id",),
        (
            nothing_from(
                "every_customer_has_a_row",
                "There is a row for each customer of the clinic, and for nobody else.",
                """
                select coalesce(t.customer_id, c.customer_id) as customer_id from (select * from {batch}) as t
                full join aura_staging.stg_customers as c
                    on t.customer_id = c.customer_id and t.clinic_id = c.clinic_id
                where t.customer_id is null or c.customer_id is null
                """,
                blocking=True,
            ),
            nothing_from(
                "revenue_adds_up",
                "A customer's revenue is the sum of the completed appointments, to the satang.",
                """
                select t.customer_id from (select * from {batch}) as t
                left join (
                    select customer_id, sum(revenue_thb) as paid from aura_staging.stg_appointments
                    group by customer_id
                ) as a on t.customer_id = a.customer_id
                where t.revenue_thb <> coalesce(a.paid, 0)
                """,
                blocking=True,
            ),
        ),
    ),
    Suite(
        "customer_timeline",
        "aura_marts.customer_timeline",
        ("event_id",),
        (
            unique("event_id"),
            nothing_from(
                "every_source_row_is_an_event",
                "Conversations and appointments of a clinic's customers are each on the timeline, and nothing else is.",
                """
                select coalesce(t.event_id, s.event_id) as event_id
                from (select * from (select * from {batch}) as b where b.kind in ('conversation', 'appointment')) as t
                full join (
                    select v.conversation_id as event_id from aura_staging.stg_conversations as v
                    inner join aura_staging.stg_customers as c on v.customer_id = c.customer_id
                    where coalesce(v.clinic_id, c.clinic_id) = c.clinic_id
                    union all
                    select a.appointment_id from aura_staging.stg_appointments as a
                    inner join aura_staging.stg_customers as c
                        on a.customer_id = c.customer_id and a.clinic_id = c.clinic_id
                ) as s on t.event_id = s.event_id
                where t.event_id is null or s.event_id is null
                """,
                blocking=True,
            ),
            nothing_from(
                "purchases_add_up",
                "The purchases of a clinic are its revenue, to the satang.",
                """
                select t.clinic_id from (select * from {batch}) as t group by t.clinic_id
                having coalesce(sum(t.amount_thb), 0) <> (
                    select coalesce(sum(a.revenue_thb), 0) from aura_staging.stg_appointments as a
                    inner join aura_staging.stg_customers as c
                        on a.customer_id = c.customer_id and a.clinic_id = c.clinic_id
                    where a.clinic_id = t.clinic_id
                )
                """,
                blocking=True,
            ),
        ),
    ),
    Suite(
        "cohort_retention",
        "aura_marts.cohort_retention",
        ("clinic_id", "cohort_month"),
        (
            between("retention", 0, 1, blocking=True),
            nothing_from(
                "cohorts_hold_every_visitor",
                "The cohorts of a clinic add up to its customers with a completed visit, to the one.",
                """
                select coalesce(t.clinic_id, a.clinic_id) as clinic_id from (
                    select b.clinic_id, sum(b.cohort_size) as members from (select * from {batch}) as b
                    where b.month_number = 0 group by b.clinic_id
                ) as t
                full join (
                    select clinic_id, count(distinct customer_id) as visitors from aura_staging.stg_appointments
                    where status = 'completed' group by clinic_id
                ) as a on t.clinic_id = a.clinic_id
                where t.members is distinct from a.visitors
                """,
                blocking=True,
            ),
            nothing_from(
                "cohort_revenue_adds_up",
                "The revenue of a clinic's cohorts is its revenue, to the satang.",
                """
                select coalesce(t.clinic_id, a.clinic_id) as clinic_id from (
                    select b.clinic_id, sum(b.revenue_thb) as paid
                    from (select * from {batch}) as b group by b.clinic_id
                ) as t
                full join (
                    select clinic_id, sum(revenue_thb) as paid from aura_staging.stg_appointments
                    where status = 'completed' group by clinic_id
                ) as a on t.clinic_id = a.clinic_id
                where t.paid is distinct from a.paid
                """,
                blocking=True,
            ),
        ),
    ),
    Suite(
        "sales_funnel",
        "aura_marts.sales_funnel",
        ("clinic_id", "month", "source", "stage"),
        (
            nothing_from(
                "funnel_holds_every_lead",
                "The leads that entered the funnel of a clinic are its leads with a history of stages, to the one.",
                """
                select coalesce(t.clinic_id, l.clinic_id) as clinic_id from (
                    select b.clinic_id, sum(b.entered) as leads from (select * from {batch}) as b
                    where b.stage_number = 1 group by b.clinic_id
                ) as t
                full join (
                    select clinic_id, count(distinct lead_id) as leads from aura_staging.stg_lead_stages
                    where clinic_id is not null group by clinic_id
                ) as l on t.clinic_id = l.clinic_id
                where t.leads is distinct from l.leads
                """,
                blocking=True,
            ),
            nothing_from(
                "every_lead_is_in_the_funnel",
                "Every lead of a clinic has a history of stages; a run about the past lacks what was recorded later.",
                """
                select l.lead_id from aura_staging.stg_leads as l
                where l.clinic_id is not null
                    and (select count(*) from {batch}) >= 0
                    and not exists (select from aura_staging.stg_lead_stages as s where s.lead_id = l.lead_id)
                """,
                blocking=False,
            ),
        ),
    ),
    Suite(
        "voice_of_customer_daily",
        "aura_marts.voice_of_customer_daily",
        ("clinic_id", "day"),
        (
            between("mean_satisfaction", 0, 10, blocking=True),
            nothing_from(
                "days_hold_every_conversation",
                "The days of a clinic add up to its conversations.",
                """
                select coalesce(t.clinic_id, v.clinic_id) as clinic_id from (
                    select b.clinic_id, sum(b.conversations) as talks
                    from (select * from {batch}) as b group by b.clinic_id
                ) as t
                full join (
                    select clinic_id, count(*) as talks from aura_staging.stg_conversations
                    where clinic_id is not null group by clinic_id
                ) as v on t.clinic_id = v.clinic_id
                where t.talks is distinct from v.talks
                """,
                blocking=True,
            ),
        ),
    ),
    Suite(
        "pipeline_health",
        "aura_marts.pipeline_health",
        ("clinic_id", "source"),
        (
            nothing_from(
                "nothing_belongs_to_nobody",
                "Every row has a clinic; one without is kept out of every clinic's tables.",
                """
                select t.source from (select * from {batch}) as t
                where t.clinic_id = '00000000-0000-0000-0000-000000000000' and t.row_count > 0
                """,
                blocking=False,
            ),
        ),
    ),
)
