"""Whether search finds what was asked for: questions in words that no conversation of the sample has used.

The sample's sentences come in two sets. Conversations with sentences of the test set are left out, those sentences are
the questions, and what is relevant is known: the conversations about the same treatment and the same concern.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np

from bn_aura_pipelines.database.connections import Database
from bn_aura_pipelines.embeddings.offline import OfflineEmbedder
from bn_aura_pipelines.embeddings.search import Mode, search
from bn_aura_pipelines.embeddings.sync import sync
from bn_aura_pipelines.sources.sample import templates_en, templates_th
from bn_aura_pipelines.sources.sample.catalogue import TREATMENTS
from bn_aura_pipelines.sources.sample.generate import generate
from bn_aura_pipelines_tests.benchmarks.embedding_rows import execute
from bn_aura_pipelines_tests.benchmarks.scratch import build_features, scratch_database

AS_OF = datetime(2026, 6, 1, tzinfo=UTC)
MODES: tuple[Mode, ...] = ("semantic", "lexical", "hybrid")
TOP = 10
NEUTRAL, TEST = 1, 1
FEWEST = 3  # relevant conversations that a question needs


@dataclass(frozen=True)
class Question:
    """What is asked, and what an answer is about. `names`: the treatment in both languages."""

    language: str
    text: str
    names: tuple[str, str]
    concern: str


def measure_labels(customers: int, report: Callable[[str], None]) -> bool:
    """A table of nDCG@10 by language and mode; whether hybrid is nowhere worse than the better leg beyond chance."""
    with scratch_database() as database:
        generate(database, customers, AS_OF, 11, lambda _: None)
        execute(database, LEAVE_OUT)
        build_features(database, AS_OF)
        sync(database, "conversation", AS_OF, OfflineEmbedder(), progress=lambda _: None)
        [(clinic, size)] = execute(database, LARGEST)
        report(f"\n{size:,} conversations of one clinic; questions in sentences that none of them has, nDCG@{TOP}\n")
        report(f"| language | questions | {' | '.join(MODES)} | hybrid - better leg, 95 % |")
        report("|---|---|---|---|---|---|")
        held = True
        gains = {one: _gains(database, clinic, one) for one in questions()}
        for language in ("th", "en", "mixed", "all"):
            rows = np.array([g for q, g in gains.items() if g is not None and language in (q.language, "all")])
            better = int(rows[:, :2].mean(axis=0).argmax())
            low, high = _interval(rows[:, 2] - rows[:, better])
            held &= high >= 0
            means = " | ".join(f"{mean:.3f}" for mean in rows.mean(axis=0))
            report(f"| {language} | {len(rows)} | {means} | {low:+.3f} to {high:+.3f} |")
    return held


def questions() -> Iterator[Question]:
    """Every neutral sentence of the test set about every treatment: Thai, English, and Thai with the English name."""
    for treatment in TREATMENTS:
        names = (treatment.name_th, treatment.name_en)
        for language, words, name in (
            ("th", templates_th, treatment.name_th),
            ("en", templates_en, treatment.name_en),
            ("mixed", templates_th, treatment.name_en),
        ):
            for concern, sets in words.CONCERNS.items():
                for sentence in sets[NEUTRAL][TEST]:
                    asked = sentence if "{t}" in sentence else f"{name} {sentence}"
                    price = f"{treatment.price_min:,.0f}"
                    text = asked.format(t=name, p=price, n="", f="", c="", b="")
                    yield Question(language, text, names, concern)


def _gains(database: Database, clinic: Any, question: Question) -> list[float] | None:
    """nDCG@10 of each mode; None where too few conversations are relevant."""
    names = [f"%{name}%" for name in question.names]
    relevant = {row[0] for row in execute(database, RELEVANT, clinic, names, question.concern)}
    if len(relevant) < FEWEST:
        return None
    discounts = 1 / np.log2(np.arange(2, TOP + 2))
    ideal = discounts[: len(relevant)].sum()
    found = []
    for mode in MODES:
        with database.begin() as connection:
            hits = search(connection, clinic, question.text, OfflineEmbedder(), mode=mode, limit=TOP)
        right = np.array([hit.entity_id in relevant for hit in hits], bool)
        found.append(float(discounts[: len(right)][right].sum() / ideal))
    return found


def _interval(differences: np.ndarray) -> tuple[float, float]:
    """95 % bootstrap interval of the mean."""
    chance = np.random.default_rng(1)
    means = chance.choice(differences, (2_000, len(differences))).mean(axis=1)
    low, high = np.quantile(means, (0.025, 0.975))
    return float(low), float(high)


LARGEST = """
select clinic_id, count(*) from aura_ops.embeddings where clinic_id is not null group by 1 order by 2 desc limit 1
"""

LEAVE_OUT = """
delete from public.customer_conversations as c
using aura_truth.conversations as t
where t.conversation_id = c.id and t.template_set = 'test'
"""

RELEVANT = """
select c.id
from public.customer_conversations as c
join aura_truth.conversations as t on t.conversation_id = c.id
where c.clinic_id = %s and c.messages::text like any (%s::text[]) and t.concerns ? %s
"""
