-- What the view loader built, and how a table of aura_marts is shown to its clinic and to nobody else.
create table aura_ops.relations (
    relation text primary key,
    definition_hash text not null
);
comment on table aura_ops.relations is 'The relations of dbt_like_views that stand, with the hash of their file.';

create table aura_ops.bi_users (
    user_name name not null,
    clinic_id uuid not null,
    primary key (user_name, clinic_id)
);
comment on table aura_ops.bi_users is 'Which database user of BI may see which clinic.';

create function aura_ops.bi_clinics() returns setof uuid
language sql stable security definer set search_path = pg_catalog
begin atomic
    select u.clinic_id from aura_ops.bi_users as u where u.user_name = session_user;
end;
comment on function aura_ops.bi_clinics() is 'The clinics of the database user who asks.';

-- Idempotent, and checked at the end: a table of aura_marts without its policies never stays.
create function aura_ops.protect(relation regclass) returns void language plpgsql as $$
begin
    if exists (
        select from pg_catalog.pg_attribute
        where attrelid = relation and attname = 'clinic_id' and not attisdropped
    ) then
        execute format('alter table %s enable row level security', relation);
        execute format('drop policy if exists clinic_of_the_api on %s', relation);
        execute format('drop policy if exists clinic_of_the_bi_user on %s', relation);
        execute format(
            'create policy clinic_of_the_api on %s for select to aura_api '
            'using (clinic_id = nullif(current_setting(''aura.clinic_id'', true), '''')::uuid)', relation
        );
        execute format(
            'create policy clinic_of_the_bi_user on %s for select to aura_bi '
            'using (clinic_id in (select aura_ops.bi_clinics()))', relation
        );
        if (select count(*) from pg_catalog.pg_policy where polrelid = relation) <> 2
            or not (select relrowsecurity from pg_catalog.pg_class where oid = relation)
        then
            raise exception 'row-level security of % is not in place', relation;
        end if;
    end if;
    execute format('grant select on %s to aura_api, aura_bi', relation);
exception
    when undefined_object then
        raise notice '% is shown to no tenant: the roles aura_api and aura_bi do not exist', relation;
end
$$;
comment on function aura_ops.protect(regclass) is 'Row-level security by clinic, policies and grants of a table.';
