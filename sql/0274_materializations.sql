-- How many rows a table holds is told with its materialization in Dagster; to count a large one again here took a third
-- of its refresh.
alter table aura_ops.materializations drop column row_count;
comment on table aura_ops.materializations is
'The latest build of each table of dbt_like_views and sync of each entity''s embeddings: the moment it is about and when
it ended.';
