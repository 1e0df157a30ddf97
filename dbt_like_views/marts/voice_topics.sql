-- What a clinic's customers talk about: the last 28 days beside the 28 before, with the significance of the change.
-- materialized: table
-- key: clinic_id, topic
-- owner: analytics
-- test: conversations_28d <= analysed_28d
-- clinic_id: the tenant
-- topic: price, pain, results, queue, service, downtime, safety or promotion
-- conversations_28d: conversations of the last 28 days in which it stands, as a concern or as a signal
-- concerns_28d: of these, as a key concern
-- signals_28d: of these, as a positive signal
-- analysed_28d: all analysed conversations of the last 28 days
-- share_28d: conversations_28d / analysed_28d; null without one
-- conversations_before: the same for the 28 days before
-- analysed_before: the same for the 28 days before
-- share_before: conversations_before / analysed_before; null without one
-- change: share_28d - share_before
-- z_score: the change in standard errors of two equal shares; null where there is no change to speak of
-- is_significant: whether chance alone would hardly (5 % over all eight topics) give such a change
-- example_quotes: up to three sentences of the last 28 days, the newest first, without personal data
with analysed as (
    select
        a.clinic_id,
        a.conversation_id,
        a.key_concerns,
        a.positive_signals,
        a.quotes,
        c.created_at,
        c.created_at >= aura_ops.as_of() - interval '28 days' as is_recent
    from aura_ops.conversation_analysis as a
    inner join aura_staging.stg_conversations as c on a.conversation_id = c.conversation_id
    where
        a.clinic_id is not null
        and a.status = 'analysed'
        and c.created_at >= aura_ops.as_of() - interval '56 days'
),

topics as (
    select topic
    from unnest(
        array['price', 'pain', 'results', 'queue', 'service', 'downtime', 'safety', 'promotion']
    ) as names (topic)
),

counted as (
    select
        a.clinic_id,
        t.topic,
        count(*) filter (where a.is_recent) as analysed_28d,
        count(*) filter (where not a.is_recent) as analysed_before,
        count(*) filter (
            where a.is_recent and t.topic = any(a.key_concerns || a.positive_signals)
        ) as conversations_28d,
        count(*) filter (where a.is_recent and t.topic = any(a.key_concerns)) as concerns_28d,
        count(*) filter (where a.is_recent and t.topic = any(a.positive_signals)) as signals_28d,
        count(*) filter (
            where not a.is_recent and t.topic = any(a.key_concerns || a.positive_signals)
        ) as conversations_before,
        coalesce(
            (
                array_agg(a.quotes ->> t.topic order by a.created_at desc, a.conversation_id asc)
                filter (where a.is_recent and a.quotes ? t.topic)
            )[1:3],
            '{}'
        ) as example_quotes
    from analysed as a
    cross join topics as t
    group by a.clinic_id, t.topic
),

shared as (
    select
        *,
        conversations_28d::float8 / nullif(analysed_28d, 0) as share_28d,
        conversations_before::float8 / nullif(analysed_before, 0) as share_before,
        (conversations_28d + conversations_before)::float8 / (analysed_28d + analysed_before) as share_of_both
    from counted
),

tested as (
    select
        *,
        (share_28d - share_before) / nullif(
            sqrt(
                share_of_both * (1 - share_of_both)
                * (1.0 / nullif(analysed_28d, 0) + 1.0 / nullif(analysed_before, 0))
            ),
            0
        ) as z_score
    from shared
)

select
    c.clinic_id,
    t.topic,
    coalesce(x.conversations_28d, 0)::int as conversations_28d,
    coalesce(x.concerns_28d, 0)::int as concerns_28d,
    coalesce(x.signals_28d, 0)::int as signals_28d,
    coalesce(x.analysed_28d, 0)::int as analysed_28d,
    x.share_28d,
    coalesce(x.conversations_before, 0)::int as conversations_before,
    coalesce(x.analysed_before, 0)::int as analysed_before,
    x.share_before,
    x.share_28d - x.share_before as change,
    x.z_score,
    -- Two-sided 5 % over eight topics (Bonferroni): the normal quantile of 1 - .05 / 16.
    coalesce(abs(x.z_score) > 2.73, false) as is_significant,
    coalesce(x.example_quotes, '{}') as example_quotes
from aura_staging.stg_clinics as c
cross join topics as t
left join tested as x on c.clinic_id = x.clinic_id and t.topic = x.topic
