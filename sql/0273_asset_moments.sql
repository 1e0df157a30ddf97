-- Runs side by side: a lead does not wait for the whole graph, and no table goes back to an earlier moment.
create table aura_ops.asset_moments (
    asset text primary key,
    as_of timestamptz not null
);
comment on table aura_ops.asset_moments is
'The latest moment that each asset was built about by a run whose moment nobody had chosen. An older run that comes to
the asset later builds it about that moment, too.';
comment on column aura_ops.asset_moments.asset is 'the asset''s step';
comment on column aura_ops.asset_moments.as_of is 'the moment';
