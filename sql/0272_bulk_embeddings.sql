-- Texts that were handed to the provider's batch service, which answers within a day: who was asked for what.
create table aura_ops.embedding_bulk_jobs (
    job uuid primary key,
    model text not null,
    entity text not null,
    name text,
    texts int not null,
    tokens int not null,
    cost_usd float8 not null,
    submitted_at timestamptz not null,
    finished_at timestamptz,
    outcome text
);
comment on table aura_ops.embedding_bulk_jobs is
'Jobs at the provider''s batch service. Their vectors go into embedding_cache, where the next sync finds them.';
comment on column aura_ops.embedding_bulk_jobs.job is 'our name of it, which the provider keeps as its display name';
comment on column aura_ops.embedding_bulk_jobs.model is 'the model that embeds';
comment on column aura_ops.embedding_bulk_jobs.entity is 'conversation, lead or customer';
comment on column aura_ops.embedding_bulk_jobs.name is
'the provider''s name of it; null while it is not known whether it was received';
comment on column aura_ops.embedding_bulk_jobs.texts is 'texts, or parts of long ones, that were sent';
comment on column aura_ops.embedding_bulk_jobs.tokens is 'their tokens, estimated';
comment on column aura_ops.embedding_bulk_jobs.cost_usd is
'what they cost at the batch price, in US dollars, estimated';
comment on column aura_ops.embedding_bulk_jobs.submitted_at is 'when it was handed over';
comment on column aura_ops.embedding_bulk_jobs.finished_at is 'when its vectors were taken over, or when it failed';
comment on column aura_ops.embedding_bulk_jobs.outcome is 'how many vectors came, or why none did';

create table aura_ops.embedding_bulk_texts (
    job uuid not null references aura_ops.embedding_bulk_jobs on delete cascade,
    place int not null,
    content_hash bytea not null,
    entity_id uuid not null,
    weight int not null,
    primary key (job, place)
);
create index embedding_bulk_texts_content_hash_idx on aura_ops.embedding_bulk_texts (content_hash);
create index embedding_bulk_texts_entity_id_idx on aura_ops.embedding_bulk_texts (entity_id);
comment on table aura_ops.embedding_bulk_texts is
'What a job that is not finished was asked for, by the hash of the whole text: nobody asks for it a second time.';
comment on column aura_ops.embedding_bulk_texts.job is 'the job';
comment on column aura_ops.embedding_bulk_texts.place is 'place in the job, from 0: vectors come in this order';
comment on column aura_ops.embedding_bulk_texts.content_hash is
'of the text, or of the whole text that it is a part of';
comment on column aura_ops.embedding_bulk_texts.entity_id is 'a row with this text';
comment on column aura_ops.embedding_bulk_texts.weight is 'characters of this part';
