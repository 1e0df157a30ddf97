"""Who asks to be forgotten is found in no owned table afterwards, and no run brings them back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import dagster as dg
import pytest
import sqlalchemy

from bn_aura_pipelines.database.connections import Database, psycopg_connection
from bn_aura_pipelines.database.resource import Aura
from bn_aura_pipelines.orchestration import erasing
from bn_aura_pipelines.orchestration.erasing import owned_tables
from bn_aura_pipelines.orchestration.erasure import erase, erase_leftovers, hide, pending_requests
from bn_aura_pipelines.orchestration.sensors import erase_on_request
from bn_aura_pipelines.settings import get_settings
from bn_aura_pipelines_tests.conftest import clone, drop
from bn_aura_pipelines_tests.sample_runs import ACCOUNT, EMAIL, NAME, NOW, PHONE, materialize, run_job, url_of

MY_IDS = """
    with mine as (select id from public.customers where user_id = :account)
    select id from mine
    union select id from public.sales_leads where customer_id in (select id from mine)
    union select id from public.customer_conversations where customer_id in (select id from mine)
    union select id from public.appointments where customer_id in (select id from mine)
"""
# What a run over the sample does not fill: a row about the person in each such table.
PLANTED = """
    insert into aura_ops.quarantine (file_name, line_number, table_name, reason, row_text) values
        ('a.csv', 1, 'customers', 'no id', 'x,' || :name || ',,'), ('a.csv', 2, 'customers', 'no id', 'x|' || :phone),
        ('a.csv', 3, 'customers', 'no id', upper(:email) || ',x');
    insert into aura_ops.api_reads (reader, clinic_id, resource, key, personal)
    select 'key', clinic_id, 'customers', id, true from public.customers where user_id = :account;
    insert into aura_ops.score_feedback (clinic_id, model, subject_id, was_right, note)
    select clinic_id, 'churn', id, true, full_name from public.customers where user_id = :account;
    insert into aura_ops.trigger_events (
        event_id, clinic_id, rule, subject_type, subject_id, customer_id, action, value, decided_at, ended_at, status,
        reason, episode
    )
    select
        gen_random_uuid(), clinic_id, (select min(rule) from aura_ops.trigger_rules), 'customer', id, id, 'notify', 90,
        '2026-01-01', '2026-01-02', 'eligible', 'x', 77
    from public.customers where user_id = :account;
    insert into aura_ops.outbox (
        message_id, event_id, clinic_id, rule, action, recipient_type, recipient_id, priority, status, decided_at,
        not_before, expires_at, body
    )
    select
        gen_random_uuid(), event_id, clinic_id, rule, 'send_email', 'customer', customer_id, 1, 'sent', decided_at,
        decided_at, decided_at, convert_to(jsonb_build_object('to', :email, 'text', :name)::text, 'UTF8')
    from aura_ops.trigger_events where episode = 77;
    insert into aura_ops.outbox (
        message_id, event_id, clinic_id, rule, action, recipient_type, recipient_id, priority, status, decided_at,
        not_before, expires_at
    )
    select
        gen_random_uuid(), event_id, clinic_id, rule, 'notify', 'user', gen_random_uuid(), 1, 'sent', decided_at,
        decided_at, decided_at
    from aura_ops.trigger_events where episode = 77;
    insert into aura_ops.email_events (event_key, message_id, kind, occurred_at)
    select 'key', message_id, 'delivered', now() from aura_ops.outbox where body is not null;
    insert into aura_marts.notifications (
        clinic_id, event_id, recipient_user_id, type, subject_type, subject_id, title_en, title_th, message_en,
        message_th, link
    )
    select
        clinic_id, event_id, gen_random_uuid(), rule, 'customer', subject_id, 'x', 'x', 'x', 'x',
        '/customers/' || subject_id
    from aura_ops.trigger_events where episode = 77;
    insert into aura_ops.embedding_cache (content_hash, model, entity, entity_id, kept_at, embedding)
    select '\\x00', model, entity, entity_id, now(), embedding
    from aura_ops.embeddings where entity_id in (select id from public.customers where user_id = :account);
    insert into aura_ops.embedding_bulk_jobs (job, model, entity, texts, tokens, cost_usd, submitted_at)
    values ('00000000-0000-0000-0000-00000000000b', 'gemini', 'customer', 1, 1, 0, now());
    insert into aura_ops.embedding_bulk_texts (job, place, content_hash, entity_id, weight)
    select '00000000-0000-0000-0000-00000000000b', 0, '\\x00', id, 1
    from public.customers where user_id = :account;
    insert into aura_ops.voice_answers (
        content_hash, model, conversation_id, status, answer, attempts, tokens, cost_usd, known_at
    )
    select 'hash', 'gemini', id, 'done', '{}', 1, 1, 0, now()
    from public.customer_conversations where customer_id in (select id from public.customers where user_id = :account)
    limit 1;
    update aura_marts.customer_referrals set customer_id = (select id from public.customers where user_id = :account)
    where ctid = (select min(ctid) from aura_marts.customer_referrals);
    update aura_marts.trigger_events as t
    set event_id = e.event_id, subject_id = e.subject_id, customer_id = e.customer_id
    from aura_ops.trigger_events as e
    where e.episode = 77 and t.ctid = (select min(ctid) from aura_marts.trigger_events);
    update aura_features.trigger_outcomes as t
    set event_id = e.event_id, subject_id = e.subject_id, customer_id = e.customer_id
    from aura_ops.trigger_events as e
    where e.episode = 77 and t.ctid = (select min(ctid) from aura_features.trigger_outcomes);
    update aura_marts.lead_board set lead_id = (
        select l.id from public.sales_leads as l join public.customers as c on c.id = l.customer_id
        where c.user_id = :account limit 1
    )
    where ctid = (select min(ctid) from aura_marts.lead_board);
    insert into aura_ops.emerging_topics (conversation_id, clinic_id, topic, since, quote)
    select id, clinic_id, 'x', '2026-01-01', 'x'
    from public.customer_conversations where customer_id in (select id from public.customers where user_id = :account)
    on conflict do nothing
