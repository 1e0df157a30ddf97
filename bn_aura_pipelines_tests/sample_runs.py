"""Runs of the whole graph over the sample clinic, in which one person can be recognised wherever they are named."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from uuid import UUID

import dagster as dg
import pytest
import sqlalchemy

from bn_aura_pipelines.database.connections import Database
from bn_aura_pipelines.database.resource import Aura
from bn_aura_pipelines.definitions import build_definitions
from bn_aura_pipelines.orchestration.jobs import REFRESH_EVERYTHING
from bn_aura_pipelines.settings import get_settings

NOW = datetime.fromisoformat("2026-06-01T00:00:00+07:00")

ACCOUNT = UUID("ffffffff-0000-4000-8000-00000000f0f0")
NAME, EMAIL, PHONE = "Wilhelmina Oberholtzer", "w.oberholtzer@forgotten.example", "081-997-3351"

# Of the customers with a lead and a visit the one who wrote most.
RECOGNISABLE = """
    insert into public.users (id, email, role, tier, created_at)
    values (:account, :email, 'premium_customer', 'free', '2024-01-01');
    update public.customers set user_id = :account, full_name = :name, email = :email, phone = :phone
    where id = (
        select c.id from public.customers as c
        where exists (select from public.sales_leads as l where l.customer_id = c.id)
            and exists (select from public.appointments as a where a.customer_id = c.id and a.status = 'completed')
        order by (select count(*) from public.customer_conversations as t where t.customer_id = c.id) desc, c.id
        limit 1
    );
    update public.sales_leads set name = :name, email = :email, phone = :phone
    where customer_id = (select c.id from public.customers as c where c.user_id = :account);
    update public.customer_conversations set messages = messages || jsonb_build_array(
        (messages -> 0) || jsonb_build_object('content', 'This is ' || :name || ' ' || :email || ' ' || :phone)
    )
    where customer_id = (select c.id from public.customers as c where c.user_id = :account)
"""


def make_recognisable(connection: sqlalchemy.Connection) -> None:
    """Give one customer an account, and a name, an e-mail address and a phone that nobody else has."""
    for statement in RECOGNISABLE.split(";"):
        values = {"account": ACCOUNT, "name": NAME, "email": EMAIL, "phone": PHONE}
        used = {name: value for name, value in values.items() if f":{name}" in statement}
        connection.execute(sqlalchemy.text(statement).bindparams(**used))


def url_of(database: Database) -> str:
    return database.url.render_as_string(hide_password=False)


def materialize(database: Database, as_of: datetime) -> None:
    """The whole graph in this process, on a Dagster instance of its own."""
    run_job(database, REFRESH_EVERYTHING, as_of)


def run_job(database: Database, job: str, as_of: datetime | None = None) -> None:
    with instance_for(database) as instance:
        definition = build_definitions(Aura(as_of=as_of.isoformat() if as_of else None)).resolve_job_def(job)
        assert definition.execute_in_process(instance=instance).success


@contextmanager
def instance_for(database: Database, **settings: str) -> Iterator[dg.DagsterInstance]:
    """A Dagster instance while the settings name this database, a home of its own, and what `settings` add."""
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as home:
        for name, value in {"BN_AURA_DATABASE_URL": url_of(database), "BN_AURA_HOME": home, **settings}.items():
            patch.setenv(name, value)
        get_settings.cache_clear()
        with dg.DagsterInstance.ephemeral() as instance:
            yield instance
    get_settings.cache_clear()
