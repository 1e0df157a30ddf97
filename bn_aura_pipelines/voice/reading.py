"""What is read for the analysis: customers' words as they stood at the run's moment, and the labels known by then."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString
from uuid import UUID

import sqlalchemy
from psycopg.rows import dict_row

from bn_aura_pipelines.database.connections import psycopg_connection
from bn_aura_pipelines.embeddings.names import full_names
from bn_aura_pipelines.embeddings.redaction import redact
from bn_aura_pipelines.embeddings.text import lead_names, staff_names

# Part of every hash: raise it when the analysis of the same words would come out otherwise.
ANALYSIS_VERSION = 2
# Who gives answers in `aura_ops.voice_answers` beside providers; theirs are kept by the hash of the messages alone.
PERSON = "person"
BATCH = 2_000


@dataclass(frozen=True)
class Conversation:
    """A conversation to be analysed: what the customer wrote, and whose names must not appear in a quote."""

    conversation_id: UUID
    clinic_id: UUID | None
    words: str
    content_hash: str
    private: tuple[tuple[str | None, ...], ...]

    def redacted(self) -> str:
        """The customer's words without personal data."""
        return redact(self.words, *self.private)


@dataclass(frozen=True)
class Label:
    """What a person, a provider or the application found in a conversation; known since `known_at`."""

    conversation_id: UUID
    words: str
    sentiment: str
    satisfaction: float | None
    known_at: datetime


def changed(connection: sqlalchemy.Connection, provider: str, version: int) -> Iterator[list[Conversation]]:
    """Batches of conversations whose analysis is missing, of other messages, or by another version of the provider.

    What Gemini has said of the same messages stands, whichever local model serves.
    """
    driver = psycopg_connection(connection)
    staff = staff_names(driver)
    values = {"version": str(ANALYSIS_VERSION), "provider": provider, "model_version": version, "person": PERSON}
    with driver.cursor(name="changed_conversations", row_factory=dict_row, binary=True) as cursor:
        cursor.execute(CHANGED, values)
        while rows := cursor.fetchmany(BATCH):
            strangers = {row["clinic_id"] for row in rows if row["customer_id"] is None}
            leads = lead_names(driver, strangers) if strangers else {}
            yield [_conversation(row, staff, leads) for row in rows]


def labels(connection: sqlalchemy.Connection) -> list[Label]:
    """Every label known at the run's moment, oldest first. A label without a moment of its own is as old as its
    conversation."""
    values = {"person": PERSON, "version": str(ANALYSIS_VERSION)}
    rows = psycopg_connection(connection).cursor(row_factory=dict_row).execute(LABELS, values).fetchall()
    return [Label(**row) for row in rows]


def _conversation(
    row: Mapping[str, Any], staff: Mapping[UUID, tuple[str, ...]], leads: Mapping[str, datetime]
) -> Conversation:
    words = row["words"] or ""
    named = tuple(full_names(words, leads, row["last_at"])) if row["customer_id"] is None and words else ()
    return Conversation(
        conversation_id=row["conversation_id"],
        clinic_id=row["clinic_id"],
        words=words,
        content_hash=row["content_hash"],
        private=(tuple(row["private"]), staff.get(row["clinic_id"], ()), named),
    )


CHANGED: LiteralString = """
with said as (
    select
        m.conversation_id,
        string_agg(m.content, e'\n' order by m.position) filter (where m.role = 'customer') as words,
        md5(string_agg(m.role || ':' || m.content, e'\n' order by m.position)) as hash,
        max(m.sent_at) as last_at
    from aura_staging.stg_messages as m
    group by m.conversation_id
)

select
    c.id as conversation_id,
    c.clinic_id,
    c.customer_id,
    said.words,
    md5(%(version)s || coalesce(said.hash, '')) as content_hash,
    greatest(c.created_at, said.last_at) as last_at,
    array[k.full_name, k.nickname, k.email, k.phone, k.customer_code, u.full_name] as private
from aura_staging.source_customer_conversations as c
left join said on said.conversation_id = c.id
left join aura_staging.stg_customers as k on k.customer_id = c.customer_id
left join aura_staging.source_users as u on u.id = c.sales_staff_id and u.created_at < aura_ops.as_of()
left join aura_ops.conversation_analysis as a on a.conversation_id = c.id
where c.created_at < aura_ops.as_of() and (
    a.conversation_id is null
    or a.clinic_id is distinct from c.clinic_id
    or a.content_hash <> md5(%(version)s || coalesce(said.hash, ''))
    or (a.provider in ('local', 'lexicon') and (a.provider <> %(provider)s or a.model_version <> %(model_version)s))
    or (a.provider = %(person)s and not exists (
        select from aura_ops.voice_answers as v
        where v.model = %(person)s and v.content_hash = said.hash and v.known_at <= aura_ops.as_of()
    ))
)
order by c.id
"""

# Whoever knows best is believed: a person, then a provider, then the application.
LABELS: LiteralString = """
with said as (
    select
        m.conversation_id,
        string_agg(m.content, e'\n' order by m.position) filter (where m.role = 'customer') as words,
        md5(string_agg(m.role || ':' || m.content, e'\n' order by m.position)) as hash
    from aura_staging.stg_messages as m
    group by m.conversation_id
),

answered as (
    select
        said.conversation_id,
        said.words,
        v.answer ->> 'overall_sentiment' as sentiment,
        (v.answer ->> 'satisfaction_score')::float8 as satisfaction,
        v.known_at,
        case when v.model = %(person)s then 0 else 1 end as trust
    from said
    join aura_ops.voice_answers as v
        on v.content_hash = case when v.model = %(person)s then said.hash else md5(%(version)s || said.hash) end
    where v.status = 'done' and v.known_at <= aura_ops.as_of()
),

applied as (
    select
        c.id as conversation_id,
        said_then.words,
        c.metadata -> 'sentiment' ->> 'overall_sentiment' as sentiment,
        case
            when
                jsonb_typeof(c.metadata -> 'sentiment' -> 'satisfaction_score') = 'number'
                and (c.metadata -> 'sentiment' ->> 'satisfaction_score')::numeric between 0 and 10
                then (c.metadata -> 'sentiment' ->> 'satisfaction_score')::float8
        end as satisfaction,
        coalesce(analysed.at, c.created_at) as known_at,
        2 as trust
    from aura_staging.source_customer_conversations as c
    cross join aura_ops.try_timestamptz(c.metadata -> 'sentiment' ->> 'analyzed_at') as analysed (at)
    cross join lateral (
        select string_agg(m.content, e'\n' order by m.position) as words
        from aura_staging.stg_messages as m
        where
            m.conversation_id = c.id and m.role = 'customer'
            -- What was written after the analysis is no part of what it says.
            and (analysed.at is null or m.sent_at <= analysed.at)
    ) as said_then
    where
        c.metadata -> 'sentiment' ->> 'overall_sentiment' in ('negative', 'neutral', 'positive')
        and c.created_at < aura_ops.as_of()
        and coalesce(analysed.at, c.created_at) < aura_ops.as_of()
),

best as (
    select distinct on (conversation_id) conversation_id, words, sentiment, satisfaction, known_at
    from (select * from answered union all select * from applied) as known
    where words is not null
    order by conversation_id, trust, known_at desc
)

select conversation_id, words, sentiment, satisfaction, known_at
from best
order by known_at, conversation_id
"""
