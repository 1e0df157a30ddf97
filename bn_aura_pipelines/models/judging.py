"""How good predicted probabilities are: figures on held-out rows, and whether one model truly beats another.

Nothing here knows what is predicted.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

ECE_BINS = 10
BOOTSTRAP_ROUNDS = 1000
BOOTSTRAP_SEED = 7


@dataclass(frozen=True)
class Judgement:
    """Figures of one candidate on held-out rows."""

    candidate: str
    n_test: int
    auc: float
    log_loss: float
    brier: float
    ece: float
    positive_share: float

    def as_dict(self) -> dict[str, float | int | str]:
        return asdict(self)


def judge(candidate: str, truth: Array, probability: Array) -> Judgement:
    """AUC, log loss, Brier score and expected calibration error of `probability`, both of shape (n,), truth 0 or 1.

    Raises ValueError when only one class occurs: nothing can be told apart then.
    """
    from sklearn.metrics import brier_score_loss, log_loss, roc_auc_score

    if truth.min() == truth.max():
        raise ValueError("only one class in the held-out rows")
    clipped = clip(probability)
    return Judgement(
        candidate=candidate,
        n_test=len(truth),
        auc=float(roc_auc_score(truth, probability)),
        log_loss=float(log_loss(truth, clipped)),
        brier=float(brier_score_loss(truth, probability)),
        ece=expected_calibration_error(truth, probability),
        positive_share=float(truth.mean()),
    )


def clip(probability: Array) -> Array:
    """Away from 0 and 1, where one mistake would cost everything."""
    import numpy as np

    return np.clip(probability, 1e-6, 1 - 1e-6)


def logit(probability: Array) -> Array:
    import numpy as np

    clipped = clip(probability)
    return np.log(clipped) - np.log1p(-clipped)


def expected_calibration_error(truth: Array, probability: Array) -> float:
    """Mean distance between predicted and observed share over ten bins of equally many rows (Naeini et al. 2015)."""
    import numpy as np

    order = np.argsort(probability, kind="stable")
    bins = np.array_split(order, ECE_BINS)
    gaps = [abs(truth[rows].mean() - probability[rows].mean()) * len(rows) for rows in bins if len(rows)]
    return float(sum(gaps) / len(truth))


def chance_calibration_error(probability: Array) -> float:
    """The expected calibration error that chance alone leaves in one case of twenty where every probability is true:
    the gap of a bin is a normal with the bin's own variance, taken without its sign. With 400 rows about .06."""
    import numpy as np

    bins = np.array_split(np.sort(probability), ECE_BINS)
    gaps = np.sqrt([float((rows * (1 - rows)).sum()) for rows in bins]) / len(probability)
    return float(gaps.sum() * np.sqrt(2 / np.pi) + 1.645 * np.sqrt((gaps**2).sum() * (1 - 2 / np.pi)))


def log_loss_difference(truth: Array, ours: Array, theirs: Array, comparisons: int = 1) -> tuple[float, float, float]:
    """Mean difference in log loss (negative: ours is better) with its 95 % paired bootstrap interval.

    When ours is the best of several on the same rows, `comparisons` widens the interval accordingly (Bonferroni).
    """
    import numpy as np

    def losses(probability: Array) -> Array:
        clipped = clip(probability)
        return -(truth * np.log(clipped) + (1 - truth) * np.log1p(-clipped))

    difference = losses(ours) - losses(theirs)
    rng, size = np.random.default_rng(BOOTSTRAP_SEED), len(truth)
    rounds = (difference[rng.integers(0, size, size, dtype=np.int32)].mean() for _ in range(BOOTSTRAP_ROUNDS))
    means = np.fromiter(rounds, float, BOOTSTRAP_ROUNDS)
    low, high = np.quantile(means, [0.025 / comparisons, 1 - 0.025 / comparisons])
    return float(difference.mean()), float(low), float(high)


def beats(truth: Array, ours: Array, theirs: Array, comparisons: int = 1) -> tuple[bool, str]:
    """Whether ours deserves to replace theirs, and why: the whole interval of the log-loss difference lies below zero
    and the calibration error is no worse than theirs, or no more than
    chance leaves where every probability is true."""
    mean, low, high = log_loss_difference(truth, ours, theirs, comparisons)
    ece_ours, ece_theirs = expected_calibration_error(truth, ours), expected_calibration_error(truth, theirs)
    better = high < 0
    calibrated = ece_ours <= max(ece_theirs, 0.01, chance_calibration_error(ours))
    why = (
        f"log loss {mean:+.4f} (95 % interval {low:+.4f} to {high:+.4f}), "
        f"calibration error {ece_ours:.3f} against {ece_theirs:.3f}"
    )
    return better and calibrated, why
