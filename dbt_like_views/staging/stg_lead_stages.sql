-- Each stay of a lead at a stage, in order, as it was known at the run's moment; moves back are kept as they happened.
-- materialized: view
-- key: lead_id, position
-- clinic_id: the tenant, where the lead has one
-- position: from 1, in order of time
-- stage: new, contacted, qualified, proposal_sent, negotiation, won or lost
-- valid_from: when the lead came to the stage
-- valid_to: when it left it; null while it stands there
-- observed: whether a run saw the change or an import told of it; else it was inferred when the lead was first seen
select
    h.lead_id,
    l.clinic_id,
    h.position,
    h.stage,
    h.valid_from,
    lead(h.valid_from) over (partition by h.lead_id order by h.position) as valid_to,
    h.observed
from aura_ops.lead_stage_history as h
inner join aura_staging.stg_leads as l on h.lead_id = l.lead_id
where h.recorded_at <= aura_ops.as_of()
