"""`bn-aura bench marts`: a full build of all marts, and a refresh after one customer in a hundred changed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import psutil
import sqlalchemy

from bn_aura_pipelines.database.connections import Database
from bn_aura_pipelines.database.view_files import load_views
from bn_aura_pipelines.database.views import build
from bn_aura_pipelines.sources.relations import build_source_relations
from bn_aura_pipelines_tests.benchmarks.scratch import scratch_database

AS_OF = datetime.fromisoformat("2025-07-01T14:30:00+07:00")
MOST_SECONDS, MOST_GIB = 120.0, 6.0

# Ten clinics; each customer with ten visits over two years, and ten conversations of four messages.
FILL = """
    insert into public.clinics (id, clinic_code, display_name, is_active, created_at)
    select md5('clinic ' || n)::uuid, 'BENCH-' || n, '{"en": "x", "th": "x"}', true, '2020-01-01'
    from generate_series(0, 9) as n;
    insert into public.users (id, email, role, tier, created_at)
    values (md5('user')::uuid, 'u@example.com', 'public', 'free', '2020-01-01');
    insert into public.customers (id, clinic_id, customer_code, full_name, created_at)
    select md5('customer ' || n)::uuid, md5('clinic ' || n % 10)::uuid, 'B' || n, 'Customer ' || n,
        timestamptz '2023-06-01' + n % 30 * interval '1 day'
    from generate_series(1, :customers) as n;
    insert into public.appointments (
        id, clinic_id, customer_id, staff_id, appointment_code, appointment_type, status, appointment_date, start_time,
        end_time, total_price, created_at
    )
    select md5('visit ' || n || ' ' || v)::uuid, md5('clinic ' || n % 10)::uuid, md5('customer ' || n)::uuid,
        md5('user')::uuid, n || '-' || v, 'treatment',
        (array['completed', 'completed', 'completed', 'cancelled', 'no_show'])[1 + (n * 7 + v) % 5],
        date '2023-07-01' + (n * 13 + v * 71) % 730, time '10:00', time '11:00', 1000 + (n * v) % 5000,
        timestamptz '2023-07-01' + ((n * 13 + v * 71) % 730 - 5) * interval '1 day'
    from generate_series(1, :customers) as n, generate_series(1, 10) as v;
    insert into public.customer_conversations (
        id, clinic_id, customer_id, conversation_type, messages, status, created_at, updated_at
    )
    select md5('talk ' || n || ' ' || v)::uuid, md5('clinic ' || n % 10)::uuid, md5('customer ' || n)::uuid, 'line',
        (
            select jsonb_agg(jsonb_build_object(
                'role', case when m % 2 = 1 then 'customer' else 'sales' end,
                'content', 'สวัสดีค่ะ อยากสอบถามราคาโปรแกรม ' || n || ' ' || m,
                'timestamp', at.at + m * interval '3 minutes'
            ))
            from generate_series(1, 4) as m
        ), 'completed', at.at, at.at
    from generate_series(1, :customers) as n, generate_series(1, 10) as v,
        lateral (select timestamptz '2023-07-01 10:00+07' + (n * 11 + v * 67) % 720 * interval '1 day' as at) as at
"""
CHANGE = """
    update public.appointments set status = 'completed', total_price = total_price + 1
    where customer_id in (select id from public.customers where customer_code like '%77');
    update public.customer_conversations set status = 'abandoned'
    where customer_id in (select id from public.customers where customer_code like '%77')
"""


def main(customers: int = 100_000, report: Callable[[str], None] = lambda line: None) -> bool:
    """Whether build and refresh stay within their bounds."""
    with scratch_database() as database:
        for statement in FILL.split(";\n"):
            _say(database, statement, customers=customers)
        _say(database, "analyze")
        with database.begin(AS_OF) as connection:
            build_source_relations(connection)
            build(connection, [view for view in load_views() if view.schema != "aura_marts"])
        with _watch_memory(database) as peak:
            full = _build_marts(database, report)
        report(f"full build {full:.1f} s, peak {peak[0]:.2f} GiB")
        again = _build_marts(database, None)
        report(f"again, nothing changed: {again:.1f} s")
        _say(database, CHANGE)
        refresh = _build_marts(database, report)
        report(f"refresh after 1 % changed: {refresh:.1f} s, {refresh / full:.2f} of the full build")
    good = full < MOST_SECONDS and peak[0] < MOST_GIB and refresh < full / 10
    for met, name in (
        (full < MOST_SECONDS, f"full build below {MOST_SECONDS:g} s"),
        (peak[0] < MOST_GIB, f"peak below {MOST_GIB:g} GiB"),
        (refresh < full / 10, "refresh below a tenth of the build"),
    ):
        report(f"{'reached' if met else 'missed'}: {name}")
    return good


def _build_marts(database: Database, report: Callable[[str], None] | None) -> float:
    begun = time.perf_counter()
    for view in load_views():
        if view.schema == "aura_marts":
            one = time.perf_counter()
            with database.begin(AS_OF) as connection:
                written = build(connection, [view])[view.relation]
            took = time.perf_counter() - one
            if report and took > 0.5:
                report(f"  {view.name:<26} {took:6.1f} s {written:>10,} rows written")
    return time.perf_counter() - begun


@contextmanager
def _watch_memory(database: Database) -> Iterator[list[float]]:
    """The most that the server's processes hold together, in GiB, each process without what it shares."""
    peak, done = [0.0], threading.Event()
    with database.begin() as connection:
        folder = connection.exec_driver_sql("show data_directory").scalar_one()
    server = psutil.Process(int((Path(folder) / "postmaster.pid").read_text().split()[0]))

    def look() -> None:
        while not done.wait(0.5):
            held = 0
            for process in [server, *server.children()]:
                try:
                    held += process.memory_full_info().pss
                except psutil.Error:
                    continue
            peak[0] = max(peak[0], held / 2**30)

    watcher = threading.Thread(target=look, daemon=True)
    watcher.start()
    try:
        yield peak
    finally:
        done.set()
        watcher.join()


def _say(database: Database, statement: str, **values: object) -> None:
    with database.begin() as connection:
        connection.execute(sqlalchemy.text(statement), values if ":customers" in statement else {})
