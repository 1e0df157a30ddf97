-- From when on an answer about a conversation may be learnt from; and answers by people beside those of providers.
alter table aura_ops.voice_answers add column known_at timestamptz;
update aura_ops.voice_answers set known_at = clock_timestamp();
alter table aura_ops.voice_answers alter column known_at set not null;
comment on column aura_ops.voice_answers.known_at is
'The moment of the run that asked, or of the correction: a label of the sentiment model from then on.';
comment on column aura_ops.voice_answers.model is
'The Gemini model that was asked; person for a correction, which is kept by the hash of the messages alone.';
comment on column aura_ops.conversation_analysis.provider is
'lexicon (below 200 labels), local (the trained model), a Gemini model, or person for a correction; none where nothing '
'was analysed.';
