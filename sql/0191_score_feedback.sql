-- What people say about scores. The application writes it; trainings weigh by it.
create table aura_ops.score_feedback (
    feedback_id uuid primary key default gen_random_uuid(),
    clinic_id uuid not null,
    model text not null check (model in ('churn', 'lead')),
    subject_id uuid not null,
    model_version int,
    score int check (score between 0 and 100),
    was_right boolean not null,
    note text,
    given_by uuid,
    given_at timestamptz not null default now()
);
create index score_feedback_subject on aura_ops.score_feedback (model, subject_id);
comment on table aura_ops.score_feedback is
'Who found a score right or wrong: written by the application, read by trainings. One row an answer, never changed.';
comment on column aura_ops.score_feedback.model is 'churn: subject_id is a customer; lead: it is a lead.';
comment on column aura_ops.score_feedback.model_version is
'The version that gave the score, where the application knows.';
comment on column aura_ops.score_feedback.score is 'The score that was shown.';
comment on column aura_ops.score_feedback.note is 'Free text; it stays here, since it may hold personal data.';
comment on column aura_ops.score_feedback.given_by is 'The user who said so.';