"""
REQUESTS = """
    create table if not exists public.data_deletion_requests (
        id uuid primary key default gen_random_uuid(), user_id uuid not null, request_type text not null,
        status text not null default 'pending', processed_at timestamptz
    )
"""
ASK = "insert into public.data_deletion_requests (user_id, request_type) values (:account, 'full_deletion')"
# Somebody else's address that holds the person's.
LOOKALIKE = f"x{EMAIL}"
# Tables whose uuids name tenants, staff and treatments only.
NOBODYS = {
    "aura_marts.staff_members",
    "aura_marts.staff_performance",
    "aura_ops.embedding_bulk_jobs",
    "aura_truth.staff",
}


def execute(database: Database, script: str) -> None:
    with database.begin() as connection:
        for statement in script.split(";"):
            values = {"account": ACCOUNT, "name": NAME, "email": EMAIL, "phone": PHONE}
            used = {name: value for name, value in values.items() if f":{name}" in statement}
            connection.execute(sqlalchemy.text(statement).bindparams(**used))


def my_ids(database: Database) -> list[UUID]:
    with database.begin() as connection:
        return list(connection.execute(sqlalchemy.text(MY_IDS), {"account": ACCOUNT}).scalars())


def found(database: Database, ids: list[UUID]) -> dict[str, int]:
    """Rows of each owned table that hold an id, the name, the e-mail or the phone anywhere, in bytes too."""
    words = [NAME.lower(), EMAIL, PHONE, PHONE.replace("-", ""), *map(str, ids)]
    words += [word.encode().hex() for word in (NAME, EMAIL, PHONE, *map(str, ids))] + [one.hex for one in ids]
    rows = {}
    with database.begin() as connection:
        tables = connection.exec_driver_sql(
            "select c.oid::regclass::text from pg_class as c join pg_namespace as n on n.oid = c.relnamespace"
            " where n.nspname like 'aura%%' and c.relkind in ('r', 'p', 'm') and not c.relispartition order by 1"
        ).scalars()
        for table in tables.all():
            count = connection.exec_driver_sql(
                f"select count(*) from {table} as t where replace(lower(t::text), %s, '') like any(%s)",
                (LOOKALIKE, [f"%{word}%" for word in words]),
            ).scalar_one()
            if count:
                rows[table] = count
    return rows


@pytest.fixture
def asked(finished: Database) -> Database:
    """The sample after a run, in which the person has left a trace in every table and asks to be forgotten."""
    execute(finished, PLANTED)
    execute(finished, REQUESTS)
    execute(finished, ASK)
    return finished


def carry_out(database: Database) -> None:
    with database.begin() as connection:
        (request,) = pending_requests(connection)
    with database.begin() as connection:
        person = hide(connection, request)
    with database.begin() as connection:
        erase(connection, request, person)


def test_nothing_is_left_in_any_owned_table_and_the_next_run_brings_nothing_back(asked: Database) -> None:
    ids = my_ids(asked)
    assert len(ids) > 3
    before = found(asked, ids)
    with asked.begin() as connection:
        naming = {f"{one.schema}.{one.name}" for one in owned_tables(psycopg_connection(connection)) if one.ids}
    others = counts(asked, ids)

    run_job(asked, "erase_people")
    assert found(asked, ids) == {}
    assert counts(asked, ids) == others
    with asked.begin() as connection:
        audit = connection.exec_driver_sql("select * from aura_ops.erasures").mappings().one()
        assert audit["user_id"] == ACCOUNT
        assert audit["request_type"] == "full_deletion"
        assert audit["subjects"] == len(ids)
        erased = audit["rows_erased"]
        assert not any(word in json.dumps(erased) for word in (NAME, EMAIL, PHONE, *map(str, ids)))
        ours = connection.execute(
            sqlalchemy.text("select preference_embedding from public.customers where user_id = :a"), {"a": ACCOUNT}
        ).scalar_one()
        assert ours is None
    # What is about a row that goes goes too, though nobody could recognise the person in it.
    about_rows = {name: erased[name] for name in ("aura_ops.outbox", "aura_ops.email_events")}
    assert {name: rows for name, rows in erased.items() if name.startswith("aura_")} == before | about_rows
    # Whoever adds a table that may name a person plants a row of the person's above.
    assert naming - erased.keys() == NOBODYS

    # The application still has the person, and a whole run does not bring them back.
    materialize(asked, NOW)
    assert my_ids(asked) == ids
    assert found(asked, ids) == {}
    with asked.begin() as connection:
        assert pending_requests(connection) == []


def counts(database: Database, ids: list[UUID]) -> dict[str, int]:
    """Rows of other customers in the tables that keep what no run can make again."""
    with database.begin() as connection:
        return {
            table: connection.exec_driver_sql(
                f"select count(*) from {table} as t where not t::text like any(%s)", ([f"%{one}%" for one in ids],)
            ).scalar_one()
            for table in ("aura_ops.trigger_events", "aura_ops.lead_stage_history", "aura_marts.customer_360")
        }


@pytest.fixture(scope="module")
def planted_template(server: Database, template: str) -> Iterator[str]:
    """A database with two people and no run, to clone: enough to see which rows go."""
    database = clone(server, template)
    execute(
        database,
        REQUESTS
        + """;
        insert into public.clinics (id, clinic_code, display_name, created_at)
        values ('00000000-0000-0000-0000-00000000000c', 'C', '{}', '2025-01-01');
        insert into public.users (id, email, role, tier) values (:account, :email, 'premium_customer', 'free');
        insert into public.customers (id, clinic_id, user_id, customer_code, full_name, email, phone)
        values ('00000000-0000-0000-0000-0000000000a1', '00000000-0000-0000-0000-00000000000c', :account, 'A', :name,
            'other.address@example.com', :phone);
        insert into public.customers (id, clinic_id, customer_code, full_name, email, phone)
        values ('00000000-0000-0000-0000-0000000000a2', '00000000-0000-0000-0000-00000000000c', 'B', :name,
            'xw.oberholtzer@forgotten.example', '081-997-3352');
        insert into public.sales_leads (id, clinic_id, name, email)
        values ('00000000-0000-0000-0000-0000000000b1', '00000000-0000-0000-0000-00000000000c', 'W', upper(:email));
        insert into public.customer_conversations (id, clinic_id, status, metadata)
        values ('00000000-0000-0000-0000-0000000000d1', '00000000-0000-0000-0000-00000000000c', 'active',
            '{"lead_id": "00000000-0000-0000-0000-0000000000b1"}')
        """,
    )
    database.engine.dispose()
    assert database.url.database is not None
    yield database.url.database
    drop(server, database)


CUSTOMER, NAMESAKE = UUID(int=0xA1), UUID(int=0xA2)
LEAD, CONVERSATION = UUID(int=0xB1), UUID(int=0xD1)


@pytest.fixture
def two(server: Database, planted_template: str) -> Iterator[Database]:
    database = clone(server, planted_template)
    yield database
    drop(server, database)


def sources(database: Database) -> set[UUID]:
    with database.begin() as connection:
        return set(
            connection.exec_driver_sql(
                "select id from aura_staging.source_customers union all select id from aura_staging.source_sales_leads"
                " union all select id from aura_staging.source_customer_conversations"
            ).scalars()
        )


def test_customer_lead_and_conversation_of_an_account_are_hidden_and_a_namesake_is_not(two: Database) -> None:
    execute(two, ASK)
    carry_out(two)
    assert sources(two) == {NAMESAKE}
    # Somebody who comes again, under a new id, is seen.
    execute(
        two,
        "insert into public.customers (id, clinic_id, user_id, customer_code, full_name, email) values"
        " ('00000000-0000-0000-0000-0000000000a3', '00000000-0000-0000-0000-00000000000c', :account, 'C', :name,"
        " :email)",
    )
    assert sources(two) == {NAMESAKE, UUID(int=0xA3)}


def test_a_refused_request_erases_nobody_and_one_that_the_application_has_done_is_still_ours_to_do(
    two: Database,
) -> None:
    for status in ("rejected", "cancelled"):
        execute(two, ASK + f"; update public.data_deletion_requests set status = '{status}'")
    with two.begin() as connection:
        assert pending_requests(connection) == []
    execute(two, "update public.data_deletion_requests set status = 'completed', processed_at = now()")
    with two.begin() as connection:
        assert len(pending_requests(connection)) == 2


def test_without_a_table_of_requests_nobody_has_asked(database: Database) -> None:
    execute(database, "drop table if exists public.data_deletion_requests cascade")
    with database.begin() as connection:
        assert pending_requests(connection) == []


# Tables that nobody has thought of: a key under any name, inside a document, a list, a domain, a phone in words.
NEW_ROOM = f"""
    create domain aura_ops.contact as text;
    create type aura_ops.card as (who text, number text);
    create table aura_ops.new_keys (whose uuid, n int);
    create table aura_models.new_documents (clinic_id uuid, body jsonb);
    create table aura_marts.new_lists (people uuid[], names text[]);
    create table aura_features.new_texts (said varchar(200), contact aura_ops.contact, card aura_ops.card);
    create table aura_ops.new_parents (parent_id uuid primary key, whose uuid);
    create table aura_ops.new_children (parent_id uuid references aura_ops.new_parents, n int);
    create table aura_ops.new_parts (whose uuid, n int) partition by list (n);
    create table aura_ops.new_parts_1 partition of aura_ops.new_parts for values in (1);
    insert into aura_ops.new_keys values ('{LEAD}', 1), ('{NAMESAKE}', 2);
    insert into aura_models.new_documents values
        (null, '{{"deep": [{{"id": "{CUSTOMER}"}}]}}'), (null, '{{"id": "{NAMESAKE}"}}');
    insert into aura_marts.new_lists values ('{{{CONVERSATION}}}', '{{x}}'), ('{{{NAMESAKE}}}', '{{y}}');
    insert into aura_features.new_texts values
        ('call 0819973351 now', null, null), ('call +66 81 997 3351', null, null),
        ('x', 'W.Oberholtzer@Forgotten.Example', null),
        ('x', null, row('other.address@example.com', '')), ('{LOOKALIKE}', '081-997-3352', null);
    insert into aura_ops.new_parents values ('00000000-0000-0000-0000-0000000000e1', '{CUSTOMER}'),
        ('00000000-0000-0000-0000-0000000000e2', '{NAMESAKE}');
    insert into aura_ops.new_children values ('00000000-0000-0000-0000-0000000000e1', 1),
        ('00000000-0000-0000-0000-0000000000e2', 2);
    insert into aura_ops.new_parts values ('{CUSTOMER}', 1), ('{NAMESAKE}', 1)
