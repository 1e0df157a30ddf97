"""A database on which the application's own migrations ran, seen by a role that is no superuser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy

from bn_aura_pipelines.database.connections import Database, psycopg_connection
from bn_aura_pipelines.database.migrations import MIGRATIONS, migrate, pending, read_migrations
from bn_aura_pipelines.database.preflight import preflight, require_ready
from bn_aura_pipelines.database.view_files import load_views
from bn_aura_pipelines.database.views import build
from bn_aura_pipelines.sources.check import SourcesUnusable, check_sources, require_sources
from bn_aura_pipelines.sources.relations import build_source_relations
from bn_aura_pipelines_tests.conftest import run_sql

APPLICATION = Path(__file__).with_name("existing_application.sql").read_text("utf-8")

PLATFORM = """
    do $$
    begin
        if not exists (select from pg_roles where rolname = 'authenticated') then
            create role authenticated nologin;
        end if;
    end
    $$;
    create schema extensions;
    create extension vector schema extensions;
    grant usage on schema extensions to {owner}, authenticated;
    alter schema public owner to {owner};
    create schema auth;
    create table auth.users (id uuid primary key);
    create function auth.uid() returns uuid language sql stable
    as $$ select nullif(current_setting('request.jwt.claim.sub', true), '')::uuid $$;
    create function auth.jwt() returns jsonb language sql stable
    as $$ select coalesce(nullif(current_setting('request.jwt.claims', true), ''), '{{}}')::jsonb $$;
    grant usage on schema auth to {owner}, authenticated;
    grant select, insert, references on auth.users to {owner};
"""

# Everything that is not ours and not PostgreSQL's own, one line a thing.
SNAPSHOT = """
    with foreign_schemas as (
        select oid, nspname from pg_namespace
        where nspname !~ '^(aura_|pg_)' and nspname <> 'information_schema'
    )
    select 'schema', n.nspname, pg_get_userbyid(n.nspowner) || coalesce(n.nspacl::text, '')
    from pg_namespace n join foreign_schemas using (oid)
    union all
    select 'relation', c.oid::regclass::text, concat_ws(' ', c.relkind, pg_get_userbyid(c.relowner), c.relacl,
        c.relrowsecurity, c.relforcerowsecurity, c.reloptions, c.relpersistence, c.reltablespace)
    from pg_class c join foreign_schemas n on n.oid = c.relnamespace
    union all
    select 'column', a.attrelid::regclass || '.' || a.attname, concat_ws(' ',
        format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attgenerated, a.attidentity, a.attacl, a.attstorage,
        a.attstattarget, pg_get_expr(d.adbin, d.adrelid), col_description(a.attrelid, a.attnum))
    from pg_attribute a join pg_class c on c.oid = a.attrelid join foreign_schemas n on n.oid = c.relnamespace
    left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
    where a.attnum > 0 and c.relkind in ('r', 'p', 'v', 'm')
    union all
    select 'index', indexrelid::regclass::text, concat_ws(' ', pg_get_indexdef(indexrelid), indisvalid)
    from pg_index i join pg_class c on c.oid = i.indexrelid join foreign_schemas n on n.oid = c.relnamespace
    union all
    select 'constraint', conrelid::regclass || '.' || conname, pg_get_constraintdef(k.oid)
    from pg_constraint k join foreign_schemas n on n.oid = k.connamespace
    union all
    select 'trigger', tgrelid::regclass || '.' || tgname, concat_ws(' ', pg_get_triggerdef(t.oid), tgenabled)
    from pg_trigger t join pg_class c on c.oid = t.tgrelid join foreign_schemas n on n.oid = c.relnamespace
    where not tgisinternal
    union all
    select 'policy', p.polrelid::regclass || '.' || polname, concat_ws(' ', polcmd, polpermissive, polroles::regrole[],
        pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid))
    from pg_policy p join pg_class c on c.oid = p.polrelid join foreign_schemas n on n.oid = c.relnamespace
    union all
    select 'function', p.oid::regprocedure::text, concat_ws(' ', pg_get_userbyid(proowner), proacl, proconfig,
        prosecdef, md5(prosrc))
    from pg_proc p join foreign_schemas n on n.oid = p.pronamespace
    union all
    select 'type', t.oid::regtype::text, concat_ws(' ', pg_get_userbyid(typowner), typacl,
        (select string_agg(enumlabel, ',' order by enumsortorder) from pg_enum e where e.enumtypid = t.oid))
    from pg_type t join foreign_schemas n on n.oid = t.typnamespace
    union all
    select 'extension', extname, concat_ws(' ', extversion, extnamespace::regnamespace, pg_get_userbyid(extowner))
    from pg_extension
    union all
    select 'role', rolname, concat_ws(' ', rolsuper, rolbypassrls, rolcreaterole, rolcreatedb, rolcanlogin)
    from pg_roles where rolname not like 'aura%'
    union all
    select 'setting', concat_ws(' ', setdatabase, setrole), setconfig::text
    from pg_db_role_setting s join pg_database d on d.oid = s.setdatabase where d.datname = current_database()
    union all
    select 'default privileges', concat_ws(' ', pg_get_userbyid(defaclrole), defaclnamespace::regnamespace,
        defaclobjtype), defaclacl::text
    from pg_default_acl
    order by 1, 2
