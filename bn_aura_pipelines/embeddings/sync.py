"""Makes the vectors of one entity equal to what its sources say at a moment, whatever happens in between.

Mark what changed, then again and again: claim, render, embed with no transaction open, write. The steps themselves are
in `ledger`, `text`, `dispatch` and `writing`.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import sqlalchemy

from bn_aura_pipelines.database.connections import Database, psycopg_connection
from bn_aura_pipelines.embeddings import ledger
from bn_aura_pipelines.embeddings.providers import EmbeddingProvider, Entity
from bn_aura_pipelines.embeddings.text import Document, content_hash, render
from bn_aura_pipelines.embeddings.writing import Outcome, known_vectors, settle, to_halfvec

log = logging.getLogger(__name__)

BLOCK = 1_000
EMPTY = content_hash("")


@dataclass(frozen=True)
class SyncReport:
    """What one run did, in rows, tokens, US dollars and seconds."""

    entity: Entity
    model: str
    embedded: int
    unchanged: int
    cached: int
    empty: int
    dead: int
    left: int
    deleted: int
    tokens: int
    cost_usd: float
    seconds: float

    @property
    def rows_per_second(self) -> float:
        return self.embedded / self.seconds if self.seconds else 0.0


def sync(
    database: Database,
    entity: Entity,
    as_of: datetime,
    provider: EmbeddingProvider,
    *,
    write_application_columns: bool = True,
    progress: Callable[[str], None] = log.info,
) -> SyncReport:
    """Make `aura_ops.embeddings` for this entity and the provider's model equal to what `as_of` asks for.

    A second run writes nothing. A run that was killed is taken up where it stood.
    """
    begun = time.monotonic()
    counts: Counter[str] = Counter()
    with database.begin(as_of) as connection:
        active = activate_first(connection, provider.model)
        fill_column = write_application_columns and active == provider.model
        marked = ledger.mark(connection, entity, provider.model, as_of, fill_column)
        left = ledger.pending(connection, entity, provider.model)
    if left:
        with ledger.worker(database) as owner:
            started = datetime.now(UTC)
            while block := _embed_block(database, entity, as_of, provider, owner, started, fill_column):
                counts.update(outcome.kind for outcome in block)
                progress(f"{entity}: {sum(counts.values()):,} of {left:,} rows")
        with database.begin() as connection:
            left = ledger.pending(connection, entity, provider.model)
    return SyncReport(
        entity=entity,
        model=provider.model,
        embedded=counts["embedded"],
        unchanged=counts["unchanged"],
        cached=counts["cached"],
        empty=counts["empty"],
        dead=counts["dead"],
        left=left,
        deleted=marked.deleted,
        tokens=0,
        cost_usd=0.0,
        seconds=time.monotonic() - begun,
    )


def activate_first(connection: sqlalchemy.Connection, model: str) -> str:
    """The model that readers use; the first model ever filled becomes it."""
    driver = psycopg_connection(connection)
    row = driver.execute("select model from aura_ops.embedding_models where active").fetchone()
    if row is not None:
        return row[0]
    driver.execute(
        "insert into aura_ops.embedding_models (model, active, activated_at) values (%s, true, clock_timestamp())"
        " on conflict do nothing",
        (model,),
    )
    return model


def _embed_block(
    database: Database,
    entity: Entity,
    as_of: datetime,
    provider: EmbeddingProvider,
    owner: int,
    started: datetime,
    fill_column: bool,
) -> list[Outcome]:
    with database.begin(as_of) as connection:
        claims = {
            claim.entity_id: claim for claim in ledger.claim(connection, entity, provider.model, owner, BLOCK, started)
        }
        documents = render(connection, entity, list(claims)) if claims else []
        gone = claims.keys() - {document.entity_id for document in documents}
        ledger.forget(psycopg_connection(connection), entity, provider.model, list(gone))
        outcomes, waiting = _sort(connection, provider.model, claims, documents)
    for first in range(0, len(waiting), provider.limits.items_per_request):
        batch = waiting[first : first + provider.limits.items_per_request]
        vectors = to_halfvec(asyncio.run(provider.embed([document.text for document in batch], "document")))
        outcomes += [
            Outcome(claims[document.entity_id], document, "embedded", vector)
            for document, vector in zip(batch, vectors, strict=True)
        ]
    if outcomes:
        with database.begin() as connection:
            settle(connection, entity, provider.model, owner, outcomes, fill_column)
    return outcomes


def _sort(
    connection: sqlalchemy.Connection, model: str, claims: dict, documents: list[Document]
) -> tuple[list[Outcome], list[Document]]:
    """What needs no provider, and what does."""
    outcomes: list[Outcome] = []
    waiting: list[Document] = []
    for document in documents:
        claim = claims[document.entity_id]
        same_clinic = claim.old_clinic_id == document.clinic_id
        if not document.text:
            outcomes.append(Outcome(claim, document, "unchanged" if claim.old_hash == EMPTY else "empty"))
        elif claim.old_hash == document.content_hash and same_clinic:
            outcomes.append(Outcome(claim, document, "unchanged"))
        else:
            waiting.append(document)
    known = known_vectors(connection, model, [document.content_hash for document in waiting]) if waiting else {}
    for document in waiting:
        if vector := known.get(document.content_hash):
            outcomes.append(Outcome(claims[document.entity_id], document, "cached", vector))
    return outcomes, [document for document in waiting if document.content_hash not in known]
