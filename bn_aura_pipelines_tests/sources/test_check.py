from __future__ import annotations

from collections.abc import Iterator

import pytest
import sqlalchemy

from bn_aura_pipelines.database.connections import Database
from bn_aura_pipelines.sources.check import Finding, SourcesUnusable, check_sources, require_sources
from bn_aura_pipelines.sources.contract import TABLES

ROLE = "test_reader"


def findings(database: Database, *statements: str) -> list[Finding]:
    """What the check finds after these statements, which are then undone."""
    with database.engine.connect() as connection:
        for statement in statements:
            connection.execute(sqlalchemy.text(statement))
        return check_sources(connection)


def errors(found: list[Finding]) -> list[str]:
    return [finding.message for finding in found if finding.severity == "error"]


@pytest.fixture
def reader(database: Database) -> Iterator[str]:
    """A role that is neither owner nor superuser and may read the sources."""
    with database.begin() as connection:
        connection.execute(sqlalchemy.text(f"create role {ROLE}"))
        connection.execute(sqlalchemy.text(f"grant select on all tables in schema public to {ROLE}"))
    yield ROLE
    with database.begin() as connection:
        connection.execute(sqlalchemy.text(f"drop owned by {ROLE}"))
        connection.execute(sqlalchemy.text(f"drop role {ROLE}"))


def test_our_own_tables_fulfil_the_contract(database: Database) -> None:
    assert errors(findings(database)) == []


def test_what_is_missing_extra_or_of_another_type_is_named(database: Database) -> None:
    found = findings(
        database,
        "drop table public.referrals",
        "alter table public.customers drop column full_name",
        "alter table public.sales_leads drop column category",
        "alter table public.appointments add column room text",
        "alter table public.customer_conversations alter column created_at type timestamp",
        "alter table public.clinics alter column max_sales_staff type bigint",
        "alter table public.clinics alter column subscription_tier type varchar(20)",
    )
    assert errors(found) == [
        "public.customers.full_name does not exist: add the column (text) with the application's migrations.",
        "public.customer_conversations.created_at is timestamp without time zone, not timestamptz: "
        "change its type in the application's migrations.",
    ]
    said = {finding.message for finding in found if finding.severity == "info"}
    assert "public.referrals does not exist: read as empty." in said
    assert "public.sales_leads.category does not exist: read as null." in said
    assert "public.appointments.room is not in the source contract: not read." in said


def test_a_missing_required_table_is_one_line_with_the_remedy(database: Database) -> None:
    with database.engine.connect() as connection:
        connection.execute(sqlalchemy.text("drop table public.appointments"))
        with pytest.raises(SourcesUnusable, match=r"^public\.appointments does not exist: point [^\n]*$"):
            require_sources(connection)


def test_an_empty_database_says_how_many_more_there_are(empty_database: Database) -> None:
    with empty_database.begin() as connection, pytest.raises(SourcesUnusable, match=r"And 7 more"):
        require_sources(connection)
    assert sum(table.required for table in TABLES) == 8


def test_row_level_security_that_would_hide_rows_is_an_error_with_the_remedy(database: Database, reader: str) -> None:
    protect = "alter table public.customers enable row level security"
    assert errors(findings(database, protect)) == []  # the owner sees every row
    assert errors(findings(database, protect, f"set role {reader}")) == [
        "Row-level security would hide rows of public.customers from the role test_reader: "
        'run `alter role "test_reader" bypassrls` as an administrator, or connect as the owner of the tables.'
    ]
    bypass = f"alter role {reader} bypassrls"
    assert errors(findings(database, protect, bypass, f"set role {reader}")) == []


def test_a_table_that_may_not_be_read_is_an_error_with_the_remedy(database: Database, reader: str) -> None:
    found = findings(database, f"revoke select on public.users from {reader}", f"set role {reader}")
    assert errors(found) == [
        "The role test_reader may not read public.users: grant usage on schema public and select on public.users to it."
    ]
