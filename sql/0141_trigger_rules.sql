-- Trigger rules with everything that decides who is told what and when; the application's own names for its three.
create table aura_ops.trigger_metrics (
    metric text primary key,
    subject_type text not null check (subject_type in ('customer', 'lead', 'conversation')),
    lowest float8 not null,
    highest float8 not null,
    description text not null
);
comment on table aura_ops.trigger_metrics is
'What a rule may look at, about whom, and between which values a threshold makes sense.';

insert into aura_ops.trigger_metrics (metric, subject_type, lowest, highest, description) values
('churn_score', 'customer', 0, 100, 'Probability in percent that an active customer does not come within 90 days.'),
('lead_score', 'lead', 0, 100, 'Probability in percent that an open lead is won.'),
('days_since_visit', 'customer', 0, 365, 'Days since the last completed visit, while no visit is booked.'),
(
    'repeat_lateness', 'customer', 0, 1000,
    'Days since the last completed visit in percent of the customer''s own mean gap, from three visits on.'
),
(
    'negativity', 'conversation', 0, 100,
    'Probability in percent that a conversation of the last seven days is negative.'
),
('hours_unanswered', 'lead', 0, 8760, 'Hours that a hot lead (score from 75) has waited for an answer.');

alter table aura_ops.trigger_events drop constraint trigger_events_rule_fkey;

alter table aura_ops.trigger_rules
drop constraint trigger_rules_pkey,
drop constraint trigger_rules_check,
drop constraint trigger_rules_at_least_check,
drop constraint trigger_rules_measure_check,
drop constraint trigger_rules_channel_check,
drop constraint trigger_rules_subject_type_check;
alter table aura_ops.trigger_rules rename column measure to metric;
alter table aura_ops.trigger_rules rename column at_least to threshold;
alter table aura_ops.trigger_rules rename column channel to action;
alter table aura_ops.trigger_rules rename column is_enabled to is_active;
alter table aura_ops.trigger_rules
alter column threshold type float8,
add column clinic_id uuid,
add column operator text not null default '>=',
add column hysteresis float8 not null default 10,
add column cooldown interval not null default interval '30 days',
add column priority int not null default 50,
add column audience text not null default 'assigned_sales',
add column purpose text not null default 'transactional',
add column template text not null default '',
add column quiet_from time not null default '20:00',
add column quiet_until time not null default '09:00',
add column expires_after interval not null default interval '7 days',
add column holdout_share float8 not null default 0,
add column dry_run boolean not null default false;

update aura_ops.trigger_rules set
    hysteresis = threshold - ends_below,
    rule = case rule
        when 'hot_lead' then 'hot-lead-alert'
        when 'churn_risk' then 'churn-risk-warning'
        when 'churn_win_back' then 'churn-prevention-email'
        else rule
    end,
    template = case rule
        when 'hot_lead' then 'hot-lead-alert'
        when 'churn_risk' then 'churn-risk-warning'
        else 'churn-prevention-email'
    end,
    audience = case action when 'email_customer' then 'customer' else 'assigned_sales' end,
    purpose = case action when 'email_customer' then 'marketing' else 'transactional' end,
    holdout_share = case rule when 'hot_lead' then 0.05 else 0.1 end,
    priority = case rule when 'hot_lead' then 80 when 'churn_risk' then 60 else 50 end,
    expires_after = case rule when 'hot_lead' then interval '3 days' else interval '7 days' end,
    cooldown = case rule when 'hot_lead' then interval '14 days' else interval '60 days' end,
    action = case action when 'email_customer' then 'send_email' else 'notify' end;
alter table aura_ops.trigger_rules drop column ends_below, drop column subject_type;

