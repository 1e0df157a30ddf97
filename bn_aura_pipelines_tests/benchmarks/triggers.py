"""Triggers at size: decisions about a million customers, the effects' honesty, messages while workers are killed.

Each part prints what it measured and holds it against its target; `main` says whether all were met.
"""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import datetime, timedelta

import numpy
import sqlalchemy
from sqlalchemy import text

from bn_aura_pipelines.database.connections import Database
from bn_aura_pipelines.database.view_files import get_view, load_views
from bn_aura_pipelines.database.views import build
from bn_aura_pipelines.sources.relations import build_source_relations
from bn_aura_pipelines.triggers.evaluation import evaluate
from bn_aura_pipelines_tests.benchmarks.scratch import scratch_database
from bn_aura_pipelines_tests.benchmarks.trigger_sample import on_sample
from bn_aura_pipelines_tests.triggers.stub import Stub, faults

Say = Callable[[str], None]
MOMENT = datetime.fromisoformat("2026-03-02T12:00:00+07:00")
DECIDED_WITHIN_SECONDS = 60
CLINICS = 50
LONGEST_SECONDS = 1_500

CLINIC_ROWS = f"""
    insert into public.clinics (id, clinic_code, created_at)
    select md5('clinic ' || n)::uuid, 'C' || n, '2025-01-01' from generate_series(0, {CLINICS - 1}) as n;
    insert into public.users (id, email, created_at)
    select md5('user ' || n)::uuid, 'seller' || n || '@example.com', '2025-01-01'
    from generate_series(0, {CLINICS - 1}) as n;
    insert into public.clinic_staff (clinic_id, user_id, role, created_at)
    select md5('clinic ' || n)::uuid, md5('user ' || n)::uuid, 'sales_staff', '2025-01-01'
    from generate_series(0, {CLINICS - 1}) as n
"""

# Every sort of customer: four in five have agreed to marketing, some have no address, blacklisted ones are there too.
CUSTOMER_ROWS = f"""
    insert into public.customers (id, clinic_id, full_name, email, status, assigned_sales_id, created_at)
    select
        md5('customer ' || n)::uuid, md5('clinic ' || n % {CLINICS})::uuid, 'Person ' || n,
        case when n % 20 > 0 then 'person' || n || '@example.com' end,
        case when n % 97 = 0 then 'blacklisted' else 'active' end, md5('user ' || n % {CLINICS})::uuid, '2025-01-01'
    from generate_series(1, :customers) as n;
    insert into public.customer_preferences (customer_id, clinic_id, marketing_opt_in, do_not_contact, created_at)
    select id, clinic_id, md5(id::text) > '3', md5(id::text) > 'fc', '2025-01-01' from public.customers
"""

SCORES = """
    insert into aura_features.customer_snapshots (
        snapshot_at, clinic_id, customer_id, is_active, recency_days, tenure_days, visits, gap_mean_days,
        has_booking_ahead
    )
    select
        aura_ops.as_of(), clinic_id, id, true, 1 + abs(hashtext(id::text)) % 364, 400, 1 + abs(hashtext(id::text)) % 7,
        30 + abs(hashtext('gap' || id)) % 200, (abs(hashtext('ahead' || id)) % 5 = 0)::int
    from public.customers;
    insert into aura_models.churn_scores
    select customer_id, clinic_id, snapshot_at, 1, score / 100.0, score, 'high', '', ''
    from (
        select *, abs(hashtext('score' || customer_id)) % 101 as score from aura_features.customer_snapshots
    ) as drawn
"""


def main(part: str | None, customers: int, messages: int, simulations: int, seed: int, sample: int, say: Say) -> bool:
    """Run one part, or all; whether each target was met."""
    parts = {
        "decide": lambda: decide(customers, say),
        "effects": lambda: effects(simulations, seed, say),
        "kill": lambda: kill(messages, say),
        "sample": lambda: on_sample(sample, say),
    }
    met = [run() for name, run in parts.items() if part in (None, name)]
    return all(met)


