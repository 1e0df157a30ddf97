"""Search within one clinic: by meaning, by spelling, or both fused; and what is similar to a row.

Every query names its clinic, and each statement compares it. Vectors come from `sync`, grams from `lexical`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, LiteralString
from uuid import UUID

import psycopg
import sqlalchemy

from bn_aura_pipelines.database.connections import psycopg_connection
from bn_aura_pipelines.embeddings import lexical
from bn_aura_pipelines.embeddings.legs import NO_FILTERS, Filters, alike, nearest
from bn_aura_pipelines.embeddings.providers import EmbeddingProvider, Entity
from bn_aura_pipelines.embeddings.redaction import clean
from bn_aura_pipelines.embeddings.text import render
from bn_aura_pipelines.embeddings.writing import to_halfvec
from bn_aura_pipelines.errors import UserError

Mode = Literal["semantic", "lexical", "hybrid"]

# Reciprocal rank fusion (Cormack, Clarke and Buettcher 2009) over the best of each leg, weighted: equal weights hurt
# where one leg is the weaker (measured: .939 became .879).
RRF_K = 60
LEG = 50
SNIPPET = 160
# A few rows by their keys have one plan, and to make it anew takes longer than to run it (measured).
PLANNED_ONCE: LiteralString = "select set_config('plan_cache_mode', 'force_generic_plan', true)"


class SearchRefused(UserError):
    """The search asks for a clinic, a row or a model that is not there."""


@dataclass(frozen=True)
class Hit:
    """A row found. `similarity` is the cosine, where a vector was compared; ranks count from 1 in each leg."""

    entity: Entity
    entity_id: UUID
    score: float
    similarity: float | None
    semantic_rank: int | None
    lexical_rank: int | None
    snippet: str


@dataclass(frozen=True)
class Weights:
    """How much each leg counts in a hybrid search."""

    semantic: float
    lexical: float


# A lexical embedder repeats what the lexical leg says, and says it worse: on questions with known answers, other ones
# than the benchmark's, every larger weight cost nDCG@10 (.02: -.0005, .03: -.0006). This one moves no row past another
# that the grams tell apart among the first ten; it still finds where no gram is shared.
WEIGHTS = Weights(semantic=1.0, lexical=0.7)
OFFLINE_WEIGHTS = Weights(semantic=0.01, lexical=1.0)


def search(
    connection: sqlalchemy.Connection,
    clinic: str | UUID,
    query: str,
    provider: EmbeddingProvider,
    *,
    mode: Mode = "hybrid",
    entity: Entity = "conversation",
    filters: Filters = NO_FILTERS,
    limit: int = 10,
) -> list[Hit]:
    """The clinic's rows that fit the query best, best first. `clinic` is its code or id; `provider` must be of the
    active model (unless the mode is lexical).

    Raises SearchRefused.
    """
    driver = psycopg_connection(connection)
    clinic_id = find_clinic(driver, clinic)
    if not query.strip():
        return []
    semantic: dict[UUID, float] = {}
    by_grams: dict[UUID, float] = {}
    if mode != "lexical":
        _require_active(driver, provider.model)
        vector = asyncio.run(_embed(provider, query))
        semantic = nearest(driver, clinic_id, entity, provider.model, vector, filters, max(limit, LEG))
    grams = lexical.weights(driver, query)
    if mode != "semantic":
        by_grams = alike(driver, clinic_id, entity, grams, filters, max(limit, LEG))
    weights = OFFLINE_WEIGHTS if provider.model.startswith("offline") else WEIGHTS
    scored = {"semantic": semantic, "lexical": by_grams}.get(mode) or fuse(semantic, by_grams, weights)
    best = sorted(scored, key=lambda one: (-scored[one], one))[:limit]
    ranks = [{one: place for place, one in enumerate(leg, 1)} for leg in (semantic, by_grams)]
    return [
        Hit(
            entity=entity,
            entity_id=one,
            score=scored[one],
            similarity=semantic.get(one),
            semantic_rank=ranks[0].get(one),
            lexical_rank=ranks[1].get(one),
            snippet=snippet,
        )
        for one, snippet in _shown(connection, clinic_id, entity, best, grams)
    ]


def similar(
    connection: sqlalchemy.Connection,
    clinic: str | UUID,
    entity: Entity,
    entity_id: UUID,
    *,
    filters: Filters = NO_FILTERS,
    limit: int = 10,
) -> list[Hit]:
    """The clinic's rows nearest to one of its rows, itself left out. Raises SearchRefused."""
    driver = psycopg_connection(connection)
    clinic_id = find_clinic(driver, clinic)
    model = active_model(driver)
    row = (
        driver.cursor(binary=True)
        .execute(
            "select embedding from aura_ops.embeddings"
            " where clinic_id = %s and entity = %s and entity_id = %s and model = %s",
            (clinic_id, entity, entity_id, model),
        )
        .fetchone()
    )
    if row is None:
        raise SearchRefused(f"This clinic has no vector of {entity} {entity_id}: check the id, or run the sync.")
    found = nearest(driver, clinic_id, entity, model, row[0], filters, limit + 1)
    found.pop(entity_id, None)
    best = list(found)[:limit]
    places = {one: place for place, one in enumerate(best, 1)}
    return [
        Hit(entity, one, found[one], found[one], places[one], None, snippet)
        for one, snippet in _shown(connection, clinic_id, entity, best, {})
    ]


