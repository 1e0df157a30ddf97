-- Vectors of conversations, leads and customers, what is known about each, and which model readers use.
create table aura_ops.embeddings (
    entity text not null check (entity in ('conversation', 'lead', 'customer')),
    entity_id uuid not null,
    clinic_id uuid,
    model text not null,
    template_version int not null,
    content_hash bytea not null,
    embedding halfvec(768) not null,
    unique nulls not distinct (entity, entity_id, model, clinic_id)
) partition by hash (clinic_id);
create index embeddings_clinic_id_idx on aura_ops.embeddings (clinic_id, entity, model);
comment on table aura_ops.embeddings is
'One vector a row and model, of exactly the text whose hash stands beside it. A row without a clinic belongs to none.';

do $$
begin
    for part in 0..15 loop
        execute format(
            'create table aura_ops.embeddings_%s partition of aura_ops.embeddings '
            'for values with (modulus 16, remainder %s)', part, part
        );
    end loop;
end
$$;

create table aura_ops.embedding_ledger (
    entity text not null,
    model text not null,
    entity_id uuid not null,
    clinic_id uuid,
    status text not null check (status in ('pending', 'leased', 'done', 'dead')),
    row_version xid,
    context_version bigint,
    holds_after timestamptz not null default '-infinity',
    holds_until timestamptz not null default 'infinity',
    content_hash bytea,
    attempts int not null default 0,
    error text,
    lease_owner bigint,
    lease_until timestamptz,
    tokens int not null default 0,
    cost_usd float8 not null default 0,
    stale_since timestamptz,
    finished_at timestamptz,
    primary key (entity, model, entity_id)
);
create index embedding_ledger_work_idx on aura_ops.embedding_ledger (
    entity, model, coalesce(clinic_id, '00000000-0000-0000-0000-000000000000'), entity_id
)
where status in ('pending', 'leased');
create index embedding_ledger_content_hash_idx on aura_ops.embedding_ledger (content_hash)
where content_hash is not null;
comment on table aura_ops.embedding_ledger is
'What the embedding sync knows about each source row: stale, leased, done or dead, and why, and what it has cost.';
comment on column aura_ops.embedding_ledger.row_version is
'xmin of the source row that was rendered: a hint that spares rendering; the content hash is the truth.';
comment on column aura_ops.embedding_ledger.context_version is
'Hash of all else that went into the text: the names to redact, visits, treatments, the template. A hint as well.';
comment on column aura_ops.embedding_ledger.holds_until is
'The rendered text holds for runs about moments later than holds_after, up to and including this one.';
comment on column aura_ops.embedding_ledger.lease_until is
'Until when a leased row is its owner''s; of a pending row, when it was last given back.';
comment on column aura_ops.embedding_ledger.content_hash is
'Of the text whose vector stands in embeddings, or of the empty text, which has none; null before the first.';

create table aura_ops.embedding_cache (
    content_hash bytea not null,
    model text not null,
    entity text not null,
    entity_id uuid not null,
    kept_at timestamptz not null,
    embedding halfvec(768) not null,
    primary key (content_hash, model)
);
create index embedding_cache_kept_at_idx on aura_ops.embedding_cache (kept_at);
create index embedding_cache_entity_id_idx on aura_ops.embedding_cache (entity_id);
comment on table aura_ops.embedding_cache is
'Vectors that were replaced, by the hash of their text: a text that comes back costs nothing. Deleted with its source.';

create table aura_ops.embedding_models (
    model text primary key,
    active boolean not null default false,
    activated_at timestamptz
);
create unique index embedding_models_one_active on aura_ops.embedding_models (active) where active;
comment on table aura_ops.embedding_models is
'The models that have vectors. Readers use the active one; another is filled beside it until it is switched to.';

create table aura_ops.search_texts (
    entity text not null,
    entity_id uuid not null,
    clinic_id uuid,
    language text not null,
    content_hash bytea not null,
    grams int[] not null,
    primary key (entity, entity_id)
);
create index search_texts_grams_idx on aura_ops.search_texts using gin (grams)
with (gin_pending_list_limit = 32768);
alter table aura_ops.search_texts alter column grams set statistics 1000;
comment on table aura_ops.search_texts is
'The character 3-grams of every text that has a vector: the lexical half of the search.';
comment on column aura_ops.search_texts.language is 'th, en or mixed, by the letters of the text.';
comment on column aura_ops.search_texts.grams is
'Hashes of the distinct 3-grams, and one of the clinic, so that the index itself looks within a clinic only.';
