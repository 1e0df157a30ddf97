-- The read API: scopes and clinics of a key, one call for each answer, and who read which customer.
alter table aura_ops.api_keys add column scopes text[] not null default '{}';
comment on column aura_ops.api_keys.scopes is
'What the key may see beyond figures: `personal` shows names, e-mails and phones, which are masked otherwise.';

drop function aura_ops.clinic_of_api_key(bytea);
create function aura_ops.api_key(
    hash bytea, out prefix text, out clinic_id uuid, out scopes text[], out expires_at timestamptz
) returns setof record
language sql stable security definer set search_path = pg_catalog
begin atomic
    select
        k.prefix,
        k.clinic_id,
        k.scopes,
        k.expires_at
    from aura_ops.api_keys as k
    where k.key_hash = hash and k.revoked_at is null and (k.expires_at is null or k.expires_at > now());
end;
comment on function aura_ops.api_key(bytea) is
'What a key that holds may see, by its SHA-256; no row for any other. The API''s role may ask this and not read the
keys.';
revoke execute on function aura_ops.api_key(bytea) from public;

-- Security invoker: row-level security applies to the API's role, for the clinic set here and only until the call ends.
-- `known` is the version that the client has: as long as it is the newest the query is not run and body is null.
drop function aura_marts.read_as(uuid, text, jsonb);
create function aura_marts.read(
    clinic uuid,
    relations text[],
    query text,
    arguments jsonb,
    known text,
    stale_hours int,
    out version text,
    out as_of timestamptz,
    out materialized_at timestamptz,
    out stale boolean,
    out body text
)
language plpgsql volatile as $$
begin
    select
        extract(epoch from max(m.materialized_at))::text,
        min(m.as_of),
        min(m.materialized_at),
        min(m.materialized_at) < now() - make_interval(hours => stale_hours)
    into version, as_of, materialized_at, stale
    from aura_ops.materializations as m where m.relation = any(relations);
    version := version || case when stale then 's' else '' end;
    if known is null or version is null or version <> known then
        perform set_config('aura.clinic_id', clinic::text, true);
        execute query into body using clinic, arguments;
        perform set_config('aura.clinic_id', '', true);
    end if;
end
$$;
comment on function aura_marts.read(uuid, text[], text, jsonb, text, int) is
'One query of the read API, as its own role, seeing one clinic: $1 is the clinic and $2 `arguments`.';
revoke execute on function aura_marts.read(uuid, text[], text, jsonb, text, int) from public;

create function aura_marts.masked(personal text) returns text
language sql immutable parallel safe
return pg_catalog.left(personal, 1) || '…';
comment on function aura_marts.masked(text) is 'A name, an e-mail or a phone as shown to whoever may not see it.';

create table aura_ops.api_reads (
    read_at timestamptz not null default clock_timestamp(),
    reader text not null,
    clinic_id uuid not null,
    resource text not null,
    key uuid,
    personal boolean not null
);
create index on aura_ops.api_reads (clinic_id, key, read_at);
comment on table aura_ops.api_reads is
'Who read which customer or lead through the API (a page of them where key is null): the key''s prefix or the token''s
subject, and whether names showed.';

create function aura_ops.note_api_reads(reads jsonb) returns void
language sql volatile security definer set search_path = pg_catalog
begin atomic
    insert into aura_ops.api_reads (read_at, reader, clinic_id, resource, key, personal)
    select
        r.read_at,
        r.reader,
        r.clinic_id,
        r.resource,
        r.key,
        r.personal
    from jsonb_to_recordset(reads) as r (
        read_at timestamptz, reader text, clinic_id uuid, resource text, key uuid, personal boolean
    );
end;
comment on function aura_ops.note_api_reads(jsonb) is
'Adds to aura_ops.api_reads; the API''s role can do no more there.';
revoke execute on function aura_ops.note_api_reads(jsonb) from public;

do $$
begin
    if exists (select from pg_catalog.pg_roles where rolname = 'aura_api') then
        grant execute on function aura_ops.api_key(bytea) to aura_api;
        grant execute on function aura_ops.note_api_reads(jsonb) to aura_api;
        grant execute on function aura_marts.read(uuid, text[], text, jsonb, text, int) to aura_api;
    end if;
end
$$;
