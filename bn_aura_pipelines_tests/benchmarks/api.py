"""`bn-aura bench api`: the read API beside pgbench with the same statements, its search, and its memory in a long run.

One server process, 16 connections, many clinics under row-level security, on a database of its own. pgbench sends what
the API sends, in its role, and keeps nothing of the answers: its rate is the most that any API could reach.
"""

from __future__ import annotations

import base64
import json
import os
import random
import re
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import psutil
import sqlalchemy
from psycopg import sql

from bn_aura_pipelines.api.keys import create_key
from bn_aura_pipelines.api.queries import item_query, page_query
from bn_aura_pipelines.api.resources import RESOURCES, Resource
from bn_aura_pipelines.database.connections import Database
from bn_aura_pipelines.embeddings.offline import OfflineEmbedder
from bn_aura_pipelines.embeddings.sync import sync
from bn_aura_pipelines_tests.benchmarks.api_load import ask, pgbench
from bn_aura_pipelines_tests.benchmarks.api_rows import fill_marts
from bn_aura_pipelines_tests.benchmarks.embedding_rows import AS_OF, add_conversations, execute, fresh_database

CLINICS, REQUESTS, ROUNDS = 20, 100, 3
STATEMENTS = 20
"""So many of the requests go through pgbench, which knows a statement only with its values: each of its connections
plans each of them once, and with more of them it would be planning for much of its time."""
SHARES = {"lead page": 0.60, "cohort table": 0.45, "one customer": 0.12}
P99_MS, SEARCH_P50_MS, GROWTH = 20.0, 15.0, 0.05
STALE_HOURS = 26
QUERIES = ("โบท็อกซ์ หน้าผาก ราคาเท่าไหร่คะ", "laser กำจัดขน เจ็บไหม", "filler lips is it safe?", "ฝ้า ผ่อนได้ไหม")


@dataclass(frozen=True)
class Question:
    """One request, and the statement that the API makes of it."""

    request: bytes
    statement: str


def main(
    leads: int, customers: int, conversations: int, seconds: int, soak_minutes: float, report: Callable[[str], None]
) -> bool:
    """Fill, measure, report; whether every target was met."""
    with fresh_database() as database:
        report(f"filling: {leads:,} leads, {customers:,} customers, {conversations:,} conversations, {CLINICS} clinics")
        fill_marts(database, CLINICS, customers, leads)
        add_conversations(database, conversations, CLINICS)
        keys = _keys(database)
        questions = _questions(database, keys, customers, leads)
        with _server(database) as (port, process):
            met = [_beside_pgbench(database, port, name, asked, seconds, report) for name, asked in questions.items()]
            if conversations:
                sync(database, "conversation", AS_OF, OfflineEmbedder())
                met.append(_search(port, keys, seconds, report))
            if soak_minutes:
                everything = [one.request for asked in questions.values() for one in asked]
                met.append(_soak(port, process, everything, soak_minutes, report))
        return all(met)


def _keys(database: Database) -> dict[str, str]:
    """A key for each clinic's id."""
    with database.begin() as connection:
        codes = connection.execute(sqlalchemy.text("select id::text, clinic_code from public.clinics")).all()
        return {clinic: create_key(connection, code) for clinic, code in codes}


def _questions(database: Database, keys: dict[str, str], customers: int, leads: int) -> dict[str, list[Question]]:
    """A hundred requests of each kind, evenly over the clinics and, for pages, over the whole list."""
    chance = random.Random(1)
    resources = {resource.name: resource for resource in RESOURCES}
    columns = {name: _columns(database, resource) for name, resource in resources.items()}
    asked: dict[str, list[Question]] = {name: [] for name in SHARES}
    order = dict(resources["leads"].orders)["score"]
    later = page_query(resources["leads"], columns["leads"], order, frozenset(), True, False)
    [(_, months)] = resources["cohorts"].orders
    table = page_query(resources["cohorts"], columns["cohorts"], months, frozenset(), False, False)
    one = item_query(resources["customers"], columns["customers"], False)
    for clinic, lead_id, score in _drawn(database, "lead_id::text, score", "lead_board", "lead", leads, chance):
        after = {"score": score, "lead_id": lead_id}
        cursor = base64.urlsafe_b64encode(json.dumps(after).encode()).decode().rstrip("=")
        arguments = {"limit": 50, "after": after}
        question = _question(resources["leads"], later, arguments, clinic, keys, f"/leads?limit=50&cursor={cursor}")
        asked["lead page"].append(question)
        question = _question(resources["cohorts"], table, {"limit": 200}, clinic, keys, "/cohorts?limit=200")
        asked["cohort table"].append(question)
    for clinic, key in _drawn(database, "customer_id::text", "customer_360", "customer", customers, chance):
        question = _question(resources["customers"], one, {"key": key}, clinic, keys, f"/customers/{key}")
        asked["one customer"].append(question)
    return asked


