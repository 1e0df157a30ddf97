-- Keys of the read API, and the one call through which it reads.
create table aura_ops.api_keys (
    key_hash bytea primary key,
    prefix text not null,
    clinic_id uuid not null,
    created_at timestamptz not null default now(),
    expires_at timestamptz,
    revoked_at timestamptz
);
comment on table aura_ops.api_keys is
'Keys of the read API: the SHA-256 of each, its first characters for people, its clinic, and until when it holds.';

-- The API's role may not read the keys; it may ask whose this one is.
create function aura_ops.clinic_of_api_key(hash bytea) returns uuid
language sql stable security definer set search_path = pg_catalog
begin atomic
    select k.clinic_id from aura_ops.api_keys as k
    where k.key_hash = hash and k.revoked_at is null and (k.expires_at is null or k.expires_at > now());
end;
comment on function aura_ops.clinic_of_api_key(bytea) is 'The clinic of a key that holds, by its SHA-256; else null.';
revoke execute on function aura_ops.clinic_of_api_key(bytea) from public;

-- Security invoker: row-level security applies to the API's role, for the clinic set here and only until the call ends.
create function aura_marts.read_as(clinic uuid, query text, arguments jsonb) returns jsonb
language plpgsql volatile set search_path = pg_catalog as $$
declare
    answer jsonb;
begin
    perform set_config('aura.clinic_id', clinic::text, true);
    execute query into answer using arguments;
    perform set_config('aura.clinic_id', '', true);
    return answer;
end
$$;
comment on function aura_marts.read_as(uuid, text, jsonb) is
'One query of the read API, as its own role, seeing one clinic. The query''s only parameter is `arguments`.';

do $$
begin
    if exists (select from pg_catalog.pg_roles where rolname = 'aura_api') then
        grant usage on schema aura_ops to aura_api;
        grant execute on function aura_ops.clinic_of_api_key(bytea) to aura_api;
        revoke execute on function aura_marts.read_as(uuid, text, jsonb) from public;
        grant execute on function aura_marts.read_as(uuid, text, jsonb) to aura_api;
    end if;
end
$$;
