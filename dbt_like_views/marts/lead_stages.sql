-- Each stay of a lead at a stage: what the funnel is counted from, and the lead's own history.
-- materialized: table
-- key: lead_id, position
-- owner: sales
-- index: clinic_id, lead_id, valid_from
-- test: coalesce(valid_to >= valid_from, true)
-- clinic_id: the tenant
-- lead_id: the lead
-- position: from 1, in order of time
-- stage: new, contacted, qualified, proposal_sent, negotiation, won or lost
-- valid_from: when the lead came to the stage
-- valid_to: when it left it; null while it stands there
-- days: days at the stage, of stays that have ended
-- observed: whether a run saw the change or an import told of it; else it was inferred when the lead was first seen
select
    clinic_id,
    lead_id,
    position,
    stage,
    valid_from,
    valid_to,
    extract(epoch from valid_to - valid_from)::float8 / 86400 as days,
    observed
from aura_staging.stg_lead_stages
where clinic_id is not null
