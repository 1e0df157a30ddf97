"""Whether what is scored now still looks like what was judged: population stability of numbers and of scores.

Sources: the index is the usual one (Siddiqi 2006); that it is (1/n + 1/m) times a chi-square where nothing has changed:
Yurdakul and Naranjo (2020), Statistical properties of the population stability index, Journal of Risk Model Validation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

BINS = 10
# Large clinics see every breath of the season: below this a shift is of no consequence, however certain.
OF_NO_CONSEQUENCE = 0.1


@dataclass(frozen=True)
class Drift:
    """The stability index of one number, and what chance alone gives (95 % of the time for all numbers together)."""

    name: str
    psi: float
    by_chance: float

    @property
    def drifted(self) -> bool:
        return self.psi > max(self.by_chance, OF_NO_CONSEQUENCE)


def population_stability(name: str, before: Array, now: Array, comparisons: int = 1) -> Drift:
    """How far the distribution of `now` (m,) is from that of `before` (n,), by tenths of the latter; missing values are
    a class of their own. With several `comparisons` what chance gives is widened accordingly (Bonferroni)."""
    import numpy as np
    from scipy.stats import chi2

    if len(before) == 0 or len(now) == 0:
        return Drift(name, 0.0, 0.0)
    known = before[~np.isnan(before)]
    edges = np.unique(np.quantile(known, np.linspace(0, 1, BINS + 1)[1:-1])) if len(known) else np.empty(0)

    def share(values: Array) -> Array:
        place = np.where(np.isnan(values), len(edges) + 1, np.searchsorted(edges, values, side="left"))
        counts = np.bincount(place, minlength=len(edges) + 2)
        return np.asarray((counts + 0.5) / (len(values) + 0.5 * len(counts)), float)

    expected, found = share(before), share(now)
    filled = (expected * len(before) >= 1) | (found * len(now) >= 1)
    psi = float(((found - expected) * np.log(found / expected))[filled].sum())
    freedom = max(int(filled.sum()) - 1, 1)
    quantile = float(chi2.ppf(1 - 0.05 / comparisons, freedom))
    return Drift(name, psi, (1 / len(before) + 1 / len(now)) * quantile)
