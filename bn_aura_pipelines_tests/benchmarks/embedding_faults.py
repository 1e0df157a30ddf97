"""What the sync costs the others: updates of leads with and without our pipeline, and what a killed run pays twice."""

from __future__ import annotations

import multiprocessing
import operator
import random
import statistics
import time
from collections.abc import Callable

import sqlalchemy

from bn_aura_pipelines.database.connections import Database
from bn_aura_pipelines.embeddings.gemini import GeminiEmbedder
from bn_aura_pipelines.embeddings.offline import OfflineEmbedder
from bn_aura_pipelines.embeddings.providers import Limits
from bn_aura_pipelines.embeddings.sync import sync
from bn_aura_pipelines_tests.benchmarks.embedding_rows import AS_OF, add_conversations, execute, fresh_database
from bn_aura_pipelines_tests.embeddings.stub import Stub

KILLS = 20
LIMITS = Limits(items_per_request=100, concurrency=8)
LEAST_RATIO = 0.95
ROUNDS = 61
LEADS = 20_000


def measure_kills(rows: int, report: Callable[[str], None]) -> bool:
    """Whether a sync that is killed twenty times ends complete, and pays twice for what was in flight at most."""
    chance = random.Random(5)
    with fresh_database() as database, Stub(latency=0.05) as stub:
        add_conversations(database, rows)
        address = database.url.render_as_string(hide_password=False)
        worst, kills, lost = 0, 0, 0
        for _ in range(KILLS):
            process = multiprocessing.get_context("spawn").Process(target=_sync, args=(address, stub.url), daemon=True)
            begun = stub.items
            process.start()
            # Somewhere on its way: counted in texts, since a slow machine knows no seconds.
            target = begun + chance.randint(1, max(rows // KILLS - LIMITS.items_per_request, 100))
            while stub.items < target and process.is_alive():
                time.sleep(0.001)
            kills += process.is_alive()
            process.kill()
            process.join()
            time.sleep(0.2)  # what it had sent arrives
            lost_before, lost = lost, stub.items - _embedded(database)
            worst = max(worst, lost - lost_before)
        _sync(address, stub.url)
        done = _embedded(database)
        paid_twice = stub.items - done
    in_flight = LIMITS.concurrency * LIMITS.items_per_request
    good = done == rows and paid_twice <= kills * in_flight and worst <= in_flight
    report(
        f"{'reached' if good else 'missed'}: {kills} kills, {done:,} of {rows:,} rows complete, {paid_twice:,} texts "
        f"paid twice, at most {worst:,} after one kill ({in_flight:,} were in flight)"
    )
    return good


def measure_updates(report: Callable[[str], None]) -> bool:
    """Whether updates of unrelated columns of `sales_leads` are as fast beside our pipeline as without it.

    Without: a copy of the table as the application makes it, with no column and no row of ours. The two are updated in
    turn, and the ratio is the median of the rounds': a single update varies by half on a shared machine.
    """
    with fresh_database() as database:
        execute(database, "insert into public.clinics (id, clinic_code) values (md5('c')::uuid, 'C')")
        execute(database, ADD_LEADS, LEADS)
        execute(database, "create table public.leads_without (like public.sales_leads including all)")
        execute(database, "alter table public.leads_without drop column profile_embedding")
        execute(database, WITHOUT)
        sync(database, "lead", AS_OF, OfflineEmbedder(), progress=lambda _: None)
        for table in ("sales_leads", "leads_without"):
            execute(database, f"alter table public.{table} set (autovacuum_enabled = false)")
            _vacuum(database, table)
        seconds: dict[str, list[float]] = {"sales_leads": [], "leads_without": []}
        for number in range(ROUNDS):
            for table in random.Random(number).sample(sorted(seconds), 2):
                begun = time.perf_counter()
                execute(database, f"update public.{table} set score = score + 1")
                seconds[table].append(time.perf_counter() - begun)
                _vacuum(database, table)
    rates = {table: LEADS / statistics.median(times) for table, times in seconds.items()}
    ratio = statistics.median(map(operator.truediv, seconds["leads_without"], seconds["sales_leads"]))
    good = ratio >= LEAST_RATIO
    report(
        f"{'reached' if good else 'missed'}: updates of unrelated columns of sales_leads {rates['sales_leads']:,.0f} "
        f"rows/s beside our pipeline, {rates['leads_without']:,.0f} without: ratio {ratio:.2f}, target {LEAST_RATIO}"
    )
    return good


def _embedded(database: Database) -> int:
    return execute(database, "select count(*) from aura_ops.embeddings")[0][0]


def _sync(address: str, url: str) -> None:
    provider = GeminiEmbedder("key", "gemini-embedding-001", base_url=url, limits=LIMITS)
    sync(Database(sqlalchemy.make_url(address)), "conversation", AS_OF, provider, progress=lambda _: None)


def _vacuum(database: Database, table: str) -> None:
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(sqlalchemy.text(f"vacuum public.{table}"))


ADD_LEADS = """
insert into public.sales_leads (id, clinic_id, name, email, primary_concern, estimated_value, source, created_at)
select md5('lead' || n)::uuid, md5('c')::uuid, 'Lead ' || n, 'l' || n || '@example.com',
    (array['สิว', 'ฝ้า', 'ริ้วรอย', 'botox'])[1 + n %% 4] || ' ' || n, 1000 * (n %% 50), 'website', '2026-01-01'
from generate_series(1, %s) as n
"""

WITHOUT = """
do $$
declare
    names text;
begin
    select string_agg(quote_ident(attname), ', ' order by attnum) into names
    from pg_attribute where attrelid = 'public.leads_without'::regclass and attnum > 0 and not attisdropped;
    execute format('insert into public.leads_without (%%1$s) select %%1$s from public.sales_leads', names);
end
$$
"""
