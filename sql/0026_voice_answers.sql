-- What a provider was asked about conversations and what it answered, by the messages' hash: nothing is asked twice.
create table aura_ops.voice_answers (
    content_hash text not null,
    model text not null,
    conversation_id uuid not null,
    status text not null check (status in ('done', 'dead')),
    answer jsonb,
    error text,
    attempts int not null,
    tokens int not null,
    cost_usd float8 not null,
    primary key (content_hash, model),
    check ((status = 'done') = (answer is not null)),
    check ((status = 'dead') = (error is not null))
);
create index voice_answers_conversation_id_idx on aura_ops.voice_answers (conversation_id);
comment on table aura_ops.voice_answers is
'Answers of a provider about conversations, and the dead letter: those it was asked about in vain, with the reason.';
comment on column aura_ops.voice_answers.attempts is 'Requests that were charged to this conversation.';