alter table aura_ops.trigger_rules
alter column operator drop default,
alter column hysteresis drop default,
alter column audience drop default,
alter column purpose drop default,
alter column template drop default,
add foreign key (metric) references aura_ops.trigger_metrics (metric),
add unique nulls not distinct (rule, clinic_id),
add check (rule ~ '^[a-z][a-z0-9_-]{0,59}$'),
add check (operator in ('>=', '<=')),
add check (audience in ('customer', 'assigned_sales', 'clinic_owners')),
add check (action in ('send_email', 'notify', 'create_task')),
add check (purpose in ('marketing', 'transactional')),
add check (template ~ '^[a-z][a-z0-9_-]*$'),
add check (holdout_share between 0 and 0.5),
add check (cooldown >= interval '0'),
add check (expires_after > interval '0'),
add check (hysteresis >= 0);

comment on table aura_ops.trigger_rules is
'What is worth telling whom: when an episode begins and ends, through which channel, how often, and what is held out.';
comment on column aura_ops.trigger_rules.clinic_id is
'The clinic it is for; null: all. A clinic''s own version of a rule replaces the general one there.';
comment on column aura_ops.trigger_rules.hysteresis is
'An episode lasts until the metric is back by more than this behind the threshold: a metric that wavers decides nothing
twice.';
comment on column aura_ops.trigger_rules.cooldown is 'So long after a decision no new episode of the subject begins.';
comment on column aura_ops.trigger_rules.priority is 'Higher goes first, also where a cap leaves room for one only.';
comment on column aura_ops.trigger_rules.purpose is
'marketing needs consent and heeds unsubscribing; transactional does not.';
comment on column aura_ops.trigger_rules.quiet_from is
'From then until quiet_until, in Bangkok time, no e-mail leaves; it waits. Equal times: never quiet.';
comment on column aura_ops.trigger_rules.holdout_share is
'Share of the subjects, by a stable hash, who are never told: without them no effect can be known.';
comment on column aura_ops.trigger_rules.dry_run is 'Decided and rendered, never delivered.';

insert into aura_ops.trigger_rules (
    rule, metric, operator, threshold, hysteresis, cooldown, priority, audience, action, purpose, template,
    expires_after, holdout_share, description
) values
(
    'inactivity', 'days_since_visit', '>=', 120, 60, interval '120 days', 30, 'customer', 'send_email', 'marketing',
    'inactivity', interval '7 days', 0.1,
    'No visit for 120 days and none booked: send an e-mail, with consent only.'
),
(
    'repeat_due', 'repeat_lateness', '>=', 100, 20, interval '45 days', 40, 'customer', 'send_email', 'marketing',
    'repeat_due', interval '7 days', 0.1,
    'A customer''s own rhythm says that a visit is due and none is booked: send an e-mail, with consent only.'
),
(
    'negative_conversation', 'negativity', '>=', 60, 10, interval '7 days', 90, 'clinic_owners', 'notify',
    'transactional', 'negative_conversation', interval '3 days', 0,
    'A conversation turned out negative: tell the owners of the clinic. Nobody is held out.'
),
(
    'hot_lead_unanswered', 'hours_unanswered', '>=', 24, 0, interval '3 days', 95, 'assigned_sales', 'create_task',
    'transactional', 'hot_lead_unanswered', interval '3 days', 0,
    'A hot lead has waited 24 hours for an answer: a task for its sales person. Nobody is held out.'
);

-- What no rule may be, said in words: rules are also written with plain SQL.
create function aura_ops.check_trigger_rule() returns trigger language plpgsql as $$
declare
    looked_at aura_ops.trigger_metrics;
