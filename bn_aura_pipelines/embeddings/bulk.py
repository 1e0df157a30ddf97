"""Fills a model through the provider's batch service: half the price, within a day. For backfills, never for freshness.

What comes back goes into the cache by the hash of its text, where the next sync finds it and asks for nothing. So a
bulk run holds no lease and may be killed at any moment: a job is on record before it is handed over, its texts are not
handed over again while it is open, and what it did not answer is simply still missing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any, LiteralString
from uuid import UUID, uuid4

from psycopg import sql

from bn_aura_pipelines.database.connections import Database, psycopg_connection
from bn_aura_pipelines.embeddings.chunks import combine, split
from bn_aura_pipelines.embeddings.dispatch import scaled
from bn_aura_pipelines.embeddings.gemini import GeminiEmbedder
from bn_aura_pipelines.embeddings.gemini_bulk import GeminiBulk
from bn_aura_pipelines.embeddings.leases import alone
from bn_aura_pipelines.embeddings.ledger import APPLICATION_COLUMNS
from bn_aura_pipelines.embeddings.providers import ENTITIES, Entity, InputRefused, QuotaExhausted, TryLater
from bn_aura_pipelines.embeddings.text import render
from bn_aura_pipelines.embeddings.writing import known_vectors, put_aside
from bn_aura_pipelines.errors import UserError

BLOCK = 1_000
# A request of inlined texts may have 20 MB.
MOST_TEXTS, MOST_BYTES = 10_000, 12_000_000
POLL_SECONDS = 60.0


class BulkRefused(UserError):
    """There is no batch service for this, or another bulk run is under way."""


@dataclass(frozen=True)
class BulkReport:
    """Jobs handed over, texts in them, vectors that came, and jobs still open. `stopped`: why nothing more was sent."""

    jobs: int
    texts: int
    vectors: int
    failed: int
    open: int
    stopped: str | None = None


@dataclass(frozen=True)
class _Part:
    content_hash: bytes
    entity_id: UUID
    text: str
    tokens: int


def bulk(
    database: Database,
    as_of: datetime,
    provider: GeminiEmbedder,
    entities: Sequence[Entity] = ENTITIES,
    *,
    wait: bool = True,
    poll_seconds: float = POLL_SECONDS,
    progress: Callable[[str], None],
) -> BulkReport:
    """Take over what jobs of earlier runs have answered, hand over what is missing, and wait until every job has ended,
    or, without `wait`, look once.

    Raises BulkRefused while another process does this; ProviderUnusable.
    """
    with alone(database, "bulk embeddings") as free:
        if not free:
            raise BulkRefused("Another bulk run is under way: wait for it, or stop it.")
        return asyncio.run(_Run(database, as_of, provider, progress).run(entities, wait, poll_seconds))


class _Run:
    def __init__(
        self, database: Database, as_of: datetime, provider: GeminiEmbedder, progress: Callable[[str], None]
    ) -> None:
        self._database = database
        self._as_of = as_of
        self._provider = provider
        self._service = GeminiBulk(provider)
        self._progress = progress
        self._jobs = self._texts = self._vectors = self._failed = 0
        self._stopped: str | None = None

    async def run(self, entities: Sequence[Entity], wait: bool, poll_seconds: float) -> BulkReport:
        try:
            await self._recover()
            await self._collect()
            for entity in entities:
                await self._submit(entity)
            while True:
                await self._recover()
                left = await self._collect()
                if not left or self._stopped or not wait:
                    break
                self._progress(f"{left} jobs are not answered yet; looking again in {poll_seconds:g} s")
                await asyncio.sleep(poll_seconds)
        finally:
            await self._service.close()
        return BulkReport(self._jobs, self._texts, self._vectors, self._failed, left, self._stopped)

    async def _recover(self) -> None:
        """A run that died, or lost the answer, while it handed a job over does not know whether it arrived."""
        for job in [job for job, name, _, _ in self._open() if name is None]:
            try:
                name = await self._service.find(str(job))
            except (QuotaExhausted, TryLater) as error:
                self._stopped = f"{error}; run it again later"
                return
            if name:
                self._write("update aura_ops.embedding_bulk_jobs set name = %s where job = %s", name, job)
            else:
                self._write("delete from aura_ops.embedding_bulk_jobs where job = %s", job)

    async def _submit(self, entity: Entity) -> None:
        parts: list[_Part] = []
        size = 0
        for text_parts in self._missing(entity):
            more = sum(len(part.text.encode()) for part in text_parts)
            if parts and (len(parts) + len(text_parts) > MOST_TEXTS or size + more > MOST_BYTES):
                await self._hand_over(entity, parts)
                parts, size = [], 0
            if self._stopped:
                return
            parts += text_parts
            size += more
        if parts:
            await self._hand_over(entity, parts)

    async def _hand_over(self, entity: Entity, parts: list[_Part]) -> None:
        job = uuid4()
        tokens = sum(part.tokens for part in parts)
        cost = tokens * self._provider.bulk_usd_per_million_tokens / 1e6
        with self._database.begin() as connection:
            driver = psycopg_connection(connection)
            driver.execute(OPEN_JOB, (job, self._provider.model, entity, len(parts), tokens, cost))
            with driver.cursor().copy("copy aura_ops.embedding_bulk_texts from stdin") as copy:
                for place, part in enumerate(parts):
                    copy.write_row((job, place, part.content_hash, part.entity_id, len(part.text)))
        try:
            name = await self._service.submit([part.text for part in parts], str(job))
        except InputRefused as error:
            self._fail(job, f"refused: {error}")
            return
        except (QuotaExhausted, TryLater) as error:
            # It may have arrived all the same: the next run asks.
            self._stopped = f"{error}; run it again later"
            return
        self._write("update aura_ops.embedding_bulk_jobs set name = %s where job = %s", name, job)
        self._jobs += 1
        self._texts += len(parts)
        self._progress(f"{entity}: {len(parts):,} texts handed over, {tokens:,} tokens, {cost:.2f} USD")

    async def _collect(self) -> int:
        """Take over what has been answered; returns how many jobs are open still."""
        left = 0
        for job, name, entity, texts in self._open():
            if name is None:
                left += 1
                continue
            try:
                answer = await self._service.read(name, texts)
            except (QuotaExhausted, TryLater) as error:
                self._progress(f"{name}: {error}")
                left += 1
                continue
            if answer.state == "running":
                left += 1
            elif answer.vectors is None:
                self._fail(job, answer.reason)
            else:
                came = self._keep(job, entity, answer.vectors)
                self._vectors += came
                self._progress(f"{entity}: {came:,} vectors came")
        return left

    def _keep(self, job: UUID, entity: Entity, vectors: Any) -> int:
        """Put a job's vectors into the cache, those of long texts combined; what is no vector stays missing."""
        import numpy as np

        vectors = scaled(vectors, len(vectors))
        with self._database.begin() as connection:
            driver = psycopg_connection(connection)
            asked = driver.execute(
                "select place, content_hash, entity_id, weight from aura_ops.embedding_bulk_texts"
                " where job = %s order by place",
                (job,),
            ).fetchall()
            whole: list[tuple[bytes, UUID, Any]] = []
            for content_hash, group in groupby(asked, key=lambda row: row[1]):
                rows = list(group)
                places = [row[0] for row in rows]
                if np.isfinite(vectors[places]).all():
                    whole.append((content_hash, rows[0][2], combine([row[3] for row in rows], vectors[places])))
            put_aside(connection, entity, self._provider.model, whole)
            driver.execute(CLOSE, (f"{len(whole):,} vectors", job))
        return len(whole)

    def _missing(self, entity: Entity) -> Iterator[list[_Part]]:
        """The texts, each in its parts, of rows without a finished vector that are neither known nor asked for."""
        provider = self._provider
        query = sql.SQL(MISSING).format(table=sql.Identifier("public", APPLICATION_COLUMNS[entity][0]))
        last = UUID(int=0)
        seen: set[bytes] = set()
        while True:
            values = {"entity": entity, "model": provider.model, "moment": self._as_of, "last": last, "block": BLOCK}
            with self._database.begin(self._as_of) as connection:
                driver = psycopg_connection(connection)
                ids = [row[0] for row in driver.execute(query, values)]
                if not ids:
                    return
                last = ids[-1]
                documents = {one.content_hash: one for one in render(connection, entity, ids) if one.text}
                hashes = [one for one in documents if one not in seen]
                asked = {row[0] for row in driver.execute(ASKED_ALREADY, (provider.model, hashes))}
                known = known_vectors(connection, provider.model, hashes)
            seen.update(hashes)
            for digest in hashes:
                if digest not in asked and digest not in known:
                    one = documents[digest]
                    pieces = split(one.text, provider.estimate_tokens, provider.limits.tokens_per_item)
                    yield [_Part(digest, one.entity_id, piece, tokens) for piece, tokens in pieces]

    def _open(self) -> list[tuple[UUID, str | None, Entity, int]]:
        """Jobs without an outcome: ours, the provider's name if it is known, what it embeds and how many texts."""
        query = (
            "select job, name, entity, texts from aura_ops.embedding_bulk_jobs"
            " where model = %s and finished_at is null order by submitted_at"
        )
        with self._database.begin() as connection:
            return psycopg_connection(connection).execute(query, (self._provider.model,)).fetchall()

    def _fail(self, job: UUID, reason: str) -> None:
        self._failed += 1
        self._progress(f"{job}: {reason}")
        self._write(CLOSE, reason, job)

    def _write(self, statement: LiteralString, *values: object) -> None:
        with self._database.begin() as connection:
            psycopg_connection(connection).execute(statement, values)


OPEN_JOB: LiteralString = """
insert into aura_ops.embedding_bulk_jobs (job, model, entity, texts, tokens, cost_usd, submitted_at)
values (%s, %s, %s, %s, %s, %s, clock_timestamp())
"""

# Its texts may be asked for again, or are known by now.
CLOSE: LiteralString = """
with closed as (
    update aura_ops.embedding_bulk_jobs set finished_at = clock_timestamp(), outcome = %s where job = %s
    returning job
)

delete from aura_ops.embedding_bulk_texts as t using closed where t.job = closed.job
"""

ASKED_ALREADY: LiteralString = """
select t.content_hash
from aura_ops.embedding_bulk_texts as t
join aura_ops.embedding_bulk_jobs as j on t.job = j.job
where j.model = %s and t.content_hash = any(%s)
"""

MISSING: LiteralString = """
select s.id
from {table} as s
left join aura_ops.embedding_ledger as l
    on l.entity = %(entity)s and l.model = %(model)s and l.entity_id = s.id and l.status in ('done', 'dead')
where s.created_at < %(moment)s and l.entity_id is null and s.id > %(last)s
order by s.id
limit %(block)s
"""