def decide(customers: int, say: Say) -> bool:
    """Time one evaluation of all rules, and show that ten more and two at once add nothing."""
    with scratch_database("triggers") as database:
        _fill(database, customers)
        begun = time.monotonic()
        with database.begin(MOMENT) as connection:
            first = evaluate(connection)
        seconds = time.monotonic() - begun
        decided = _count(database, "aura_ops.trigger_events")
        say(f"decide: {customers:,} customers, {first.opened:,} decisions in {seconds:.1f} s; target 60 s")
        with database.begin() as connection:
            shares = connection.execute(
                text("select status, count(*) from aura_ops.trigger_events group by 1 order by 2 desc")
            )
            say("  " + ", ".join(f"{count:,} {status}" for status, count in shares))
        naive = decided
        for day in range(1, 10):
            begun = time.monotonic()
            with database.begin(MOMENT + timedelta(minutes=day)) as connection:
                again = evaluate(connection)
            naive += decided
            say(f"  again after {day} min: {again.opened} new in {time.monotonic() - begun:.1f} s")
        held = _count(database, "aura_ops.trigger_events")
        say(f"  ten runs: {held:,} decisions here; {naive:,} by the application's way, which fires at each run")
        return seconds < DECIDED_WITHIN_SECONDS and held == decided


def effects(simulations: int, seed: int, say: Say) -> bool:
    """How often a rule without effect is called effective though somebody looks every month for a year; whether a
    planted effect lies within its interval."""
    rng = numpy.random.default_rng(seed)
    with scratch_database("effects") as database:
        with database.begin(MOMENT) as connection:
            build_source_relations(connection)
            build(connection, load_views())
        _clinics(database, simulations)
        false_alarms = {"visit": 0, "revenue": 0}
        once = {"visit": 0, "revenue": 0}
        called: dict[str, set[str]] = {"visit": set(), "revenue": set()}
        called_once: dict[str, set[str]] = {"visit": set(), "revenue": set()}
        for look in range(12):
            found = _look(database, rng, simulations, look, tau=0.0)
            for clinic, outcome, verdict, low, high, _ in found:
                if verdict in ("helps", "harms"):
                    called[outcome].add(clinic)
                if low > 0 or high < 0:
                    called_once[outcome].add(clinic)
        for outcome in false_alarms:
            false_alarms[outcome], once[outcome] = len(called[outcome]), len(called_once[outcome])
            say(
                f"effects: {outcome}, no effect, {simulations} simulations looked at 12 times: a verdict in"
                f" {false_alarms[outcome] / simulations:.1%}; plain 95 % intervals {once[outcome] / simulations:.1%}"
            )
        good = all(count <= 0.05 * simulations + 2 for count in false_alarms.values())
    with scratch_database("effects") as database:
        with database.begin(MOMENT) as connection:
            build_source_relations(connection)
            build(connection, load_views())
        _clinics(database, simulations)
        found = [row for look in range(12) for row in _look(database, rng, simulations, look, tau=0.06)]
        last = [row for row in found[-2 * simulations :] if row[1] == "visit"]
        inside = sum(low <= 0.06 <= high for _, _, _, low, high, _ in last) / len(last)
        power = sum(verdict == "helps" for _, _, verdict, _, _, _ in last) / len(last)
        say(f"effects: planted .06: within its 95 % interval in {inside:.1%}; called helpful in {power:.1%}")
        return good and inside >= 0.9


def _clinics(database: Database, simulations: int) -> None:
    with database.begin() as connection:
        connection.execute(
            text(
                "insert into public.clinics (id, clinic_code, created_at)"
                " select md5('clinic ' || n)::uuid, 'S' || n, '2025-01-01' from generate_series(1, :n) as n"
            ),
            {"n": simulations},
        )


def _look(
    database: Database, rng: numpy.random.Generator, simulations: int, look: int, tau: float
) -> list[tuple[str, str, str, float, float, float]]:
    """One more month of 100 decisions in each clinic, 10 % held out; then what trigger_effects says of every clinic."""
    n = simulations * 100
    held_out = rng.random(n) < 0.1
    visited = rng.random(n) < 0.15 + tau * ~held_out
    revenue = numpy.where(visited, rng.lognormal(8, 0.8, n), 0).round(2)
    with database.begin(MOMENT) as connection:
        connection.execute(
            text(
                "insert into aura_features.trigger_outcomes (event_id, clinic_id, rule, subject_type, subject_id,"
                " customer_id, is_holdout, decided_at, outcome_until, is_complete, visited, revenue_30d_thb)"
                " select md5(:look || '.' || o.n)::uuid, md5('clinic ' || (1 + (o.n - 1) / 100))::uuid,"
                " 'churn-prevention-email', 'customer', md5(o.n::text)::uuid, md5(o.n::text)::uuid, o.h,"
                " aura_ops.as_of(), aura_ops.as_of(), true, o.v, o.r"
                " from unnest(cast(:h as boolean[]), cast(:v as boolean[]), cast(:r as float8[]))"
                " with ordinality as o (h, v, r, n)"
            ),
            {"look": str(look), "h": held_out.tolist(), "v": visited.tolist(), "r": revenue.tolist()},
        )
        build(connection, [get_view("aura_marts.trigger_effects")])
        rows = connection.execute(
            text(
                "select clinic_id::text, outcome, verdict, low, high, difference from aura_marts.trigger_effects"
                " where rule = 'churn-prevention-email' and low is not null order by 1, 2"
            )
        )
        return [tuple(row) for row in rows]


