"""`bn-aura bench leads`: every lead candidate on the decided leads of a real export, in time order; a learning curve;
how the winner does when it is trained again every month, as in operation; and how fast a million leads are scored.
"""

from __future__ import annotations

import csv
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import text

from bn_aura_pipelines.database.connections import Database
from bn_aura_pipelines.models.judging import expected_calibration_error, judge
from bn_aura_pipelines.models.leads.candidates import LeadModel
from bn_aura_pipelines.models.leads.scoring import score
from bn_aura_pipelines.models.leads.training import (
    LeadRows,
    Split,
    fit,
    inspect_rows,
    predictions,
    read_rows,
    split,
    train,
)
from bn_aura_pipelines.sources.importing import import_folder
from bn_aura_pipelines_tests.benchmarks.churn import auc, brier
from bn_aura_pipelines_tests.benchmarks.scratch import build_features, scratch_database

AS_OF = datetime.fromisoformat("2011-12-10T00:00:00+07:00")
AUC_FROM, ECE_TO = 0.62, 0.08
MONTH = 30 * 86_400.0
CURVE, DRAWS, SEED = (50, 100, 200, 500, 1000), 10, 11
SECONDS_TO, GIB_TO = 90.0, 4.0

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Point:
    """One size of the learning curve: log loss of points, what was learnt and hybrid, shape (draws,) each."""

    leads: int
    points: Array
    learnt: Array
    hybrid: Array

    @property
    def holds(self) -> bool:
        """Whether the hybrid is no worse than the better of its parts, within two standard errors of the difference."""
        better = self.points if self.points.mean() <= self.learnt.mean() else self.learnt
        difference = self.hybrid - better
        noise = 2 * difference.std(ddof=1) / np.sqrt(len(difference))
        return bool(difference.mean() <= max(noise, 0.002))


def main(data: Path, many: int = 0, report: Callable[[str], None] = lambda line: None) -> bool:
    """Whether the promoted model reaches the targets; `report` gets tables and verdicts."""
    with scratch_database() as database:
        import_folder(database, data, lambda line: None)
        build_features(database, AS_OF)
        with database.begin(AS_OF) as connection:
            rows = read_rows(connection)
            decision = train(connection)
        for line in decision.guard.splitlines():
            report(line)
        parts = split(rows)
        truth = parts.test.won
        report(f"{len(parts.train.won):,} leads to learn from, {len(truth):,} to test, {truth.mean():.3f} of them won")
        figures = {model.kind: probability for model, probability in predictions(parts, rows.open)}
        figures["champion"] = figures[decision.kind]  # pyright: ignore[reportArgumentType]
        figures["champion, trained again monthly"] = rolling(rows, parts, decision.kind)
        report("| candidate | AUC | PR-AUC | Brier | ECE | mean predicted |")
        report("|---|---|---|---|---|---|")
        for name, probability in figures.items():
            cells = [
                auc(truth, probability),
                average_precision(truth, probability),
                brier(truth, probability),
                expected_calibration_error(truth, probability),
                probability.mean(),
            ]
            report(f"| {name} | " + " | ".join(f"{cell:.4f}" for cell in cells) + " |")
        report(decision.decision)
        reached = _verdict(report, "AUC", auc(truth, figures["champion"]), AUC_FROM, at_least=True)
        gap = expected_calibration_error(truth, figures["champion"])
        reached &= _verdict(report, "ECE", gap, ECE_TO, at_least=False)
        reached &= report_curve(learning_curve(rows, parts), report)
        with database.begin(AS_OF) as connection:
            result = score(connection)
            report(f"{result.rows:,} leads scored by version {result.model_version} ({result.kind})")
            known = open_outcomes(connection, data / "truth_leads.csv")
        if known:
            outcome, probability = known
            found = judge("open leads", outcome, probability)
            report(
                f"open leads by what became of them: {len(outcome):,}, AUC {found.auc:.4f}, ECE {found.ece:.4f}, "
                f"mean predicted {probability.mean():.3f}, won {outcome.mean():.3f}"
            )
        if many:
            reached &= measure_many(database, many, report)
    return reached and decision.promoted


def rolling(rows: LeadRows, parts: Split, kind: str) -> Array:
    """Probabilities of the test leads, month by month, by the candidate trained on what was known at its beginning."""
    found = np.full(len(parts.test.won), np.nan)
    begins = parts.starts
    while np.isnan(found).any():
        month = np.flatnonzero((parts.test.created >= begins) & (parts.test.created < begins + MONTH))
        if len(month):
            known = rows.known_at(begins)
            model = next(m for m in fit(known, inspect_rows(known, rows.open)) if m.kind == kind)
            chosen = parts.test.take(month)
            found[month] = model.predict(chosen.values, chosen.clinics.tolist())
        begins += MONTH
    return found


