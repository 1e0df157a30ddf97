"""Watches the champion between trainings: drift of its features and scores, calibration once outcomes are known."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy

from bn_aura_pipelines.database.bulk import read_frame
from bn_aura_pipelines.models.churn.candidates import SNAPSHOT_COLUMNS
from bn_aura_pipelines.models.churn.scoring import CURRENT_ROWS, champion_model
from bn_aura_pipelines.models.churn.training import read_rows
from bn_aura_pipelines.models.drift import Drift, population_stability
from bn_aura_pipelines.models.judging import expected_calibration_error

# The same for everybody at a moment: it says when, not who.
NOT_WATCHED = ("season_sin", "season_cos")
WORST_CALIBRATION = 0.05


@dataclass(frozen=True)
class Watch:
    """Customers before (the latest snapshot with known outcomes) and now, and how the champion does.

    `calibration_error` is of the champion's probabilities for the customers before, against what came true; None where
    no outcome is known.
    """

    before: int
    now: int
    drifts: tuple[Drift, ...]
    calibration_error: float | None

    @property
    def drifted(self) -> tuple[str, ...]:
        return tuple(drift.name for drift in self.drifts if drift.drifted)

    @property
    def retrain(self) -> bool:
        """Whether the scores themselves moved or no longer hold; a feature that moved is worth knowing only."""
        return "churn_probability" in self.drifted or (self.calibration_error or 0) > WORST_CALIBRATION


def watch(connection: sqlalchemy.Connection) -> Watch:
    """Compare active customers of the latest snapshot with known outcomes with those of now."""
    before = read_rows(connection).test
    now = read_frame(connection, CURRENT_ROWS.replace(" order by", " and is_active order by"))
    if before.empty or now.empty:
        return Watch(len(before), len(now), (), None)
    _, model = champion_model(connection)
    then = model.predict(before)
    watched = [name for name in SNAPSHOT_COLUMNS if name not in NOT_WATCHED]
    comparisons = len(watched) + 1
    drifts = [
        population_stability(name, before[name].to_numpy(float), now[name].to_numpy(float), comparisons)
        for name in watched
    ]
    drifts.append(population_stability("churn_probability", then, model.predict(now), comparisons))
    error = expected_calibration_error(before["churned"].to_numpy(float), then)
    return Watch(len(before), len(now), tuple(sorted(drifts, key=lambda drift: -drift.psi)), error)
