comment on table aura_ops.materializations is
'The latest build of each table of dbt_like_views and sync of each entity''s embeddings: the moment it is about, when it
ended, its rows over all clinics.';
