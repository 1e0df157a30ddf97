-- How far the leads of a month came, by source, from the history of their stages. A lead that reached a stage has
-- passed the ones before it, also where it skipped them.
-- materialized: table
-- key: clinic_id, month, source, stage
-- owner: analytics
-- test: entered = still_there + moved_on + lost
-- test: stage <> 'won' or moved_on + lost = 0
-- clinic_id: the tenant
-- month: first day of the Bangkok month in which the leads were entered
-- source: where the leads came from
-- stage: new, contacted, qualified, proposal_sent, negotiation or won
-- stage_number: place of the stage, from 1
-- entered: leads that reached the stage
-- still_there: leads that came this far and no further, and are not lost
-- moved_on: leads that went on to the next stage
-- lost: leads lost after they had come this far. For leads first seen when they were lost, that is contacted where
--   contact was made, else new
-- conversion: moved_on / entered; null for the last stage, and where none entered
-- median_days: median days of the stays at this stage that have ended; of won leads, the days from entry to win
with stages as (
    select
        stage,
        stage_number::int as stage_number
    from unnest(array['new', 'contacted', 'qualified', 'proposal_sent', 'negotiation', 'won'])
    with ordinality as s (stage, stage_number)
),

stays as (
    select
        h.lead_id,
        h.stage,
        h.position,
        h.valid_from,
        s.stage_number,
        h.valid_to
    from aura_staging.stg_lead_stages as h
    left join stages as s on h.stage = s.stage
),

leads as (
    select
        l.clinic_id,
        l.lead_id,
        l.source,
        l.created_at,
        date_trunc('month', aura_ops.bangkok_day(l.created_at))::date as month,
        max(t.stage_number) as reached,
        (array_agg(t.stage order by t.position desc))[1] = 'lost' as is_lost
    from aura_staging.stg_leads as l
    inner join stays as t on l.lead_id = t.lead_id
    where l.clinic_id is not null
    group by l.clinic_id, l.lead_id, l.source, l.created_at
),

counts as (
    select
        l.clinic_id,
        l.month,
        l.source,
        s.stage,
        s.stage_number,
        count(*) filter (where l.reached >= s.stage_number)::int as entered,
        count(*) filter (where l.reached = s.stage_number and not (l.is_lost and s.stage <> 'won'))::int as still_there,
        count(*) filter (where l.reached > s.stage_number)::int as moved_on,
        count(*) filter (where l.reached = s.stage_number and l.is_lost and s.stage <> 'won')::int as lost
    from leads as l
    cross join stages as s
    group by l.clinic_id, l.month, l.source, s.stage, s.stage_number
),

durations as (
    select
        l.clinic_id,
        l.month,
        l.source,
        t.stage,
        percentile_cont(0.5) within group (
            order by
                extract(
                    epoch from case
                        when t.stage = 'won' then t.valid_from - least(l.created_at, t.valid_from)
                        else t.valid_to - t.valid_from
                    end
                )::float8 / 86400
        ) as median_days
    from leads as l
    inner join stays as t on l.lead_id = t.lead_id
    where t.stage = 'won' or t.valid_to is not null
    group by l.clinic_id, l.month, l.source, t.stage
)

select
    c.clinic_id,
    c.month,
    c.source,
    c.stage,
    c.stage_number,
    c.entered,
    c.still_there,
    c.moved_on,
    c.lost,
    case when c.stage <> 'won' then c.moved_on::float8 / nullif(c.entered, 0) end as conversion,
    d.median_days
from counts as c
left join durations as d
    on c.clinic_id = d.clinic_id and c.month = d.month and c.source = d.source and c.stage = d.stage
