"""How good probabilities of three classes are on held-out texts, and whether one model truly beats another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Places = NDArray[Any]

ECE_BINS = 10
ROUNDS, SEED = 1000, 7


def figures(truth: Places, probabilities: Array, chosen: Places | None = None) -> dict[str, float]:
    """micro_f1, macro_f1, auc (one class against the others, mean), log_loss, brier and ece.

    `truth` and `chosen` are places of classes, shape (n,); `chosen` is the most probable where nothing else is said.
    """
    import numpy as np
    from sklearn.metrics import f1_score, roc_auc_score

    chosen = probabilities.argmax(axis=1) if chosen is None else chosen
    one_hot = np.eye(3)[truth]
    areas = [
        roc_auc_score(one_hot[:, place], probabilities[:, place]) for place in range(3) if one_hot[:, place].mean() > 0
    ]
    return {
        "micro_f1": float((chosen == truth).mean()),
        "macro_f1": float(f1_score(truth, chosen, average="macro")),
        "auc": float(np.mean(areas)),
        "log_loss": float(losses(truth, probabilities).mean()),
        "brier": float(((probabilities - one_hot) ** 2).sum(axis=1).mean()),
        "ece": calibration_error(truth, probabilities),
    }


def calibration_error(truth: Places, probabilities: Array) -> float:
    """Mean distance between how sure the most probable class is and how often it is right, over ten bins of equally
    many texts (Naeini et al. 2015; Guo et al. 2017)."""
    import numpy as np

    sure = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == truth
    bins = np.array_split(np.argsort(sure, kind="stable"), ECE_BINS)
    gaps = [abs(right[rows].mean() - sure[rows].mean()) * len(rows) for rows in bins if len(rows)]
    return float(sum(gaps) / len(truth))


def losses(truth: Places, probabilities: Array) -> Array:
    """Negative log-likelihood of each text, shape (n,)."""
    import numpy as np

    return -np.log(np.clip(probabilities[np.arange(len(truth)), truth], 1e-6, 1))


def beats(truth: Places, ours: Array, theirs: Array) -> tuple[bool, str]:
    """Whether ours deserves to replace theirs, and why: the whole 95 % paired bootstrap interval of the log-loss
    difference lies below zero, and the calibration error is no worse than theirs, or below .03."""
    import numpy as np

    difference = losses(truth, ours) - losses(truth, theirs)
    rng = np.random.default_rng(SEED)
    means = [difference[rng.integers(0, len(truth), len(truth))].mean() for _ in range(ROUNDS)]
    low, high = np.quantile(means, [0.025, 0.975])
    ece_ours, ece_theirs = calibration_error(truth, ours), calibration_error(truth, theirs)
    why = (
        f"log loss {difference.mean():+.4f} (95 % interval {low:+.4f} to {high:+.4f}), "
        f"calibration error {ece_ours:.3f} against {ece_theirs:.3f}"
    )
    return bool(high < 0 and ece_ours <= max(ece_theirs, 0.03)), why
