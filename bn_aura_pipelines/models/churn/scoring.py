"""Churn scores of every customer with a completed visit, by the champion, in one pass."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy

from bn_aura_pipelines.database.bulk import read_frame, replace_table
from bn_aura_pipelines.models import registry
from bn_aura_pipelines.models.churn.candidates import FEATURES, SNAPSHOT_COLUMNS, ChurnModel
from bn_aura_pipelines.models.churn.reasons import write_reasons
from bn_aura_pipelines.models.churn.training import MODEL

if TYPE_CHECKING:
    import pandas as pd

HIGH_FROM = 70
MEDIUM_FROM = 40

# The snapshot of this run, or where only the scores are computed, the latest that stands.
CURRENT_ROWS = (
    f"select customer_id, clinic_id, snapshot_at, {', '.join(SNAPSHOT_COLUMNS)}"
    " from aura_features.customer_snapshots where snapshot_at = ("
    "  select max(snapshot_at) from aura_features.customer_snapshots where snapshot_at <= aura_ops.as_of()"
    " ) order by customer_id"
)


@dataclass(frozen=True)
class ScoringResult:
    """How many were scored, at which level, by which version; `written` rows were new or different."""

    rows: int
    high: int
    medium: int
    written: int
    model_version: int
    kind: str


def score(connection: sqlalchemy.Connection) -> ScoringResult:
    """Replace `aura_models.churn_scores`. Without a champion the application's points score, as version 0.

    Raises ModelUnusable when the champion is damaged or was made for other features.
    """
    version, model = champion_model(connection)
    rows = read_frame(connection, CURRENT_ROWS)
    scores = score_rows(model, rows, version)
    written = replace_table(connection, scores, "aura_models", "churn_scores", ["customer_id"])
    levels = scores["churn_level"].tolist()
    return ScoringResult(
        rows=len(scores),
        high=levels.count("high"),
        medium=levels.count("medium"),
        written=written,
        model_version=version,
        kind=model.kind,
    )


def champion_model(connection: sqlalchemy.Connection) -> tuple[int, ChurnModel]:
    """The version that scores at the run's moment, and its model."""
    entry = registry.champion(connection, MODEL)
    if entry is None:
        return 0, ChurnModel("points")
    if entry.features != FEATURES:
        raise registry.ModelUnusable(
            f"Version {entry.version} of the churn model was trained on other features: "
            "train again with `bn-aura run --select churn_model`."
        )
    return entry.version, ChurnModel.from_bytes(entry.artifact)


def score_rows(model: ChurnModel, rows: pd.DataFrame, version: int) -> pd.DataFrame:
    """The rows of `aura_models.churn_scores` for snapshot rows: probability, score 0..100, level and reasons."""
    import numpy as np

    probability = model.predict(rows)
    points = np.rint(probability * 100).astype(int)
    contributions, _ = model.explain(rows)
    english, thai = write_reasons(rows, contributions, probability >= 0.5)
    scores = rows.filter(["customer_id", "clinic_id", "snapshot_at"]).assign(model_version=version)
    scores["churn_probability"] = probability
    scores["churn_score"] = points
    scores["churn_level"] = np.select([points >= HIGH_FROM, points >= MEDIUM_FROM], ["high", "medium"], "low")
    scores["churn_reasons_en"] = english
    scores["churn_reasons_th"] = thai
    return scores