begin
    select * into looked_at from aura_ops.trigger_metrics as m where m.metric = new.metric;
    if not found then
        raise exception 'rule %: there is no metric %; there are %', new.rule, new.metric,
            (select string_agg(m.metric, ', ' order by m.metric) from aura_ops.trigger_metrics as m)
            using errcode = 'check_violation';
    end if;
    if not new.threshold between looked_at.lowest and looked_at.highest then
        raise exception 'rule %: a threshold of % can never be reached or is always passed: % lies between % and %',
            new.rule, new.threshold, new.metric, looked_at.lowest, looked_at.highest using errcode = 'check_violation';
    end if;
    if not new.hysteresis between 0 and looked_at.highest - looked_at.lowest then
        raise exception 'rule %: with a hysteresis of % an episode would never end', new.rule, new.hysteresis
            using errcode = 'check_violation';
    end if;
    if (new.audience = 'customer') <> (new.action = 'send_email') then
        raise exception 'rule %: e-mails go to customers, notifications and tasks to staff; % to % is neither',
            new.rule, new.action, new.audience using errcode = 'check_violation';
    end if;
    if new.audience = 'customer' and looked_at.subject_type <> 'customer' then
        raise exception 'rule %: % is about a %, which cannot be written to', new.rule, new.metric,
            looked_at.subject_type using errcode = 'check_violation';
    end if;
    return new;
end
$$;
comment on function aura_ops.check_trigger_rule() is 'Refuses a rule that makes no sense, with the reason.';
create trigger check_rule before insert or update on aura_ops.trigger_rules
for each row execute function aura_ops.check_trigger_rule();

-- The rule that holds in each clinic: its own version, else the general one.
create view aura_ops.rules_by_clinic with (security_invoker = true) as
select distinct on (c.id, r.rule)
    c.id as clinic_id,
    r.rule,
    m.subject_type,
    r.metric,
    r.operator,
    r.threshold,
    r.threshold + case r.operator when '>=' then -r.hysteresis else r.hysteresis end as release,
    r.cooldown,
    r.priority,
    r.audience,
    r.action,
    r.purpose,
    r.template,
    r.quiet_from,
    r.quiet_until,
    r.expires_after,
    r.holdout_share,
    r.dry_run,
    r.is_active
from public.clinics as c
inner join aura_ops.trigger_rules as r on c.id = r.clinic_id or r.clinic_id is null
inner join aura_ops.trigger_metrics as m on r.metric = m.metric
order by c.id, r.rule, r.clinic_id nulls last;
comment on view aura_ops.rules_by_clinic is
'The rules as they hold in each clinic: the clinic''s own version where it has one, else the general one.';

-- Decisions.
drop index aura_ops.trigger_events_one_open;
alter table aura_ops.trigger_events rename column channel to action;
alter table aura_ops.trigger_events rename column score to value;
alter table aura_ops.trigger_events
drop constraint trigger_events_status_check,
alter column value type float8,
add column episode int not null default 1,
add column customer_id uuid,
add check (status in ('eligible', 'holdout', 'suppressed'));
update aura_ops.trigger_events as e set
    rule = case e.rule
        when 'hot_lead' then 'hot-lead-alert'
        when 'churn_risk' then 'churn-risk-warning'
        when 'churn_win_back' then 'churn-prevention-email'
        else e.rule
    end,
    action = case e.action when 'email_customer' then 'send_email' else 'notify' end,
    customer_id = case e.subject_type when 'customer' then e.subject_id end,
    episode = numbered.episode
from (
    select
        t.event_id,
        row_number() over (partition by t.rule, t.subject_id order by t.decided_at) as episode
    from aura_ops.trigger_events as t
) as numbered
where e.event_id = numbered.event_id;
alter table aura_ops.trigger_events alter column episode drop default;
create unique index trigger_events_one_open on aura_ops.trigger_events (rule, subject_id) where ended_at is null;
create unique index trigger_events_episode on aura_ops.trigger_events (rule, subject_id, episode);
comment on table aura_ops.trigger_events is
'Each decision of a rule about a subject, once per episode: told, held out for comparison, or not told, and why.';
comment on column aura_ops.trigger_events.customer_id is 'The customer concerned, where there is one.';
comment on column aura_ops.trigger_events.status is
'eligible: may be told; holdout: may be and is not, for comparison; suppressed: must not be, see reason.';
