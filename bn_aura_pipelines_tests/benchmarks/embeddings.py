"""`bn-aura bench embeddings`: the sync beside a bare loop, its memory, what an unchanged database costs.

Runs against a stub on the loopback and a database of its own; nothing leaves the machine.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from typing import Any

import sqlalchemy

from bn_aura_pipelines.database.connections import Database
from bn_aura_pipelines.embeddings.gemini import GeminiEmbedder
from bn_aura_pipelines.embeddings.providers import Limits
from bn_aura_pipelines.embeddings.sync import SyncReport, sync
from bn_aura_pipelines_tests.benchmarks.embedding_faults import measure_kills, measure_updates
from bn_aura_pipelines_tests.benchmarks.embedding_loop import bare_loop
from bn_aura_pipelines_tests.benchmarks.embedding_rows import AS_OF, add_conversations, execute, fresh_database

STUB = "bn_aura_pipelines_tests.embeddings.stub"
MODEL = "gemini-embedding-001"
LIMITS = Limits(items_per_request=100, concurrency=8)


ROUNDS = 9
NOTHING = "nothing changed"
LEAST_SHARE, MOST_MB, MOST_IDLE_SECONDS = 0.9, 200.0, 1.0


def main(rows: int = 20_000, many: int = 200_000, report: Callable[[str], None] = lambda line: None) -> bool:
    """Run everything; whether every target was met."""
    figures: dict[str, float] = {}
    with stub() as url:
        _beside_a_bare_loop(url, rows, report, figures)
        with fresh_database() as database:
            add_conversations(database, many)
            _at_size(database, url, many, report, figures)
            _what_changes_cost(database, url, report, figures)
    judged = {
        f"at least {LEAST_SHARE:g} of the bare loop": figures["share of the bare loop"] >= LEAST_SHARE,
        f"peak below {MOST_MB:g} MB at both sizes": max(figures["sync peak MB"], figures["many peak MB"]) < MOST_MB,
        f"{NOTHING}: below {MOST_IDLE_SECONDS:g} s each time, no request": figures[f"{NOTHING}: seconds"]
        < MOST_IDLE_SECONDS
        and not figures[f"{NOTHING}: requests"],
        "edits of other columns cost no request": not figures["300 edits of other columns: requests"],
        "exactly those that grew are embedded": figures["1 % of conversations grew: embedded"] == many // 100,
    }
    for name, good in judged.items():
        report(f"{'reached' if good else 'missed'}: {name}")
    return all([*judged.values(), measure_kills(rows, report), measure_updates(report)])


@contextmanager
def stub(latency: float = 0.05) -> Iterator[str]:
    """The stub as a process of its own; gives its address."""
    process = subprocess.Popen(
        [sys.executable, "-m", STUB, "--latency", str(latency)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
    finally:
        process.kill()
        process.wait()


def _beside_a_bare_loop(url: str, rows: int, report: Callable[[str], None], figures: dict[str, float]) -> None:
    """Both in turn, each time on a database of its own: their ratio is judged as the median of the rounds."""
    report(f"| round | {rows:,} rows, 50 ms a request, 8 in flight | rows/s | peak MB |")
    report("|---|---|---|---|")
    ratios, peaks = [], []
    for number in range(1, ROUNDS + 1):
        rates = {}
        for name, task in (("bare loop", _loop), ("sync", _sync)):
            with fresh_database() as database:
                add_conversations(database, rows)
                seconds, peak, _ = _apart(task, _address(database), url)
            rates[name] = rows / seconds
            report(f"| {number} | {name} | {rates[name]:,.0f} | {peak:.0f} |")
        ratios.append(rates["sync"] / rates["bare loop"])
        peaks.append(peak)
    figures["share of the bare loop"], figures["sync peak MB"] = statistics.median(ratios), max(peaks)
    report(
        f"sync reaches {figures['share of the bare loop']:.2f} of the bare loop (median of {ROUNDS} rounds,"
        f" {min(ratios):.2f} to {max(ratios):.2f})"
    )


def _at_size(database: Database, url: str, rows: int, report: Callable[[str], None], figures: dict[str, float]) -> None:
    seconds, peak, _ = _apart(_sync, _address(database), url)
    figures["many rows/s"], figures["many peak MB"] = rows / seconds, peak
    report(f"{rows:,} rows: {rows / seconds:,.0f} rows/s, peak {peak:.0f} MB")


def _what_changes_cost(database: Database, url: str, report: Callable[[str], None], figures: dict[str, float]) -> None:
    seconds: dict[str, list[float]] = {}
    for name, change in (
        *((NOTHING, None) for _ in range(ROUNDS)),
        ("300 edits of other columns", EDIT),
        ("1 % of conversations grew", GROW),
    ):
        if change:
            execute(database, change)
        begun = time.perf_counter()
        told = _sync_here(database, url)
        seconds.setdefault(name, []).append(time.perf_counter() - begun)
        figures[f"{name}: requests"] = figures.get(f"{name}: requests", 0) + told.requests
        figures[f"{name}: embedded"] = told.embedded
        report(
            f"{name}: {seconds[name][-1]:.2f} s, {told.requests} requests, {told.embedded:,} embedded,"
            f" {told.unchanged:,} looked at and unchanged"
        )
    figures[f"{NOTHING}: seconds"] = max(seconds[NOTHING])


def _apart(task: Callable[[str, str], int], address: str, url: str) -> tuple[float, float, int]:
    """Seconds, peak memory in MB and result of a task in a process of its own."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(_timed, task, address, url).result()


def _timed(task: Callable[[str, str], int], address: str, url: str) -> tuple[float, float, int]:
    import google.genai  # noqa: F401 -- a second that belongs to neither
    import numpy  # noqa: F401

    begun = time.perf_counter()
    result = task(address, url)
    return time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, result


def _loop(address: str, url: str) -> int:
    return asyncio.run(bare_loop(Database(sqlalchemy.make_url(address)), url))


def _sync(address: str, url: str) -> int:
    return _sync_here(Database(sqlalchemy.make_url(address)), url).embedded


def _sync_here(database: Database, url: str) -> SyncReport:
    provider = GeminiEmbedder("key", MODEL, base_url=url, limits=LIMITS)
    return sync(database, "conversation", AS_OF, provider, progress=lambda _: None)


def _address(database: Database) -> Any:
    return database.url.render_as_string(hide_password=False)


EDIT = """
update public.customer_conversations set summary = 'edited'
where id in (select id from public.customer_conversations order by id limit 300)
"""

GROW = """
update public.customer_conversations
set messages = messages || jsonb_build_array(jsonb_build_object(
    'role', 'customer', 'content', 'ขอบคุณค่ะ ' || id, 'timestamp', '2026-01-03T10:00:00Z'))
where id in (select id from public.customer_conversations order by id
    limit (select count(*) / 100 from public.customer_conversations))
"""
