-- The trigger rules, and each decision they led to: once per subject and episode.
create table aura_ops.trigger_rules (
    rule text primary key,
    subject_type text not null check (subject_type in ('customer', 'lead')),
    measure text not null check (measure in ('churn_score', 'lead_score')),
    at_least int not null check (at_least between 0 and 100),
    ends_below int not null,
    channel text not null check (channel in ('notify_sales', 'email_customer')),
    is_enabled boolean not null default true,
    description text not null,
    check (ends_below <= at_least)
);
comment on table aura_ops.trigger_rules is
'What is worth telling somebody: from which score on, to whom, and when the matter counts as over.';
comment on column aura_ops.trigger_rules.ends_below is
'An episode lasts until the score falls below this: a score that wavers around at_least decides nothing twice.';

insert into aura_ops.trigger_rules (rule, subject_type, measure, at_least, ends_below, channel, description) values
(
    'hot_lead', 'lead', 'lead_score', 80, 70, 'notify_sales',
    'An open lead scores 80 or more: tell its sales person.'
),
(
    'churn_risk', 'customer', 'churn_score', 70, 60, 'notify_sales',
    'An active customer''s churn score is 70 or more: tell the sales person in charge.'
),
(
    'churn_win_back', 'customer', 'churn_score', 80, 70, 'email_customer',
    'An active customer''s churn score is 80 or more: send an e-mail, with consent only.'
);

create table aura_ops.trigger_events (
    event_id uuid primary key,
    clinic_id uuid not null,
    rule text not null references aura_ops.trigger_rules (rule),
    subject_type text not null,
    subject_id uuid not null,
    channel text not null,
    score int not null,
    decided_at timestamptz not null,
    ended_at timestamptz check (ended_at >= decided_at),
    status text not null check (status in ('eligible', 'suppressed')),
    reason text not null
);
create unique index trigger_events_one_open on aura_ops.trigger_events (rule, subject_id) where ended_at is null;
create index trigger_events_clinic_id_idx on aura_ops.trigger_events (clinic_id, decided_at);
comment on table aura_ops.trigger_events is
'Each decision of a rule about a subject, once per episode: whether something may leave the house, and why not.';
