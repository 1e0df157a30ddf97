"""Judges every way to order treatments on the last 90 days, and decides which one orders from now on.

Rebooking and cross-sell are two problems with a champion each. The candidates are in `repeats`, `novelties` and
`model`; writing everybody's recommendations is in `scoring`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import sqlalchemy
from sqlalchemy import text

from bn_aura_pipelines.models import registry
from bn_aura_pipelines.models.recommendations import model as models
from bn_aura_pipelines.models.recommendations.histories import Histories, read_histories
from bn_aura_pipelines.models.recommendations.model import LEARNT, Problem, RankingModel
from bn_aura_pipelines.models.recommendations.novelties import Novelties
from bn_aura_pipelines.models.recommendations.ranking import Figures, Ranked, better, rank
from bn_aura_pipelines.models.recommendations.repeats import Repeats

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    Ints = NDArray[np.int64]

PROBLEMS: tuple[type[Repeats] | type[Novelties], ...] = (Repeats, Novelties)
HORIZON = timedelta(days=90)
# Windows that teach, each ending where the next begins, the last one where the judged window begins.
WINDOWS = 3
MOST_JUDGED = 10_000
LEAST_JUDGED = 50
LEAST_POSITIVE = 200
DEFAULT = {"rebook": "frequency", "cross_sell": "popularity"}
KEEP = """
    insert into aura_models.candidate_metrics
        (model, version, candidate, n_test, recall_at_10, ndcg_at_10, hit_at_1, coverage, novelty)
    values (:model, :version, :candidate, :n_test, :recall_at_10, :ndcg_at_10, :hit_at_1, :coverage, :novelty)
