"""The moving part of a sync: two tasks read, as many as the provider allows embed, two write.

A worker takes its next batch only when its last one is committed, so that a killed run loses no more than what was
in flight. What each step does is in `ledger`, `text`, `dispatch` and `writing`.
"""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from bn_aura_pipelines.database.connections import Database, psycopg_connection
from bn_aura_pipelines.embeddings import leases, ledger
from bn_aura_pipelines.embeddings.calling import Stopped
from bn_aura_pipelines.embeddings.chunks import combine, split
from bn_aura_pipelines.embeddings.dispatch import Dispatcher, Failure
from bn_aura_pipelines.embeddings.leases import Claim
from bn_aura_pipelines.embeddings.providers import EmbeddingProvider, Entity, ProviderUnusable
from bn_aura_pipelines.embeddings.text import Document, content_hash, render
from bn_aura_pipelines.embeddings.writing import Outcome, known_vectors, settle, to_halfvec

if TYPE_CHECKING:
    import numpy as np

BLOCK = 1_000
READERS = WRITERS = 2  # one waits for the database while the other one computes
EMPTY = content_hash("")


@dataclass(frozen=True)
class Work:
    """What one sync is about."""

    database: Database
    entity: Entity
    as_of: datetime
    provider: EmbeddingProvider
    owner: int
    started: datetime
    fill_column: bool


@dataclass
class Job:
    """One text that needs a vector, and the rows that it is the text of."""

    text: str
    rows: list[tuple[Claim, Document]]
    pieces: list[str]
    tokens: list[int]
    vectors: list[np.ndarray | None]
    failure: Failure | None = None
    missing: int = field(init=False)

    def __post_init__(self) -> None:
        self.missing = len(self.pieces)


@dataclass(frozen=True)
class Piece:
    """A part of a job's text that is sent as one."""

    job: Job
    place: int