def _shown(
    connection: sqlalchemy.Connection, clinic_id: UUID, entity: Entity, best: list[UUID], grams: Mapping[int, float]
) -> list[tuple[UUID, str]]:
    """Those of `best` whose source is still the clinic's, in their order, with snippets."""
    psycopg_connection(connection).execute(PLANNED_ONCE)
    documents = {one.entity_id: one for one in render(connection, entity, best) if one.clinic_id == clinic_id}
    shown = [one for one in best if one in documents]
    return list(zip(shown, snippets([documents[one].text for one in shown], grams), strict=True))


def fuse(semantic: Mapping[UUID, float], by_grams: Mapping[UUID, float], weights: Weights) -> dict[UUID, float]:
    """Weighted reciprocal rank fusion of two legs in their orders."""
    fused: dict[UUID, float] = {}
    for leg, weight in ((semantic, weights.semantic), (by_grams, weights.lexical)):
        for place, one in enumerate(list(leg)[:LEG], 1):
            fused[one] = fused.get(one, 0.0) + weight / (RRF_K + place)
    return fused


def snippets(texts: Sequence[str], grams: Mapping[int, float]) -> list[str]:
    """Of each text the line that matches best, cut around its best part; redacted as the texts are."""
    lines = lexical.most_alike([text.splitlines() or [""] for text in texts], grams)
    parts = lexical.most_alike([_parts(line) for line in lines], grams)
    return [
        f"{'' if line.startswith(part) else '…'}{part}{'' if line.endswith(part) else '…'}"
        for line, part in zip(lines, parts, strict=True)
    ]


def _parts(line: str) -> list[str]:
    """A long line in pieces that overlap by half."""
    if len(line) <= SNIPPET:
        return [line]
    return [line[start : start + SNIPPET] for start in range(0, len(line) - SNIPPET // 2, SNIPPET // 2)]


def find_clinic(driver: psycopg.Connection[Any], clinic: str | UUID) -> UUID:
    """The id of a clinic named by id or code; a UUID is taken for one that was looked up. Raises SearchRefused."""
    if isinstance(clinic, UUID):
        return clinic
    row = driver.execute(
        "select id from aura_staging.source_clinics where clinic_code = %(name)s or id::text = lower(%(name)s)",
        {"name": clinic},
    ).fetchone()
    if row is None:
        raise SearchRefused(f"There is no clinic {clinic}: give the code or the id of one.")
    return row[0]


def active_model(driver: psycopg.Connection[Any]) -> str:
    """The model whose vectors readers use. Raises SearchRefused."""
    row = driver.execute("select model from aura_ops.embedding_models where active").fetchone()
    if row is None:
        raise SearchRefused("Nothing has been embedded yet: run `bn-aura run` first.")
    return row[0]


async def _embed(provider: EmbeddingProvider, query: str) -> bytes:
    """The query's vector, of length 1, as PostgreSQL takes it."""
    import numpy as np

    try:
        vectors = await provider.embed([clean(query)], "query")
    finally:
        await provider.close()
    return to_halfvec(vectors / np.linalg.norm(vectors))[0]


def _require_active(driver: psycopg.Connection[Any], model: str) -> None:
    active = active_model(driver)
    if active != model:
        raise SearchRefused(f"Readers use the vectors of {active}, not of {model}: configure that model, or switch.")
