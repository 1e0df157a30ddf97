"""The leakage guard: fields that are filled in after the outcome, or that name the era, must not be learnt from.

It compares open with decided leads and early with late ones, and says in a sentence what it drops and why.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bn_aura_pipelines.models.leads.fields import MISSING, STANDING, as_numbers, as_texts, column_of

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

# Below these counts no comparison means anything.
LEAST_OPEN = 5
LEAST_DECIDED = 50
LEAST_FOR_ERAS = 400
# Chance of so few open leads if they were like the decided ones, below which it is no chance.
UNLIKELY = 1e-4
# A field that separates won from lost this well by itself was written by somebody who knew.
TOO_GOOD = 0.97
# So many decided leads may carry values that are never wrong before it takes open ones to believe them.
MOST_CERTAIN = 0.2
# Best on the latest fifth of the training leads of the retail export; .2 to .5 give the same figures on its test leads.
ERA_DISTANCE = 0.35
MOST_FIELDS = 60
SEASONS = ("season_sin", "season_cos")
TWO_YEARS_SECONDS = 2 * 365 * 86_400
LEAST_FILLED = 0.01


@dataclass(frozen=True)
class Dropped:
    """A field that no model sees: `kind` is outcome, era or weak."""

    field: str
    kind: str
    message: str


@dataclass(frozen=True)
class Inspection:
    """The fields that may be learnt from, in order, and those dropped."""

    kept: tuple[str, ...]
    dropped: tuple[Dropped, ...]

    def message(self) -> str:
        """What was dropped for a reason worth reading, one sentence each."""
        told = [dropped.message for dropped in self.dropped if dropped.kind != "weak"]
        weak = sum(dropped.kind == "weak" for dropped in self.dropped)
        if weak:
            told.append(f"{weak} more fields are too rarely filled or say too little.")
        return "\n".join(told) or "The leakage guard dropped nothing."


def inspect(values: pd.DataFrame, won: Array, created: Array) -> Inspection:
    """Judge every field. `won` (n,) is 1, 0 or NaN for open leads; `created` (n,) in seconds."""
    import numpy as np

    decided = ~np.isnan(won)
    places = np.flatnonzero(decided)
    places = places[np.argsort(created[places], kind="stable")]
    seconds = float(created[places[-1]] - created[places[0]]) if len(places) else 0.0
    strengths: dict[str, float] = {}
    dropped: list[Dropped] = []
    for name in map(str, values.columns):
        column = column_of(values, name)
        codes, missing = _codes(column)
        verdict = None
        if len(places) and column.notna().to_numpy()[decided].mean() < LEAST_FILLED:
            verdict = Dropped(name, "weak", f"{name}: filled for less than 1 % of decided leads.")
        elif len(places) >= LEAST_DECIDED and (name in STANDING or name.startswith("metadata.")):
            verdict = _after_outcome(name, codes[places], codes[~decided], won[places], missing)
        verdict = verdict or _era(name, column.iloc[places], seconds)
        if verdict:
            dropped.append(verdict)
        else:
            strengths[name] = _strength(codes[places], won[places]) if len(places) else 0.0
    strongest = sorted(strengths, key=lambda name: (-strengths[name], name))[:MOST_FIELDS]
    dropped += [
        Dropped(name, "weak", f"{name}: among more than {MOST_FIELDS} fields it says least.")
        for name in strengths
        if name not in strongest
    ]
    return Inspection(tuple(name for name in strengths if name in strongest), tuple(dropped))


def _codes(column: pd.Series) -> tuple[NDArray[np.intp], int]:
    """The level of each row: of a number its tenth, of a text the text; and which level is missing."""
    import numpy as np

    numbers = as_numbers(column)
    filled = column.notna().to_numpy()
    if filled.any() and (~np.isnan(numbers)).sum() >= 0.95 * filled.sum():
        edges = np.unique(np.nanquantile(numbers, np.linspace(0, 1, 11)))
        codes = np.searchsorted(edges, numbers, side="right")
        missing = len(edges) + 1
        codes[np.isnan(numbers)] = missing
        return codes, missing
    levels, codes = np.unique(as_texts(column).astype(str), return_inverse=True)
    place = np.flatnonzero(levels == MISSING)
    return codes.astype(np.intp), int(place[0]) if len(place) else -1


def _after_outcome(
    name: str, ours: NDArray[np.intp], theirs: NDArray[np.intp], truth: Array, missing: int
) -> Dropped | None:
    """Whether this field knows the outcome: levels of decided leads in time order, and of open ones."""
    import numpy as np
    from scipy.stats import binom

    open_leads = len(theirs)
    telling = _telling_levels(ours, truth, missing)
    share, carried = float(np.isin(ours, telling).mean()), int(np.isin(theirs, telling).sum())
    outcomes = {bool(truth[ours == level].mean() > 0.5) for level in telling.tolist()}
    if len(outcomes) == 2 and share >= MOST_CERTAIN and not carried and (1 - share) ** open_leads >= UNLIKELY:
        return Dropped(
            name,
            "outcome",
            f"{name}: dropped, {share:.0%} of decided leads carry values that give the outcome away, and too few leads "
            "are open to tell whether it was known before.",
        )
    if open_leads >= LEAST_OPEN:
        filled = float((ours[-max(200, open_leads) :] != missing).mean())
        there = int((theirs != missing).sum())
        if there / open_leads < filled / 2 and binom.cdf(there, open_leads, filled) < UNLIKELY:
            return Dropped(
                name,
                "outcome",
                f"{name}: dropped, it is filled in after the outcome "
                f"({filled:.0%} of decided leads have it, {there / open_leads:.0%} of open ones).",
            )
        if len(telling) and carried / open_leads < share / 2 and binom.cdf(carried, open_leads, share) < UNLIKELY:
            return Dropped(
                name,
                "outcome",
                f"{name}: dropped, it is rewritten after the outcome ({share:.0%} of decided leads carry values that "
                f"give the outcome away, {carried / open_leads:.0%} of open ones).",
            )
    if 0 < truth.sum() < len(truth):
        auc = _auc(truth, _rates(ours, truth))
        if auc >= TOO_GOOD:
            return Dropped(name, "outcome", f"{name}: dropped, it gives the outcome away by itself (AUC {auc:.3f}).")
    return None


def _era(name: str, column: pd.Series, seconds: float) -> Dropped | None:
    """Whether this field of decided leads, in time order over so many seconds, tells when rather than who."""
    if name in SEASONS and seconds < TWO_YEARS_SECONDS:
        why = f"{name}: dropped, less than two years of decided leads cannot tell a season from its era."
        return Dropped(name, "era", why)
    distance = _era_distance(column) if len(column) >= LEAST_FOR_ERAS else 0.0
    if distance <= ERA_DISTANCE:
        return None
    why = f"{name}: dropped, it names the era, not the lead (early and late leads lie {distance:.2f} apart of 1)."
    return Dropped(name, "era", why)


def _telling_levels(codes: NDArray[np.intp], truth: Array, missing: int) -> NDArray[np.intp]:
    """Levels, apart from missing, of which practically all leads ended alike though many of them should not have; none
    where all of them together may be chance."""
    import numpy as np
    from scipy.stats import binom

    counts = np.bincount(codes)
    wins = np.bincount(codes, weights=truth)
    base = truth.mean()
    chance = np.minimum(
        np.where(wins <= 0.02 * counts, binom.cdf(wins, counts, base), 1),
        np.where(wins >= 0.98 * counts, binom.sf(wins - 1, counts, base), 1),
    )
    levels = np.flatnonzero((counts >= 5) & (chance < 0.05) & (np.arange(len(counts)) != missing))
    return levels if np.prod(chance[levels]) < UNLIKELY else levels[:0]


def _rates(codes: NDArray[np.intp], truth: Array) -> Array:
    """The win rate of each row's level without the row itself, shrunk to the mean with the weight of 20 leads."""
    import numpy as np

    counts, wins = np.bincount(codes), np.bincount(codes, weights=truth)
    return (wins[codes] - truth + 20 * truth.mean()) / (counts[codes] - 1 + 20)


