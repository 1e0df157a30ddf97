-- Whether a text can be read as a type: what an import asks of each cell, without an exception to catch from 16 on.
do $$
begin
    if current_setting('server_version_num')::int >= 160000 then
        execute $function$
            create function aura_ops.is_valid_input(value text, type_name text) returns boolean
            language sql stable parallel safe
            return pg_catalog.pg_input_is_valid(value, type_name)
        $function$;
    else
        execute $function$
            create function aura_ops.is_valid_input(value text, type_name text) returns boolean
            language plpgsql stable as $body$
            begin
                execute format('select %L::%s', value, type_name);
                return true;
            exception
                when data_exception or integrity_constraint_violation then
                    return false;
            end
            $body$
        $function$;
    end if;
end
$$;
comment on function aura_ops.is_valid_input(text, text) is
'Whether a text can be read as a type. On PostgreSQL 15 the length of a varchar is not looked at.';
