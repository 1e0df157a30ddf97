-- Whether a rule helps: what followed where it told somebody, beside what followed where it was held out at random.
-- Everybody who could be told counts as told, whatever became of the message, since only so are both groups alike.
-- materialized: table
-- key: clinic_id, rule, outcome
-- owner: crm
-- test: told >= 0
-- test: verdict not in ('helps', 'harms') or always_low > 0 or always_high < 0
-- clinic_id: the tenant
-- rule: the rule
-- outcome: visit (within 30 days), revenue (THB of visits within 30 days) or lead_won (within 30 days)
-- told: decisions to tell whose 30 days have passed
-- held_out: decisions held out whose 30 days have passed
-- told_mean: share of the told with the outcome, or their mean revenue
-- held_out_mean: the same of those held out
-- difference: told_mean less held_out_mean
-- low: lower end of the 95 % interval of the difference, for who looks once. Shares: Newcombe's hybrid score interval
--   (1998, method 10); revenue: Welch's, by the normal
-- high: its upper end
-- always_low: lower end of an interval that holds at every look together with 95 %: an asymptotic confidence sequence
--   (Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas 2024, theorem 2.2), tightest at 1,000 decisions. The verdict rests
--   on it, because somebody looks every day
-- always_high: its upper end
-- number_needed: how many have to be told for one more outcome; null unless the verdict is helps
-- verdict: helps, harms, undecided (the interval holds zero), too_few (below 30 in a group) or no_holdout
-- sentence_en: the same in words, in English
-- sentence_th: the same in words, in Thai
with outcomes as (
    select
        t.clinic_id,
        t.rule,
        o.outcome,
        t.is_holdout,
        o.value
    from aura_features.trigger_outcomes as t
    cross join lateral (
        values
        ('visit', t.visited::int::float8),
        ('revenue', t.revenue_30d_thb::float8),
        ('lead_won', t.lead_won::int::float8)
    ) as o (outcome, value)
    where t.is_complete and o.value is not null
),

asked as (
    select
        r.clinic_id,
        r.rule,
        r.holdout_share,
        o.outcome
    from aura_ops.rules_by_clinic as r
    inner join aura_staging.stg_clinics as c on r.clinic_id = c.clinic_id
    cross join (values ('visit', 'customer'), ('revenue', 'customer'), ('lead_won', 'lead')) as o (outcome, about)
    where r.subject_type = o.about or (r.subject_type = 'conversation' and o.about = 'customer')
),

counted as (
    select
        a.clinic_id,
        a.rule,
        a.outcome,
        a.holdout_share,
        a.outcome <> 'revenue' as is_share,
        count(o.value) filter (where not o.is_holdout)::float8 as told,
        count(o.value) filter (where o.is_holdout)::float8 as held_out,
        -- Over decimals, since sums of floats depend on the order of rows.
        avg(o.value::numeric) filter (where not o.is_holdout)::float8 as told_mean,
        avg(o.value::numeric) filter (where o.is_holdout)::float8 as held_out_mean,
        var_samp(o.value::numeric) filter (where not o.is_holdout)::float8 as told_variance,
        var_samp(o.value::numeric) filter (where o.is_holdout)::float8 as held_out_variance,
        var_samp(o.value::numeric)::float8 as variance
    from asked as a
    left join outcomes as o on a.clinic_id = o.clinic_id and a.rule = o.rule and a.outcome = o.outcome
    group by a.clinic_id, a.rule, a.outcome, a.holdout_share
),

intervals as (
    select
        v.clinic_id,
        v.rule,
        v.outcome,
        v.told_mean - v.held_out_mean as difference,
        case
            when v.is_share then sqrt((v.told_mean - t.low) ^ 2 + (h.high - v.held_out_mean) ^ 2)
            else 1.959964 * sqrt(v.told_variance / v.told + v.held_out_variance / v.held_out)
        end as below,
        case
            when v.is_share then sqrt((t.high - v.told_mean) ^ 2 + (v.held_out_mean - h.low) ^ 2)
            else 1.959964 * sqrt(v.told_variance / v.told + v.held_out_variance / v.held_out)
        end as above,
        -- Of both groups together: a small group's own variance is small whenever its mean is (measured: with it 13 %
        -- of the rules without effect on revenue got a verdict).
        aura_ops.always_valid_half_width(v.variance * (1 / v.told + 1 / v.held_out), v.told + v.held_out) as half_width
    from counted as v
    cross join lateral aura_ops.wilson(case when v.is_share then v.told_mean end, v.told) as t
    cross join lateral aura_ops.wilson(case when v.is_share then v.held_out_mean end, v.held_out) as h
    where v.told > 1 and v.held_out > 1
),