def _auc(truth: Array, score: Array) -> float:
    """Area under the ROC curve by ranks: a tenth of the time of scikit-learn's, which checks what is known here."""
    from scipy.stats import rankdata

    wins = truth.sum()
    return float((rankdata(score)[truth == 1].sum() - wins * (wins + 1) / 2) / (wins * (len(truth) - wins)))


def _strength(codes: NDArray[np.intp], truth: Array) -> float:
    """How far the win rates of a field's levels lie apart, weighed by how many leads are in them."""
    import numpy as np

    counts, wins = np.bincount(codes), np.bincount(codes, weights=truth)
    rates = (wins + 20 * truth.mean()) / (counts + 20)
    return float((counts * (rates - truth.mean()) ** 2).sum() / max(counts.sum(), 1))


def _era_distance(column: pd.Series) -> float:
    """How far apart the first three quarters and the last quarter are: 0 alike, 1 nothing in common
    (Kolmogorov-Smirnov for numbers, total variation for texts)."""
    import numpy as np
    from scipy.stats import ks_2samp

    cut = len(column) * 3 // 4
    numbers = as_numbers(column)
    filled = column.notna().to_numpy()
    early_share, late_share = float(filled[:cut].mean()), float(filled[cut:].mean())
    distance = abs(early_share - late_share)
    early, late = numbers[:cut][~np.isnan(numbers[:cut])], numbers[cut:][~np.isnan(numbers[cut:])]
    if len(early) + len(late) >= 0.95 * filled.sum():
        if len(early) >= 20 and len(late) >= 20:
            distance = max(distance, float(ks_2samp(early, late, method="asymp").statistic))  # pyright: ignore[reportAttributeAccessIssue]
        return distance
    levels, codes = np.unique(as_texts(column).astype(str), return_inverse=True)
    shares = [np.bincount(part, minlength=len(levels)) / len(part) for part in (codes[:cut], codes[cut:])]
    if len(levels) > cut / 5:  # a name or a number of its own for everybody: nothing to compare but presence
        return distance
    return max(distance, float(np.abs(shares[0] - shares[1]).sum() / 2))
