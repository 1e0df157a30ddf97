"""Trains the churn candidates, judges them on the latest complete snapshot, and decides who scores.

The candidates themselves are in `candidates`, using the winner in `scoring`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import sqlalchemy
from sqlalchemy import text

from bn_aura_pipelines.database.bulk import read_frame
from bn_aura_pipelines.models import feedback, registry
from bn_aura_pipelines.models.bgnbd import BgNbd, NotEnoughHistory, fit
from bn_aura_pipelines.models.churn import candidates
from bn_aura_pipelines.models.churn.candidates import FEATURES, SNAPSHOT_COLUMNS, ChurnModel
from bn_aura_pipelines.models.judging import Judgement, beats, judge

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

MODEL = "churn"
# A year and a month: every season occurs, and the test's own season was seen the year before.
TRAINING_SNAPSHOTS = 13
# Below these nothing learnt can be told from chance, and the application's points stay.
LEAST_TRAINING_ROWS = 500
LEAST_OF_A_CLASS = 30
# Four parameters are known well enough from so many customers.
MOST_FOR_BGNBD = 20_000

ROW_COLUMNS = ", ".join(("snapshot_at", "customer_id", *SNAPSHOT_COLUMNS, "churned::int as churned"))


@dataclass(frozen=True)
class TrainingRows:
    """Labelled rows of active customers, split in time: every training label ends before the test snapshot. The column
    `weight` is what feedback makes of a training row; the judgement weighs all alike."""

    train: pd.DataFrame
    test: pd.DataFrame
    everyone: pd.DataFrame

    @property
    def fingerprint(self) -> str:
        """The same exactly when rows, labels, features and settings are the same."""
        from pandas.core.util.hashing import hash_pandas_object

        digest = hashlib.sha256(repr((FEATURES, candidates.XGBOOST_PARAMETERS, candidates.XGBOOST_ROUNDS)).encode())
        for frame in (self.train, self.test, self.everyone):
            digest.update(hash_pandas_object(frame, index=False).to_numpy().tobytes())
        return digest.hexdigest()

    @property
    def shortage(self) -> str:
        """Why these rows cannot teach, or an empty string."""
        if len(self.train) < LEAST_TRAINING_ROWS:
            return f"{len(self.train)} training rows, at least {LEAST_TRAINING_ROWS} are needed"
        for name, frame in (("training", self.train), ("test", self.test)):
            churned = int(frame["churned"].to_numpy().sum())
            if min(churned, len(frame) - churned) < LEAST_OF_A_CLASS:
                return f"{churned} of {len(frame)} {name} rows churned, {LEAST_OF_A_CLASS} of each kind are needed"
        return ""


@dataclass(frozen=True)
class TrainingResult:
    """What became of a training: the version, the figures of all candidates, and the decision in words."""

    version: int
    kind: str
    promoted: bool
    decision: str
    n_train: int
    judgements: tuple[Judgement, ...]
    new: bool


def train(connection: sqlalchemy.Connection) -> TrainingResult:
    """Train, judge and register; the same rows again give the version that stands, and change nothing."""
    rows = read_rows(connection)
    known = registry.by_fingerprint(connection, MODEL, rows.fingerprint)
    if known:
        return TrainingResult(
            version=known.version,
            kind=known.kind,
            promoted=known.promoted,
            decision=known.decision,
            n_train=known.n_train,
            judgements=registry.judgements(connection, MODEL, known.version),
            new=False,
        )
    if rows.shortage:
        chosen, promoted, judgements = ChurnModel("points"), False, ()
        decision = f"The application's points stay: {rows.shortage}."
    else:
        chosen, promoted, decision, judgements = _decide(connection, rows)
    window_start, window_end = _window(connection, rows)
    entry = registry.Entry(
        model=MODEL,
        version=registry.next_version(connection, MODEL),
        alias="champion" if promoted else "challenger",
        promoted=promoted,
        kind=chosen.kind,
        artifact=chosen.to_bytes(),
        features=FEATURES,
        metrics=next((j.as_dict() for j in judgements if j.candidate == chosen.kind), {}),
        decision=decision,
        n_train=len(rows.train),
        n_test=len(rows.test),
        window_start=window_start,
        window_end=window_end,
        training_fingerprint=rows.fingerprint,
        trained_as_of=connection.execute(text("select aura_ops.as_of()")).scalar_one(),
    )
    registry.store(connection, entry, judgements)
    return TrainingResult(entry.version, chosen.kind, promoted, decision, len(rows.train), judgements, new=True)


def read_rows(connection: sqlalchemy.Connection) -> TrainingRows:
    """Test rows: the latest snapshot whose labels are complete. Training rows: the thirteen snapshots before it whose
    labels end by then. `everyone`: all customers of the last of those, active or not, for BG/NBD."""
    test_at = connection.execute(
        text("select max(snapshot_at) from aura_features.customer_snapshots where churned is not null")
    ).scalar()
    snapshots = (
        connection.execute(
            text(
                "select snapshot_at from aura_features.snapshot_moments m where label_until <= :test_at"
                " and exists (select from aura_features.customer_snapshots s where s.snapshot_at = m.snapshot_at)"
                " order by snapshot_at desc limit :number"
            ),
            {"test_at": test_at, "number": TRAINING_SNAPSHOTS},
        )
        .scalars()
        .all()
    )
    return TrainingRows(
        train=_read(connection, "is_active", snapshots),
        test=_read(connection, "is_active", [test_at] if test_at else []),
        everyone=_read(connection, "true", snapshots[:1]),
    )


def fit_bgnbd(rows: TrainingRows) -> BgNbd | None:
    """BG/NBD on all customers of the last training snapshot; None where there is too little history."""
    some = rows.everyone.iloc[:: max(1, len(rows.everyone) // MOST_FOR_BGNBD)]
    try:
        return fit(*candidates.history_of(some))
    except NotEnoughHistory:
        return None


def predictions(rows: TrainingRows) -> list[tuple[ChurnModel, Array]]:
    """Every candidate, fitted on the training rows, with its probabilities for the test rows."""
    return [(model, model.predict(rows.test)) for model in candidates.fit_all(rows.train, fit_bgnbd(rows))]


def _decide(
    connection: sqlalchemy.Connection, rows: TrainingRows
) -> tuple[ChurnModel, bool, str, tuple[Judgement, ...]]:
    truth = rows.test["churned"].to_numpy(float)
    judged = [(judge(model.kind, truth, p), model, p) for model, p in predictions(rows)]
    learnt = [entry for entry in judged if entry[1].kind not in ("points", "recency")]
    figures, best, ours = min(learnt, key=lambda entry: entry[0].log_loss)
    judgements = [judgement for judgement, _, _ in judged]
    standing = registry.champion(connection, MODEL)
    if standing is None or standing.features != FEATURES:
        # What was made for other features cannot score any more, so it cannot stand either.
        name, theirs = "the application's points", ChurnModel("points").predict(rows.test)
    else:
        name, theirs = f"version {standing.version}", ChurnModel.from_bytes(standing.artifact).predict(rows.test)
        judgements.append(judge("champion before", truth, theirs))
    # The best of several was picked on these very rows: its interval is widened for as many comparisons.
    promoted, why = beats(truth, ours, theirs, comparisons=len(learnt))
    verdict = f"{figures.candidate} replaces {name}" if promoted else f"{name} stays before {figures.candidate}"
    return best, promoted, f"{verdict}: {why}.", tuple(judgements)


def _window(connection: sqlalchemy.Connection, rows: TrainingRows) -> tuple[datetime | None, datetime | None]:
    if rows.test.empty:
        return None, None
    first = rows.train if len(rows.train) else rows.test
    end = connection.execute(
        text("select label_until from aura_features.snapshot_moments where snapshot_at = :at"),
        {"at": rows.test["snapshot_at"].iloc[0]},
    ).scalar_one()
    return first["snapshot_at"].iloc[0], end


def _read(connection: sqlalchemy.Connection, condition: str, snapshots: Sequence[datetime]) -> pd.DataFrame:
    moments = ", ".join(f"'{moment.isoformat()}'" for moment in snapshots) or "null"
    return read_frame(
        connection,
        f"select {ROW_COLUMNS}, {feedback.WEIGHT} as weight from aura_features.customer_snapshots"
        f" left join ({feedback.ABOUT_SNAPSHOTS}) as f on subject_id = customer_id and told_at = snapshot_at"
        f" where {condition} and churned is not null and snapshot_at in ({moments})"
        " order by snapshot_at, customer_id",
    )
