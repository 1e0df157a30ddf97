-- Leads entered before the run's moment, in the stage they had then.
-- materialized: view
-- key: lead_id
-- customer_id: who the lead became or was, as far as that customer was known by then
-- status: the application's status as it stands
-- stage: new, contacted, qualified, proposal_sent, negotiation, won or lost at the run's moment. A lead changed later
--   than that counts as new, the earliest stage it surely had; a temperature (cold, warm, hot) is no stage.
-- stage_changed_at: the last change of stage before the run's moment
-- estimated_value_thb: what the lead may be worth
-- score: the score the application shows, as it stands
-- notes: what staff wrote, as it stands
with leads as (
    select
        l.*,
        l.updated_at >= (select aura_ops.as_of()) as changed_later,
        c.id as known_customer_id
    from aura_staging.source_sales_leads as l
    left join aura_staging.source_customers as c on l.customer_id = c.id and c.created_at < (select aura_ops.as_of())
    where l.created_at < (select aura_ops.as_of())
)

select
    id as lead_id,
    clinic_id,
    known_customer_id as customer_id,
    sales_user_id,
    name,
    nullif(lower(trim(email)), '') as email,
    nullif(trim(phone), '') as phone,
    status,
    case
        when changed_later then 'new'
        when status not in ('cold', 'warm', 'hot') then status
        when last_contacted_at < (select aura_ops.as_of()) then 'contacted'
        else 'new'
    end as stage,
    case when changed_later then created_at else greatest(updated_at, created_at) end as stage_changed_at,
    source,
    primary_concern,
    estimated_value as estimated_value_thb,
    score,
    nullif(trim(notes), '') as notes,
    case when last_contacted_at < (select aura_ops.as_of()) then last_contacted_at end as last_contacted_at,
    case when jsonb_typeof(metadata) = 'object' then metadata else '{}'::jsonb end as metadata,
    created_at
from leads
