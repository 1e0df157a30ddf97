-- What an import left behind: the rows it could not load, and what each file held.
create table aura_ops.quarantine (
    quarantine_id bigint generated always as identity primary key,
    file_name text not null,
    line_number bigint not null,
    table_name text not null,
    reason text not null,
    row_text text not null,
    created_at timestamptz not null default now(),
    unique (table_name, file_name, line_number)
);
comment on table aura_ops.quarantine is
'Rows that an import did not load: where they stood, why, and the row itself. Importing the mended file clears them.';
