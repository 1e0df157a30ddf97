-- The application's three embedding columns, where they are missing; nothing of the application's is changed.
do $$
declare
    wanted record;
begin
    for wanted in
        select * from (values
            ('customers', 'preference_embedding'),
            ('customer_conversations', 'message_embeddings'),
            ('sales_leads', 'profile_embedding')
        ) as columns (table_name, column_name)
    loop
        if not exists (
            select from pg_catalog.pg_attribute
            where attrelid = to_regclass('public.' || wanted.table_name)
                and attname = wanted.column_name and not attisdropped
        ) then
            execute format('alter table public.%I add column %I vector(768)', wanted.table_name, wanted.column_name);
        end if;
    end loop;
end
$$;
