-- What the application shows people, one row a recipient. Filled by the delivery of triggers, read by the read API.
create table aura_marts.notifications (
    notification_id bigint generated always as identity primary key,
    clinic_id uuid not null,
    event_id uuid,
    recipient_user_id uuid,
    type text not null,
    subject_type text,
    subject_id uuid,
    title_en text not null,
    title_th text not null,
    message_en text not null,
    message_th text not null,
    link text,
    priority int not null default 0,
    created_at timestamptz not null default clock_timestamp(),
    unique nulls not distinct (event_id, recipient_user_id)
);
create index on aura_marts.notifications (clinic_id, notification_id);
comment on table aura_marts.notifications is
'What the application shows people: one row for each decision of a trigger and each recipient, exactly once. Texts name
nobody: whoever may see names finds them behind subject_id.';
comment on column aura_marts.notifications.notification_id is
'In the order of commits: who has read up to one has missed none before it.';
comment on column aura_marts.notifications.clinic_id is 'the tenant';
comment on column aura_marts.notifications.event_id is 'the decision in trigger_events; null where no rule decided';
comment on column aura_marts.notifications.recipient_user_id is 'whom it is for; null: everybody of the clinic';
comment on column aura_marts.notifications.type is 'the rule or kind of news';
comment on column aura_marts.notifications.subject_type is 'customer, lead or conversation';
comment on column aura_marts.notifications.subject_id is 'whom or what it is about';
comment on column aura_marts.notifications.title_en is 'title in English';
comment on column aura_marts.notifications.title_th is 'title in Thai';
comment on column aura_marts.notifications.message_en is 'message in English';
comment on column aura_marts.notifications.message_th is 'message in Thai';
comment on column aura_marts.notifications.link is 'path of the page about the subject';
comment on column aura_marts.notifications.priority is 'higher is more urgent';
comment on column aura_marts.notifications.created_at is 'when it was delivered';
select aura_ops.protect('aura_marts.notifications');

-- Writers take turns until they commit; without it a reader could pass an id whose transaction commits later.
create function aura_ops.queue_for_notifications() returns trigger language plpgsql as $$
begin
    perform pg_advisory_xact_lock(hashtext('bn_aura notifications'));
    return null;
end
$$;
comment on function aura_ops.queue_for_notifications() is 'Lets those who write notifications take turns.';
create trigger queue before insert on aura_marts.notifications
for each statement execute function aura_ops.queue_for_notifications();

create function aura_ops.announce_notification() returns trigger language plpgsql as $$
begin
    perform pg_notify('aura_notifications', new.clinic_id || ':' || new.notification_id);
    return null;
end
$$;
comment on function aura_ops.announce_notification() is
'Wakes listeners of channel aura_notifications with clinic_id:notification_id once the row is committed.';
create trigger announce after insert on aura_marts.notifications
for each row execute function aura_ops.announce_notification();
