-- Conversations of topics that the taxonomy does not list.
create table aura_ops.emerging_topics (
    conversation_id uuid primary key,
    clinic_id uuid not null,
    topic text not null,
    since date not null,
    quote text
);
create index emerging_topics_clinic_id_idx on aura_ops.emerging_topics (clinic_id, topic);
comment on table aura_ops.emerging_topics is
'Conversations in which the taxonomy finds nothing, by the topic that was found among them; those of no topic are not '
'here.';
comment on column aura_ops.emerging_topics.topic is 'Its most distinctive terms; fixed when it is founded.';
comment on column aura_ops.emerging_topics.since is 'The Monday of the week in which the topic was founded.';
comment on column aura_ops.emerging_topics.quote is 'A sentence of the customer without personal data.';
