"""Topics that nobody has listed: clusters of the conversations in which the taxonomy finds nothing, clinic by clinic.

The weeks are gone through in their order. A week's conversations join the topics that exist; of those that fit none,
new topics are founded once enough are alike. So a later week adds to what earlier weeks have found and renames
nothing: the same weeks give the same topics with the same names, whenever the run is.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any, LiteralString
from uuid import UUID

import sqlalchemy

from bn_aura_pipelines.database.connections import psycopg_connection
from bn_aura_pipelines.embeddings.text import render
from bn_aura_pipelines.voice.concerns import sentences
from bn_aura_pipelines.voice.ngrams import normalise, words

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]

# Cosine of two vectors after the mean of all is taken off: what every transcript has in common says nothing.
ALIKE = 0.25
LEAST_CONVERSATIONS = 5
# How long a conversation waits for others like it, and how many wait at most.
WAITING_WEEKS = 8
MOST_WAITING = 1_500
TERMS = 3
# A term names a topic only if so many of its founders use it.
LEAST_SHARE = 0.4
BATCH = 1_000
PLACEHOLDER = re.compile(r"\[[^\]]*\]")
TERM = re.compile(r"[a-z]{3,}|[\u0e01-\u0e2e\u0e40-\u0e44][\u0e01-\u0e4e]{2,}")
POLITE = frozenset(
    {"ครับ", "นะคะ", "ไหม", "มั้ย", "หรือเปล่า", "สวัสดี", "ขอบคุณ", "hello", "thanks", "thank", "please", "url", "customer"}
)
SAID = re.compile(r"^customer: ", re.MULTILINE)
OTHERS = re.compile(r"^(?:sales|ai_coach): ", re.MULTILINE)


@dataclass(frozen=True)
class LeftOver:
    """A conversation without a topic of the taxonomy: its Monday, its vector (768,), the terms in it."""

    conversation_id: UUID
    week: date
    vector: Vectors
    terms: frozenset[str]


@dataclass
class EmergingTopic:
    """A topic by its terms, the Monday it was founded, and its conversations."""

    name: str
    since: date
    members: list[LeftOver] = field(default_factory=list)

    def centre(self, mean: Vectors) -> Vectors:
        import numpy as np

        total = np.sum([one.vector - mean for one in self.members], axis=0)
        return total / (np.linalg.norm(total) or 1.0)


@dataclass(frozen=True)
class EmergingResult:
    """How many conversations were left over, how many of them have a topic now, and the topics of all clinics."""

    left_over: int
    with_topic: int
    topics: int


def find_emerging(connection: sqlalchemy.Connection) -> EmergingResult:
    """Bring `aura_ops.emerging_topics` up to the run's moment; the same conversations again change nothing."""
    driver = psycopg_connection(connection)
    rows: list[tuple[UUID, UUID, str, date, str | None]] = []
    left_over = topics = 0
    for clinic_id, found in _clinics(connection):
        left_over += len(found)
        named = discover(found)
        topics += len(named)
        texts = _customer_words(connection, [one.conversation_id for topic in named for one in topic.members])
        rows += [
            (one.conversation_id, clinic_id, topic.name, topic.since, _quote(texts[one.conversation_id], topic.name))
            for topic in named
            for one in topic.members
        ]
    columns = [list(column) for column in zip(*rows, strict=True)] if rows else [[]] * 5
    values: dict[str, Any] = dict(zip(COLUMNS, columns, strict=True))
    driver.execute(FORGET, values)
    driver.execute(PUT, values)
    return EmergingResult(left_over, len(rows), topics)


def discover(left_over: Iterable[LeftOver]) -> list[EmergingTopic]:
    """The topics of one clinic's conversations, in the order of their founding."""
    import numpy as np

    ordered = sorted(left_over, key=lambda one: (one.week, one.conversation_id))
    topics: list[EmergingTopic] = []
    waiting: list[LeftOver] = []
    seen: Counter[str] = Counter()
    total, count = np.zeros(768, np.float64), 0
    for week in sorted({one.week for one in ordered}):
        fresh = [one for one in ordered if one.week == week]
        total, count = total + np.sum([one.vector for one in fresh], axis=0), count + len(fresh)
        seen.update(term for one in fresh for term in one.terms)
        mean = (total / count).astype(np.float32)
        waiting = [one for one in waiting if (week - one.week).days <= 7 * WAITING_WEEKS]
        waiting = [*waiting, *_join(topics, fresh, mean)][-MOST_WAITING:]
        founded: list[EmergingTopic] = []
        for founders in _alike(waiting, mean):
            name = _name(founders, seen, count, {topic.name for topic in (*topics, *founded)})
            if name:
                founded.append(EmergingTopic(name, week, founders))
        gone = {one.conversation_id for topic in founded for one in topic.members}
        waiting = _join(founded, [one for one in waiting if one.conversation_id not in gone], mean)
        topics += founded
    return topics


def _join(topics: Sequence[EmergingTopic], fresh: Sequence[LeftOver], mean: Vectors) -> list[LeftOver]:
    """Put each conversation to the topic it is most like; returns those that are like none."""
    import numpy as np

    if not topics:
        return list(fresh)
    centres = np.stack([topic.centre(mean) for topic in topics])
    cosines = _centred(fresh, mean) @ centres.T
    stay = []
    for one, row in zip(fresh, cosines, strict=True):
        if row.max() >= ALIKE:
            topics[int(row.argmax())].members.append(one)
        else:
            stay.append(one)
    return stay