class Pipeline:
    """Runs one sync's reading, embedding and writing side by side; `counts` says what became of the rows."""

    def __init__(self, work: Work, dispatcher: Dispatcher, progress: Callable[[int], None]) -> None:
        self._work = work
        self._dispatcher = dispatcher
        self._progress = progress
        self._batches: asyncio.Queue[list[Piece] | None] = asyncio.Queue(maxsize=work.provider.limits.concurrency)
        self._unwritten: list[tuple[list[Outcome], asyncio.Future[None]]] = []
        self._wake = asyncio.Event()
        self._batch: list[Piece] = []
        self._reading = READERS
        self._claiming = threading.Lock()
        self._last: Claim | None = None
        self.counts: Counter[str] = Counter()
        self.stopped: Exception | None = None

    async def run(self) -> None:
        """Until nothing is pending, or `stopped` says why not. Raises what nobody foresaw."""
        writers = [asyncio.create_task(self._write_for_ever()) for _ in range(WRITERS)]
        workers = [asyncio.create_task(self._embed_for_ever()) for _ in range(self._work.provider.limits.concurrency)]
        readers = [asyncio.create_task(self._read()) for _ in range(READERS)]
        try:
            await _all_or_first_error([*readers, *workers], writers)
        finally:
            for task in (*readers, *writers, *workers):
                task.cancel()
            await asyncio.gather(*readers, *writers, *workers, return_exceptions=True)
            await self._work.provider.close()

    async def _read(self) -> None:
        while self.stopped is None:
            block = await asyncio.to_thread(self._load)
            if block is None:
                break
            outcomes, jobs = block
            for job in jobs:
                for place in range(len(job.pieces)):
                    self._batch.append(Piece(job, place))
                    if len(self._batch) >= self._work.provider.limits.items_per_request:
                        full, self._batch = self._batch, []  # before the other reader can add to it
                        await self._batches.put(full)
            await self._write(outcomes)
        self._reading -= 1
        if not self._reading:
            if self._batch:
                await self._batches.put(self._batch)
            for _ in range(self._work.provider.limits.concurrency):
                await self._batches.put(None)

    async def _embed_for_ever(self) -> None:
        while (batch := await self._batches.get()) is not None:
            if self.stopped is None:
                try:
                    await self._embed(batch)
                except (Stopped, ProviderUnusable) as error:
                    self.stopped = self.stopped or error

    async def _embed(self, batch: list[Piece]) -> None:
        texts = [piece.job.pieces[piece.place] for piece in batch]
        tokens = [piece.job.tokens[piece.place] for piece in batch]
        finished = []
        for piece, result in zip(batch, await self._dispatcher.embed(texts, tokens), strict=True):
            job = piece.job
            if isinstance(result, Failure):
                job.failure = result
            else:
                job.vectors[piece.place] = result
            job.missing -= 1
            if not job.missing:
                finished.append(job)
        await self._write(self._outcomes(finished))

    def _outcomes(self, jobs: list[Job]) -> list[Outcome]:
        import numpy as np

        price = self._work.provider.usd_per_million_tokens / 1e6
        done = [job for job in jobs if job.failure is None]
        vectors = [
            combine([len(piece) for piece in job.pieces], [vector for vector in job.vectors if vector is not None])
            for job in done
        ]
        binary = dict(zip(map(id, done), to_halfvec(np.stack(vectors)) if vectors else [], strict=True))
        outcomes = []
        for job in jobs:
            for number, (claim, document) in enumerate(job.rows):
                if job.failure is not None:
                    kind = "dead" if job.failure.final else "failed"
                    outcomes.append(
                        Outcome(claim, document, kind, error=job.failure.reason, attempts=job.failure.attempts)
                    )
                elif number == 0:
                    tokens = sum(job.tokens)
                    outcomes.append(
                        Outcome(claim, document, "embedded", binary[id(job)], tokens=tokens, cost_usd=tokens * price)
                    )
                else:
                    outcomes.append(Outcome(claim, document, "cached", binary[id(job)]))
        return outcomes

    async def _write(self, outcomes: list[Outcome]) -> None:
        """Return when these are committed."""
        if outcomes:
            future = asyncio.get_running_loop().create_future()
            self._unwritten.append((outcomes, future))
            self._wake.set()
            await future

    async def _write_for_ever(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._unwritten:
                taken = [self._unwritten.pop(0)]  # no other task runs before the next await
                while self._unwritten and sum(len(one) for one, _ in taken) + len(self._unwritten[0][0]) <= BLOCK:
                    taken.append(self._unwritten.pop(0))
                outcomes = [outcome for some, _ in taken for outcome in some]
                await asyncio.to_thread(self._settle, outcomes)
                self.counts.update(outcome.kind for outcome in outcomes)
                self.counts["tokens"] += sum(outcome.tokens for outcome in outcomes)
                self._progress(len(outcomes))
                for _, future in taken:
                    if not future.done():
                        future.set_result(None)

    def _settle(self, outcomes: list[Outcome]) -> None:
        work = self._work
        with work.database.begin() as connection:
            settle(connection, work.entity, work.provider.model, work.owner, outcomes, work.fill_column)

    def _load(self) -> tuple[list[Outcome], list[Job]] | None:
        """Claim and render a block: what needs no provider, and what does."""
        work = self._work
        model = work.provider.model
        with work.database.begin(work.as_of) as connection:
            with self._claiming:
                claimed = leases.claim(connection, work.entity, model, work.owner, BLOCK, work.started, self._last)
                if not claimed:
                    return None
                self._last = claimed[-1]
            claims = {claim.entity_id: claim for claim in claimed}
            documents = render(connection, work.entity, list(claims))
            gone = claims.keys() - {document.entity_id for document in documents}
            if gone:
                ledger.forget(psycopg_connection(connection), work.entity, model, list(gone))
            outcomes: list[Outcome] = []
            waiting: dict[bytes, list[tuple[Claim, Document]]] = {}
            for document in documents:
                claim = claims[document.entity_id]
                digest = document.content_hash
                if claim.old_hash == digest and (claim.old_clinic_id == document.clinic_id or digest == EMPTY):
                    outcomes.append(Outcome(claim, document, "unchanged"))
                elif digest == EMPTY:
                    outcomes.append(Outcome(claim, document, "empty"))
                else:
                    waiting.setdefault(digest, []).append((claim, document))
            known = known_vectors(connection, model, list(waiting)) if waiting else {}
        for digest, vector in known.items():
            outcomes += [Outcome(claim, document, "cached", vector) for claim, document in waiting.pop(digest)]
        return outcomes, [self._job(rows) for rows in waiting.values()]

    def _job(self, rows: list[tuple[Claim, Document]]) -> Job:
        provider = self._work.provider
        text = rows[0][1].text
        parts = split(text, provider.estimate_tokens, provider.limits.tokens_per_item)
        return Job(text, rows, [piece for piece, _ in parts], [tokens for _, tokens in parts], [None] * len(parts))


async def _all_or_first_error(tasks: list[asyncio.Task[None]], writers: list[asyncio.Task[None]]) -> None:
    """Wait for the tasks; a writer that fails ends the waiting as well."""
    waiting: set[asyncio.Task[None]] = {*tasks, *writers}
    while waiting - {*writers}:
        done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
