-- Delivery: quiet hours, and what comes back from the provider and from recipients.
alter table aura_ops.outbox add column lease_owner bigint;
comment on column aura_ops.outbox.lease_owner is
'Number of the worker, as an advisory lock that dies with it: its leases are free at once.';
create index outbox_fence_idx on aura_ops.outbox (clinic_id, fence);

create function aura_ops.quiet_until(moment timestamptz, quiet_from time, quiet_until time) returns timestamptz
language sql stable parallel safe
begin atomic
    with here as (
        select
            (moment at time zone 'Asia/Bangkok')::date as day,
            (moment at time zone 'Asia/Bangkok')::time as hour
    )

    select
        case
            when quiet_from < quiet_until and hour >= quiet_from and hour < quiet_until
                then (day + quiet_until) at time zone 'Asia/Bangkok'
            when
                quiet_from > quiet_until and hour >= quiet_from
                then (day + 1 + quiet_until) at time zone 'Asia/Bangkok'
            when quiet_from > quiet_until and hour < quiet_until then (day + quiet_until) at time zone 'Asia/Bangkok'
        end
    from here;
end;
comment on function aura_ops.quiet_until(timestamptz, time, time) is
'When quiet hours end that a moment lies in, in Bangkok; null outside them.';

create table aura_ops.email_events (
    event_key text primary key,
    message_id uuid,
    provider_id text,
    kind text not null,
    occurred_at timestamptz not null,
    received_at timestamptz not null default clock_timestamp()
);
create index email_events_message_idx on aura_ops.email_events (message_id);
comment on table aura_ops.email_events is
'What the provider told about e-mails, each once: event_key is the key of its delivery to us.';

-- Events come twice and in any order: a state only moves forward, and what was not known to have left is known now.
create function aura_ops.note_email_event(
    event_key text, message uuid, provider text, kind text, occurred timestamptz, address_hash bytea, permanent boolean
) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog as $$
declare
    found_message uuid;
    reached constant text := case kind
        when 'sent' then 'sent'
        when 'delivery_delayed' then 'sent'
        when 'delivered' then 'delivered'
        when 'opened' then 'delivered'
        when 'clicked' then 'delivered'
        when 'bounced' then 'bounced'
        when 'complained' then 'complained'
        when 'failed' then 'dead'
        when 'suppressed' then 'dead'
    end;
    ranks constant text[] := array['sent', 'delivered', 'dead', 'bounced', 'complained'];
begin
    select o.message_id into found_message from aura_ops.outbox as o
    where o.message_id = message or o.provider_id = provider
    order by o.message_id = message desc limit 1;
    insert into aura_ops.email_events (event_key, message_id, provider_id, kind, occurred_at)
    values (event_key, found_message, provider, kind, occurred)
    on conflict do nothing;
    if not found then
        return false;
    end if;
    update aura_ops.outbox as o set
        status = case
            when coalesce(array_position(ranks, o.status), 0) < array_position(ranks, reached) then reached
            else o.status
        end,
        reason = case
            when reached in ('dead', 'bounced', 'complained') then 'the provider says: ' || kind
            when o.status in ('waiting', 'sending', 'unknown') then null
            else o.reason
        end,
        provider_id = coalesce(o.provider_id, provider),
        sent_at = least(coalesce(o.sent_at, occurred), occurred),
        finished_at = coalesce(case when o.status <> 'unknown' then o.finished_at end, occurred),
        opened_at = case when kind = 'opened' then least(coalesce(o.opened_at, occurred), occurred) else o.opened_at end,
        clicked_at = case
            when kind = 'clicked' then least(coalesce(o.clicked_at, occurred), occurred) else o.clicked_at
        end,
        fence = null,
        lease_until = null
    where o.message_id = found_message and reached is not null;
    if address_hash is not null and (kind = 'complained' or (kind = 'bounced' and permanent)) then
        insert into aura_ops.email_suppressions (email_hash, clinic_id, reason, since)
        values (address_hash, null, kind, occurred)
        on conflict do nothing;
    end if;
    return true;
end
$$;
comment on function aura_ops.note_email_event(text, uuid, text, text, timestamptz, bytea, boolean) is
'Takes one event of the provider, once, in whatever order; false where it is known already. A permanent bounce and a
complaint suppress the address everywhere.';
revoke execute on function aura_ops.note_email_event(text, uuid, text, text, timestamptz, bytea, boolean) from public;

create function aura_ops.unsubscribe(message uuid) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog as $$
declare
    clinic uuid;
    address text;
begin
    select o.clinic_id, lower(trim(coalesce(
        nullif(convert_from(o.body, 'UTF8'), '')::jsonb -> 'to' ->> 0,
        (select c.email from public.customers as c where c.id = o.recipient_id)
    )))
    into clinic, address
    from aura_ops.outbox as o where o.message_id = message;
    if address is null then
        return false;
    end if;
    insert into aura_ops.email_suppressions (email_hash, clinic_id, reason, since)
    values (sha256(convert_to(address, 'UTF8')), clinic, 'unsubscribed', clock_timestamp())
    on conflict do nothing;
    if to_regclass('public.email_unsubscribes') is not null then
        execute 'insert into public.email_unsubscribes (clinic_id, email, reason, unsubscribed_at)'
            ' values ($1, $2, $3, clock_timestamp()) on conflict do nothing'
        using clinic, address, 'link in an e-mail';
    end if;
    return true;
end
$$;
comment on function aura_ops.unsubscribe(uuid) is
'Unsubscribes who got a message from the e-mails of its clinic, here and in the application; false for an unknown one.';
revoke execute on function aura_ops.unsubscribe(uuid) from public;

do $$
begin
    if exists (select from pg_catalog.pg_roles where rolname = 'aura_api') then
        grant execute on function
        aura_ops.note_email_event(text, uuid, text, text, timestamptz, bytea, boolean) to aura_api;
        grant execute on function aura_ops.unsubscribe(uuid) to aura_api;
    end if;
end
$$;