"""


@pytest.fixture
def application(empty_database: Database) -> Iterator[Database]:
    """The database as its owner sees it: no superuser, but BYPASSRLS and CREATEROLE."""
    name = empty_database.url.database
    owner = f"owner_of_{name}"
    run_sql(empty_database, f"create role {owner} login bypassrls createrole createdb")
    run_sql(empty_database, f"alter database {name} owner to {owner}")
    script(empty_database, PLATFORM.format(owner=owner))
    database = Database(empty_database.url.set(username=owner))
    script(database, APPLICATION)
    yield database
    database.engine.dispose()
    forget_role(empty_database, owner)


def forget_role(database: Database, role: str) -> None:
    run_sql(database, f"reassign owned by {role} to postgres")
    run_sql(database, f"drop owned by {role}")
    run_sql(database, f"drop role {role}")


def script(database: Database, text: str) -> None:
    """Several statements in one transaction."""
    with database.begin() as connection:
        psycopg_connection(connection).execute(text.encode())


def snapshot(database: Database) -> set[tuple[str, str, str]]:
    with database.begin() as connection:
        things = {tuple(row) for row in connection.execute(sqlalchemy.text(SNAPSHOT.replace(":", "\\:")))}
        for (table,) in connection.execute(
            sqlalchemy.text(
                "select quote_ident(relname) from pg_class where relkind = 'r' and relnamespace ="
                " 'public'\\:\\:regnamespace"
            )
        ).all():
            content = connection.execute(
                sqlalchemy.text(
                    f"select md5(coalesce(string_agg(t\\:\\:text, '|' order by t\\:\\:text), '')) from {table} t"
                )
            ).scalar_one()
            things.add(("rows", table, content))
    return things  # type: ignore[return-value]


def test_migrating_adds_what_is_ours_and_touches_nothing_else(application: Database) -> None:
    before = snapshot(application)
    assert {kind for kind, _, _ in before} >= {"policy", "trigger", "index", "function", "extension", "rows"}
    require_ready(application)
    applied = migrate(application)
    assert applied == [migration.version for migration in read_migrations(MIGRATIONS)]
    assert pending(application) == []
    assert snapshot(application) == before
    assert preflight(application) == []
    with application.begin() as connection:
        require_sources(connection)
        skipped = connection.execute(sqlalchemy.text("select version from aura_ops.migrations where skipped"))
        assert skipped.scalars().all() == ["0002_application_tables"]


def test_every_view_stands_on_an_installation_without_the_optional_tables(application: Database) -> None:
    migrate(application)
    before = snapshot(application)
    with application.begin() as connection:
        build_source_relations(connection)
        build(connection, load_views())
    assert snapshot(application) == before


def test_only_the_missing_embedding_columns_are_added(application: Database) -> None:
    script(
        application,
        "drop function match_customers; alter table sales_leads drop column profile_embedding;"
        "alter table customers drop column preference_embedding;",
    )
    before = snapshot(application)
    migrate(application)
    added = {(kind, name) for kind, name, _ in snapshot(application) - before if kind != "rows"}
    assert added == {("column", "customers.preference_embedding"), ("column", "sales_leads.profile_embedding")}
    assert {kind for kind, _, _ in before - snapshot(application)} <= {"rows"}
    with application.begin() as connection:
        column_type = connection.execute(
            sqlalchemy.text(
                "select format_type(atttypid, atttypmod) from pg_attribute where attname = 'preference_embedding'"
                " and attrelid = 'public.customers'\\:\\:regclass"
            )
        ).scalar_one()
    assert column_type == "vector(768)"


def test_the_applications_own_search_finds_vectors_that_were_written(application: Database) -> None:
    migrate(application)
    with application.begin() as connection:
        connection.execute(
            sqlalchemy.text("""
                update public.customer_conversations as c
                set message_embeddings = (
                    select array_agg(case when i = n then 1.0 else 0.01 end)\\:\\:vector(768)
                    from generate_series(1, 768) as i
                )
                from (select id, row_number() over (order by summary) as n from public.customer_conversations) as o
                where o.id = c.id
            """)
        )
        query = "(select message_embeddings from customer_conversations where summary = 'About C7')"
        found = connection.execute(
            sqlalchemy.text(f"select summary, similarity from match_conversations({query}, 0.9, 5, null)")
        ).all()
    assert [row.summary for row in found] == ["About C7"]
    assert found[0].similarity == pytest.approx(1)


def test_a_role_that_row_level_security_would_blind_is_stopped(empty_database: Database, application: Database) -> None:
    migrate(application)
    role = f"blind_in_{application.url.database}"
    script(
        application,
        f"create role {role} login; grant usage on schema public to {role};"
        f"grant select on all tables in schema public to {role}",
    )
    blind = Database(application.url.set(username=role))
    try:
        with blind.begin() as connection:
            assert connection.execute(sqlalchemy.text("select count(*) from public.customers")).scalar_one() == 0
            hidden = {finding.table for finding in check_sources(connection) if finding.severity == "error"}
            assert hidden == {"users", "customers", "customer_conversations", "sales_leads", "appointments"}
            with pytest.raises(SourcesUnusable, match=f'run `alter role "{role}" bypassrls` as an administrator'):
                require_sources(connection)
    finally:
        blind.engine.dispose()
        forget_role(empty_database, role)
