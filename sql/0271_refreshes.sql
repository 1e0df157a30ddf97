-- What a table with a `refresh` line was last computed from: the keys whose version moved since are computed again.
create table aura_ops.refresh_versions (
    relation text not null,
    key uuid not null,
    version bigint not null,
    primary key (relation, key)
);
comment on table aura_ops.refresh_versions is
'What each key of a table that refreshes by key was last computed from. Without a relation''s rows its next build
computes everything, which housekeeping asks for once a week.';
comment on column aura_ops.refresh_versions.relation is 'schema.name of the table';
comment on column aura_ops.refresh_versions.key is 'value of the column that it refreshes by';
comment on column aura_ops.refresh_versions.version is 'version of what the key''s rows are computed from';
