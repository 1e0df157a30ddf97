-- What customers said on each day, by the Bangkok day a conversation began; every day from a clinic's first one on.
-- materialized: table
-- key: clinic_id, day
-- owner: analytics
-- test: positive + neutral + negative + not_analysed + failed = conversations
-- test: coalesce(satisfaction_low <= mean_satisfaction and mean_satisfaction <= satisfaction_high, true)
-- clinic_id: the tenant
-- day: Bangkok day
-- conversations: conversations begun
-- positive: of these, with a positive sentiment
-- neutral: of these, with a neutral sentiment
-- negative: of these, with a negative sentiment
-- not_analysed: of these, with nothing to analyse, or not looked at yet; never counted as neutral
-- failed: of these, given up by the provider
-- mean_satisfaction: mean satisfaction score, 0 to 10; null on a day without an analysis
-- satisfaction_low: lower end of its 95 % interval; null below two analyses
-- satisfaction_high: upper end of its 95 % interval; null below two analyses
-- concern_price: conversations with this key concern
-- concern_pain: conversations with this key concern
-- concern_results: conversations with this key concern
-- concern_waiting: conversations with this key concern
-- concern_service: conversations with this key concern
-- concern_downtime: conversations with this key concern
-- concern_safety: conversations with this key concern
-- concern_promotion: conversations with this key concern
-- concern_hygiene: conversations with this key concern
-- concern_staff: conversations with this key concern
-- concern_location: conversations with this key concern
-- concern_aftercare: conversations with this key concern
with talks as (
    select
        c.clinic_id,
        aura_ops.bangkok_day(c.created_at) as day,
        coalesce(a.status, 'not_analysed') as status,
        a.overall_sentiment,
        a.satisfaction_score::numeric as satisfaction,
        coalesce(a.key_concerns, '{}') as key_concerns
    from aura_staging.stg_conversations as c
    left join aura_ops.conversation_analysis as a on c.conversation_id = a.conversation_id
    where c.clinic_id is not null
),

days as (
    select
        clinic_id,
        day,
        count(*) as conversations,
        count(*) filter (where overall_sentiment = 'positive') as positive,
        count(*) filter (where overall_sentiment = 'neutral') as neutral,
        count(*) filter (where overall_sentiment = 'negative') as negative,
        count(*) filter (where status = 'not_analysed') as not_analysed,
        count(*) filter (where status = 'failed') as failed,
        avg(satisfaction) as mean_satisfaction,
        1.96 * stddev_samp(satisfaction) / sqrt(count(satisfaction)::numeric) as half_width,
        count(*) filter (where 'price' = any(key_concerns)) as concern_price,
        count(*) filter (where 'pain' = any(key_concerns)) as concern_pain,
        count(*) filter (where 'results' = any(key_concerns)) as concern_results,
        count(*) filter (where 'waiting' = any(key_concerns)) as concern_waiting,
        count(*) filter (where 'service' = any(key_concerns)) as concern_service,
        count(*) filter (where 'downtime' = any(key_concerns)) as concern_downtime,
        count(*) filter (where 'safety' = any(key_concerns)) as concern_safety,
        count(*) filter (where 'promotion' = any(key_concerns)) as concern_promotion,
        count(*) filter (where 'hygiene' = any(key_concerns)) as concern_hygiene,
        count(*) filter (where 'staff' = any(key_concerns)) as concern_staff,
        count(*) filter (where 'location' = any(key_concerns)) as concern_location,
        count(*) filter (where 'aftercare' = any(key_concerns)) as concern_aftercare
    from talks
    group by clinic_id, day
),

first_days as (
    select
        clinic_id,
        min(day) as day
    from days
    group by clinic_id
),

spine as (
    select
        first_days.clinic_id,
        every_day.day::date as day
    from first_days
    cross join lateral generate_series(
        first_days.day::timestamp, aura_ops.bangkok_day(aura_ops.as_of())::timestamp, '1 day'
    ) as every_day (day)
)

select
    s.clinic_id,
    s.day,
    coalesce(d.conversations, 0)::int as conversations,
    coalesce(d.positive, 0)::int as positive,
    coalesce(d.neutral, 0)::int as neutral,
    coalesce(d.negative, 0)::int as negative,
    coalesce(d.not_analysed, 0)::int as not_analysed,
    coalesce(d.failed, 0)::int as failed,
    round(d.mean_satisfaction, 3)::float8 as mean_satisfaction,
    -- greatest and least take a null for nothing rather than pass it on.
    case
        when d.half_width is not null then greatest(round(d.mean_satisfaction - d.half_width, 3), 0)::float8
    end as satisfaction_low,
    case
        when d.half_width is not null then least(round(d.mean_satisfaction + d.half_width, 3), 10)::float8
    end as satisfaction_high,
    coalesce(d.concern_price, 0)::int as concern_price,
    coalesce(d.concern_pain, 0)::int as concern_pain,
    coalesce(d.concern_results, 0)::int as concern_results,
    coalesce(d.concern_waiting, 0)::int as concern_waiting,
    coalesce(d.concern_service, 0)::int as concern_service,
    coalesce(d.concern_downtime, 0)::int as concern_downtime,
    coalesce(d.concern_safety, 0)::int as concern_safety,
    coalesce(d.concern_promotion, 0)::int as concern_promotion,
    coalesce(d.concern_hygiene, 0)::int as concern_hygiene,
    coalesce(d.concern_staff, 0)::int as concern_staff,
    coalesce(d.concern_location, 0)::int as concern_location,
    coalesce(d.concern_aftercare, 0)::int as concern_aftercare
from spine as s
left join days as d on s.clinic_id = d.clinic_id and s.day = d.day
