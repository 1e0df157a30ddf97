"""The registry: a table of trained models with aliases. It stores and finds; it neither trains nor judges."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import sqlalchemy
from sqlalchemy import text

from bn_aura_pipelines.errors import UserError
from bn_aura_pipelines.models.judging import Judgement

# A model knows everything up to the end of its last label.
KNOWN_BY_THEN = "coalesce(window_end, '-infinity') <= aura_ops.as_of()"


class ModelUnusable(UserError):
    """A stored model cannot be used: corrupted, or made for other features."""


class ModelUnknown(UserError):
    """The registry has no such version."""


@dataclass(frozen=True)
class Entry:
    """One trained model as the registry holds it."""

    model: str
    version: int
    alias: str | None
    promoted: bool
    kind: str
    artifact: bytes
    features: tuple[str, ...]
    metrics: dict[str, Any]
    decision: str
    n_train: int
    n_test: int
    window_start: datetime | None
    window_end: datetime | None
    training_fingerprint: str
    trained_as_of: datetime


def feature_hash(features: Sequence[str]) -> str:
    """What must agree between training and scoring: names and order of the features."""
    return hashlib.sha256("\n".join(features).encode()).hexdigest()[:16]


def code_version() -> str:
    """The version of the package, or of the source tree it runs from."""
    try:
        return version("bn-aura-pipelines")
    except PackageNotFoundError:
        return "source"


def champion(connection: sqlalchemy.Connection, model: str) -> Entry | None:
    """The version to score with at the run's moment: the one with the alias, or for a run about the past, which must
    not know it, the newest that had been promoted by then. Raises ModelUnusable when its bytes were damaged."""
    known = f"model = :model and {KNOWN_BY_THEN}"
    return _one(connection, f"{known} and alias = 'champion'", {"model": model}) or _one(
        connection, f"{known} and promoted", {"model": model}
    )


def by_fingerprint(connection: sqlalchemy.Connection, model: str, fingerprint: str) -> Entry | None:
    """The version that was trained on exactly this, if there is one."""
    condition = "model = :model and training_fingerprint = :fingerprint"
    return _one(connection, condition, {"model": model, "fingerprint": fingerprint})


def next_version(connection: sqlalchemy.Connection, model: str) -> int:
    return connection.execute(
        text("select coalesce(max(version), 0) + 1 from aura_models.registry where model = :model"), {"model": model}
    ).scalar_one()


def store(connection: sqlalchemy.Connection, entry: Entry, judgements: Sequence[Judgement]) -> None:
    """Add a version with the figures of every candidate; an alias it takes is taken from its holder.

    A version trained for a moment in the past takes no alias from one that knows more.
    """
    if entry.alias and _knows_more(connection, entry):
        entry = replace(entry, alias=None)
    if entry.alias:
        connection.execute(
            text("update aura_models.registry set alias = null where model = :model and alias = :alias"),
            {"model": entry.model, "alias": entry.alias},
        )
    connection.execute(
        text(
            """
            insert into aura_models.registry (
                model, version, alias, promoted, kind, artifact, artifact_sha256, features, feature_hash, metrics,
                decision, n_train, n_test, window_start, window_end, training_fingerprint, code_version, trained_as_of
            ) values (
                :model, :version, :alias, :promoted, :kind, :artifact, :sha, :features, :feature_hash,
                cast(:metrics as jsonb), :decision, :n_train, :n_test, :window_start, :window_end,
                :fingerprint, :code_version, :trained_as_of
            )
            """
        ),
        {
            "model": entry.model,
            "version": entry.version,
            "alias": entry.alias,
            "promoted": entry.promoted,
            "kind": entry.kind,
            "artifact": entry.artifact,
            "sha": hashlib.sha256(entry.artifact).hexdigest(),
            "features": list(entry.features),
            "feature_hash": feature_hash(entry.features),
            "metrics": json.dumps(entry.metrics),
            "decision": entry.decision,
            "n_train": entry.n_train,
            "n_test": entry.n_test,
            "window_start": entry.window_start,
            "window_end": entry.window_end,
            "fingerprint": entry.training_fingerprint,
            "code_version": code_version(),
            "trained_as_of": entry.trained_as_of,
        },
    )
    if judgements:
        connection.execute(
            text(
                """
                insert into aura_models.candidate_metrics
                    (model, version, candidate, n_test, auc, log_loss, brier, ece, positive_share)
                values (:model, :version, :candidate, :n_test, :auc, :log_loss, :brier, :ece, :positive_share)
                """
            ),
            [{"model": entry.model, "version": entry.version, **judgement.as_dict()} for judgement in judgements],
        )


def promote(connection: sqlalchemy.Connection, model: str, version: int) -> int | None:
    """Let a version score from now on, and give the one that did until now; this is also how one rolls back.

    Raises ModelUnknown, and ModelUnusable when the version is damaged.
    """
    chosen = _one(connection, "model = :model and version = :version", {"model": model, "version": version})
    if chosen is None:
        raise ModelUnknown(f"There is no version {version} of model {model!r}: `bn-aura models list` shows them all.")
    holder = text(
        "update aura_models.registry set alias = null where model = :model and alias = 'champion' returning version"
    )
    before = connection.execute(holder, {"model": model}).scalar()
    connection.execute(
        text(
            "update aura_models.registry set alias = 'champion', promoted = true"
            " where model = :model and version = :version"
        ),
        {"model": model, "version": version},
    )
    return before


def judgements(connection: sqlalchemy.Connection, model: str, version: int) -> tuple[Judgement, ...]:
    """The figures of every candidate of a version, best log loss first."""
    rows = connection.execute(
        text(
            "select candidate, n_test, auc, log_loss, brier, ece, positive_share from aura_models.candidate_metrics"
            " where model = :model and version = :version order by log_loss"
        ),
        {"model": model, "version": version},
    )
    return tuple(Judgement(**row) for row in rows.mappings())


def _knows_more(connection: sqlalchemy.Connection, entry: Entry) -> bool:
    """Whether the alias is held by a version whose data reaches further."""
    return connection.execute(
        text(
            "select exists (select from aura_models.registry where model = :model and alias = :alias"
            " and window_end > coalesce(cast(:window_end as timestamptz), '-infinity'))"
        ),
        {"model": entry.model, "alias": entry.alias, "window_end": entry.window_end},
    ).scalar_one()


def _one(connection: sqlalchemy.Connection, condition: str, parameters: dict[str, Any]) -> Entry | None:
    row = (
        connection.execute(
            text(f"select * from aura_models.registry where {condition} order by version desc limit 1"), parameters
        )
        .mappings()
        .first()
    )
    if row is None:
        return None
    artifact = bytes(row["artifact"])
    if hashlib.sha256(artifact).hexdigest() != row["artifact_sha256"]:
        raise ModelUnusable(
            f"Version {row['version']} of model {row['model']} is damaged in the registry: "
            "train again with `bn-aura run --select churn_model`."
        )
    if feature_hash(row["features"]) != row["feature_hash"]:
        raise ModelUnusable(f"The feature list of {row['model']} version {row['version']} was changed: train again.")
    fields = {name: row[name] for name in Entry.__dataclass_fields__ if name not in ("artifact", "features")}
    return Entry(**fields, artifact=artifact, features=tuple(row["features"]))
