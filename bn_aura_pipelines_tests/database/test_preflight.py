from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import sqlalchemy
from sqlalchemy import event

from bn_aura_pipelines.database.connections import Database, parse_url
from bn_aura_pipelines.database.dagster_storage import NoDagsterStorage, ensure_dagster_database
from bn_aura_pipelines.database.migrations import migrate
from bn_aura_pipelines.database.preflight import (
    NotReady,
    judge_server,
    judge_url,
    preflight,
    probe_session,
    require_ready,
)
from bn_aura_pipelines.database.server_facts import SCHEMAS, Column, ServerFacts, read_facts
from bn_aura_pipelines_tests.conftest import run_sql


@contextmanager
def connected_as(database: Database, attributes: str, *statements: str) -> Iterator[Database]:
    """The database as a role with these attributes sees it, after `statements` about it (written as {role})."""
    role = f"role_of_{database.url.database}"
    run_sql(database, f"create role {role} login {attributes}")
    for statement in statements:
        run_sql(database, statement.format(role=role, database=database.url.database))
    other = Database(database.url.set(username=role))
    try:
        yield other
    finally:
        other.engine.dispose()
        run_sql(database, f"reassign owned by {role} to postgres")
        run_sql(database, f"drop owned by {role}")
        run_sql(database, f"drop role {role}")


def only_message(facts: ServerFacts) -> str:
    (problem,) = judge_server(facts)
    assert "\n" not in problem.message
    return problem.message


def test_a_good_server_has_no_problems() -> None:
    assert judge_server(ServerFacts()) == []


def test_a_server_older_than_15_is_to_be_upgraded() -> None:
    assert only_message(ServerFacts(version=140011)) == "The server is PostgreSQL 14: upgrade it to 15 or newer."


def test_a_server_without_pgvector_is_to_get_it() -> None:
    assert "install pgvector 0.8 or newer" in only_message(ServerFacts(pgvector_available=None))


def test_an_old_pgvector_is_to_be_updated() -> None:
    assert "alter extension vector update" in only_message(ServerFacts(pgvector_installed="0.7.4"))
    old = ServerFacts(pgvector_installed="0.7.4", pgvector_available="0.7.4")
    assert "install pgvector 0.8 or newer on the server" in only_message(old)
    assert "offers pgvector 0.7.4" in only_message(ServerFacts(pgvector_available="0.7.4"))
    assert judge_server(ServerFacts(pgvector_installed="0.10.0")) == []


def test_a_role_that_may_not_install_pgvector_is_told_who_can() -> None:
    facts = ServerFacts(may_install_pgvector=False, database="clinic")
    assert "run `create extension vector` as an administrator in database clinic" in only_message(facts)


def test_missing_columns_out_of_reach_come_with_the_statement_to_run() -> None:
    facts = ServerFacts(
        pgvector_installed="0.8.0",
        pgvector_schema="extensions",
        columns=(Column("sales_leads", "profile_embedding", "app", may_add=False),),
    )
    assert (
        "run `alter table public.sales_leads add column profile_embedding extensions.vector(768)` as app."
        in only_message(facts)
    )


def test_columns_of_other_dimensions_are_named() -> None:
    facts = ServerFacts(columns=(Column("customers", "preference_embedding", "app", "extensions.vector(1536)"),))
    assert "public.customers.preference_embedding is extensions.vector(1536)" in only_message(facts)


def test_fatal_problems_come_first() -> None:
    problems = judge_server(ServerFacts(version=140000, missing_roles=("aura_bi",), may_create_roles=False))
    assert [problem.fatal for problem in problems] == [True, False]


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://postgres.abc:secret@aws-0-ap-southeast-1.pooler.supabase.com:6543/postgres",
        "postgresql://postgres:secret@db.abc.supabase.co:6543/postgres",
    ],
)
def test_supabases_transaction_pooler_is_recognised_by_its_port(url: str) -> None:
    (problem,) = judge_url(parse_url(url))
    assert problem.fatal
    assert "use the session mode on port 5432" in problem.message
    assert "secret" not in problem.message
    assert judge_url(parse_url(url.replace("6543", "5432"))) == []