"""


@dataclass(frozen=True)
class TrainingResult:
    """What became of a training: the version, the figures of all candidates, and the decision in words."""

    model: str
    version: int
    kind: str
    decision: str
    figures: tuple[Figures, ...]
    new: bool


def train(connection: sqlalchemy.Connection) -> tuple[TrainingResult, ...]:
    """Judge and register a champion for each problem; the same histories again change nothing."""
    now = connection.execute(text("select aura_ops.as_of()")).scalar_one()
    judged = read_histories(connection, now - HORIZON, now)
    fingerprints = {problem.kind: _fingerprint(judged, problem) for problem in PROBLEMS}
    known = {kind: registry.by_fingerprint(connection, kind, found) for kind, found in fingerprints.items()}
    earlier: list[Histories] = []
    if not all(known.values()):
        cuts = [now - (back + 1) * HORIZON for back in range(WINDOWS, 0, -1)]
        earlier = [read_histories(connection, cut, cut + HORIZON) for cut in cuts]
    results = []
    for problem in PROBLEMS:
        stands = known[problem.kind]
        if stands:
            results.append(_standing(connection, stands))
        else:
            results.append(_train_one(connection, problem, judged, earlier, fingerprints[problem.kind]))
    return tuple(results)


def judge(problem: type[Problem], judged: Histories, earlier: Sequence[Histories]) -> tuple[RankingModel, list[Ranked]]:
    """The trees fitted on the earlier windows (or the default baseline where these are too thin), and every candidate
    on the judged window; nothing is judged where too few customers took anything."""
    import numpy as np

    setting = problem(judged)
    places = judged_places(setting)
    learnt = learn(problem, earlier)
    if len(places) < LEAST_JUDGED:
        return learnt or RankingModel(DEFAULT[problem.kind]), []
    open_, (relevant, first) = setting.open(places), setting.relevant(places)
    had = np.isfinite(judged.recency)
    known = had.sum(axis=0) / max(int(had.any(axis=1).sum()), 1)
    scores = [(name, setting.score(name, places)) for name in setting.baselines]
    if learnt:
        scores.append((LEARNT, learnt.predict(setting, places)))
    ranked = [rank(name, found, open_, relevant, first, known) for name, found in scores]
    return learnt or RankingModel(DEFAULT[problem.kind]), ranked


def judged_places(setting: Problem) -> Ints:
    """Customers with a history who took up something that could have been recommended."""
    import numpy as np

    some = np.flatnonzero(np.isfinite(setting.histories.recency).any(axis=1))
    return models.thin(some[setting.relevant(some)[0].any(axis=1)], MOST_JUDGED)


def learn(problem: type[Problem], earlier: Sequence[Histories]) -> RankingModel | None:
    """Trees over the windows before the judged one; None where too little was taken in them."""
    windows = [models.examples(problem(one)) for one in earlier]
    windows = [one for one in windows if len(one.x)]
    if sum(float(one.truth.sum()) for one in windows) < LEAST_POSITIVE:
        return None
    return models.fit_trees(windows, problem.features)


def _train_one(
    connection: sqlalchemy.Connection,
    problem: type[Problem],
    judged: Histories,
    earlier: Sequence[Histories],
    fingerprint: str,
) -> TrainingResult:
    learnt, ranked = judge(problem, judged, earlier)
    chosen, decision = _decide(problem(judged), learnt, ranked)
    figures = tuple(one.figures for one in ranked)
    entry = registry.Entry(
        model=problem.kind,
        version=registry.next_version(connection, problem.kind),
        alias="champion",
        promoted=True,
        kind=chosen.kind,
        artifact=chosen.to_bytes(),
        features=problem.features,
        metrics=next((asdict(one) for one in figures if one.candidate == chosen.kind), {}),
        decision=decision,
        n_train=sum(len(one.customers) for one in earlier),
        n_test=figures[0].n_test if figures else 0,
        window_start=earlier[0].cut if earlier else None,
        window_end=judged.cut + HORIZON,
        training_fingerprint=fingerprint,
        trained_as_of=judged.cut + HORIZON,
    )
    registry.store(connection, entry, ())
    if figures:
        named = {"model": entry.model, "version": entry.version}
        connection.execute(text(KEEP), [{**named, **asdict(one)} for one in figures])
    return TrainingResult(problem.kind, entry.version, chosen.kind, decision, figures, new=True)


def _decide(setting: Problem, learnt: RankingModel, ranked: list[Ranked]) -> tuple[RankingModel, str]:
    """The best simple score, unless the trees are better than it beyond chance."""
    if not ranked:
        default = DEFAULT[setting.kind]
        return models.calibrate(default, setting), f"{default} orders: too few customers took anything to judge by."
    simple = max((one for one in ranked if one.candidate != LEARNT), key=lambda one: one.ndcg.mean())
    trees = next((one for one in ranked if one.candidate == LEARNT), None)
    if trees is None:
        return models.calibrate(simple.candidate, setting), f"{simple.candidate} orders: too little to learn from."
    # The best of several was picked on these very customers: the interval is widened for as many comparisons.
    wins, why = better(trees.ndcg, simple.ndcg, comparisons=len(ranked) - 1)
    if wins:
        return learnt, f"The trees order instead of {simple.candidate}: {why}."
    return models.calibrate(simple.candidate, setting), f"{simple.candidate} orders, the trees are no better: {why}."


def _standing(connection: sqlalchemy.Connection, entry: registry.Entry) -> TrainingResult:
    rows = connection.execute(
        text(
            "select candidate, n_test, recall_at_10, ndcg_at_10, hit_at_1, coverage, novelty"
            " from aura_models.candidate_metrics where model = :model and version = :version order by candidate"
        ),
        {"model": entry.model, "version": entry.version},
    )
    figures = tuple(Figures(**row) for row in rows.mappings())
    return TrainingResult(entry.model, entry.version, entry.kind, entry.decision, figures, new=False)


def _fingerprint(judged: Histories, problem: type[Problem]) -> str:
    """The same exactly when histories, what followed, features and settings are the same."""
    from pandas.core.util.hashing import hash_pandas_object

    settings = (problem.kind, problem.features, models.XGBOOST_PARAMETERS, models.XGBOOST_ROUNDS, WINDOWS, HORIZON)
    digest = hashlib.sha256(repr((settings, judged.cut)).encode())
    frames: tuple[pd.DataFrame | None, ...]
    frames = (judged.customers, judged.treatments, judged.pairs, judged.booked, judged.followed)
    for frame in frames:
        if frame is not None:
            digest.update(hash_pandas_object(frame, index=False).to_numpy().tobytes())
    digest.update(judged.offered.tobytes())
    return digest.hexdigest()
