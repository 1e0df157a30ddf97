"""Trains the lead candidates, judges them on the latest fifth of decided leads, and decides who scores.

The candidates themselves are in `candidates`, what they may see in `guard`, using the winner in `scoring`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import sqlalchemy
from sqlalchemy import text

from bn_aura_pipelines.database.bulk import read_frame
from bn_aura_pipelines.models import feedback, registry
from bn_aura_pipelines.models.judging import Judgement, beats, judge
from bn_aura_pipelines.models.leads import candidates
from bn_aura_pipelines.models.leads.candidates import LeadModel
from bn_aura_pipelines.models.leads.fields import COLUMNS, column_of, learn_field, read_values
from bn_aura_pipelines.models.leads.guard import Inspection, inspect

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

MODEL = "lead"
TEST_SHARE = 0.2
MOST_TRAINING_ROWS = 50_000
MOST_DECIDED, MOST_OPEN = 65_000, 20_000
# Below these nothing learnt can be told from chance, and the application's points stay.
LEAST_DECIDED = 50
LEAST_OF_A_CLASS = 10
LEAST_TEST_ROWS = 40

FACTS = (
    "select lead_id, clinic_id, stage, extract(epoch from created_at)::float8 as created,"
    f" extract(epoch from decided_at)::float8 as decided, is_won, {', '.join(COLUMNS)}, metadata,"
    f" {feedback.WEIGHT} as weight from aura_features.lead_facts"
    f" left join ({feedback.ABOUT_LEADS}) as f on subject_id = lead_id"
)


@dataclass(frozen=True)
class LeadRows:
    """Leads in order of creation: their fields, clinics ('' where none), creation, decision, outcome (NaN: open), and
    what feedback makes each count in training."""

    ids: NDArray[np.object_]
    values: pd.DataFrame
    clinics: NDArray[np.object_]
    created: Array
    decided: Array
    won: Array
    weights: Array

    def take(self, rows: NDArray[Any]) -> LeadRows:
        """The leads at these places, or where this mask holds."""
        values = self.values.iloc[rows.nonzero()[0] if rows.dtype == bool else rows]
        arrays = (self.clinics[rows], self.created[rows], self.decided[rows], self.won[rows], self.weights[rows])
        return LeadRows(self.ids[rows], values, *arrays)

    def known_at(self, moment: float) -> LeadRows:
        """The decided leads of which the outcome was known at a moment, the latest decision last."""
        import numpy as np

        known = np.flatnonzero(~np.isnan(self.won) & (np.nan_to_num(self.decided, nan=np.inf) < moment))
        order = known[np.argsort(self.decided[known], kind="stable")]
        return self.take(order[-MOST_TRAINING_ROWS:])

    @property
    def open(self) -> LeadRows:
        import numpy as np

        return self.take(np.isnan(self.won))

    @property
    def fingerprint(self) -> str:
        """The same exactly when decided leads, their fields and the settings are the same."""
        import numpy as np
        from pandas.core.util.hashing import hash_array, hash_pandas_object

        digest = hashlib.sha256(
            repr((sorted(map(str, self.values.columns)), candidates.XGBOOST_PARAMETERS, candidates.RIDGE)).encode()
        )
        closed = self.take(~np.isnan(self.won))
        texts = closed.values.astype(str)
        digest.update(hash_pandas_object(texts[sorted(texts.columns)], index=False).to_numpy().tobytes())
        digest.update(hash_array(closed.decided).tobytes() + hash_array(closed.won).tobytes())
        digest.update(hash_array(closed.weights).tobytes())
        return digest.hexdigest()


@dataclass(frozen=True)
class Split:
    """The latest fifth of decided leads by creation, and the leads whose outcome was known when it began."""

    train: LeadRows
    test: LeadRows
    starts: float

    @property
    def shortage(self) -> str:
        """Why these rows cannot teach, or an empty string."""
        number, wins = len(self.train.won), int(self.train.won.sum())
        if number < LEAST_DECIDED:
            return f"{number} decided leads to learn from, at least {LEAST_DECIDED} are needed"
        if min(wins, number - wins) < LEAST_OF_A_CLASS:
            return f"{wins} of {number} decided leads were won, {LEAST_OF_A_CLASS} of each kind are needed"
        test, tested = len(self.test.won), int(self.test.won.sum())
        if test < LEAST_TEST_ROWS or min(tested, test - tested) < 5:
            return f"{tested} of {test} test leads were won, {LEAST_TEST_ROWS} leads and 5 of each kind are needed"
        return ""


@dataclass(frozen=True)
class TrainingResult:
    """What became of a training: the version, the figures of all candidates, and the decisions in words."""

    version: int
    kind: str
    promoted: bool
    decision: str
    guard: str
    n_train: int
    judgements: tuple[Judgement, ...]
    new: bool


def train(connection: sqlalchemy.Connection) -> TrainingResult:
    """Train, judge and register; the same decided leads again give the version that stands, and change nothing."""
    rows = read_rows(connection)
    fingerprint = rows.fingerprint
    known = registry.by_fingerprint(connection, MODEL, fingerprint)
    if known:
        return TrainingResult(
            version=known.version,
            kind=known.kind,
            promoted=known.promoted,
            decision=known.decision,
            guard=str(known.metrics.get("guard", "")),
            n_train=known.n_train,
            judgements=registry.judgements(connection, MODEL, known.version),
            new=False,
        )
    parts = split(rows)
    as_of: datetime = connection.execute(text("select aura_ops.as_of()")).scalar_one()
    everything = rows.known_at(float("inf"))
    inspection = inspect_rows(everything, rows.open)
    if parts.shortage:
        chosen, promoted, judgements = LeadModel("points"), False, ()
        decision = f"The application's points stay: {parts.shortage}."
    else:
        kind, promoted, decision, judgements = _decide(connection, parts, rows.open)
        # The recipe was judged on leads it had not seen; who scores has seen them too, the latest most of all.
        chosen = next(model for model in fit(everything, inspection) if model.kind == kind)
    figures = next((j.as_dict() for j in judgements if j.candidate == chosen.kind), {})
    entry = registry.Entry(
        model=MODEL,
        version=registry.next_version(connection, MODEL),
        alias="champion" if promoted else "challenger",
        promoted=promoted,
        kind=chosen.kind,
        artifact=chosen.to_bytes(),
        features=tuple(chosen.columns),
        metrics={**figures, "guard": inspection.message()},
        decision=decision,
        n_train=len(parts.train.won),
        n_test=len(parts.test.won),
        window_start=_moment(everything.created.min()) if len(everything.won) else None,
        window_end=_moment(everything.decided.max()) if len(everything.won) else None,
        training_fingerprint=fingerprint,
        trained_as_of=as_of,
    )
    registry.store(connection, entry, judgements)
    return TrainingResult(
        entry.version, chosen.kind, promoted, decision, inspection.message(), entry.n_train, judgements, new=True
    )


def read_rows(connection: sqlalchemy.Connection) -> LeadRows:
    """The latest leads at the run's moment, also those without a clinic, in order of creation."""
    closed = f"{FACTS} where is_won is not null order by created_at desc, lead_id limit {MOST_DECIDED}"
    waiting = f"{FACTS} where is_won is null order by created_at desc, lead_id limit {MOST_OPEN}"
    return as_rows(
        read_frame(connection, f"select * from (({closed}) union all ({waiting})) as l order by created, lead_id")
    )


