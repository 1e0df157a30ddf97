from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from bn_aura_pipelines.database.connections import Database
from bn_aura_pipelines.embeddings.offline import OfflineEmbedder
from bn_aura_pipelines.embeddings.providers import Entity
from bn_aura_pipelines.embeddings.sync import SyncReport, sync
from bn_aura_pipelines.embeddings.text import render
from bn_aura_pipelines_tests.embeddings.conftest import (
    CLINIC,
    OTHER_CLINIC,
    add_conversation,
    add_customer,
    execute,
    moment,
    rows,
)

NOW = moment(20)


def run(database: Database, entity: Entity = "conversation", as_of: Any = NOW, **options: Any) -> SyncReport:
    return sync(database, entity, as_of, OfflineEmbedder(), **options)


def vectors(database: Database) -> list[tuple[Any, ...]]:
    return rows(
        database,
        "select entity, entity_id, clinic_id, model, template_version, content_hash, embedding::text"
        " from aura_ops.embeddings order by 1, 2, 4",
    )


def texts(database: Database, entity: Entity, ids: list[UUID], as_of: Any = NOW) -> list[str]:
    with database.begin(as_of) as connection:
        found = {document.entity_id: document.text for document in render(connection, entity, ids)}
    return [found[one] for one in ids]


def test_every_row_with_a_text_gets_a_vector_and_a_second_run_writes_nothing(clinic: Database) -> None:
    add_conversation(clinic, [("customer", "สนใจโบท็อกซ์ค่ะ", moment(2))])
    add_conversation(clinic, [("customer", "laser price?", moment(2))], clinic=None)
    add_conversation(clinic, [])
    first = run(clinic)
    assert (first.embedded, first.empty, first.left) == (2, 1, 0)
    before = rows(clinic, "select xmin::text, l::text from aura_ops.embedding_ledger as l order by entity_id")
    second = run(clinic)
    assert (second.embedded, second.unchanged, second.empty, second.deleted) == (0, 0, 0, 0)
    assert rows(clinic, "select xmin::text, l::text from aura_ops.embedding_ledger as l order by entity_id") == before


def test_only_what_grew_is_embedded_and_edits_of_other_columns_are_not(clinic: Database) -> None:
    grown = add_conversation(clinic, [("customer", "hello", moment(2))])
    other = add_conversation(clinic, [("customer", "bonjour", moment(2))])
    run(clinic)
    execute(clinic, "update public.customer_conversations set summary = 'x' where id = %s", other)
    execute(
        clinic,
        "update public.customer_conversations set messages = messages || messages where id = %s",
        grown,
    )
    report = run(clinic)
    assert (report.embedded, report.unchanged) == (1, 1)
    assert run(clinic).unchanged == 0


def test_a_run_about_an_earlier_moment_gives_what_a_database_cut_off_then_would(clinic: Database) -> None:
    add_conversation(clinic, [("customer", "hello", moment(2)), ("sales", "later", moment(9))])
    add_conversation(clinic, [("customer", "new", moment(9))], created=moment(9))
    run(clinic, as_of=moment(5))
    early = vectors(clinic)
    assert len(early) == 1
    assert run(clinic, as_of=moment(10)).embedded == 2
    late = vectors(clinic)
    report = run(clinic, as_of=moment(5))
    assert (report.embedded, report.cached, report.deleted) == (0, 1, 1)
    assert vectors(clinic) == early
    report = run(clinic, as_of=moment(10))
    assert (report.embedded, report.cached) == (0, 2)
    assert vectors(clinic) == late


def test_the_vectors_of_a_deleted_row_go_with_it_from_the_cache_too(clinic: Database) -> None:
    gone = add_conversation(clinic, [("customer", "hello", moment(2))])
    run(clinic)
    execute(clinic, "update public.customer_conversations set messages = '[]' where id = %s", gone)
    assert run(clinic).empty == 1
    assert rows(clinic, "select count(*) from aura_ops.embedding_cache") == [(1,)]
    execute(clinic, "delete from public.customer_conversations")
    assert run(clinic).deleted == 1
    assert vectors(clinic) == []
    assert rows(clinic, "select count(*) from aura_ops.embedding_cache") == [(0,)]


def test_a_row_that_moves_to_another_clinic_takes_its_vector_along(clinic: Database) -> None:
    add_conversation(clinic, [("customer", "hello", moment(2))])
    run(clinic)
    execute(clinic, "update public.customer_conversations set clinic_id = %s", OTHER_CLINIC)
    assert run(clinic).cached == 1
    assert [row[2] for row in vectors(clinic)] == [OTHER_CLINIC]
    execute(clinic, "update public.customer_conversations set clinic_id = null")
    assert run(clinic).cached == 1
    assert [row[2] for row in vectors(clinic)] == [None]


