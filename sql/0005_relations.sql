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

-- Called at every build: writes only what is missing, so that readers are not locked out, and a role that was created
-- later gets its share. Checked at the end: a table of aura_marts without its policies never stays.
create function aura_ops.protect(relation regclass) returns void language plpgsql as $$
declare
    by_clinic constant boolean := exists (
        select from pg_catalog.pg_attribute
        where attrelid = relation and attname = 'clinic_id' and not attisdropped
    );
    reader record;
begin
    if by_clinic and not (select relrowsecurity from pg_catalog.pg_class where oid = relation) then
        execute format('alter table %s enable row level security', relation);
    end if;
    for reader in
        select r.rolname, v.policy, v.condition
        from pg_catalog.pg_roles as r
        join (values
            ('aura_api', 'clinic_of_the_api',
            'clinic_id = nullif(current_setting(''aura.clinic_id'', true), '''')::uuid'),
            ('aura_bi', 'clinic_of_the_bi_user', 'clinic_id in (select aura_ops.bi_clinics())')
        ) as v (rolname, policy, condition) on v.rolname = r.rolname
    loop
        if by_clinic and not exists (
            select from pg_catalog.pg_policy where polrelid = relation and polname = reader.policy
        ) then
            execute format(
                'create policy %I on %s for select to %I using (%s)',
                reader.policy, relation, reader.rolname, reader.condition
            );
        end if;
        if not has_schema_privilege(reader.rolname, 'aura_marts', 'usage') then
            execute format('grant usage on schema aura_marts to %I', reader.rolname);
        end if;
        if not has_table_privilege(reader.rolname, relation, 'select') then
            execute format('grant select on %s to %I', relation, reader.rolname);
        end if;
    end loop;
    if by_clinic and (
        not (select relrowsecurity from pg_catalog.pg_class where oid = relation)
        or (select count(*) from pg_catalog.pg_policy where polrelid = relation)
        <> (select count(*) from pg_catalog.pg_roles where rolname in ('aura_api', 'aura_bi'))
    ) then
        raise exception 'row-level security of % is not in place', relation;
    end if;
end
$$;
comment on function aura_ops.protect(regclass) is 'Row-level security by clinic, policies and grants of a table.';
