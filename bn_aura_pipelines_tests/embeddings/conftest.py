"""A small clinic whose rows are written out, so that a test can say what their texts are."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy
from psycopg.types.json import Jsonb

from bn_aura_pipelines.database.connections import Database, psycopg_connection
from bn_aura_pipelines.database.view_files import load_views
from bn_aura_pipelines.database.views import build
from bn_aura_pipelines.sources.relations import build_source_relations

BANGKOK = ZoneInfo("Asia/Bangkok")
CLINIC = UUID(int=1)
OTHER_CLINIC = UUID(int=2)


def moment(day: int, hour: int = 0) -> datetime:
    """A moment of January 2026 in Bangkok."""
    return datetime(2026, 1, day, hour, tzinfo=BANGKOK)


FIRST_DAY = moment(1)


def execute(database: Database, statement: str, *values: Any) -> int:
    """One statement in a transaction of its own; returns the rows it touched."""
    with database.begin() as connection:
        query: Any = statement
        return psycopg_connection(connection).execute(query, values).rowcount


def rows(database: Database, statement: str, *values: Any) -> list[tuple[Any, ...]]:
    with database.begin() as connection:
        query: Any = statement
        return psycopg_connection(connection).execute(query, values).fetchall()


def add_conversation(
    database: Database,
    messages: Any,
    *,
    created: datetime = FIRST_DAY,
    customer: UUID | None = None,
    clinic: UUID | None = CLINIC,
) -> UUID:
    """A conversation; `messages` are (role, content, timestamp) or what the column shall hold as it is."""
    if isinstance(messages, list):
        messages = [
            {"role": one[0], "content": one[1], "timestamp": one[2].isoformat()} if isinstance(one, tuple) else one
            for one in messages
        ]
    identity = uuid4()
    execute(
        database,
        "insert into public.customer_conversations (id, clinic_id, customer_id, messages, created_at)"
        " values (%s, %s, %s, %s, %s)",
        *(identity, clinic, customer, Jsonb(messages), created),
    )
    return identity


def add_customer(database: Database, name: str, created: datetime = FIRST_DAY, **columns: Any) -> UUID:
    identity = uuid4()
    columns = {"id": identity, "clinic_id": CLINIC, "full_name": name, "created_at": created, **columns}
    values = [Jsonb(value) if isinstance(value, list) else value for value in columns.values()]
    execute(
        database,
        f"insert into public.customers ({', '.join(columns)}) values ({', '.join(['%s'] * len(columns))})",
        *values,
    )
    return identity


def build_views(connection: sqlalchemy.Connection) -> None:
    build_source_relations(connection)
    build(connection, [view for view in load_views() if view.schema == "aura_staging"])


@pytest.fixture
def clinic(database: Database) -> Database:
    """A database with two clinics, a member of staff and no customers yet."""
    with database.begin() as connection:
        build_views(connection)
    for identity, code in ((CLINIC, "ONE"), (OTHER_CLINIC, "TWO")):
        execute(
            database,
            "insert into public.clinics (id, clinic_code, created_at) values (%s, %s, %s)",
            *(identity, code, moment(1)),
        )
    staff = UUID(int=7)
    execute(
        database,
        "insert into public.users (id, email, full_name, created_at) values (%s, 's@x.co', 'Malee Jaidee', %s)",
        *(staff, moment(1)),
    )
    execute(
        database,
        "insert into public.clinic_staff (clinic_id, user_id, role, created_at) values (%s, %s, 'sales_staff', %s)",
        *(CLINIC, staff, moment(1)),
    )
    return database
