-- The right to be forgotten: whom no source view shows any more, and the audit of what was erased.
create table aura_ops.erased_subjects (
    subject bigint primary key,
    erased_at timestamptz not null
);
comment on table aura_ops.erased_subjects is
'Customers, leads, conversations and visits of people who asked to be forgotten: no source view shows them. No id can be
read from it.';
comment on column aura_ops.erased_subjects.subject is
'uuid_hash_extended(id, 0) of the application''s row: enough to leave it out, too little to know it.';

create table aura_ops.erasures (
    request text primary key,
    user_id uuid not null,
    request_type text not null,
    erased_at timestamptz not null,
    subjects int not null,
    rows_erased jsonb not null
);
comment on table aura_ops.erasures is
'The audit of the right to be forgotten: whose request was carried out, when, and how many rows of each table went.';
comment on column aura_ops.erasures.request is
'The application''s id of the request; account and type where its table has no ids.';
comment on column aura_ops.erasures.user_id is 'The account that asked; nothing else about the person is kept.';
comment on column aura_ops.erasures.subjects is 'Customers, leads, conversations and visits that were the person''s.';
