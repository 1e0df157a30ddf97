-- What to offer each customer, who resembles whom, and the figures that rankings are judged by.
create table aura_models.treatment_recommendations (
    customer_id uuid not null,
    clinic_id uuid not null,
    kind text not null check (kind in ('rebook', 'cross_sell')),
    rank int not null check (rank >= 1),
    treatment_id uuid not null,
    model_version int not null,
    score float8 not null check (score between 0 and 1),
    basis text not null check (basis in ('model', 'similar_customers', 'popularity')),
    due_in_days int,
    caution_en text,
    caution_th text,
    reason_en text not null,
    reason_th text not null,
    primary key (customer_id, kind, rank),
    unique (customer_id, treatment_id)
);
create index treatment_recommendations_clinic_id_idx on aura_models.treatment_recommendations (clinic_id);
comment on table aura_models.treatment_recommendations is
'What is due again and what would be new for each customer, best first, of the treatments the clinic offers.';
comment on column aura_models.treatment_recommendations.score is
'Probability that the customer has this treatment within 90 days, as the model in charge estimates it.';
comment on column aura_models.treatment_recommendations.basis is
'What the score rests on: the model, customers with a similar profile, or what is taken in the clinic at all.';
comment on column aura_models.treatment_recommendations.due_in_days is
'Days until a repeat is due, negative when overdue; null for what would be new and what has no known interval.';
comment on column aura_models.treatment_recommendations.caution_en is
'What a person has to check before it is offered; nothing is ruled out by itself.';

create table aura_models.similar_customers (
    customer_id uuid not null,
    rank int not null check (rank between 1 and 10),
    clinic_id uuid not null,
    similar_customer_id uuid not null,
    similarity float8 not null,
    primary key (customer_id, rank),
    check (customer_id <> similar_customer_id)
);
create index similar_customers_clinic_id_idx on aura_models.similar_customers (clinic_id);
comment on table aura_models.similar_customers is
'The ten customers of the same clinic whose profile and behaviour are nearest to each.';
comment on column aura_models.similar_customers.similarity is
'Cosine of profile text (its embedding) and of treatments, spending and rhythm, half and half; 1 is the same.';

create table aura_models.customer_profiles (
    customer_id uuid primary key,
    clinic_id uuid not null,
    profile_hash text not null
);
create index customer_profiles_clinic_id_idx on aura_models.customer_profiles (clinic_id);
comment on table aura_models.customer_profiles is
'What each customer was compared by last time: only what has changed is compared again.';

alter table aura_models.candidate_metrics
    add column recall_at_10 float8,
    add column ndcg_at_10 float8,
    add column hit_at_1 float8,
    add column coverage float8,
    add column novelty float8;
comment on column aura_models.candidate_metrics.recall_at_10 is
'Of what a customer had in the held-out days, the share among the first ten; mean over customers.';
comment on column aura_models.candidate_metrics.ndcg_at_10 is
'Normalised discounted cumulative gain of the first ten (Järvelin and Kekäläinen 2002).';
comment on column aura_models.candidate_metrics.hit_at_1 is
'Share of customers whose next visit with such a treatment was for the one ranked first.';
comment on column aura_models.candidate_metrics.coverage is
'Share of the offered treatments that somebody gets among the first ten.';
comment on column aura_models.candidate_metrics.novelty is
'Mean of -log2 of the share of customers who have had what is recommended: 0 for what everybody has.';
