from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID, uuid4

import numpy as np
import psycopg
import pytest
from psycopg.sql import Composable

from bn_aura_pipelines.database.connections import Database, psycopg_connection
from bn_aura_pipelines.embeddings import lexical
from bn_aura_pipelines.embeddings.indexes import keep_indexes
from bn_aura_pipelines.embeddings.legs import Filters
from bn_aura_pipelines.embeddings.offline import OfflineEmbedder
from bn_aura_pipelines.embeddings.providers import Entity
from bn_aura_pipelines.embeddings.search import Hit, SearchRefused, Weights, fuse, search, similar
from bn_aura_pipelines.embeddings.sync import sync
from bn_aura_pipelines_tests.embeddings.conftest import (
    CLINIC,
    OTHER_CLINIC,
    add_conversation,
    add_customer,
    execute,
    moment,
    rows,
)

SAID = {
    "botox": "อยากฉีดโบท็อกซ์ลดริ้วรอยหน้าผาก ราคาเท่าไหร่คะ",
    "laser": "สนใจเลเซอร์กำจัดขน ต้องทำกี่ครั้ง",
    "filler": "How much is filler for the lips? I am afraid of pain",
    "acne": "หน้าเป็นสิวเยอะมาก skin very oily มีทรีทเมนต์ไหม",
    "parking": "คลินิกมีที่จอดรถไหมคะ",
}

EVERY_FILTER = Filters("abandoned", "line", created_from=moment(1), created_until=moment(9), language="th")
BIG = ("embeddings", "search_texts", "customer_conversations", "customers", "sales_leads", "appointments")


@pytest.fixture
def said(clinic: Database) -> dict[str, UUID]:
    found = {
        name: add_conversation(clinic, [("sales", "สวัสดีค่ะ", moment(2)), ("customer", text, moment(2))])
        for name, text in SAID.items()
    }
    add_conversation(clinic, [("customer", SAID["botox"] + " ที่อื่น", moment(2))], clinic=OTHER_CLINIC)
    add_conversation(clinic, [("customer", SAID["botox"] + " ไม่มีใคร", moment(2))], clinic=None)
    sync(clinic, "conversation", moment(20), OfflineEmbedder())
    return found


def find(database: Database, query: str, clinic: str = "ONE", **options) -> list[Hit]:  # type: ignore[no-untyped-def]
    with database.begin() as connection:
        return search(connection, clinic, query, OfflineEmbedder(), **options)


@pytest.mark.parametrize("mode", ["semantic", "lexical", "hybrid"])
@pytest.mark.parametrize(
    ("query", "name"),
    [("โบท็อกซ์หน้าผาก", "botox"), ("กำจัดขนเลเซอร์", "laser"), ("lip filler pain", "filler"), ("สิว oily", "acne")],
)
def test_each_mode_finds_the_conversation_in_thai_english_and_both(
    clinic: Database, said: dict[str, UUID], mode: str, query: str, name: str
) -> None:
    assert find(clinic, query, mode=mode)[0].entity_id == said[name]


@pytest.mark.parametrize("mode", ["semantic", "lexical", "hybrid"])
def test_a_clinic_never_finds_anothers_rows_nor_nobodys(clinic: Database, said: dict[str, UUID], mode: str) -> None:
    assert {hit.entity_id for hit in find(clinic, SAID["botox"], mode=mode)} <= set(said.values())
    assert len(find(clinic, SAID["botox"], str(OTHER_CLINIC), mode=mode)) == 1
    execute(
        clinic, "update public.customer_conversations set clinic_id = %s where id = %s", OTHER_CLINIC, said["botox"]
    )
    assert said["botox"] not in {hit.entity_id for hit in find(clinic, SAID["botox"], mode=mode)}
    sync(clinic, "conversation", moment(20), OfflineEmbedder())
    assert len(find(clinic, SAID["botox"], "TWO", mode=mode)) == 2
    assert said["botox"] not in {hit.entity_id for hit in find(clinic, SAID["botox"], mode=mode)}


@pytest.mark.parametrize("filters", [Filters(), EVERY_FILTER], ids=["plain", "filtered"])
@pytest.mark.parametrize("entity", ["conversation", "customer", "lead"])
@pytest.mark.parametrize("mode", ["hybrid", "similar"])
def test_no_statement_of_a_search_reads_a_big_table_from_end_to_end(
    clinic: Database, said: dict[str, UUID], entity: Entity, mode: str, filters: Filters
) -> None:
    customer, lead = add_customer(clinic, "Anna Berg", skin_concerns=["สิว"]), uuid4()
    added = (
        "insert into public.sales_leads (id, clinic_id, name, primary_concern, created_at) values (%s, %s, %s, %s, %s)"
    )
    execute(clinic, added, lead, CLINIC, "Lead", SAID["botox"], moment(2))
    for other in ("customer", "lead"):
        sync(clinic, other, moment(20), OfflineEmbedder())
    someone = {"conversation": said["botox"], "customer": customer, "lead": lead}[entity]
    with clinic.begin() as connection:
        connection.exec_driver_sql("set local enable_seqscan = off")  # the test's tables are small
        with explained(psycopg_connection(connection)) as plans:
            if mode == "similar":
                similar(connection, "ONE", entity, someone, filters=filters)
            else:
                search(connection, "ONE", SAID["botox"], OfflineEmbedder(), entity=entity, filters=filters)
    assert len(plans) >= 4
    scans = [line for line in plans if "Seq Scan on " in line]
    assert not [line for line in scans if line.split("Seq Scan on ")[1].split()[0].startswith(BIG)], scans
    assert any("Index Cond" in line and "clinic_id" in line for line in plans)


