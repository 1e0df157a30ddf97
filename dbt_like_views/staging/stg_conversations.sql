-- Conversations begun before the run's moment, with the messages sent before it.
-- materialized: view
-- key: conversation_id
-- messages: a jsonb array of {role, content, sent_at}, well-formed ones only, in order
-- sentiment_label: the application's own analysis, where it made one
select
    c.id as conversation_id,
    c.clinic_id,
    c.customer_id,
    c.sales_staff_id,
    c.conversation_type,
    c.status,
    coalesce(m.messages, '[]'::jsonb) as messages,
    coalesce(m.customer_messages, 0) as customer_messages,
    m.last_message_at,
    c.metadata -> 'sentiment' ->> 'overall_sentiment' as sentiment_label,
    c.created_at
from aura_staging.source_customer_conversations as c
left join lateral (
    select
        jsonb_agg(
            jsonb_build_object('role', said.role, 'content', said.content, 'sent_at', said.sent_at)
            order by said.position
        ) as messages,
        count(*) filter (where said.role = 'customer') as customer_messages,
        max(said.sent_at) as last_message_at
    from aura_staging.stg_messages as said
    where said.conversation_id = c.id
) as m on true
where c.created_at < (select aura_ops.as_of())
