-- When the messages of each conversation with a customer were sent, also those that a run may not know of yet. Reading
-- every message is dear, so it is done once for each customer whose rows changed.
-- materialized: table
-- key: customer_id, conversation_id
-- refresh: customer_id by aura_staging.stg_customer_versions
-- owner: data
-- test: first_message_at <= last_message_at
-- customer_id: the customer
-- conversation_id: a conversation with at least one well-formed message
-- first_message_at: when the earliest of its messages was sent
-- last_message_at: when the latest of them was sent; it may lie after the run's moment
select
    customer_id,
    conversation_id,
    min(sent_at) as first_message_at,
    max(sent_at) as last_message_at
from aura_staging.stg_all_messages
where customer_id is not null
group by customer_id, conversation_id
