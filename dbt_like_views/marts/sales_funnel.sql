-- How far the leads of a month came, by source. A lead that reached a stage has passed the ones before it.
-- materialized: table
-- key: clinic_id, month, source, stage
-- owner: analytics
-- test: entered >= moved_on + lost
-- test: stage <> 'won' or moved_on + lost = 0
-- clinic_id: the tenant
-- month: first day of the Bangkok month in which the leads were entered
-- source: where the leads came from
-- stage: new, contacted, qualified, proposal_sent, negotiation or won
-- stage_number: place of the stage, from 1
-- entered: leads that reached the stage
-- moved_on: leads that went on to the next stage
-- lost: leads lost at this stage. Where a lead was lost is not recorded by the application: a lead that was contacted
--   counts as lost there, any other as lost while new
-- conversion: moved_on / entered; null for the last stage, and where none entered
-- median_days: median days from entry to the latest change, of the leads that stand or ended at this stage
with stages as (
    select
        stage,
        stage_number::int as stage_number
    from unnest(array['new', 'contacted', 'qualified', 'proposal_sent', 'negotiation', 'won'])
    with ordinality as s (stage, stage_number)
),

leads as (
    select
        l.clinic_id,
        l.source,
        l.stage = 'lost' as is_lost,
        date_trunc('month', aura_ops.bangkok_day(l.created_at))::date as month,
        extract(epoch from l.stage_changed_at - l.created_at)::float8 / 86400 as days,
        coalesce(s.stage_number, case when l.last_contacted_at is null then 1 else 2 end) as reached
    from aura_staging.stg_leads as l
    left join stages as s on l.stage = s.stage
    where l.clinic_id is not null
)

select
    l.clinic_id,
    l.month,
    l.source,
    s.stage,
    s.stage_number,
    count(*) filter (where l.reached >= s.stage_number)::int as entered,
    count(*) filter (where l.reached > s.stage_number)::int as moved_on,
    count(*) filter (where l.is_lost and l.reached = s.stage_number)::int as lost,
    case
        when s.stage <> 'won'
            then
                count(*) filter (where l.reached > s.stage_number)::float8
                / nullif(count(*) filter (where l.reached >= s.stage_number), 0)
    end as conversion,
    percentile_cont(0.5) within group (order by l.days) filter (where l.reached = s.stage_number) as median_days
from leads as l
cross join stages as s
group by l.clinic_id, l.month, l.source, s.stage, s.stage_number
