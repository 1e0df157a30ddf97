"""`bn-aura bench churn`: every churn candidate on the rows of a real export, beside targets known from that data.

The targets were measured elsewhere on the public data this export is made of (snapshot 2011-09-01, customers with a
visit in the last 365 days, 90 days ahead).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bn_aura_pipelines.models.churn.training import predictions, read_rows, train
from bn_aura_pipelines.models.judging import expected_calibration_error
from bn_aura_pipelines.sources.importing import import_folder
from bn_aura_pipelines_tests.benchmarks.scratch import build_features, scratch_database

AS_OF = datetime.fromisoformat("2011-12-10T00:00:00+07:00")
TARGETS = {"AUC": 0.777, "Brier": 0.190, "ECE": 0.03}
ROUNDS, SEED = 1000, 3

Array = NDArray[np.float64]


def main(data: Path, report: Callable[[str], None] = lambda line: None) -> bool:
    """Whether the promoted model reaches every target; `report` gets the table and the verdicts."""
    with scratch_database() as database:
        import_folder(database, data, lambda line: None)
        build_features(database, AS_OF)
        with database.begin(AS_OF) as connection:
            rows = read_rows(connection)
            candidates = predictions(rows)
            decision = train(connection)
    truth = rows.test["churned"].to_numpy(float)
    report(f"snapshot {rows.test['snapshot_at'].iloc[0]}: {len(truth):,} customers, {truth.mean():.3f} churned")
    report(f"trained on {len(rows.train):,} rows of {rows.train['snapshot_at'].nunique()} earlier snapshots")
    report("| candidate | AUC | Brier | ECE |")
    report("|---|---|---|---|")
    figures = {model.kind: with_intervals(truth, probability) for model, probability in candidates}
    for kind, found in sorted(figures.items(), key=lambda item: item[1]["Brier"][0]):
        cells = " | ".join(f"{value:.4f} ({low:.4f} to {high:.4f})" for value, low, high in found.values())
        report(f"| {kind} | {cells} |")
    report(decision.decision)
    if not decision.promoted:
        report("missed: no model was promoted")
        return False
    reached = True
    for name, target in TARGETS.items():
        value = figures[decision.kind][name][0]
        good = value >= target if name == "AUC" else value <= target
        reached &= good
        report(f"{'reached' if good else 'missed'}: {name} {value:.4f}, target {target:g} ({decision.kind})")
    return reached


def with_intervals(truth: Array, probability: Array) -> dict[str, tuple[float, float, float]]:
    """AUC, Brier score and calibration error, each with its 95 % bootstrap interval over customers."""
    rng = np.random.default_rng(SEED)
    samples = [rng.integers(0, len(truth), len(truth)) for _ in range(ROUNDS)]
    answer = {}
    for name, measure in (("AUC", auc), ("Brier", brier), ("ECE", expected_calibration_error)):
        low, high = np.quantile([measure(truth[rows], probability[rows]) for rows in samples], [0.025, 0.975])
        answer[name] = (measure(truth, probability), float(low), float(high))
    return answer


def auc(truth: Array, score: Array) -> float:
    """The share of pairs in the right order, ties half: by ranks."""
    _, place, count = np.unique(score, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(count) - (count - 1) / 2)[place]
    positive = truth.sum()
    return float((ranks[truth == 1].sum() - positive * (positive + 1) / 2) / (positive * (len(truth) - positive)))


def brier(truth: Array, probability: Array) -> float:
    return float(((truth - probability) ** 2).mean())