def learning_curve(rows: LeadRows, parts: Split) -> list[Point]:
    """Log loss on the test leads when a clinic has so many decided leads, drawn from the latest training leads."""
    rng = np.random.default_rng(SEED)
    curve: list[Point] = []
    latest = np.arange(max(len(parts.train.won) - 4 * max(CURVE), 0), len(parts.train.won))
    for leads in CURVE:
        if leads > len(latest):
            break
        losses: list[list[float]] = []
        for _ in range(DRAWS):
            sample = one_clinic(parts.train.take(np.sort(rng.choice(latest, leads, replace=False))))
            models = {model.kind: model for model in fit(sample, inspect_rows(sample, rows.open))}
            if "hybrid" not in models:
                continue
            learnt = replace(models["hybrid"], decided=dict.fromkeys(models["hybrid"].decided, 10**9))
            losses.append([_loss(models["points"], parts), _loss(learnt, parts), _loss(models["hybrid"], parts)])
        found = np.array(losses)
        curve.append(Point(leads, found[:, 0], found[:, 1], found[:, 2]))
    return curve


def report_curve(curve: list[Point], report: Callable[[str], None]) -> bool:
    """Whether the hybrid holds at every size."""
    report(f"learning curve, log loss on the test leads, mean of {DRAWS} draws")
    report("| decided leads | points | learnt | hybrid | hybrid at least as good |")
    report("|---|---|---|---|---|")
    for at in curve:
        figures = " | ".join(f"{losses.mean():.4f}" for losses in (at.points, at.learnt, at.hybrid))
        report(f"| {at.leads:,} | {figures} | {'yes' if at.holds else 'no'} |")
    return all(at.holds for at in curve)


def open_outcomes(connection: Any, truth: Path) -> tuple[Array, Array] | None:
    """What became of the leads that were open, from a file that no model reads, and what was predicted."""
    if not truth.exists():
        return None
    with truth.open() as lines:
        converted = {row["lead_id"]: float(row["converted"]) for row in csv.DictReader(lines)}
    scores = connection.execute(text("select lead_id::text, win_probability from aura_models.lead_scores"))
    known = [(converted[lead], probability) for lead, probability in scores if lead in converted]
    return np.array([pair[0] for pair in known]), np.array([pair[1] for pair in known])


def measure_many(database: Database, many: int, report: Callable[[str], None]) -> bool:
    """Copy the export's leads until there are so many, and score them all."""
    with database.begin(AS_OF) as connection:
        connection.execute(
            text(
                "insert into public.sales_leads (id, clinic_id, sales_user_id, name, email, status, source,"
                " estimated_value, metadata, created_at, updated_at)"
                " select gen_random_uuid(), clinic_id, sales_user_id, name, email, status, source, estimated_value,"
                " metadata, created_at, updated_at from public.sales_leads cross join generate_series(1, :times)"
                " limit greatest(:more, 0)"
            ),
            {
                "times": many // 1000,
                "more": many - connection.execute(text("select count(*) from public.sales_leads")).scalar_one(),
            },
        )
        connection.exec_driver_sql("analyze public.sales_leads")
    begun = time.monotonic()
    with database.begin(AS_OF) as connection:
        result = score(connection)
    seconds = time.monotonic() - begun
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 30 if sys.platform == "darwin" else 1 << 20)
    report(f"{result.rows:,} leads scored in {seconds:.1f} s, peak {peak:.2f} GiB (targets {SECONDS_TO:g} s, 4 GiB)")
    return seconds < SECONDS_TO and peak < GIB_TO


def average_precision(truth: Array, score_: Array) -> float:
    from sklearn.metrics import average_precision_score

    return float(average_precision_score(truth, score_))


def one_clinic(rows: LeadRows) -> LeadRows:
    """The same leads as if all were one clinic's."""
    return replace(rows, clinics=np.full(len(rows.won), "", object))


def _loss(model: LeadModel, parts: Split) -> float:
    probability = model.predict(parts.test.values, one_clinic(parts.test).clinics.tolist())
    return judge(model.kind, parts.test.won, probability).log_loss


def _verdict(report: Callable[[str], None], name: str, value: float, target: float, *, at_least: bool) -> bool:
    good = value >= target if at_least else value <= target
    report(f"{'reached' if good else 'missed'}: {name} {value:.4f}, target {target:g}")
    return good