def as_rows(facts: pd.DataFrame) -> LeadRows:
    """Lead facts, as FACTS reads them, with their fields taken apart."""
    return LeadRows(
        ids=facts["lead_id"].astype(str).to_numpy(object),
        values=read_values(facts),
        clinics=facts["clinic_id"].fillna("").astype(str).to_numpy(),
        created=facts["created"].to_numpy(float),
        decided=facts["decided"].to_numpy(float),
        won=facts["is_won"].to_numpy(float),
        weights=facts["weight"].to_numpy(float),
    )


def split(rows: LeadRows) -> Split:
    """Decided leads in order of creation: the last fifth is the test, learnt is from what was decided before it."""
    import numpy as np

    closed = np.flatnonzero(~np.isnan(rows.won))
    first = closed[int(len(closed) * (1 - TEST_SHARE)) :]
    starts = float(rows.created[first[0]]) if len(first) else float("inf")
    return Split(rows.known_at(starts), rows.take(first), starts)


def inspect_rows(train: LeadRows, open_leads: LeadRows) -> Inspection:
    """The leakage guard's verdict on the fields of decided leads, held against open ones."""
    import numpy as np
    import pandas as pd

    values = pd.concat([train.values, open_leads.values], ignore_index=True)
    won = np.concatenate([train.won, open_leads.won])
    return inspect(values, won, np.concatenate([train.created, open_leads.created]))


def fit(train: LeadRows, inspection: Inspection, boosted: bool = True) -> list[LeadModel]:
    """Every candidate on these decided leads, with the fields that the guard lets through; see `fit_all`."""
    fields = [learn_field(column_of(train.values, name)) for name in inspection.kept]
    known = [one for one in fields if one is not None]
    return candidates.fit_all(train.values, train.won, train.clinics.tolist(), known, boosted, train.weights)


def predictions(parts: Split, open_leads: LeadRows) -> list[tuple[LeadModel, Array]]:
    """Every candidate, fitted on the training leads, with its probabilities for the test leads."""
    models = fit(parts.train, inspect_rows(parts.train, open_leads))
    return [(model, model.predict(parts.test.values, parts.test.clinics.tolist())) for model in models]


def _decide(
    connection: sqlalchemy.Connection, parts: Split, open_leads: LeadRows
) -> tuple[str, bool, str, tuple[Judgement, ...]]:
    truth = parts.test.won
    judged = [(judge(model.kind, truth, p), p) for model, p in predictions(parts, open_leads)]
    learnt = [entry for entry in judged if entry[0].candidate != "points"]
    judgements = tuple(figures for figures, _ in judged)
    if not learnt:
        return "points", False, "The application's points stay: no field may be learnt from.", judgements
    best, ours = min(learnt, key=lambda entry: entry[0].log_loss)
    standing = registry.champion(connection, MODEL)
    new = truth == truth
    if standing is None:
        name, theirs = "the application's points", next(p for figures, p in judged if figures.candidate == "points")
    else:
        name = f"version {standing.version}"
        # What it was trained on would flatter it: only leads decided since count.
        new = parts.test.decided > (standing.window_end.timestamp() if standing.window_end else float("-inf"))
        champion = LeadModel.from_bytes(standing.artifact)
        theirs = champion.predict(parts.test.values, parts.test.clinics.tolist())
        wins = int(truth[new].sum())
        if new.sum() < LEAST_TEST_ROWS or min(wins, int(new.sum()) - wins) < 5:
            since = f"{int(new.sum())} leads decided since, {LEAST_TEST_ROWS} and 5 of each kind are needed"
            return best.candidate, False, f"{name} stays before {best.candidate}: {since}.", judgements
    promoted, why = beats(truth[new], ours[new], theirs[new], comparisons=len(learnt))
    stays = "stays" if standing else "stay"
    verdict = f"{best.candidate} replaces {name}" if promoted else f"{name} {stays} before {best.candidate}"
    return best.candidate, promoted, f"{verdict}: {why}.", judgements


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(float(seconds), UTC)