def test_a_new_name_of_the_customer_is_redacted_too(clinic: Database) -> None:
    customer = add_customer(clinic, "Somsri Rakdee")
    said = add_conversation(clinic, [("customer", "I am Nongnuch", moment(2))], customer=customer)
    run(clinic)
    execute(clinic, "update public.customers set full_name = 'Nongnuch Rakdee'")
    assert texts(clinic, "conversation", [said]) == ["customer: I am [NAME]"]
    assert run(clinic).embedded == 1


def test_the_applications_columns_follow_and_are_written_only_where_they_differ(clinic: Database) -> None:
    add_customer(clinic, "A B", skin_concerns=["acne"])
    add_conversation(clinic, [("customer", "hello", moment(2))])
    execute(
        clinic,
        "insert into public.sales_leads (clinic_id, name, primary_concern, created_at, updated_at)"
        " values (%s, 'L', 'acne', %s, %s)",
        *(CLINIC, moment(1), moment(1)),
    )
    for entity in ("conversation", "lead", "customer"):
        run(clinic, entity)
    columns = """
        select xmin::text, id, preference_embedding::text from public.customers union all
        select xmin::text, id, message_embeddings::text from public.customer_conversations union all
        select xmin::text, id, profile_embedding::text from public.sales_leads where updated_at = '2026-01-01 00:00+07'
        order by 2
    """
    first = rows(clinic, columns)
    assert sorted(row[1:] for row in first) == sorted(
        rows(clinic, "select entity_id, embedding::vector::text from aura_ops.embeddings")
    )
    for entity in ("conversation", "lead", "customer"):
        assert run(clinic, entity).unchanged == 0
    assert rows(clinic, columns) == first
    execute(clinic, "update public.customers set preference_embedding = null")
    assert run(clinic, "customer").unchanged == 1
    assert [row[1:] for row in rows(clinic, columns)] == [row[1:] for row in first]


def test_the_columns_stay_empty_when_the_setting_says_so(clinic: Database) -> None:
    add_conversation(clinic, [("customer", "hello", moment(2))])
    run(clinic, write_application_columns=False)
    assert rows(clinic, "select count(message_embeddings) from public.customer_conversations") == [(0,)]
    assert run(clinic, write_application_columns=True).unchanged == 1
    assert rows(clinic, "select count(message_embeddings) from public.customer_conversations") == [(1,)]


def test_a_customers_profile_follows_the_visits_and_names_nobody(clinic: Database) -> None:
    customer = add_customer(clinic, "Somsri Rakdee", skin_concerns=["melasma"], notes="Somsri likes Malee, 0812345678")
    execute(
        clinic,
        "insert into public.treatments (id, names, created_at) values (%s, %s, %s)",
        *(UUID(int=5), '{"en": "Botox", "th": "โบท็อกซ์"}', moment(1)),
    )
    execute(
        clinic,
        "insert into public.appointments (clinic_id, customer_id, status, appointment_date, start_time, end_time,"
        " treatment_ids, total_price, created_at)"
        " values (%s, %s, 'completed', '2026-01-10', '10:00', '11:00', %s, 6000, %s)",
        *(CLINIC, customer, f'["{UUID(int=5)}", "gone"]', moment(2)),
    )
    early = "skin concerns: melasma\nnotes: [NAME] likes [NAME], [PHONE]"
    late = (
        "skin concerns: melasma\ntreatments: Botox โบท็อกซ์\nbudget for a visit: 5000 to 10000 THB\n"
        "notes: [NAME] likes [NAME], [PHONE]"
    )
    assert texts(clinic, "customer", [customer], moment(5)) == [early]
    assert texts(clinic, "customer", [customer]) == [late]
    assert run(clinic, "customer", moment(5)).embedded == 1
    assert run(clinic, "customer", moment(6)).embedded == 0
    assert run(clinic, "customer").embedded == 1


@pytest.mark.parametrize(
    "messages",
    [
        {"not": "an array"},
        [1, None, "text", {"role": "customer"}, {"role": "customer", "content": None}, {"content": "no role"}],
        [{"role": "customer", "content": 7, "timestamp": "yesterday"}],
    ],
)
def test_malformed_messages_give_no_vector(clinic: Database, messages: Any) -> None:
    add_conversation(clinic, messages)
    assert run(clinic).empty == 1


def test_emoji_alone_and_very_long_texts_get_a_vector(clinic: Database) -> None:
    add_conversation(clinic, [("customer", "😀😀", moment(2))])
    add_conversation(clinic, [("customer", "ยาวมาก " * 20_000, moment(2))])
    assert run(clinic).embedded == 2