def test_a_pooler_that_loses_session_settings_is_recognised_by_that(database: Database) -> None:
    def forget(connection: sqlalchemy.Connection) -> None:
        connection.exec_driver_sql("reset all")

    assert probe_session(database) == []
    event.listen(database.engine, "begin", forget)
    (problem,) = probe_session(database)
    assert problem.fatal
    assert "pooler in transaction mode" in problem.message


def test_an_unreachable_server_is_one_line_without_the_password() -> None:
    database = Database(parse_url("postgresql://me:secret@127.0.0.1:1/nowhere"))
    (problem,) = preflight(database)
    assert problem.fatal
    assert "BN_AURA_DATABASE_URL" in problem.message
    assert "secret" not in problem.message
    assert "\n" not in problem.message


def test_a_database_that_does_not_exist_is_unreachable(server: Database) -> None:
    with pytest.raises(NotReady, match='database "no_such" does not exist'):
        require_ready(Database(server.url.set(database="no_such")))


def test_a_migrated_database_is_ready(database: Database) -> None:
    assert preflight(database) == []
    with database.begin() as connection:
        facts = read_facts(connection)
    assert facts.pgvector_installed is not None
    assert facts.schemas_owned == set(SCHEMAS)


def test_every_schema_of_ours_is_asked_about(database: Database) -> None:
    with database.begin() as connection:
        found = connection.execute(sqlalchemy.text("select nspname from pg_namespace where nspname like 'aura%'"))
        assert set(found.scalars()) == set(SCHEMAS)


def test_a_role_without_rights_is_told_each_statement(empty_database: Database) -> None:
    with connected_as(empty_database, "") as database:
        messages = [problem.message for problem in preflight(database)]
        assert any("`create extension vector` as an administrator" in message for message in messages)
        assert any(f"grant create on database {database.url.database} to role_of_" in message for message in messages)
        assert any("grant create on schema public to role_of_" in message for message in messages)
        with pytest.raises(NotReady):
            require_ready(database)


def test_the_remedies_named_are_enough(empty_database: Database) -> None:
    remedies = (
        "create extension vector",
        "grant create on database {database} to {role}",
        "grant create on schema public to {role}",
    )
    with connected_as(empty_database, "", *remedies) as database:
        require_ready(database)
        migrate(database)
        assert [problem for problem in preflight(database) if problem.fatal] == []


def test_schemas_made_by_an_administrator_are_enough(empty_database: Database) -> None:
    remedies = (
        "create extension vector",
        "grant create on schema public to {role}",
        *(f"create schema {schema} authorization {{role}}" for schema in SCHEMAS),
    )
    with connected_as(empty_database, "", *remedies) as database:
        require_ready(database)
        migrate(database)


def test_schemas_of_somebody_else_are_named(database: Database) -> None:
    with (
        connected_as(database, "", "grant create on database {database} to {role}") as other,
        pytest.raises(NotReady, match="alter schema aura_ops owner to role_of_"),
    ):
        require_ready(other)


def test_embedding_columns_out_of_reach_stop_before_anything_is_written(database: Database) -> None:
    statements = (
        "alter table public.customers drop column preference_embedding",
        "drop schema aura_ops, aura_staging, aura_features, aura_models, aura_marts cascade",
        "grant create on database {database} to {role}",
    )
    with (
        connected_as(database, "", *statements) as other,
        pytest.raises(NotReady, match=r"`alter table public.customers add column preference_embedding \S*vector\(768"),
    ):
        require_ready(other)


def test_columns_that_may_not_be_written_are_named_with_the_grant(database: Database) -> None:
    statements = (
        "drop schema aura_ops, aura_staging, aura_features, aura_models, aura_marts cascade",
        "grant create on database {database} to {role}",
        "grant update on public.customers to {role}",
        "grant update (profile_embedding) on public.sales_leads to {role}",
    )
    with connected_as(database, "", *statements) as other:
        problems = [problem for problem in preflight(other) if problem.name == "embedding columns"]
    (problem,) = problems
    assert "grant update (message_embeddings) on public.customer_conversations to role_of_" in problem.message
    assert not problem.fatal


def test_dagsters_database_is_there_or_its_absence_names_the_remedy(server: Database, database: Database) -> None:
    ensure_dagster_database(database)
    with connected_as(database, "") as other, pytest.raises(NoDagsterStorage, match="alter database dagster owner to"):
        ensure_dagster_database(other)
