"""Search over 200 clinics of Zipf sizes: how long it takes by the size of the clinic, and how much it finds."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from functools import partial
from typing import Any
from uuid import UUID

import numpy as np
import psycopg

from bn_aura_pipelines.database.connections import Database, psycopg_connection
from bn_aura_pipelines.embeddings import lexical
from bn_aura_pipelines.embeddings.legs import INDEXED, NO_FILTERS, alike, nearest
from bn_aura_pipelines.embeddings.offline import OfflineEmbedder
from bn_aura_pipelines.embeddings.sync import sync
from bn_aura_pipelines.embeddings.writing import to_halfvec
from bn_aura_pipelines_tests.benchmarks.embedding_rows import AS_OF, add_conversations, execute, fresh_database
from bn_aura_pipelines_tests.benchmarks.search_labels import measure_labels

TOPICS = ("โบท็อกซ์", "ฟิลเลอร์", "เลเซอร์", "สิว", "ฝ้า", "ร้อยไหม", "hifu", "botox", "laser", "acne", "pico", "กำจัดขน")
PLACES = ("หน้าผาก", "แก้ม", "คาง", "ใต้ตา", "ริมฝีปาก", "ทั้งหน้า", "lips", "chin", "forehead")
ASKED = ("ราคาเท่าไหร่คะ", "เจ็บไหมคะ", "is it safe?", "ผ่อนได้ไหม", "จองคิวได้วันไหนบ้าง", "how long does it last?")
NEIGHBOURS = 10
TIMED_QUERIES, OTHER_QUERIES = 40, 4
TARGETS = ((5_000, 3.0), (50_000, 25.0))
"""Up to so many rows of a clinic the vectors are searched within so many ms (p50)."""


def main(rows: int, customers: int, report: Callable[[str], None]) -> bool:
    """Speed and recall at `rows` conversations, then the labelled questions; whether all targets are met."""
    with fresh_database() as database:
        add_conversations(database, rows)
        begun = time.perf_counter()
        sync(database, "conversation", AS_OF, OfflineEmbedder(), progress=lambda _: None)
        report(f"{rows:,} conversations embedded and indexed in {time.perf_counter() - begun:.0f} s")
        fast_and_whole = measure_search(database, OfflineEmbedder.model, report)
    return measure_labels(customers, report) and fast_and_whole


def measure_search(database: Database, model: str, report: Callable[[str], None]) -> bool:
    """One line a size of clinic: rows, p50 and worst of both legs in ms, recall@10 of the vectors."""
    clinics = execute(
        database,
        "select clinic_id, count(*) from aura_ops.embeddings where clinic_id is not null group by 1 order by 2 desc",
    )
    chance, embedder = random.Random(3), OfflineEmbedder()
    report("| rows of the clinic | way | semantic p50 ms | max | lexical p50 ms | max | recall@10 |")
    report("|---|---|---|---|---|---|---|")
    recalls, in_time = [], True
    for place, (clinic_id, size) in enumerate(clinics):
        timed = place in (0, 1, 2, 6, 10, 20, 50, 100, len(clinics) - 1)
        texts = [
            f"{chance.choice(TOPICS)} {chance.choice(PLACES)} {chance.choice(ASKED)}"
            for _ in range(TIMED_QUERIES if timed else OTHER_QUERIES)
        ]
        queries = embedder.vectors(texts)
        with database.begin() as connection:
            driver = psycopg_connection(connection)
            by_meaning = partial(nearest, driver, clinic_id, "conversation", model)
            # Each kind of search by itself: what the judge computes in between would empty the processor's cache.
            semantic, found = _timed(by_meaning, [(one, NO_FILTERS, NEIGHBOURS) for one in to_halfvec(queries)])
            spelled, _ = _timed(partial(_by_spelling, driver, clinic_id), [(text,) for text in texts if timed])
            matrix = _vectors(driver, clinic_id, model)
            recall = [
                _recall(matrix, query, list(cosines.values())) for query, cosines in zip(queries, found, strict=True)
            ]
            values = {"clinic": clinic_id, "entity": "conversation", "model": model}
            way = "HNSW" if driver.execute(INDEXED, values).fetchone() else "exact"
        recalls.append(np.mean(recall))
        if timed:
            middle = float(np.median(semantic))
            allowed = next(ms for most, ms in TARGETS if size <= most)
            in_time &= middle <= allowed
            report(
                f"| {size:,} | {way} | {middle:.1f} | {max(semantic):.1f} | {np.median(spelled):.1f} |"
                f" {max(spelled):.1f} | {recalls[-1]:.3f} |"
            )
    report(f"recall@{NEIGHBOURS} of {len(clinics)} clinics: mean {np.mean(recalls):.4f}, worst {min(recalls):.4f}")
    return in_time and min(recalls) >= 0.99


def _timed(search: Callable[..., dict[Any, float]], asked: list[tuple[Any, ...]]) -> tuple[list[float], list[dict]]:
    """Milliseconds of each search, and what it found."""
    taken, found = [], []
    for arguments in asked:
        begun = time.perf_counter()
        found.append(search(*arguments))
        taken.append(1e3 * (time.perf_counter() - begun))
    return taken, found


def _by_spelling(driver: psycopg.Connection, clinic_id: UUID, text: str) -> dict[UUID, float]:
    return alike(driver, clinic_id, "conversation", lexical.weights(driver, text), NO_FILTERS, 50)


def _vectors(driver: psycopg.Connection, clinic_id: object, model: str) -> np.ndarray:
    stored = driver.cursor(binary=True).execute(
        "select array_send(embedding::vector::float4[]) from aura_ops.embeddings where clinic_id = %s"
        " and entity = 'conversation' and model = %s",
        (clinic_id, model),
    )
    # After the array's header, each element comes with its length before it.
    return np.array([np.frombuffer(row[0], ">f4", offset=20)[1::2] for row in stored], np.float32)


def _recall(matrix: np.ndarray, query: np.ndarray, cosines: list[float]) -> float:
    """The share of what was found that is as near as the truth; equal vectors are equally right."""
    true = np.sort(matrix @ query / np.linalg.norm(matrix, axis=1) / np.linalg.norm(query))[::-1][:NEIGHBOURS]
    return float(np.mean([cosine >= true[-1] - 1e-4 for cosine in cosines])) * len(cosines) / len(true)
