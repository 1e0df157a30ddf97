"""How the benchmark of recommendations says what it found: an interval over customers, and a target reached or not."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Report = Callable[[str], None]
Array = NDArray[np.floating]
ROUNDS, SEED = 1000, 3


def interval(difference: Array) -> tuple[float, float]:
    """95 % bootstrap interval of a mean over customers."""
    rng = np.random.default_rng(SEED)
    means = [difference[rng.integers(0, len(difference), len(difference))].mean() for _ in range(ROUNDS)]
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)


def verdict(report: Report, good: bool, what: str) -> bool:
    report(f"{'reached' if good else 'missed'}: {what}")
    return bool(good)
