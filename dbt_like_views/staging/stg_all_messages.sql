-- Well-formed messages of the conversations begun before the run's moment, whenever sent. What a run may know of them
-- is in stg_messages.
-- materialized: view
-- key: conversation_id, position
-- position: place in the conversation, from 1; malformed elements leave gaps
-- role: sales, customer or ai_coach
-- sent_at: when it was sent; the conversation's beginning where the timestamp does not parse
-- known_at: from when on it is known: it was sent, and its conversation had been entered
with elements as (
    select
        c.id as conversation_id,
        c.clinic_id,
        c.customer_id,
        element.position,
        element.value ->> 'role' as role,
        element.value ->> 'content' as content,
        jsonb_typeof(element.value -> 'content') as content_type,
        coalesce(aura_ops.try_timestamptz(element.value ->> 'timestamp'), c.created_at) as sent_at,
        c.created_at
    from aura_staging.source_customer_conversations as c
    cross join lateral jsonb_array_elements(
        case when jsonb_typeof(c.messages) = 'array' then c.messages else '[]'::jsonb end
    ) with ordinality as element (value, position)
    where c.created_at < (select aura_ops.as_of()) and jsonb_typeof(element.value) = 'object'
)

select
    conversation_id,
    clinic_id,
    customer_id,
    position,
    role,
    content,
    sent_at,
    greatest(sent_at, created_at) as known_at
from elements
where
    role in ('sales', 'customer', 'ai_coach')
    and content_type = 'string'
    and content <> ''
