"""The churn model's card for people: the candidates' figures, and plots of how good the champion is.

Drawn from the stored snapshots with the stored model; nothing is trained here.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import sqlalchemy

from bn_aura_pipelines.models.churn.candidates import FEATURES, ChurnModel
from bn_aura_pipelines.models.churn.scoring import HIGH_FROM, MEDIUM_FROM, champion_model
from bn_aura_pipelines.models.churn.training import read_rows
from bn_aura_pipelines.models.judging import Judgement

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

BLUE, GREY, RED = "#2563eb", "#94a3b8", "#dc2626"
MOST_FEATURES = 8


def candidates_table(judgements: Sequence[Judgement]) -> str:
    """The figures of every candidate, on the same rows, as a Markdown table."""
    if not judgements:
        return "No candidate was judged: there are too few labelled rows."
    lines = ["| candidate | AUC | log loss | Brier | ECE | rows |", "|---|---|---|---|---|---|"]
    lines += [
        f"| {j.candidate} | {j.auc:.4f} | {j.log_loss:.4f} | {j.brier:.4f} | {j.ece:.4f} | {j.n_test:,} |"
        for j in sorted(judgements, key=lambda judgement: judgement.log_loss)
    ]
    return "\n".join(lines)


def model_card(connection: sqlalchemy.Connection) -> str:
    """What the scoring model is, how to read its score, and four plots on the held-out snapshot (a PNG inside)."""
    version, model = champion_model(connection)
    name = f"version {version}, {model.kind}" if version else "the application's points (nothing learnt beats them yet)"
    text = (
        f"**Scores come from {name}.** A score is the probability, in percent, of no completed visit in the next "
        f"90 days; high from {HIGH_FROM}, medium from {MEDIUM_FROM}."
    )
    test = read_rows(connection).test
    truth = test["churned"].to_numpy(float)
    if len(test) == 0 or truth.min() == truth.max():
        return f"{text}\n\nThere is no held-out snapshot with both outcomes to draw."
    contributions, _ = model.explain(test)
    image = base64.b64encode(_plots(model, truth, model.predict(test), contributions)).decode()
    return f"{text}\n\n![ROC, reliability, lift, importance](data:image/png;base64,{image})"


def _plots(model: ChurnModel, truth: Array, probability: Array, contributions: Array) -> bytes:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 3), dpi=62, layout="constrained")
    roc, reliability, lift, importance = figure.subplots(1, 4)
    _roc(roc, truth, probability)
    _reliability(reliability, truth, probability)
    _lift(lift, truth, probability)
    _importance(importance, contributions)
    for axes in (roc, reliability, lift, importance):
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(labelsize=8)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()


def _roc(axes: Any, truth: Array, probability: Array) -> None:
    from sklearn.metrics import roc_auc_score, roc_curve

    x, y, _ = roc_curve(truth, probability)
    axes.plot([0, 1], [0, 1], color=GREY, linewidth=1)
    axes.plot(x, y, color=BLUE)
    axes.set_title(f"ROC, AUC {roc_auc_score(truth, probability):.3f}", fontsize=10)
    axes.set_xlabel("share of stayers flagged", fontsize=8)
    axes.set_ylabel("share of leavers flagged", fontsize=8)


def _reliability(axes: Any, truth: Array, probability: Array) -> None:
    import numpy as np

    bins = [rows for rows in np.array_split(np.argsort(probability, kind="stable"), 10) if len(rows)]
    axes.plot([0, 1], [0, 1], color=GREY, linewidth=1)
    axes.plot([probability[r].mean() for r in bins], [truth[r].mean() for r in bins], "o-", color=BLUE, markersize=4)
    axes.set_title("Reliability", fontsize=10)
    axes.set_xlabel("predicted", fontsize=8)
    axes.set_ylabel("came true", fontsize=8)


def _lift(axes: Any, truth: Array, probability: Array) -> None:
    import numpy as np

    tenths = np.array_split(truth[np.argsort(-probability, kind="stable")], 10)
    axes.bar(range(1, 11), [tenth.mean() if len(tenth) else 0 for tenth in tenths], color=BLUE)
    axes.axhline(truth.mean(), color=RED, linewidth=1)
    axes.set_title("Churn by score decile", fontsize=10)
    axes.set_xlabel("decile, highest scores first", fontsize=8)


def _importance(axes: Any, contributions: Array) -> None:
    import numpy as np

    weight = np.abs(contributions).mean(axis=0)
    top = np.argsort(weight, kind="stable")[-MOST_FEATURES:]
    axes.barh([FEATURES[i] for i in top], weight[top], color=BLUE)
    axes.set_title("Mean weight (log-odds)", fontsize=10)
    axes.tick_params(axis="y", labelsize=7)