@contextmanager
def explained(driver: psycopg.Connection[Any]) -> Iterator[list[str]]:
    """The lines of the plans of all that is asked meanwhile."""
    lines: list[str] = []

    class Explaining(psycopg.Cursor[Any]):
        def execute(self, query: Any, params: Any = None, **options: Any) -> Any:
            asked = query.as_string(driver) if isinstance(query, Composable) else query
            with psycopg.Cursor(driver) as cursor:
                lines.extend(row[0] for row in cursor.execute(f"explain {asked}", params))
            return super().execute(query, params, **options)

    driver.cursor_factory = Explaining
    try:
        yield lines
    finally:
        driver.cursor_factory = psycopg.Cursor


def test_filters_narrow_both_legs(clinic: Database, said: dict[str, UUID]) -> None:
    execute(
        clinic,
        "update public.customer_conversations set status = 'abandoned', conversation_type = 'line',"
        " created_at = %s where id = %s",
        *(moment(5), said["laser"]),
    )
    for filters in (
        Filters(status="abandoned"),
        Filters(type="line"),
        Filters(created_from=moment(4)),
        Filters(status="abandoned", type="line", created_from=moment(5), created_until=moment(6), language="th"),
    ):
        for mode in ("semantic", "lexical", "hybrid"):
            assert [hit.entity_id for hit in find(clinic, "เลเซอร์", mode=mode, filters=filters)] == [said["laser"]]
    assert {hit.entity_id for hit in find(clinic, "filler", filters=Filters(language="en"))} <= {said["filler"]}
    assert said["laser"] not in {
        hit.entity_id for hit in find(clinic, "เลเซอร์", filters=Filters(created_until=moment(5)))
    }


def test_a_snippet_holds_the_part_that_matches(clinic: Database) -> None:
    long = "ข้อความยาวมาก " * 200 + "อยากทำจมูกทรงหยดน้ำ " + "แล้วก็อย่างอื่น " * 200
    add_conversation(clinic, [("customer", "สวัสดี", moment(2)), ("customer", long, moment(2))])
    sync(clinic, "conversation", moment(20), OfflineEmbedder())
    [hit] = find(clinic, "จมูกทรงหยดน้ำ")
    assert "จมูกทรงหยดน้ำ" in hit.snippet
    assert len(hit.snippet) < 200


def test_what_is_similar_to_a_conversation_is_not_itself(clinic: Database, said: dict[str, UUID]) -> None:
    twin = add_conversation(clinic, [("customer", SAID["botox"] + " มีโปรไหม", moment(2))])
    sync(clinic, "conversation", moment(20), OfflineEmbedder())
    with clinic.begin() as connection:
        hits = similar(connection, CLINIC, "conversation", said["botox"], limit=3)
        assert hits[0].entity_id == twin
        assert said["botox"] not in {hit.entity_id for hit in hits}
        with pytest.raises(SearchRefused, match="has no vector"):
            similar(connection, OTHER_CLINIC, "conversation", said["botox"])


@pytest.mark.parametrize(
    "query", ["", " ", "customer: ", "ก", "😀", "'; drop table x --", "%s %(a)s {x}", "a" * 20_000, "\x00"]
)
def test_odd_queries_are_answered(clinic: Database, said: dict[str, UUID], query: str) -> None:
    for mode in ("semantic", "lexical", "hybrid"):
        assert isinstance(find(clinic, query, mode=mode), list)


def test_an_unknown_clinic_and_a_model_nobody_reads_are_refused(clinic: Database, said: dict[str, UUID]) -> None:
    with pytest.raises(SearchRefused, match="no clinic NONE"):
        find(clinic, "x", "NONE")
    execute(clinic, "update aura_ops.embedding_models set model = 'another'")
    with pytest.raises(SearchRefused, match="another"):
        find(clinic, "x")


def test_fusion_weighs_the_legs() -> None:
    a, b = UUID(int=1), UUID(int=2)
    fused = fuse({a: 0.9, b: 0.1}, {b: 5.0, a: 1.0}, Weights(1, 2))
    assert fused[b] > fused[a]