"""
NEW_TABLES = (
    "aura_ops.new_keys",
    "aura_models.new_documents",
    "aura_marts.new_lists",
    "aura_features.new_texts",
    "aura_ops.new_parents",
    "aura_ops.new_children",
    "aura_ops.new_parts",
)


def test_a_new_table_is_covered_whatever_its_columns_are_called_and_others_keep_their_rows(two: Database) -> None:
    execute(two, NEW_ROOM)
    execute(two, ASK)
    assert found(two, [CUSTOMER, LEAD, CONVERSATION]) != {}
    carry_out(two)
    assert found(two, [CUSTOMER, LEAD, CONVERSATION]) == {}
    with two.begin() as connection:
        left = {name: connection.exec_driver_sql(f"select count(*) from {name}").scalar_one() for name in NEW_TABLES}
    assert left == dict.fromkeys(NEW_TABLES, 1)


def test_a_table_without_erasure_would_be_noticed(two: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(erasing, "KEPT", (*erasing.KEPT, "aura_ops.new_keys", "aura_features.new_texts"))
    execute(two, NEW_ROOM)
    execute(two, ASK)
    carry_out(two)
    assert found(two, [CUSTOMER, LEAD, CONVERSATION]).keys() == {"aura_ops.new_keys", "aura_features.new_texts"}


def test_a_killed_erasure_is_carried_out_by_the_next_one_and_twice_changes_nothing(two: Database) -> None:
    execute(two, NEW_ROOM)
    execute(two, ASK)
    with two.begin() as connection:
        (request,) = pending_requests(connection)
        hide(connection, request)
    # Killed here, and the application has meanwhile deleted its own rows.
    execute(two, "delete from public.customers where user_id = :account")
    carry_out(two)
    with two.begin() as connection:
        assert pending_requests(connection) == []
    assert "aura_ops.new_parents" not in found(two, [CUSTOMER])
    execute(two, ASK)
    carry_out(two)
    with two.begin() as connection:
        rows = (
            connection.exec_driver_sql("select rows_erased from aura_ops.erasures order by erased_at").scalars().all()
        )
    assert rows[0] != {}
    assert rows[1] == {}


def test_what_a_run_that_was_under_way_still_writes_goes_with_the_housekeeping(two: Database) -> None:
    execute(two, NEW_ROOM)
    execute(two, ASK)
    carry_out(two)
    execute(two, f"insert into aura_ops.new_keys values ('{LEAD}', 3)")
    with two.begin() as connection:
        assert erase_leftovers(connection) == {"aura_ops.new_keys": 1}
        assert erase_leftovers(connection) == {}


def test_the_sensor_asks_once_for_each_new_request(
    two: Database, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("BN_AURA_DATABASE_URL", url_of(two))
    monkeypatch.setenv("BN_AURA_HOME", str(tmp_path))
    get_settings.cache_clear()
    context = dg.build_sensor_context(resources={"aura": Aura()})
    assert isinstance(erase_on_request(context), dg.SkipReason)
    execute(two, ASK)
    first, again = erase_on_request(context), erase_on_request(context)
    assert isinstance(first, dg.RunRequest)
    assert isinstance(again, dg.RunRequest)
    assert first.run_key == again.run_key
    run_job(two, "erase_people")
    monkeypatch.setenv("BN_AURA_DATABASE_URL", url_of(two))
    get_settings.cache_clear()
    assert isinstance(erase_on_request(context), dg.SkipReason)
