-- Well-formed messages of conversations, sent before the run's moment, in order.
-- materialized: view
-- key: conversation_id, position
-- position: place in the conversation, from 1; malformed elements leave gaps
-- role: sales, customer or ai_coach
-- sent_at: when it was sent; the conversation's beginning where the timestamp does not parse
-- known_at: from when on it is known: it was sent, and its conversation had been entered
select
    conversation_id,
    clinic_id,
    customer_id,
    position,
    role,
    content,
    sent_at,
    known_at
from aura_staging.stg_all_messages
where sent_at < (select aura_ops.as_of())
