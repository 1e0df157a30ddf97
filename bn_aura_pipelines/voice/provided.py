"""What a provider says of conversations, kept beside what the house finds itself.

The house's own analysis comes first, see `keeping`: it stands until the provider's is there, and in hybrid mode it
decides what is worth a question.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString
from uuid import UUID

import sqlalchemy
from psycopg.types.json import Jsonb

from bn_aura_pipelines.database.connections import Database, psycopg_connection
from bn_aura_pipelines.embeddings import leases
from bn_aura_pipelines.embeddings.calling import Caller
from bn_aura_pipelines.embeddings.limits import Budget
from bn_aura_pipelines.embeddings.providers import Limits
from bn_aura_pipelines.embeddings.text import render
from bn_aura_pipelines.settings import Settings
from bn_aura_pipelines.voice.asking import Asker, Question, Settled
from bn_aura_pipelines.voice.gemini import GeminiAnalyst

BATCH = 200


@dataclass(frozen=True)
class AskingResult:
    """What became of the questions: taken over from earlier answers, answered, dead, left; and what it has cost."""

    known: int = 0
    answered: int = 0
    dead: int = 0
    left: int = 0
    requests: int = 0
    tokens: int = 0
    cost_usd: float = 0.0
    stopped: str = ""


def ask_provider(database: Database, as_of: datetime, settings: Settings, first_delay: float = 1.0) -> AskingResult:
    """Ask Gemini about analysed conversations: all of them, or in hybrid mode what the house is unsure about, the
    least sure first. No transaction is open while it thinks. In mode local nothing is asked.

    Raises ProviderUnusable.
    """
    if settings.voice_mode == "local":
        return AskingResult()
    key = settings.google_gemini_api_key
    model = settings.voice_model
    provider = GeminiAnalyst(key.get_secret_value() if key else None, model, settings.gemini_base_url)
    below = settings.voice_unsure_below if settings.voice_mode == "hybrid" else 2.0
    with database.begin(as_of) as connection:
        known = _use_answers(connection, model, below, hybrid=settings.voice_mode == "hybrid")
    limits = Limits(
        concurrency=settings.gemini_concurrency,
        requests_per_minute=settings.gemini_requests_per_minute,
        tokens_per_minute=settings.gemini_tokens_per_minute,
    )
    budget = Budget(settings.voice_requests_per_run, settings.voice_tokens_per_run)
    caller = Caller(limits, budget, first_delay=first_delay)
    asker = Asker(provider, caller, limits.concurrency)
    counts = (0, 0)
    with leases.alone(database, "aura_ops.voice_answers") as free:
        if free:
            counts = asyncio.run(_ask(database, as_of, asker, model, below, settings.voice_mode == "hybrid"))
        else:
            asker.stopped = "another run is asking already"
    with database.begin(as_of) as connection:
        left = len(_waiting(connection, model, below, None))
    return AskingResult(
        *(known, counts[0], counts[1], left, caller.requests, caller.tokens), caller.cost_usd, asker.stopped
    )


def retry(connection: sqlalchemy.Connection) -> int:
    """Take every conversation out of the dead letter: the house analyses it anew and the next run asks again."""
    driver = psycopg_connection(connection)
    driver.execute(
        "delete from aura_ops.conversation_analysis as a using aura_ops.voice_answers as v"
        " where v.content_hash = a.content_hash and v.status = 'dead' and a.status = 'failed'"
    )
    return driver.execute("delete from aura_ops.voice_answers where status = 'dead'").rowcount


async def _ask(
    database: Database, as_of: datetime, asker: Asker, model: str, below: float, hybrid: bool
) -> tuple[int, int]:
    answered = dead = 0
    seen: set[str] = set()
    try:
        while not asker.stopped:
            with database.begin(as_of) as connection:
                questions = _questions(connection, model, below, seen)
            if not questions:
                break
            seen.update(question.content_hash for question in questions)
            async for settled in asker.ask_all(questions):
                with database.begin(as_of) as connection:
                    _keep(connection, model, settled)
                    _use_answers(connection, model, below, hybrid, settled.question.content_hash)
                answered += settled.answer is not None
                dead += settled.answer is None
    finally:
        await asker.provider.close()
    return answered, dead


def _questions(connection: sqlalchemy.Connection, model: str, below: float, seen: set[str]) -> list[Question]:
    """The next batch; conversations of the same messages are one question."""
    waiting = _waiting(connection, model, below, BATCH + len(seen))
    hashes: dict[UUID, str] = {}
    for identity, content_hash in waiting:
        if content_hash not in seen and content_hash not in hashes.values() and len(hashes) < BATCH:
            hashes[identity] = content_hash
    texts = {document.entity_id: document.text for document in render(connection, "conversation", list(hashes))}
    return [Question(hashes[identity], texts[identity]) for identity in hashes if texts.get(identity)]


def _waiting(
    connection: sqlalchemy.Connection, model: str, below: float, most: int | None
) -> Sequence[tuple[UUID, str]]:
    values = {"model": model, "below": below, "most": most}
    return psycopg_connection(connection).execute(WAITING, values).fetchall()


def _keep(connection: sqlalchemy.Connection, model: str, settled: Settled) -> None:
    answer: Any = Jsonb(settled.answer.model_dump()) if settled.answer else None
    psycopg_connection(connection).execute(
        KEEP,
        {
            "hash": settled.question.content_hash,
            "model": model,
            "answer": answer,
            "error": settled.error,
            "attempts": settled.attempts,
            "tokens": settled.tokens,
            "cost": settled.cost_usd,
        },
    )


def _use_answers(
    connection: sqlalchemy.Connection, model: str, below: float, hybrid: bool, content_hash: str | None = None
) -> int:
    """Put answers in place of the house's analyses of the same messages; returns how many. Outside hybrid mode what
    is dead counts as failed: never as what the house would have guessed."""
    values = {"model": model, "below": below, "hybrid": hybrid, "hash": content_hash}
    return psycopg_connection(connection).execute(USE, values).rowcount


WAITING: LiteralString = """
select a.conversation_id, a.content_hash
from aura_ops.conversation_analysis as a
left join aura_ops.voice_answers as v on v.content_hash = a.content_hash and v.model = %(model)s
where a.status = 'analysed' and a.provider in ('local', 'lexicon') and a.confidence < %(below)s
    and v.content_hash is null