def test_grams_come_back_from_their_binary_form_and_are_the_same_alone_and_among_others() -> None:
    chance = random.Random(1)
    texts = ["".join(chance.choice("กขคabc 😀") for _ in range(chance.randint(0, 60))) for _ in range(40)]
    described = lexical.describe(texts)
    for text, (language, vector) in zip(texts, described, strict=True):
        found = lexical.grams(text)
        assert np.array_equal(lexical.from_sparsevec(vector), found)
        assert language == lexical.language(text)
        assert np.array_equal(found, np.unique(found))
    assert sum(map(len, map(lexical.grams, texts))) > 500


def test_a_text_of_more_grams_than_a_vector_holds_is_found(clinic: Database) -> None:
    chance = random.Random(2)
    letters = [chr(code) for code in range(0x4E00, 0x4E00 + 3_000)]
    long = "".join(chance.choice(letters) for _ in range(40_000))
    said = add_conversation(clinic, [("customer", long, moment(2))])
    sync(clinic, "conversation", moment(20), OfflineEmbedder())
    assert find(clinic, long[20_000:20_040], mode="lexical")[0].entity_id == said


def test_scores_are_bm25s(clinic: Database, said: dict[str, UUID]) -> None:
    """Held against the formula, written out, over the texts themselves."""
    query = "โบท็อกซ์ ราคาเท่าไหร่คะ skin"
    with clinic.begin() as connection:
        weights = lexical.weights(psycopg_connection(connection), query)
    own = {name: set(lexical.grams(f"สวัสดีค่ะ {text}").tolist()) for name, text in SAID.items()}
    sharing = {name: grams for name, grams in own.items() if grams & weights.keys()}
    usual = sum(map(len, sharing.values())) / len(sharing)
    expected = {
        said[name]: sum(weights.get(gram, 0) for gram in grams) * 2.2 / (1 + 1.2 * (0.25 + 0.75 * len(grams) / usual))
        for name, grams in sharing.items()
    }
    hits = find(clinic, query, mode="lexical")
    assert {hit.entity_id: hit.score for hit in hits} == pytest.approx(expected, rel=1e-4)
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)


@pytest.mark.parametrize(
    ("text", "language"),
    [("สวัสดีค่ะ", "th"), ("customer: hello", "en"), ("สนใจ treatment", "mixed"), ("customer: สวัสดี", "th")],
)
def test_the_language_is_that_of_most_letters(text: str, language: str) -> None:
    assert lexical.language(text) == language


def standing(database: Database) -> list[tuple[str, UUID]]:
    return rows(database, "select index_name, clinic_id from aura_ops.indexed_clinics order by 1")


def test_a_large_clinic_is_searched_through_an_index_and_finds_what_comparing_all_finds(clinic: Database) -> None:
    chance = random.Random(3)
    words = [text for said in SAID.values() for text in said.split()]
    for _ in range(300):
        add_conversation(clinic, [("customer", " ".join(chance.sample(words, 6)), moment(2))])
    add_conversation(clinic, [("customer", SAID["botox"], moment(2))], clinic=OTHER_CLINIC)
    sync(clinic, "conversation", moment(20), OfflineEmbedder())
    exact = find(clinic, SAID["botox"], mode="semantic")
    assert standing(clinic) == []

    [name] = keep_indexes(clinic, "conversation", large=100)
    assert standing(clinic) == [(name, CLINIC)]
    with clinic.begin() as connection:
        connection.exec_driver_sql("set local enable_seqscan = off")
        connection.exec_driver_sql("set local enable_sort = off")
        found = search(connection, "ONE", SAID["botox"], OfflineEmbedder(), mode="semantic")
        used = connection.exec_driver_sql(f"select pg_stat_get_xact_numscans('aura_ops.{name}'::regclass)").scalar_one()
    assert used == 1
    assert [hit.entity_id for hit in found] == [hit.entity_id for hit in exact]
    assert len(find(clinic, SAID["botox"], str(OTHER_CLINIC), mode="semantic")) == 1


def test_an_index_is_kept_as_long_as_it_is_needed_and_built_anew_when_it_is_broken(clinic: Database) -> None:
    for number in range(20):
        add_conversation(clinic, [("customer", f"สวัสดี {number}", moment(2))])
    sync(clinic, "conversation", moment(20), OfflineEmbedder())
    [name] = keep_indexes(clinic, "conversation", large=20)
    assert keep_indexes(clinic, "conversation", large=20) == [name]
    execute(clinic, f"update pg_index set indisvalid = false where indexrelid = 'aura_ops.{name}'::regclass")
    assert keep_indexes(clinic, "conversation", large=20) == [name]
    assert rows(clinic, f"select indisvalid from pg_index where indexrelid = 'aura_ops.{name}'::regclass") == [(True,)]
    assert keep_indexes(clinic, "conversation", large=1_000) == []
    assert standing(clinic) == []


def test_grams_that_no_text_holds_do_not_crowd_out_those_that_some_do(clinic: Database, said: dict[str, UUID]) -> None:
    query = "zzqx vvkj jjww โบท็อกซ์ qqxz wwvv kkzz"
    assert find(clinic, query, mode="lexical")[0].entity_id == said["botox"]
