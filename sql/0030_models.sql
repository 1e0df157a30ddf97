-- The model registry, the figures of every decision, and the churn scores.
create table aura_models.registry (
    model text not null,
    version int not null,
    alias text check (alias in ('champion', 'challenger')),
    promoted boolean not null,
    kind text not null,
    artifact bytea not null,
    artifact_sha256 text not null,
    features text[] not null,
    feature_hash text not null,
    metrics jsonb not null,
    decision text not null,
    n_train int not null,
    n_test int not null,
    window_start timestamptz,
    window_end timestamptz,
    training_fingerprint text not null,
    code_version text not null,
    trained_as_of timestamptz not null,
    primary key (model, version)
);
create unique index registry_one_alias on aura_models.registry (model, alias) where alias is not null;
comment on table aura_models.registry is
'Every trained model: what it is, what it measured, why it was promoted or not. Rolled back by moving an alias.';

create table aura_models.candidate_metrics (
    model text not null,
    version int not null,
    candidate text not null,
    n_test int not null,
    auc float8,
    log_loss float8,
    brier float8,
    ece float8,
    positive_share float8,
    primary key (model, version, candidate),
    foreign key (model, version) references aura_models.registry (model, version) on delete cascade
);
comment on table aura_models.candidate_metrics is
'The figures of every candidate of a training, all on the same held-out rows.';

create table aura_models.churn_scores (
    customer_id uuid primary key,
    clinic_id uuid not null,
    snapshot_at timestamptz not null,
    model_version int not null,
    churn_probability float8 not null check (churn_probability between 0 and 1),
    churn_score int not null check (churn_score between 0 and 100),
    churn_level text not null check (churn_level in ('high', 'medium', 'low')),
    churn_reasons_en text not null,
    churn_reasons_th text not null
);
create index churn_scores_clinic_id_idx on aura_models.churn_scores (clinic_id);
comment on table aura_models.churn_scores is
'The latest churn score of each customer with a completed visit, and why.';
