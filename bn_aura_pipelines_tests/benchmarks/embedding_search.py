"""Search over many clinics: how long it takes by the size of the clinic, and how much of the truth it finds."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from bn_aura_pipelines.database.connections import Database, psycopg_connection
from bn_aura_pipelines.embeddings import lexical
from bn_aura_pipelines.embeddings.legs import NO_FILTERS, alike, nearest
from bn_aura_pipelines_tests.benchmarks.embedding_rows import execute

QUERIES = ("โบท็อกซ์ หน้าผาก ราคาเท่าไหร่คะ", "laser กำจัดขน เจ็บไหม", "filler lips is it safe?", "ฝ้า ผ่อนได้ไหม")
NEIGHBOURS = 10


def measure_search(database: Database, model: str, report: Callable[[str], None], repeat: int = 15) -> None:
    """One line a size of clinic: rows, p50 and worst of both legs in ms, recall@10 of the vectors."""
    clinics = execute(
        database,
        "select clinic_id, count(*) from aura_ops.embeddings where clinic_id is not null group by 1 order by 2 desc",
    )
    chance = np.random.default_rng(3)
    report("| rows of the clinic | semantic p50 ms | max | lexical p50 ms | max | recall@10 |")
    report("|---|---|---|---|---|---|")
    recalls = []
    for place, (clinic_id, size) in enumerate(clinics):
        timed = place in (0, 1, 2, 5, 10, 20, 50, 100, 199)
        semantic, spelled = [], []
        with database.begin() as connection:
            driver = psycopg_connection(connection)
            stored = driver.execute(
                "select embedding::vector::float4[] from aura_ops.embeddings where clinic_id = %s"
                " and entity = 'conversation' and model = %s",
                (clinic_id, model),
            ).fetchall()
            matrix = np.array([row[0] for row in stored], np.float32)
            for number in range(repeat if timed else 2):
                query = matrix[chance.integers(len(matrix))] + chance.normal(0, 0.03, matrix.shape[1])
                begun = time.perf_counter()
                found = nearest(driver, clinic_id, "conversation", model, str(query.tolist()), NO_FILTERS, NEIGHBOURS)
                semantic.append(1e3 * (time.perf_counter() - begun))
                recalls.append(_recall(matrix, query.astype(np.float32), list(found.values())))
                if timed:
                    begun = time.perf_counter()
                    grams = lexical.weights(driver, QUERIES[number % len(QUERIES)])
                    alike(driver, clinic_id, "conversation", grams, NO_FILTERS, 50)
                    spelled.append(1e3 * (time.perf_counter() - begun))
        if timed:
            report(
                f"| {size:,} | {np.median(semantic):.1f} | {max(semantic):.1f} | {np.median(spelled):.1f} |"
                f" {max(spelled):.1f} | {np.mean(recalls[-len(semantic) :]):.3f} |"
            )
    report(
        f"recall@{NEIGHBOURS} over all {len(clinics)} clinics: mean {np.mean(recalls):.4f}, worst {min(recalls):.3f}"
    )


def _recall(matrix: np.ndarray, query: np.ndarray, cosines: list[float]) -> float:
    """The share of what was found that is as near as the truth; equal vectors are equally right."""
    true = np.sort(matrix @ query / np.linalg.norm(matrix, axis=1) / np.linalg.norm(query))[::-1][:NEIGHBOURS]
    return float(np.mean([cosine >= true[-1] - 1e-4 for cosine in cosines])) * len(cosines) / len(true)
