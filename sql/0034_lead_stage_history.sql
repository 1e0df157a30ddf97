-- The stages of leads over time: the application keeps only the present one.
create table aura_ops.lead_stage_history (
    lead_id uuid not null,
    position int not null check (position > 0),
    stage text not null check (
        stage in ('new', 'contacted', 'qualified', 'proposal_sent', 'negotiation', 'won', 'lost')
    ),
    valid_from timestamptz not null,
    valid_to timestamptz,
    observed boolean not null,
    recorded_at timestamptz not null,
    primary key (lead_id, position),
    check (valid_to >= valid_from)
);
create index lead_stage_history_present on aura_ops.lead_stage_history (lead_id) where valid_to is null;
create index lead_stage_history_recorded_at on aura_ops.lead_stage_history (recorded_at);
comment on table aura_ops.lead_stage_history is
'Each stay of a lead at a stage, in order, as runs saw it or an import brought it; moves back are kept.';
comment on column aura_ops.lead_stage_history.valid_to is 'When the lead left the stage; null while it stands there.';
comment on column aura_ops.lead_stage_history.observed is
'Whether a run saw the change or an import told of it; else it was inferred when the lead was first seen.';
comment on column aura_ops.lead_stage_history.recorded_at is 'The moment of the run that recorded it.';
