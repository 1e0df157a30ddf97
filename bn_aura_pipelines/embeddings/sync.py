"""Makes the vectors of one entity equal to what its sources say at a moment, whatever happens in between.

Mark what changed, then let `pipeline` read, embed and write until nothing is pending or the provider says stop.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import LiteralString

import sqlalchemy

from bn_aura_pipelines.database.connections import Database, psycopg_connection
from bn_aura_pipelines.database.views import note_materialization
from bn_aura_pipelines.embeddings import leases, ledger
from bn_aura_pipelines.embeddings.dispatch import Dispatcher
from bn_aura_pipelines.embeddings.indexes import keep_indexes
from bn_aura_pipelines.embeddings.lexical import count_grams
from bn_aura_pipelines.embeddings.limits import Budget
from bn_aura_pipelines.embeddings.pipeline import Pipeline, Work
from bn_aura_pipelines.embeddings.providers import EmbeddingProvider, Entity, ProviderUnusable

log = logging.getLogger(__name__)

NO_BUDGET = Budget()
CACHE_DAYS = 90
COLLECT_AFTER = 10_000

TEXTS_AND_GRAMS: LiteralString = """
select (select count(*) from aura_ops.search_texts), exists (select from aura_ops.search_grams)
"""


@dataclass(frozen=True)
class SyncReport:
    """What one run did, in rows, requests, tokens (estimated), US dollars and seconds.

    `failed` rows are among those `left`; `stopped` says why a run ended before everything was done.
    """

    entity: Entity
    model: str
    embedded: int = 0
    unchanged: int = 0
    cached: int = 0
    empty: int = 0
    dead: int = 0
    failed: int = 0
    left: int = 0
    deleted: int = 0
    requests: int = 0
    tokens: int = 0
    cost_usd: float = 0.0
    seconds: float = 0.0
    stopped: str | None = None

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
    budget: Budget = NO_BUDGET,
    first_delay: float = 1.0,
    progress: Callable[[str], None] = log.info,
) -> SyncReport:
    """Make `aura_ops.embeddings` for this entity and the provider's model equal to what `as_of` asks for.

    A second run writes nothing. A run that was killed is taken up where it stood. `first_delay` is the wait before
    the first repetition, in seconds. Raises ProviderUnusable.
    """
    begun = time.monotonic()
    model = provider.model
    with database.begin(as_of) as connection:
        fill_column = activate_first(connection, model) == model and write_application_columns
        marked = ledger.mark(connection, entity, model, as_of, fill_column)
        left = ledger.pending(connection, entity, model)
        if not left:
            note_sync(connection, entity)
    if not left:
        return SyncReport(entity, model, deleted=marked.deleted, seconds=time.monotonic() - begun)
    dispatcher = Dispatcher(provider, budget, first_delay)
    total, done = left, 0

    def report(rows: int) -> None:
        nonlocal done
        done += rows
        progress(f"{entity}: {done:,} of {total:,} rows, {done / (time.monotonic() - begun):,.0f} a second")

    with leases.worker(database) as owner:
        work = Work(database, entity, as_of, provider, owner, datetime.now(UTC), fill_column)
        try:
            counts, stopped = asyncio.run(_run(work, dispatcher, report))
        finally:
            with database.begin() as connection:
                leases.release(connection, entity, model, owner)
                ledger.clear_cache(connection, CACHE_DAYS)
                tidy_search(connection, rows=done)
                left = ledger.pending(connection, entity, model)
    with database.begin(as_of) as connection:
        if not left:
            note_sync(connection, entity)
    keep_indexes(database, entity)
    if isinstance(stopped, ProviderUnusable):
        raise stopped
    return SyncReport(
        entity=entity,
        model=model,
        embedded=counts["embedded"],
        unchanged=counts["unchanged"],
        cached=counts["cached"],
        empty=counts["empty"],
        dead=counts["dead"],
        failed=counts["failed"],
        left=left,
        deleted=marked.deleted,
        requests=dispatcher.caller.requests,
        tokens=dispatcher.caller.tokens,
        cost_usd=dispatcher.caller.cost_usd,
        seconds=time.monotonic() - begun,
        stopped=f"{stopped}; {left:,} rows are left" if stopped else None,
    )


def note_sync(connection: sqlalchemy.Connection, entity: Entity) -> None:
    """Note that every row of this entity has been embedded as of this transaction's moment."""
    note_materialization(psycopg_connection(connection), f"{entity}_embeddings")


def tidy_search(connection: sqlalchemy.Connection, rows: int) -> None:
    """After many rows, or a share of all, count anew how frequent each gram is and how the vectors are spread."""
    driver = psycopg_connection(connection)
    texts, counted = driver.execute(TEXTS_AND_GRAMS).fetchone() or (0, False)
    if rows >= min(ledger.MANY, texts / 10) or not counted:
        count_grams(driver)
    if rows >= ledger.MANY:
        driver.execute("analyze aura_ops.search_texts, aura_ops.embeddings")


async def _run(
    work: Work, dispatcher: Dispatcher, report: Callable[[int], None]
) -> tuple[dict[str, int], Exception | None]:
    pipeline = Pipeline(work, dispatcher, report)
    with _busy_interpreter():
        await pipeline.run()
    return pipeline.counts, pipeline.stopped


@contextmanager
def _busy_interpreter() -> Iterator[None]:
    """Settings of the interpreter for some threads that wait for the database far more often than they compute.

    At the usual 5 ms each of those waits would end with another one, for the interpreter's lock. And the collector of
    cycles, which finds none here, would take an eighth of the time to look at all modules and at every batch.
    """
    interval, thresholds = sys.getswitchinterval(), gc.get_threshold()
    sys.setswitchinterval(0.0005)
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER, *thresholds[1:])
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)
        gc.unfreeze()
        sys.setswitchinterval(interval)


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
