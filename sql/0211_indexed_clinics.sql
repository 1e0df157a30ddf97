-- Clinics too large to compare a query with each of their vectors.
create table aura_ops.indexed_clinics (
    entity text not null,
    model text not null,
    clinic_id uuid not null,
    index_name text not null,
    primary key (clinic_id, entity, model)
);
comment on table aura_ops.indexed_clinics is
'Clinics whose vectors are searched through an HNSW index of their partition; all others are compared row by row.';
