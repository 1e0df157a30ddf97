-- The lexical half of the search compares the query with every text of the clinic at once: a sparse product.
-- What is needed to weigh a query's grams stands in a table of its own.
drop index aura_ops.search_texts_grams_idx;

create function pg_temp.as_sparse(grams int[]) returns sparsevec language sql as $$
    select ('{' || coalesce(string_agg(place || ':1', ',' order by place), '') || '}/536870912')::sparsevec
    from (select distinct (gram & 536870911) + 1 as place from unnest(grams) as gram order by place limit 16000) as places
$$;

-- A text of a page is kept beside its row, never compressed: reading it back would take longer than comparing it.
alter table aura_ops.search_texts set (toast_tuple_target = 8160);
alter table aura_ops.search_texts alter column grams set statistics 0;
alter table aura_ops.search_texts
alter column grams type sparsevec using pg_temp.as_sparse(grams),
alter column grams set storage external;
drop function pg_temp.as_sparse;

create index search_texts_clinic_id_idx on aura_ops.search_texts (clinic_id, entity);
comment on column aura_ops.search_texts.grams is
'The distinct 3-grams, each hashed to one of 2^29 places that holds a 1.';

create table aura_ops.search_grams (
    gram int primary key,
    share float4 not null check (share > 0 and share <= 1)
);
comment on table aura_ops.search_grams is
'The 3-grams that several of a sample of search_texts hold, by which a query''s grams are weighed.';
comment on column aura_ops.search_grams.share is 'Of the sampled texts, of all clinics, that hold the gram.';