order by a.confidence, a.conversation_id
limit %(most)s
"""

KEEP: LiteralString = """
insert into aura_ops.voice_answers (
    content_hash, model, conversation_id, status, answer, error, attempts, tokens, cost_usd, known_at
)
select
    %(hash)s, %(model)s, a.conversation_id, case when %(error)s::text is null then 'done' else 'dead' end,
    %(answer)s::jsonb, %(error)s, %(attempts)s, %(tokens)s, %(cost)s, aura_ops.as_of()
from aura_ops.conversation_analysis as a
where a.content_hash = %(hash)s
order by a.conversation_id
limit 1
on conflict (content_hash, model) do nothing
"""

USE: LiteralString = """
update aura_ops.conversation_analysis as a
set
    status = case when v.status = 'done' then 'analysed' else 'failed' end,
    reason = v.error,
    overall_sentiment = v.answer ->> 'overall_sentiment',
    confidence = (v.answer ->> 'confidence')::float8,
    p_negative = case when v.status = 'done' then a.p_negative end,
    p_positive = case when v.status = 'done' then a.p_positive end,
    satisfaction_score = (v.answer ->> 'satisfaction_score')::float8,
    key_concerns = array(select jsonb_array_elements_text(v.answer -> 'key_concerns')),
    positive_signals = array(select jsonb_array_elements_text(v.answer -> 'positive_signals')),
    improvement_suggestions = array(select jsonb_array_elements_text(v.answer -> 'improvement_suggestions')),
    emotional_tone = v.answer ->> 'emotional_tone',
    provider = v.model,
    model_version = 0,
    tokens = v.tokens,
    cost_usd = v.cost_usd
from aura_ops.voice_answers as v
where v.content_hash = a.content_hash and v.model = %(model)s
    and a.status = 'analysed' and a.provider in ('local', 'lexicon') and a.confidence < %(below)s
    and (v.status = 'done' or not %(hybrid)s)
    and a.content_hash = coalesce(%(hash)s, a.content_hash)
"""
