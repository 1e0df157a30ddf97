-- When each table of dbt_like_views was filled, and about which moment.
create table aura_ops.materializations (
    relation text primary key,
    as_of timestamptz not null,
    materialized_at timestamptz not null,
    row_count bigint not null
);
comment on table aura_ops.materializations is
'The latest build of each table of dbt_like_views: the moment it is about, when it ended, its rows over all clinics.';

do $$
begin
    if exists (select from pg_catalog.pg_roles where rolname = 'aura_api') then
        grant select (relation, as_of, materialized_at) on aura_ops.materializations to aura_api;
    end if;
end
$$;
