-- What to do about each customer next, what it is expected to bring, and what was the second choice.
alter table aura_models.treatment_recommendations add column interval_days int;
comment on column aura_models.treatment_recommendations.interval_days is
'Days after which a repeat of this treatment is due for this customer; null for what would be new.';

create table aura_ops.next_best_actions (
    customer_id uuid primary key,
    clinic_id uuid not null,
    action text not null,
    treatment_id uuid,
    expected_value_thb float8 not null,
    confidence float8 not null check (confidence between 0 and 1),
    uplift float8 not null,
    uplift_low float8 not null,
    uplift_high float8 not null,
    uplift_basis text not null check (uplift_basis in ('prior', 'holdout', 'none')),
    runner_up text not null,
    runner_up_treatment_id uuid,
    runner_up_expected_value_thb float8,
    why_en text not null,
    why_th text not null,
    why_not_runner_up_en text not null,
    why_not_runner_up_th text not null,
    check (action <> runner_up)
);
create index next_best_actions_clinic_id_idx on aura_ops.next_best_actions (clinic_id);
comment on table aura_ops.next_best_actions is
'The action with the highest expected gain for each customer, under consent and contact caps, and the runner-up.';
