"""Brings `aura_ops.conversation_analysis` up to the run's moment: only what is new or has changed is analysed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import LiteralString
from uuid import UUID

import sqlalchemy
from psycopg.types.json import Jsonb

from bn_aura_pipelines.database.connections import psycopg_connection
from bn_aura_pipelines.errors import UserError
from bn_aura_pipelines.voice.analysis import Analysis
from bn_aura_pipelines.voice.champion import analyst
from bn_aura_pipelines.voice.reading import ANALYSIS_VERSION, PERSON, changed


class NoSuchConversation(UserError):
    """A person corrects what is not there."""


@dataclass(frozen=True)
class AnalysisResult:
    """What a run did: conversations analysed, found to hold nothing to analyse, and dropped; and by whom."""

    analysed: int
    not_analysed: int
    removed: int
    provider: str
    model_version: int

    @property
    def written(self) -> int:
        return self.analysed + self.not_analysed


def analyse_changed(
    connection: sqlalchemy.Connection, progress: Callable[[str], None] = lambda line: None
) -> AnalysisResult:
    """Analyse what changed with the model that serves; drop what is not visible at the run's moment."""
    serving = analyst(connection)
    counts: Counter[str] = Counter()
    removed = psycopg_connection(connection).execute(REMOVE).rowcount
    for batch in changed(connection, serving.provider, serving.version):
        found = serving.analyse(batch)
        keep(connection, found)
        counts.update(one.status for one in found)
        progress(f"{counts.total():,} conversations looked at")
    use_corrections(connection)
    return AnalysisResult(
        analysed=counts["analysed"],
        not_analysed=counts["not_analysed"],
        removed=removed,
        provider=serving.provider,
        model_version=serving.version,
    )


def correct(connection: sqlalchemy.Connection, conversation_id: UUID, sentiment: str) -> None:
    """Keep what a person says of a conversation as it stands: shown from now on, and a label to learn from.

    Raises NoSuchConversation: unknown, or without messages.
    """
    values = {"id": conversation_id, "person": PERSON, "answer": Jsonb({"overall_sentiment": sentiment})}
    if psycopg_connection(connection).execute(CORRECT, values).rowcount == 0:
        raise NoSuchConversation(f"There is no conversation {conversation_id} with messages: check the id.")
    use_corrections(connection)


def use_corrections(connection: sqlalchemy.Connection) -> None:
    """Put what people said in place of what was found in the same messages."""
    psycopg_connection(connection).execute(USE_CORRECTIONS, {"person": PERSON, "version": str(ANALYSIS_VERSION)})


def keep(connection: sqlalchemy.Connection, found: Sequence[Analysis]) -> None:
    """Write analyses; one of the same conversation is replaced."""
    rows = [
        (
            one.conversation.conversation_id,
            one.conversation.clinic_id,
            one.status,
            one.reason,
            one.overall_sentiment,
            one.confidence,
            one.p_negative,
            one.p_positive,
            one.satisfaction_score,
            one.key_concerns,
            one.positive_signals,
            one.improvement_suggestions,
            one.emotional_tone,
            one.language,
            Jsonb(one.quotes),
            one.provider,
            one.model_version,
            one.conversation.content_hash,
            one.tokens,
            one.cost_usd,
        )
        for one in found
    ]
    with psycopg_connection(connection).cursor() as cursor:
        cursor.executemany(KEEP, rows)


REMOVE: LiteralString = """
delete from aura_ops.conversation_analysis as a
where not exists (
    select from aura_staging.source_customer_conversations as c
    where c.id = a.conversation_id and c.created_at < aura_ops.as_of()
)
"""

KEEP: LiteralString = """
insert into aura_ops.conversation_analysis (
    conversation_id, clinic_id, status, reason, overall_sentiment, confidence, p_negative, p_positive,
    satisfaction_score, key_concerns, positive_signals, improvement_suggestions, emotional_tone, language, quotes,
    provider, model_version, content_hash, tokens, cost_usd
)
values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
on conflict (conversation_id) do update set
    clinic_id = excluded.clinic_id,
    status = excluded.status,
    reason = excluded.reason,
    overall_sentiment = excluded.overall_sentiment,
    confidence = excluded.confidence,
    p_negative = excluded.p_negative,
    p_positive = excluded.p_positive,
    satisfaction_score = excluded.satisfaction_score,
    key_concerns = excluded.key_concerns,
    positive_signals = excluded.positive_signals,
    improvement_suggestions = excluded.improvement_suggestions,
    emotional_tone = excluded.emotional_tone,
    language = excluded.language,
    quotes = excluded.quotes,
    provider = excluded.provider,
    model_version = excluded.model_version,
    content_hash = excluded.content_hash,
    tokens = excluded.tokens,
    cost_usd = excluded.cost_usd
"""

CORRECT: LiteralString = """
insert into aura_ops.voice_answers (
    content_hash, model, conversation_id, status, answer, attempts, tokens, cost_usd, known_at
)
select md5(string_agg(m.role || ':' || m.content, e'\n' order by m.position)), %(person)s, m.conversation_id,
    'done', %(answer)s, 0, 0, 0, aura_ops.as_of()
from aura_staging.stg_messages as m
where m.conversation_id = %(id)s
group by m.conversation_id
on conflict (content_hash, model) do update set answer = excluded.answer, known_at = excluded.known_at
"""

# The probabilities stay what the model said: a person is no probability.
USE_CORRECTIONS: LiteralString = """
update aura_ops.conversation_analysis as a
set
    status = 'analysed',
    reason = null,
    overall_sentiment = v.answer ->> 'overall_sentiment',
    confidence = 1,
    provider = %(person)s,
    model_version = 0
from aura_ops.voice_answers as v
where v.model = %(person)s and v.known_at <= aura_ops.as_of()
    and a.content_hash = md5(%(version)s || v.content_hash)
    and (a.provider <> %(person)s or a.overall_sentiment is distinct from v.answer ->> 'overall_sentiment')
"""
