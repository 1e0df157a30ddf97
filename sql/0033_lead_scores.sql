-- The scores of leads.
create table aura_models.lead_scores (
    lead_id uuid primary key,
    clinic_id uuid not null,
    model_version int not null,
    win_probability float8 not null check (win_probability between 0 and 1),
    win_low float8 not null,
    win_high float8 not null,
    score int not null check (score between 0 and 100),
    category text not null check (category in ('hot', 'warm', 'cold')),
    confidence float8 not null check (confidence between 0 and 1),
    completeness float8 not null,
    engagement_points int,
    reasons_en text not null,
    reasons_th text not null,
    check (win_low <= win_probability and win_probability <= win_high)
);
create index lead_scores_clinic_id_idx on aura_models.lead_scores (clinic_id);
comment on table aura_models.lead_scores is
'What each lead of a clinic is worth expecting: probability of a win with an 80 % interval, score, category and why.';
comment on column aura_models.lead_scores.completeness is 'Share of the model''s fields that the lead has filled.';
comment on column aura_models.lead_scores.engagement_points is 'The application''s engagement points, 0 to 25.';
comment on column aura_models.lead_scores.confidence is
'Completeness times one minus the width of the interval: how much there is behind the probability.';
