-- What a clinic's customers talk about: the last 28 days beside the 28 before, with the significance of the change.
-- materialized: table
-- key: clinic_id, topic
-- owner: analytics
-- test: conversations_28d <= analysed_28d
-- test: kind in ('listed', 'emerging')
-- clinic_id: the tenant
-- topic: one of the twelve listed topics, such as price or aftercare; of an emerging one its most distinctive terms
-- kind: listed, or emerging: found among the conversations in which no listed topic stands; the ten largest
-- since: Monday of the week in which an emerging topic was found; null for a listed one
-- conversations_28d: conversations of the last 28 days in which it stands, as a concern or as a signal
-- concerns_28d: of these, as a key concern; of an emerging topic, in a negative conversation
-- signals_28d: of these, as a positive signal; of an emerging topic, in a positive conversation
-- analysed_28d: all analysed conversations of the last 28 days
-- share_28d: conversations_28d / analysed_28d; null without one
-- conversations_before: the same for the 28 days before
-- analysed_before: the same for the 28 days before
-- share_before: conversations_before / analysed_before; null without one
-- change: share_28d - share_before
-- z_score: the change in standard errors of two equal shares; null where there is no change to speak of
-- is_significant: whether chance alone would hardly (5 % over all topics of a clinic) give such a change
-- example_quote_1: the newest sentence of the last 28 days in which it stands, without personal data; null without one
-- example_quote_2: the one before
-- example_quote_3: the one before that
with analysed as (
    select
        a.clinic_id,
        a.conversation_id,
        a.key_concerns,
        a.positive_signals,
        a.quotes,
        a.overall_sentiment,
        c.created_at,
        c.created_at >= (select aura_ops.as_of()) - interval '28 days' as is_recent
    from aura_ops.conversation_analysis as a
    inner join aura_staging.stg_conversations as c on a.conversation_id = c.conversation_id
    where
        a.clinic_id is not null
        and a.status = 'analysed'
        and c.created_at >= (select aura_ops.as_of()) - interval '56 days'
),

listed as (
    select
        place,
        topic
    from unnest(
        array[
            'price', 'pain', 'results', 'waiting', 'service', 'downtime',
            'safety', 'promotion', 'hygiene', 'staff', 'location', 'aftercare'
        ]
    ) with ordinality as names (topic, place)
),

emerging as (
    select
        e.clinic_id,
        e.topic,
        min(e.since) as since,
        row_number() over (
            partition by e.clinic_id
            order by count(a.conversation_id) desc, min(e.since) desc, e.topic asc
        ) as place
    from aura_ops.emerging_topics as e
    inner join analysed as a on e.conversation_id = a.conversation_id
    group by e.clinic_id, e.topic
),

topics as (
    select
        c.clinic_id,
        l.topic,
        'listed' as kind,
        null::date as since
    from aura_staging.stg_clinics as c
    cross join listed as l
    union all
    select
        clinic_id,
        topic,
        'emerging' as kind,
        since
    from emerging
    where place <= 10
),

volumes as (
    select
        clinic_id,
        count(*) filter (where is_recent) as analysed_28d,
        count(*) filter (where not is_recent) as analysed_before
    from analysed
    group by clinic_id
),

mentions as (
    select
        a.clinic_id,
        l.topic,
        a.conversation_id,
        a.created_at,
        a.is_recent,
        l.topic = any(a.key_concerns) as is_concern,
        l.topic = any(a.positive_signals) as is_signal,
        a.quotes ->> l.topic as quote
    from analysed as a
    inner join listed as l on l.topic = any(a.key_concerns || a.positive_signals)
    union all
    select
        a.clinic_id,
        e.topic,
        a.conversation_id,
        a.created_at,
        a.is_recent,
        a.overall_sentiment = 'negative' as is_concern,
        a.overall_sentiment = 'positive' as is_signal,
        e.quote
    from analysed as a
    inner join aura_ops.emerging_topics as e on a.conversation_id = e.conversation_id
),

counted as (
    select
        clinic_id,
        topic,
        count(*) filter (where is_recent) as conversations_28d,
        count(*) filter (where is_recent and is_concern) as concerns_28d,
        count(*) filter (where is_recent and is_signal) as signals_28d,
        count(*) filter (where not is_recent) as conversations_before,
        coalesce(
            (
                array_agg(quote order by created_at desc, conversation_id asc)
                filter (where is_recent and quote is not null)
            )[1:3],
            '{}'
        ) as example_quotes
    from mentions
    group by clinic_id, topic
),

shared as (
    select
        t.clinic_id,
        t.topic,
        t.kind,
        t.since,
        coalesce(x.conversations_28d, 0) as conversations_28d,
        coalesce(x.concerns_28d, 0) as concerns_28d,
        coalesce(x.signals_28d, 0) as signals_28d,
        coalesce(x.conversations_before, 0) as conversations_before,
        coalesce(v.analysed_28d, 0) as analysed_28d,
        coalesce(v.analysed_before, 0) as analysed_before,
        coalesce(x.conversations_28d, 0)::float8 / nullif(v.analysed_28d, 0) as share_28d,
        coalesce(x.conversations_before, 0)::float8 / nullif(v.analysed_before, 0) as share_before,
        (coalesce(x.conversations_28d, 0) + coalesce(x.conversations_before, 0))::float8
        / nullif(v.analysed_28d + v.analysed_before, 0) as share_of_both,
        coalesce(x.example_quotes, '{}') as example_quotes
    from topics as t
    left join counted as x on t.clinic_id = x.clinic_id and t.topic = x.topic
    left join volumes as v on t.clinic_id = v.clinic_id
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
    clinic_id,
    topic,
    kind,
    since,
    conversations_28d::int as conversations_28d,
    concerns_28d::int as concerns_28d,
    signals_28d::int as signals_28d,
    analysed_28d::int as analysed_28d,
    share_28d,
    conversations_before::int as conversations_before,
    analysed_before::int as analysed_before,
    share_before,
    share_28d - share_before as change,
    z_score,
    -- Two-sided 5 % over at most 22 topics (Bonferroni): the normal quantile of 1 - .05 / 44.
    coalesce(abs(z_score) > 3.05, false) as is_significant,
    example_quotes[1] as example_quote_1,
    example_quotes[2] as example_quote_2,
    example_quotes[3] as example_quote_3
from tested
