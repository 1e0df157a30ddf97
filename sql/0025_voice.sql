-- What was found in each conversation, or why nothing was.
create table aura_ops.conversation_analysis (
    conversation_id uuid primary key,
    clinic_id uuid,
    status text not null check (status in ('analysed', 'not_analysed', 'failed')),
    reason text,
    overall_sentiment text check (overall_sentiment in ('positive', 'neutral', 'negative')),
    confidence float8 check (confidence between 0 and 1),
    p_negative float8 check (p_negative between 0 and 1),
    p_positive float8 check (p_positive between 0 and 1),
    satisfaction_score float8 check (satisfaction_score between 0 and 10),
    key_concerns text[] not null default '{}',
    positive_signals text[] not null default '{}',
    improvement_suggestions text[] not null default '{}',
    emotional_tone text check (
        emotional_tone in ('excited', 'curious', 'hesitant', 'frustrated', 'satisfied', 'neutral')
    ),
    language text not null,
    quotes jsonb not null default '{}',
    provider text not null,
    model_version int not null,
    content_hash text not null,
    tokens int not null default 0,
    cost_usd float8 not null default 0,
    check ((status = 'analysed') = (overall_sentiment is not null)),
    check ((status = 'analysed') = (reason is null))
);
create index conversation_analysis_clinic_id_idx on aura_ops.conversation_analysis (clinic_id);
comment on table aura_ops.conversation_analysis is
'What the customer''s words in each conversation say, by whom it was found, or the reason why there is no analysis.';
comment on column aura_ops.conversation_analysis.status is
'analysed; not_analysed: there is nothing to analyse; failed: given up, see reason. Never a neutral instead.';
comment on column aura_ops.conversation_analysis.reason is
'Why there is no analysis: no words of the customer, only emoji, a third language, or a provider''s fault.';
comment on column aura_ops.conversation_analysis.confidence is 'Calibrated probability of overall_sentiment.';
comment on column aura_ops.conversation_analysis.p_negative is 'Calibrated probability of a negative conversation.';
comment on column aura_ops.conversation_analysis.p_positive is 'Calibrated probability of a positive conversation.';
comment on column aura_ops.conversation_analysis.satisfaction_score is '0 to 10.';
comment on column aura_ops.conversation_analysis.language is
'By the letters of the customer''s words: th, en, mixed, emoji, other or none.';
comment on column aura_ops.conversation_analysis.quotes is
'For each concern or signal the sentence that it was found in, without personal data.';
comment on column aura_ops.conversation_analysis.provider is
'lexicon (below 200 labels), local (the trained model), or a Gemini model; none where nothing was analysed.';
comment on column aura_ops.conversation_analysis.model_version is
'Version of the model `sentiment` in the registry; 0 for others.';
comment on column aura_ops.conversation_analysis.content_hash is
'Of the messages that were analysed: the same again costs nothing.';
