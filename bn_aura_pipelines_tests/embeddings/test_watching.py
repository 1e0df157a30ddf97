from __future__ import annotations

from datetime import datetime

from bn_aura_pipelines.database.connections import Database
from bn_aura_pipelines.embeddings.offline import OfflineEmbedder
from bn_aura_pipelines.embeddings.sync import sync
from bn_aura_pipelines.embeddings.watching import CHECKS, Finding, coverage_plot, findings, note_coverage
from bn_aura_pipelines_tests.embeddings.conftest import add_conversation, execute, moment, rows

NOW = moment(20)
MODEL = OfflineEmbedder.model


def fill(database: Database, count: int, at: datetime = NOW) -> None:
    for number in range(count):
        add_conversation(database, [("customer", f"ราคาเท่าไหร่คะ {number}", moment(2))])
    sync(database, "conversation", at, OfflineEmbedder())


def check(database: Database) -> dict[str, Finding]:
    with database.begin(NOW) as connection:
        return findings(connection, "conversation", MODEL)


def failed(database: Database) -> set[str]:
    return {name for name, one in check(database).items() if not one.passed}


def test_a_finished_sync_passes_every_check(clinic: Database) -> None:
    fill(clinic, 3)
    assert check(clinic).keys() == CHECKS.keys()
    assert failed(clinic) == set()


def test_nothing_to_embed_is_no_failure(clinic: Database) -> None:
    assert failed(clinic) == set()


def test_each_check_fails_on_what_it_is_there_for(clinic: Database) -> None:
    fill(clinic, 4)
    execute(
        clinic,
        "update aura_ops.embedding_ledger set status = 'pending', stale_since = clock_timestamp() - interval '2 h'"
        " where entity_id = (select min(entity_id::text)::uuid from aura_ops.embedding_ledger)",
    )
    assert failed(clinic) == {"coverage", "freshness"}
    execute(clinic, "update aura_ops.embedding_ledger set stale_since = clock_timestamp() where status = 'pending'")
    assert failed(clinic) == {"coverage"}
    execute(clinic, "update aura_ops.embedding_ledger set status = 'done'")
    execute(
        clinic,
        "update aura_ops.embeddings set embedding = (embedding::vector * array_fill(2, array[768])::vector)::halfvec"
        " where entity_id = (select min(entity_id::text)::uuid from aura_ops.embeddings)",
    )
    assert failed(clinic) == {"length"}
    execute(clinic, "update aura_ops.embeddings set embedding = l2_normalize(embedding)")
    execute(
        clinic,
        "insert into aura_ops.embeddings"
        " select entity, entity_id, null, model, template_version, content_hash, embedding"
        " from aura_ops.embeddings limit 1",
    )
    assert failed(clinic) == {"duplicates"}


def test_an_application_column_of_another_dimension_is_told(clinic: Database) -> None:
    fill(clinic, 1)
    execute(clinic, "alter table public.customer_conversations drop column message_embeddings")
    execute(clinic, "alter table public.customer_conversations add column message_embeddings vector(3)")
    found = check(clinic)["dimension"]
    assert not found.passed
    assert "customer_conversations.message_embeddings" in found.description


def test_coverage_is_kept_by_day_and_drawn(clinic: Database) -> None:
    with clinic.begin(NOW) as connection:
        assert coverage_plot(connection, "conversation", MODEL) == "No sync yet."
    for count, at in ((2, moment(18)), (3, NOW)):
        fill(clinic, count, at)
        for _ in range(2):
            with clinic.begin(at) as connection:
                note_coverage(connection, "conversation", MODEL)
    kept = rows(clinic, "select day::text, done, waiting, dead from aura_ops.embedding_coverage order by day")
    assert kept == [("2026-01-18", 2, 0, 0), ("2026-01-20", 5, 0, 0)]
    with clinic.begin(NOW) as connection:
        plot = coverage_plot(connection, "conversation", MODEL)
    assert plot.startswith("![coverage by day](data:image/png;base64,")
    assert len(plot) < 50_000
