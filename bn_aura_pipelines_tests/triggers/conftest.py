"""A clinic with customers, staff and decided messages, cloned for each test; the settings of a live sender."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy

from bn_aura_pipelines.database.connections import Database
from bn_aura_pipelines.database.view_files import load_views
from bn_aura_pipelines.database.views import build
from bn_aura_pipelines.sources.relations import build_source_relations
from bn_aura_pipelines.triggers.links import sign
from bn_aura_pipelines_tests.conftest import clone, drop
from bn_aura_pipelines_tests.triggers.stub import SECRET, Stub, live

__all__ = ["SECRET", "live"]

NOON = datetime.fromisoformat("2026-03-02T12:00:00+07:00")
CLINIC, OTHER, SELLER, OWNER = UUID(int=9), UUID(int=10), UUID(int=8), UUID(int=7)

PEOPLE = """
    insert into public.clinics (id, clinic_code, display_name, created_at) values
        (:clinic, 'A', '{"th": "ออร่า", "en": "Aura"}', '2025-01-01'),
        (:other, 'B', '{"th": "บี", "en": "Bee"}', '2025-01-01');
    insert into public.users (id, email, created_at) values
        (:seller, 'seller@example.com', '2025-01-01'), (:owner, 'owner@example.com', '2025-01-01');
    insert into public.clinic_staff (clinic_id, user_id, role, created_at) values
        (:clinic, :seller, 'sales_staff', '2025-01-01'), (:clinic, :owner, 'clinic_owner', '2025-01-01');
    insert into public.customers (id, clinic_id, full_name, email, assigned_sales_id, created_at)
    select
        lpad(to_hex(n), 32, '0')::uuid, case when n <= 40 then cast(:clinic as uuid) else :other end, 'Person ' || n,
        'person' || n || '@example.com', :seller, '2025-01-01'
    from generate_series(101, 104) as n;
    insert into public.customer_preferences (customer_id, clinic_id, marketing_opt_in, language, created_at)
    select id, clinic_id, true, 'en', '2025-01-01' from public.customers
"""
# Tables that only some installations have, as the contract describes them.
OPTIONAL_TABLES = """
    create table if not exists public.consent_records (
        id uuid primary key default gen_random_uuid(), user_id uuid not null, consent_type text not null,
        consent_given boolean not null, revoked_at timestamptz, unique (user_id, consent_type)
    );
    create table if not exists public.data_deletion_requests (
        id uuid primary key default gen_random_uuid(), user_id uuid not null, request_type text not null,
        status text not null default 'pending', processed_at timestamptz
    );
    create table if not exists public.notifications (
        id uuid primary key default gen_random_uuid(), user_id uuid not null references public.users (id),
        clinic_id uuid, type varchar(50) not null, title varchar(200) not null, message text not null, link text,
        is_read boolean default false, metadata jsonb default '{}', priority text, created_at timestamptz default now()
    );
    create table if not exists public.workflow_tasks (
        id uuid primary key default gen_random_uuid(), clinic_id uuid not null, assigned_to uuid, lead_id uuid,
        title text not null, description text, status text not null default 'pending'
    )
"""
NAMES = {"clinic": CLINIC, "other": OTHER, "seller": SELLER, "owner": OWNER}


def execute(database: Database, script: str, **values: Any) -> None:
    """Statements joined by semicolons, with the names above and `values` bound where they are used."""
    with database.begin(NOON) as connection:
        for statement in script.split(";"):
            used = {name: value for name, value in {**NAMES, **values}.items() if f":{name}" in statement}
            connection.execute(sqlalchemy.text(statement), used)


def rows(database: Database, query: str) -> list[tuple[Any, ...]]:
    with database.begin() as connection:
        return [tuple(row) for row in connection.exec_driver_sql(query)]


def customer(number: int) -> UUID:
    return UUID(int=0x100 + number)


def queue(
    database: Database, number: int, rule: str = "churn-prevention-email", clinic: UUID = CLINIC, priority: int = 50
) -> UUID:
    """A decided message to customer `number`, who is entered with consent if need be; its id."""
    with database.begin(NOON) as connection:
        values = {"customer": customer(number), "clinic": clinic, "rule": rule, "priority": priority, "n": number}
        for statement in (
            "insert into public.customers (id, clinic_id, full_name, email, created_at) values"
            " (:customer, :clinic, 'Person ' || cast(:n as int), 'person' || cast(:n as int) || '@example.com',"
            " '2025-01-01') on conflict do nothing",
            "insert into public.customer_preferences (customer_id, clinic_id, marketing_opt_in, language, created_at)"
            " values (:customer, :clinic, true, 'en', '2025-01-01') on conflict do nothing",
            "insert into aura_ops.trigger_events (event_id, clinic_id, rule, subject_type, subject_id, customer_id,"
            " action, value, episode, decided_at, status, reason) values (md5(:rule || cast(:customer as uuid))::uuid,"
            " :clinic, :rule, 'customer', :customer, :customer, 'send_email', 85, 1, aura_ops.as_of(), 'eligible', '')",
        ):
            connection.execute(sqlalchemy.text(statement), values)
        return connection.execute(
            sqlalchemy.text(
                "insert into aura_ops.outbox (message_id, event_id, clinic_id, rule, action, recipient_type,"
                " recipient_id, priority, decided_at, not_before, expires_at) select md5('m' || event_id)::uuid,"
                " event_id, clinic_id, rule, action, 'customer', customer_id, :priority, decided_at, decided_at,"
                " decided_at + interval '7 days' from aura_ops.trigger_events where event_id ="
                " md5(:rule || cast(:customer as uuid))::uuid returning message_id"
            ),
            values,
        ).scalar_one()


@pytest.fixture(scope="module")
def clinic_template(server: Database, template: str) -> Iterator[str]:
    database = clone(server, template)
    execute(database, OPTIONAL_TABLES)
    with database.begin(NOON) as connection:
        build_source_relations(connection)
        build(connection, load_views())
    execute(database, PEOPLE)
    database.engine.dispose()
    assert database.url.database is not None
    yield database.url.database
    drop(server, database)


@pytest.fixture
def clinic(server: Database, clinic_template: str) -> Iterator[Database]:
    """Two clinics at NOON, with every view built, and nothing decided."""
    database = clone(server, clinic_template)
    yield database
    drop(server, database)


@pytest.fixture
def stub() -> Iterator[Stub]:
    with Stub() as running:
        yield running


def token(message_id: UUID) -> str:
    return sign(message_id, SECRET)
