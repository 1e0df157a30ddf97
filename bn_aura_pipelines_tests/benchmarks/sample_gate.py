"""`bn-aura bench sample-gate`: the churn model of the sample clinic beside the best score that anyone could give.

The ceiling is computed from the laws that the sample was drawn from, given all that the features may see. A model well
below it learns too little; one above it has seen the future. That the second is noticed is shown with a feature that
gives the outcome away.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bn_aura_pipelines.database.connections import Database
from bn_aura_pipelines.models.churn.candidates import HORIZON_DAYS
from bn_aura_pipelines.models.churn.training import TrainingRows, predictions, read_rows
from bn_aura_pipelines.models.judging import judge, log_loss_difference
from bn_aura_pipelines.sources.sample.ceiling import stored_ceiling
from bn_aura_pipelines.sources.sample.generate import generate
from bn_aura_pipelines_tests.benchmarks.scratch import build_features, scratch_database

if TYPE_CHECKING:
    import pandas as pd

AS_OF = datetime.fromisoformat("2025-07-01T14:30:00+07:00")
MOST_BELOW = 0.01
LEAKING = "treatments_per_visit"

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Gate:
    """Labelled rows of the sample, and the ceiling's probability for each test row."""

    rows: TrainingRows
    truth: Array
    ceiling: Array


def main(customers: int = 6_000, report: Callable[[str], None] = lambda line: None) -> bool:
    """Whether the model lies within .01 AUC under the ceiling and a planted leak is noticed."""
    with scratch_database() as database:
        generate(database, customers, AS_OF)
        gate = open_gate(database)
    report(
        f"{customers:,} customers, test snapshot {gate.rows.test['snapshot_at'].iloc[0]}, {len(gate.truth):,} active"
    )
    report("| score | AUC | log loss | Brier | ECE |")
    report("|---|---|---|---|---|")
    found = [(model.kind, probability) for model, probability in predictions(gate.rows)]
    for name, probability in [("ceiling", gate.ceiling), *found]:
        one = judge(name, gate.truth, probability)
        report(f"| {name} | {one.auc:.4f} | {one.log_loss:.4f} | {one.brier:.4f} | {one.ece:.4f} |")
    name, best = best_of(gate)
    below = judge("ceiling", gate.truth, gate.ceiling).auc - judge(name, gate.truth, best).auc
    near = 0 <= below <= MOST_BELOW
    clean, why = leak_test(gate, best)
    report(
        f"{'reached' if near else 'missed'}: {name} lies {below:.4f} AUC below the ceiling, target 0 to {MOST_BELOW}"
    )
    report(f"{'passed' if clean else 'FAILED'}: leak test of {name}: {why}")
    planted = best_of(replace(gate, rows=plant_leak(gate.rows)))[1]
    noticed, why = leak_test(gate, planted)
    report(f"{'missed' if noticed else 'reached'}: leak test with a leaking feature fails: {why}")
    return near and clean and not noticed


def open_gate(database: Database) -> Gate:
    """Features, rows and ceiling of the sample in a database."""
    build_features(database, AS_OF)
    with database.begin(AS_OF) as connection:
        rows = read_rows(connection)
        moment = rows.test["snapshot_at"].iloc[0].to_pydatetime()
        known = stored_ceiling(connection, moment, HORIZON_DAYS, "ahead")
    ceiling = np.array([known[customer] for customer in rows.test["customer_id"]])
    return Gate(rows, rows.test["churned"].to_numpy(float), ceiling)


def best_of(gate: Gate) -> tuple[str, Array]:
    """The learnt candidate with the least log loss, as training would choose it."""
    found = [(model.kind, probability) for model, probability in predictions(gate.rows)]
    learnt = [one for one in found if one[0] not in ("points", "recency")]
    return min(learnt, key=lambda one: judge(one[0], gate.truth, one[1]).log_loss)


def leak_test(gate: Gate, probability: Array) -> tuple[bool, str]:
    """Whether a score is no better than the ceiling beyond chance: whoever is better has seen the future."""
    mean, low, high = log_loss_difference(gate.truth, probability, gate.ceiling)
    return high >= 0, f"log loss {mean:+.4f} against the ceiling (95 % interval {low:+.4f} to {high:+.4f})"


def plant_leak(rows: TrainingRows) -> TrainingRows:
    """The same rows with one feature that knows, for every second customer, whether a visit followed."""

    def leak(frame: pd.DataFrame) -> pd.DataFrame:
        knows = np.arange(len(frame)) % 2 == 0
        return frame.assign(**{LEAKING: np.where(knows, 1.0 + frame["churned"].to_numpy(float), frame[LEAKING])})

    return replace(rows, train=leak(rows.train), test=leak(rows.test), everyone=leak(rows.everyone))