def kill(messages: int, say: Say) -> bool:
    """Two workers, killed at random, against a provider with lost acknowledgements, 429 and 502; with and without the
    idempotency key."""
    with_key = _kill(messages, "with", say)
    without = _kill(messages, "without", say)
    return with_key == (0, 0, 0) and without[1] > 0


def _kill(messages: int, key: str, say: Say) -> tuple[int, int, int]:
    rng = random.Random(7)
    with scratch_database("kill") as database, Stub(faults(11)) as stub:
        _fill(database, messages, scores=False)
        with database.begin() as connection:
            for statement in QUEUE.split(";"):
                connection.execute(text(statement))
        url = database.url.render_as_string(hide_password=False)
        command = [sys.executable, "-m", "bn_aura_pipelines_tests.triggers.worker", url, stub.url, key]
        begun, kills = time.monotonic(), 0
        workers = [subprocess.Popen(command) for _ in range(2)]
        while _open(database) and time.monotonic() - begun < LONGEST_SECONDS:
            time.sleep(rng.uniform(10, 30))
            victim = rng.randrange(2)
            workers[victim].kill()
            workers[victim].wait()
            workers[victim] = subprocess.Popen(command)
            kills += 1
        for worker in workers:
            worker.kill()
            worker.wait()
        lost = messages - len(stub.mailed)
        duplicates = sum(count - 1 for count in stub.mailed.values())
        unfinished = _open(database)
        say(
            f"kill: {messages:,} messages {key} the key, {kills} kills, {len(stub.requests):,} requests in"
            f" {time.monotonic() - begun:.0f} s: {lost} lost, {duplicates} duplicates, {unfinished} not final"
        )
        return lost, duplicates, unfinished


QUEUE = """
    insert into aura_ops.trigger_events (
        event_id, clinic_id, rule, subject_type, subject_id, customer_id, action, value, episode, decided_at, status,
        reason
    )
    select md5('e' || id)::uuid, clinic_id, 'churn-prevention-email', 'customer', id, id, 'send_email', 85, 1,
        aura_ops.as_of(), 'eligible', ''
    from public.customers;
    insert into aura_ops.outbox (
        message_id, event_id, clinic_id, rule, action, recipient_type, recipient_id, priority, decided_at, not_before,
        expires_at
    )
    select md5('m' || event_id)::uuid, event_id, clinic_id, rule, action, 'customer', customer_id, 50, decided_at,
        decided_at, decided_at + interval '7 days'
    from aura_ops.trigger_events;
    update public.customers set status = 'active', email = coalesce(email, 'p' || id || '@example.com');
    update public.customer_preferences set marketing_opt_in = true, do_not_contact = false;
    update aura_ops.trigger_rules set quiet_from = '0:00', quiet_until = '0:00'
"""


def _open(database: Database) -> int:
    with database.begin() as connection:
        return connection.execute(
            text("select count(*) from aura_ops.outbox where status in ('waiting', 'sending')")
        ).scalar_one()


def _fill(database: Database, customers: int, scores: bool = True) -> None:
    with database.begin(MOMENT) as connection:
        build_source_relations(connection)
        build(connection, load_views())
        for script in (CLINIC_ROWS, CUSTOMER_ROWS, *([SCORES] if scores else [])):
            for statement in script.split(";"):
                values = {"customers": customers} if ":customers" in statement else {}
                connection.execute(text(statement), values)
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("analyze"))


def _count(database: Database, relation: str) -> int:
    with database.begin() as connection:
        return connection.execute(sqlalchemy.text(f"select count(*) from {relation}")).scalar_one()