def _alike(waiting: Sequence[LeftOver], mean: Vectors) -> list[list[LeftOver]]:
    """Groups of at least LEAST_CONVERSATIONS that are alike on average (average linkage), the largest first."""
    from scipy.cluster.hierarchy import fcluster, linkage

    if len(waiting) < LEAST_CONVERSATIONS:
        return []
    labels = fcluster(linkage(_centred(waiting, mean), "average", metric="cosine"), 1 - ALIKE, "distance")
    groups: dict[int, list[LeftOver]] = {}
    for label, one in zip(labels.tolist(), waiting, strict=True):
        groups.setdefault(label, []).append(one)
    large = [group for group in groups.values() if len(group) >= LEAST_CONVERSATIONS]
    return sorted(large, key=lambda group: (-len(group), group[0].conversation_id))


def _centred(conversations: Sequence[LeftOver], mean: Vectors) -> Vectors:
    import numpy as np

    rows = np.stack([one.vector for one in conversations]) - mean
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    rows[lengths[:, 0] < 1e-6, 0] = 1e-6  # a clinic's only conversation is its mean: no direction is as good as any
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def _name(founders: Sequence[LeftOver], seen: Counter[str], count: int, taken: set[str]) -> str:
    """The terms that most of the founders use and few others; empty where there is none."""
    import math

    used = Counter(term for one in founders for term in one.terms)
    weights = {
        term: times / len(founders) * math.log((count + 1) / (seen[term] - times + 1))
        for term, times in used.items()
        if times >= LEAST_SHARE * len(founders)
    }
    best = [term for term in sorted(weights, key=lambda term: (-weights[term], term)) if weights[term] > 0][:TERMS]
    name = " · ".join(best)
    return f"{name} (2)" if name in taken else name


def _clinics(connection: sqlalchemy.Connection) -> Iterator[tuple[UUID, list[LeftOver]]]:
    """Each clinic with its conversations that the taxonomy leaves over and that have a vector."""
    import numpy as np

    driver = psycopg_connection(connection)
    for (clinic_id,) in driver.execute(CLINICS).fetchall():
        rows = driver.cursor(binary=True).execute(LEFT_OVER, {"clinic": clinic_id}).fetchall()
        texts = _customer_words(connection, [row[0] for row in rows])
        yield (
            clinic_id,
            [
                LeftOver(
                    row[0], row[1], np.frombuffer(row[2], ">f2", offset=4).astype(np.float32), terms(texts[row[0]])
                )
                for row in rows
                if row[0] in texts
            ],
        )


def _customer_words(connection: sqlalchemy.Connection, ids: Sequence[UUID]) -> dict[UUID, str]:
    """What the customer wrote in each of these, without personal data."""
    found = {}
    for start in range(0, len(ids), BATCH):
        for document in render(connection, "conversation", ids[start : start + BATCH]):
            lines = SAID.split(f"\n{document.text}")[1:]
            found[document.entity_id] = "\n".join(OTHERS.split(one)[0].strip() for one in lines)
    return found


def terms(text: str) -> frozenset[str]:
    """Words that can name a topic: no placeholders of the redaction, no digits, no stop words."""
    stop = stop_words()
    plain = normalise(PLACEHOLDER.sub(" ", text))
    return frozenset(word for word in words(plain) if TERM.fullmatch(word) and word not in stop)


def stop_words() -> frozenset[str]:
    """Thai particles and English function words."""
    from pythainlp.corpus import thai_stopwords
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

    return thai_stopwords() | ENGLISH_STOP_WORDS | POLITE


def _quote(text: str, name: str) -> str | None:
    """The sentence that holds most of a topic's terms."""
    wanted = name.removesuffix(" (2)").split(" · ")
    return max(sentences(text), key=lambda one: sum(term in one.lower() for term in wanted), default=None)


CLINICS: LiteralString = """
select distinct a.clinic_id
from aura_ops.conversation_analysis as a
where a.clinic_id is not null and a.status = 'analysed'
order by a.clinic_id
"""

LEFT_OVER: LiteralString = """
select a.conversation_id, date_trunc('week', aura_ops.bangkok_day(c.created_at)::timestamp)::date, e.embedding
from aura_ops.conversation_analysis as a
join aura_staging.stg_conversations as c on c.conversation_id = a.conversation_id
join aura_ops.embedding_models as m on m.active
join aura_ops.embeddings as e
    on e.entity = 'conversation' and e.entity_id = a.conversation_id and e.model = m.model and e.clinic_id = %(clinic)s
where a.clinic_id = %(clinic)s and a.status = 'analysed'
    and cardinality(a.key_concerns) = 0 and cardinality(a.positive_signals) = 0
"""

COLUMNS = ("ids", "clinics", "topics", "since", "quotes")

FORGET: LiteralString = "delete from aura_ops.emerging_topics where conversation_id <> all(%(ids)s::uuid[])"

PUT: LiteralString = """
insert into aura_ops.emerging_topics as t (conversation_id, clinic_id, topic, since, quote)
select * from unnest(%(ids)s::uuid[], %(clinics)s::uuid[], %(topics)s::text[], %(since)s::date[], %(quotes)s::text[])
on conflict (conversation_id) do update
set clinic_id = excluded.clinic_id, topic = excluded.topic, since = excluded.since, quote = excluded.quote
where (t.clinic_id, t.topic, t.since, t.quote)
    is distinct from (excluded.clinic_id, excluded.topic, excluded.since, excluded.quote)
"""
