-- What leaves the house: one row for each decision and recipient, and what became of it.
create table aura_ops.outbox (
    message_id uuid primary key,
    event_id uuid not null references aura_ops.trigger_events (event_id),
    clinic_id uuid not null,
    rule text not null,
    action text not null check (action in ('send_email', 'notify', 'create_task')),
    recipient_type text not null check (recipient_type in ('customer', 'user')),
    recipient_id uuid not null,
    priority int not null,
    status text not null default 'waiting' check (
        status in (
            'waiting', 'sending', 'sent', 'delivered', 'bounced', 'complained', 'suppressed', 'expired', 'dead',
            'unknown', 'dry_run'
        )
    ),
    reason text,
    decided_at timestamptz not null,
    not_before timestamptz not null,
    expires_at timestamptz not null,
    attempts int not null default 0,
    fence bigint,
    lease_until timestamptz,
    uncertain_since timestamptz,
    language text,
    body bytea,
    provider_id text,
    sent_at timestamptz,
    opened_at timestamptz,
    clicked_at timestamptz,
    finished_at timestamptz,
    unique (event_id, recipient_type, recipient_id)
);
create index outbox_work_idx on aura_ops.outbox (clinic_id, priority desc, not_before)
where status in ('waiting', 'sending');
create index outbox_recipient_idx on aura_ops.outbox (recipient_id, sent_at);
create index outbox_provider_idx on aura_ops.outbox (provider_id) where provider_id is not null;
create index outbox_dead_idx on aura_ops.outbox (finished_at) where status in ('dead', 'unknown');
create sequence aura_ops.outbox_fence;
comment on table aura_ops.outbox is
'One row for each decision and recipient, and what became of it. message_id is also the provider''s idempotency key.';
comment on column aura_ops.outbox.status is
'waiting and sending are under way; sent: accepted by the provider, or shown in the application; suppressed, expired and
dry_run: never left; dead: given up, the dead letter; unknown: may have left, never sent again by itself.';
comment on column aura_ops.outbox.reason is 'Why it was not sent, or what the last attempt met.';
comment on column aura_ops.outbox.fence is
'Number of the lease under which it is being sent; a worker whose number is no longer this one writes nothing.';
comment on column aura_ops.outbox.uncertain_since is
'The first attempt after which it may have left without our knowing. The provider keeps a key for 24 hours.';
comment on column aura_ops.outbox.body is
'The request as it was rendered, to the byte: the same key with another body would be refused.';

create table aura_ops.email_suppressions (
    email_hash bytea not null,
    clinic_id uuid,
    reason text not null check (reason in ('bounced', 'complained', 'unsubscribed')),
    since timestamptz not null,
    unique nulls not distinct (email_hash, clinic_id, reason)
);
comment on table aura_ops.email_suppressions is
'Addresses, as SHA-256, that nothing may be sent to: bounced and complained of everywhere, unsubscribed in one clinic.';

create table aura_ops.delivery_state (
    only_row boolean primary key default true check (only_row),
    stopped_because text,
    next_request_at timestamptz not null default '-infinity'
);
insert into aura_ops.delivery_state default values;
comment on table aura_ops.delivery_state is
'One row: the kill switch, and when the provider may next be asked, by all workers together.';
comment on column aura_ops.delivery_state.stopped_because is 'Nothing is delivered while this is not null.';
