-- How sales people do with the leads they were given: adjusted for the quality of the leads, and shrunk to the mean as
-- long as there are few, so that three leads make nobody a star.
-- materialized: table
-- key: clinic_id, sales_user_id
-- owner: sales
-- test: adjusted_low <= adjusted_win_rate and adjusted_win_rate <= adjusted_high
-- clinic_id: the tenant
-- sales_user_id: who
-- decided_leads: leads decided in the last 365 days
-- wins: those of them that were won
-- win_rate: wins / decided_leads; null where none was decided
-- expected_wins: what the model expects of such leads, at the clinic's level of wins, whoever works them
-- adjusted_win_rate: the rate expected of this person with the clinic's average lead
-- adjusted_low: lower end of its 80 % interval
-- adjusted_high: upper end of its 80 % interval
-- median_response_hours: median hours to the first contact, of leads of the last 365 days; 72 stands for more
-- open_leads: open leads now
-- leads_30d: leads given in the last 30 days
-- expected_wins_30d: wins expected from the open leads within 30 days
with leads as (
    select
        f.clinic_id,
        f.sales_user_id,
        f.lead_id,
        f.created_at,
        f.decided_at,
        f.is_won,
        f.response_hours,
        s.win_probability,
        f.decided_at >= aura_ops.as_of() - interval '365 days' as is_recent
    from aura_features.lead_facts as f
    inner join aura_models.lead_scores as s on f.lead_id = s.lead_id
    where f.clinic_id is not null
),

clinics as (
    select
        clinic_id,
        count(*) as decided,
        sum(is_won)::float8 as wins,
        sum(win_probability::numeric)::float8 as expected,
        -- Shrunk to one win in five with the weight of ten leads, so that it is never 0 or 1.
        (sum(is_won) + 2)::float8 / (count(*) + 10) as win_rate
    from leads
    where is_recent
    group by clinic_id
),

speed as (
    select
        clinic_id,
        count(*) filter (where decided_at < created_at + interval '30 days')::float8 / count(*) as share_30d
    from leads
    where is_recent and is_won = 1
    group by clinic_id
),

people as (
    select
        clinic_id,
        sales_user_id,
        count(*) filter (where is_recent)::int as decided_leads,
        coalesce(sum(is_won) filter (where is_recent), 0)::int as wins,
        coalesce(sum(win_probability::numeric) filter (where is_recent), 0)::float8 as raw_expected,
        coalesce(sum((win_probability * (1 - win_probability))::numeric) filter (where is_recent), 0)::float8 as spread,
        percentile_cont(0.5) within group (order by response_hours) filter (
            where created_at >= aura_ops.as_of() - interval '365 days'
        ) as median_response_hours,
        count(*) filter (where is_won is null)::int as open_leads,
        count(*) filter (where created_at >= aura_ops.as_of() - interval '30 days')::int as leads_30d,
        coalesce(sum(win_probability::numeric) filter (where is_won is null), 0)::float8 as open_wins
    from leads
    where sales_user_id is not null
    group by clinic_id, sales_user_id
),

-- One step of a logistic regression with a normal effect of the person of standard deviation .3.
effects as (
    select
        p.*,
        c.win_rate as clinic_rate,
        p.raw_expected * c.wins / nullif(c.expected, 0) as expected_wins,
        (p.wins - p.raw_expected * coalesce(c.wins / nullif(c.expected, 0), 1)) / (p.spread + 1 / 0.09) as effect,
        1.2816 * sqrt(1 / (p.spread + 1 / 0.09)) as reach,
        ln(c.win_rate / (1 - c.win_rate)) as clinic_odds
    from people as p
    left join clinics as c on p.clinic_id = c.clinic_id
)

select
    e.clinic_id,
    e.sales_user_id,
    e.decided_leads,
    e.wins,
    e.wins::float8 / nullif(e.decided_leads, 0) as win_rate,
    e.expected_wins,
    1 / (1 + exp(-(coalesce(e.clinic_odds, -1.386) + e.effect))) as adjusted_win_rate,
    1 / (1 + exp(-(coalesce(e.clinic_odds, -1.386) + e.effect - e.reach))) as adjusted_low,
    1 / (1 + exp(-(coalesce(e.clinic_odds, -1.386) + e.effect + e.reach))) as adjusted_high,
    e.median_response_hours,
    e.open_leads,
    e.leads_30d,
    e.open_wins * coalesce(s.share_30d, 0.5) as expected_wins_30d
from effects as e
left join speed as s on e.clinic_id = s.clinic_id
