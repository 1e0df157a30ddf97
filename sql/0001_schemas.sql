-- Our schemas, the ledger of migrations, the moment a run is about, and the roles.
create extension if not exists vector;

-- `create schema if not exists` asks for the right to create even where an administrator made the schema for us.
do $$
declare
    schema_name text;
begin
    foreach schema_name in array array['aura_ops', 'aura_staging', 'aura_features', 'aura_models', 'aura_marts'] loop
        if to_regnamespace(schema_name) is null then
            execute format('create schema %I', schema_name);
        end if;
    end loop;
end
$$;

comment on schema aura_ops is 'Ledgers, outbox, quarantine and history of the pipelines.';
comment on schema aura_staging is 'One view per source table: typed, cleaned, visible as of the run''s moment.';
comment on schema aura_features is 'Point-in-time snapshots and labels.';
comment on schema aura_models is 'Model registry and scores.';
comment on schema aura_marts is 'What BI, the read API and the application read.';

create table aura_ops.migrations (
    version text primary key,
    checksum text not null,
    skipped boolean not null default false,
    applied_at timestamptz not null default now()
);
comment on table aura_ops.migrations is 'The files of sql/ that were applied, with the SHA-256 of their content.';

create function aura_ops.as_of() returns timestamptz
language sql stable parallel safe
return coalesce(
    nullif(pg_catalog.current_setting('bn_aura.as_of', true), '')::timestamptz, pg_catalog.now()
);
comment on function aura_ops.as_of() is 'The moment a run is about: the setting bn_aura.as_of, else now().';

create function aura_ops.bangkok_day(moment timestamptz) returns date
language sql immutable parallel safe
return (moment at time zone 'Asia/Bangkok')::date;
comment on function aura_ops.bangkok_day(timestamptz) is
'The business day of a moment. The only place that names the zone.';

-- The roles of readers. A role that may not create roles goes on without them; bn-aura doctor then says so.
do $$
declare
    role_name text;
begin
    foreach role_name in array array['aura_pipeline', 'aura_api', 'aura_bi'] loop
        if not exists (select from pg_catalog.pg_roles where rolname = role_name) then
            execute format('create role %I nologin', role_name);
        end if;
    end loop;
exception
    when insufficient_privilege then
        raise notice 'the roles aura_pipeline, aura_api and aura_bi have to be created by an administrator';
end
$$;

do $$
begin
    if exists (select from pg_catalog.pg_roles where rolname = 'aura_api') then
        grant usage on schema aura_marts to aura_api;
    end if;
    if exists (select from pg_catalog.pg_roles where rolname = 'aura_bi') then
        grant usage on schema aura_marts to aura_bi;
    end if;
end
$$;

-- Neither way may run in a parallel worker with an exception block: a subtransaction cannot begin there (measured: with
-- `when others` that error passed for a malformed text, and results changed from run to run).
do $$
begin
    if current_setting('server_version_num')::int >= 160000 then
        execute $body$
            create function aura_ops.try_timestamptz(value text) returns timestamptz
            language sql stable parallel safe
            return case
                when value ~ '^\d{4}-\d\d-\d\d[T ]\d\d:\d\d'
                    then case when pg_catalog.pg_input_is_valid(value, 'timestamptz') then value::timestamptz end
            end
        $body$;
    else
        execute $body$
            create function aura_ops.try_timestamptz(value text) returns timestamptz
            language plpgsql stable parallel unsafe as $function$
            begin
                if value !~ '^\d{4}-\d\d-\d\d[T ]\d\d:\d\d' then
                    return null;
                end if;
                return value::timestamptz;
            exception
                when datetime_field_overflow or invalid_datetime_format or invalid_parameter_value then
                    return null;
            end
            $function$
        $body$;
    end if;
end
$$;
comment on function aura_ops.try_timestamptz(text) is
'The moment that a text names, null where it names none; without a zone it is read in the session''s.';