def _drawn(
    database: Database, columns: str, mart: str, kind: str, count: int, chance: random.Random
) -> list[tuple[Any, ...]]:
    drawn = chance.sample(range(1, count + 1), REQUESTS)
    query = (
        f"select clinic_id::text, {columns} from aura_marts.{mart}"
        f" where {kind}_id in (select md5('{kind}' || n)::uuid from unnest(%s::int[]) as n)"
    )
    return execute(database, query, drawn)


def _columns(database: Database, resource: Resource) -> tuple[str, ...]:
    name = resource.relation.removeprefix("aura_marts.")
    with database.begin() as connection:
        return tuple(column["name"] for column in sqlalchemy.inspect(connection).get_columns(name, "aura_marts"))


def _question(
    resource: Resource, query: str, arguments: dict[str, Any], clinic: str, keys: dict[str, str], path: str
) -> Question:
    values = [clinic, json.dumps(arguments), None, STALE_HOURS]
    statement = re.sub(r"\$(\d)", lambda found: f"({sql.quote(values[int(found[1]) - 1])})", query)
    request = _request(path, keys[clinic])
    return Question(request, statement)


def _request(path: str, key: str) -> bytes:
    return f"GET /v1{path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {key}\r\n\r\n".encode()


@contextmanager
def _server(database: Database) -> Iterator[tuple[int, psutil.Process]]:
    """`bn-aura api` on this database, as a process of its own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {
        **os.environ,
        "BN_AURA_DATABASE_URL": database.url.render_as_string(hide_password=False),
        "BN_AURA_API_REQUESTS_PER_SECOND": "1000000",
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "bn_aura_pipelines.cli", "api", "--port", str(port)], env=environment
    )
    try:
        until = time.monotonic() + 60
        while process.poll() is None and time.monotonic() < until:
            with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=1):
                break
            time.sleep(0.2)
        yield port, psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(30)


def _beside_pgbench(
    database: Database, port: int, name: str, asked: list[Question], seconds: int, report: Callable[[str], None]
) -> bool:
    """By turns, so that what else the machine does falls on both."""
    requests, statements = [one.request for one in asked], [one.statement for one in asked[:STATEMENTS]]
    ask(port, requests, 2)
    rounds = [(ask(port, requests, seconds), pgbench(database, statements, seconds)) for _ in range(ROUNDS)]
    share = statistics.median(load.per_second / limit.per_second for load, limit in rounds)
    p99 = statistics.median(load.p99_ms for load, _ in rounds)
    met = share >= SHARES[name] and p99 < P99_MS
    rate = statistics.median(load.per_second for load, _ in rounds)
    limit = statistics.median(limit.per_second for _, limit in rounds)
    its_p99 = statistics.median(limit.p99_ms for _, limit in rounds)
    p50 = statistics.median(load.p50_ms for load, _ in rounds)
    report(
        f"{name}: {rate:,.0f} requests/s beside {limit:,.0f} of pgbench: {share:.2f} (at least {SHARES[name]:.2f});"
        f" p50 {p50:.1f} ms, p99 {p99:.1f} ms (below {P99_MS:.0f}; pgbench's {its_p99:.1f}): {_verdict(met)}"
    )
    return met


def _search(port: int, keys: dict[str, str], seconds: int, report: Callable[[str], None]) -> bool:
    """One search after the other, over all clinics alike."""
    met = True
    for mode, target in (("semantic", SEARCH_P50_MS), ("hybrid", None)):
        requests = [
            _request(f"/search/conversations?{urlencode({'q': query, 'mode': mode})}", key)
            for query in QUERIES
            for key in keys.values()
        ]
        ask(port, requests, 2, 1)
        load = ask(port, requests, seconds, 1)
        words = f" (below {target:.0f}): {_verdict(load.p50_ms < target)}" if target else ""
        met = met and (target is None or load.p50_ms < target)
        report(
            f"{mode} search: {load.per_second:,.0f} a second, p99 {load.p99_ms:.1f} ms, p50 {load.p50_ms:.1f} ms{words}"
        )
    return met


def _soak(
    port: int, process: psutil.Process, requests: list[bytes], minutes: float, report: Callable[[str], None]
) -> bool:
    """Memory of the server under load, after it has warmed up for a tenth of the time."""
    seconds = 60 * minutes / 10
    sizes = []
    for _ in range(10):
        ask(port, requests, seconds)
        sizes.append(process.memory_info().rss / 2**20)
    grown = sizes[-1] / sizes[0] - 1
    report(
        f"{minutes:g} minutes under load: {sizes[0]:.0f} MB after the first tenth, at most {max(sizes):.0f},"
        f" {sizes[-1]:.0f} MB at the end: {grown:+.1%} (at most {GROWTH:+.0%}): {_verdict(grown <= GROWTH)}"
    )
    return grown <= GROWTH


def _verdict(met: bool) -> str:
    return "met" if met else "MISSED"