judged as (
    select
        c.clinic_id,
        c.rule,
        c.outcome,
        c.is_share,
        c.told::int as told,
        c.held_out::int as held_out,
        c.told_mean,
        c.held_out_mean,
        i.difference,
        i.difference - i.below as low,
        i.difference + i.above as high,
        i.difference - i.half_width as always_low,
        i.difference + i.half_width as always_high,
        case
            when c.held_out = 0 and c.holdout_share = 0 then 'no_holdout'
            when least(c.told, c.held_out) < 30 then 'too_few'
            when i.difference > i.half_width then 'helps'
            when i.difference < -i.half_width then 'harms'
            else 'undecided'
        end as verdict
    from counted as c
    left join intervals as i on c.clinic_id = i.clinic_id and c.rule = i.rule and c.outcome = i.outcome
),

-- How the figures are written in a sentence: percentage points, or baht.
worded as (
    select
        *,
        case
            when is_share then format('%s%%', round((100 * told_mean)::numeric, 1))
            else format('%s THB', round(told_mean::numeric))
        end as told_words,
        case
            when is_share then format('%s%%', round((100 * held_out_mean)::numeric, 1))
            else format('%s THB', round(held_out_mean::numeric))
        end as held_out_words,
        case
            when outcome = 'visit' then 'visited within 30 days'
            when outcome = 'lead_won' then 'were won within 30 days'
            else 'was spent on average within 30 days'
        end as outcome_en,
        case
            when outcome = 'visit' then 'มาใช้บริการภายใน 30 วัน'
            when outcome = 'lead_won' then 'ปิดการขายได้ภายใน 30 วัน'
            else 'ยอดใช้จ่ายเฉลี่ยภายใน 30 วัน'
        end as outcome_th
    from judged
)

select
    clinic_id,
    rule,
    outcome,
    told,
    held_out,
    told_mean,
    held_out_mean,
    difference,
    low,
    high,
    always_low,
    always_high,
    case when verdict = 'helps' and is_share then ceil(1 / difference)::int end as number_needed,
    verdict,
    case verdict
        when 'no_holdout' then 'Nobody is held out of this rule, so its effect cannot be known.'
        when 'too_few' then format(
            'Nothing can be said yet: %s told and %s held out; at least 30 of each are needed.', told, held_out
        )
        when 'undecided' then format(
            'Nothing can be said yet: %s of the told and %s of those held out %s; chance alone can do that.',
            told_words, held_out_words, outcome_en
        )
        else format(
            'The rule %s: %s of the told and %s of those held out %s.',
            verdict, told_words, held_out_words, outcome_en
        )
    end as sentence_en,
    case verdict
        when 'no_holdout' then 'กฎนี้ไม่มีกลุ่มควบคุม จึงไม่สามารถทราบผลได้'
        when 'too_few' then format(
            'ยังสรุปผลไม่ได้: ส่งแล้ว %s ราย กลุ่มควบคุม %s ราย ต้องมีอย่างน้อยกลุ่มละ 30 ราย', told, held_out
        )
        when 'undecided' then format(
            'ยังสรุปผลไม่ได้: %s กลุ่มที่ได้รับข้อความ %s กลุ่มควบคุม %s ต่างกันในระดับที่เกิดขึ้นโดยบังเอิญได้',
            outcome_th, told_words, held_out_words
        )
        else format(
            '%s: %s กลุ่มที่ได้รับข้อความ %s กลุ่มควบคุม %s',
            case verdict when 'helps' then 'กฎนี้ได้ผล' else 'กฎนี้ส่งผลเสีย' end,
            outcome_th, told_words, held_out_words
        )
    end as sentence_th
from worded
