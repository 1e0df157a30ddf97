-- The read API's statements are whole answers now (`api/queries.py`), so that a connection plans each of them once; a
-- text that is executed inside a function is parsed and planned at every call.
drop function aura_marts.read(uuid, text[], text, jsonb, text, int);
