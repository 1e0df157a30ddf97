-- Open leads by engagement and value: where they are, how likely they are won, what that is worth.
-- materialized: table
-- key: clinic_id, engagement_band, value_band
-- owner: sales
-- test: leads > 0
-- test: mean_win_probability between 0 and 1
-- clinic_id: the tenant
-- engagement_band: the application's engagement points: 0-4, 5-9, 10-14, 15-19, 20-25, or unknown
-- value_band: estimated value in THB: under 5k, 5k-10k, 10k-20k, 20k-50k, 50k and more, or unknown
-- leads: open leads
-- mean_win_probability: their mean probability of a win
-- expected_wins: the sum of their probabilities
-- estimated_value_thb: the sum of their values; null where none has one
-- expected_value_thb: the sum of value times probability
with leads as (
    select
        b.clinic_id,
        b.win_probability,
        b.estimated_value_thb,
        b.expected_value_thb,
        case
            when s.engagement_points is null then 'unknown'
            when s.engagement_points < 5 then '0-4'
            when s.engagement_points < 10 then '5-9'
            when s.engagement_points < 15 then '10-14'
            when s.engagement_points < 20 then '15-19'
            else '20-25'
        end as engagement_band,
        case
            when b.estimated_value_thb is null then 'unknown'
            when b.estimated_value_thb < 5000 then 'under 5k'
            when b.estimated_value_thb < 10000 then '5k-10k'
            when b.estimated_value_thb < 20000 then '10k-20k'
            when b.estimated_value_thb < 50000 then '20k-50k'
            else '50k and more'
        end as value_band
    from aura_marts.lead_board as b
    inner join aura_models.lead_scores as s on b.lead_id = s.lead_id
)

select
    clinic_id,
    engagement_band,
    value_band,
    count(*)::int as leads,
    round(avg(win_probability::numeric), 6)::float8 as mean_win_probability,
    round(sum(win_probability::numeric), 6)::float8 as expected_wins,
    sum(estimated_value_thb)::numeric(14, 2) as estimated_value_thb,
    sum(expected_value_thb)::numeric(14, 2) as expected_value_thb
from leads
group by clinic_id, engagement_band, value_band
