"""Rebooking: how due each treatment is that a customer has had. Simple scores, and the numbers a model learns from."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from bn_aura_pipelines.models.recommendations.histories import Histories

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.floating]
    Array = NDArray[np.float64]
    Ints = NDArray[np.int64]
    Bools = NDArray[np.bool_]

FEATURES = (
    "times",
    "times_lately",
    "share_of_visits",
    "days_since",
    "clock_days",
    "lateness",
    "has_own_gap",
    "in_last_visit",
    "transition",
    "recency_days",
    "visits",
    "visit_gap_days",
    "visit_lateness",
    "treatments_had",
    "repeat_share",
    "treatment_gap_days",
    "price_to_ticket",
    "has_course",
    "uses_of_course",
    "last_was_free",
)
BASELINES = ("last", "frequency", "transitions", "due")
# A treatment's usual gap weighs as much as so many gaps of one's own.
USUAL_GAPS = 2.0
# Due from shortly before the usual gap is over until it has passed twice.
DUE_FROM, DUE_UNTIL = 0.9, 2.0


class Repeats:
    """Every treatment that customers have had and may have again."""

    kind = "rebook"
    features = FEATURES
    baselines = BASELINES

    def __init__(self, histories: Histories) -> None:
        self.histories = histories

    @cached_property
    def row(self) -> NDArray[np.integer]:
        """The row of `pairs` of each customer and treatment, -1 where there is none."""
        import numpy as np

        pairs, shape = self.histories.pairs, self.histories.recency.shape
        row = np.full(shape, -1, np.int32)
        row[pairs["customer"], pairs["treatment"]] = np.arange(len(pairs))
        return row

    @cached_property
    def usual_gap_days(self) -> Array:
        """The median over customers of the days between two of the same treatment, shape (treatments,); of all
        treatments where nobody has repeated one, nan where nobody has repeated any."""
        import numpy as np

        pairs = self.histories.pairs
        gaps = pairs.dropna(subset=["gap_days"]).groupby("treatment")["gap_days"].median()
        usual = np.full(len(self.histories.treatments), gaps.median() if len(gaps) else np.nan)
        usual[gaps.index.to_numpy(int)] = gaps.to_numpy(float)
        return usual

    @cached_property
    def clock_days(self) -> Array:
        """Days until each of `pairs` is due again after the last time: one's own gap, drawn towards the usual one."""
        import numpy as np

        pairs = self.histories.pairs
        usual = self.usual_gap_days[pairs["treatment"]]
        own = pairs["gap_days"].to_numpy(float)
        gaps = np.where(np.isnan(own), 0.0, pairs["times"].to_numpy(float) - 1)
        return (gaps * np.nan_to_num(own) + USUAL_GAPS * usual) / (gaps + USUAL_GAPS)

    @cached_property
    def _transition(self) -> Array:
        """The probability of each of `pairs` being in the visit after one like the last, by the chain of visits."""
        import numpy as np

        steps, pairs = self.histories.steps, self.histories.pairs
        # A visit in which nothing is known to follow is followed by anything, as often as it is taken.
        total = steps.sum(axis=0)
        chain = (steps + total / max(total.sum(), 1)) / (steps.sum(axis=1, keepdims=True) + 1)
        last = np.zeros(self.histories.recency.shape, np.float32)
        latest = pairs["in_last_visit"].to_numpy() == 1
        last[pairs["customer"][latest], pairs["treatment"][latest]] = 1
        last /= np.maximum(last.sum(axis=1, keepdims=True), 1)
        return (last @ chain.astype(np.float32))[pairs["customer"], pairs["treatment"]].astype(float)

    @cached_property
    def _scores(self) -> dict[str, Array]:
        """Each baseline's score of each of `pairs`, between 0 and 1."""
        import numpy as np

        pairs = self.histories.pairs
        visits = self.histories.customers["visits"].to_numpy(float)[pairs["customer"]]
        frequency = pairs["times"].to_numpy(float) / (visits + 1)
        days = pairs["days_since"].to_numpy(float)
        # Ties of the last visit are broken by frequency, those of frequency by the last visit.
        fresh = 1 / (1 + days)
        lateness = np.nan_to_num(days / self.clock_days, nan=0.0)
        due = (lateness >= DUE_FROM) & (lateness < DUE_UNTIL)
        return {
            "last": np.clip(fresh * (1 + 1e-3 * frequency), 0, 1),
            "frequency": np.clip(frequency + 1e-6 * fresh, 0, 1),
            "transitions": np.clip(self._transition, 0, 1),
            "due": np.clip((frequency + due) / 2, 0, 1),
        }

    def open(self, places: Ints) -> Bools:
        """What may be recommended to some customers, shape (len(places), treatments)."""
        return (self.row[places] >= 0) & ~self.histories.closed[places]

    def relevant(self, places: Ints) -> tuple[Bools, Bools]:
        """Which of the open ones were taken afterwards, and which of them in the first visit that had one."""
        import numpy as np

        taken = _taken(self.histories, places)
        taken = np.where(self.open(places), taken, 0)
        first = np.where(taken > 0, taken, np.iinfo(np.int64).max).min(axis=1, initial=np.iinfo(np.int64).max)
        return taken > 0, (taken > 0) & (taken == first[:, None])

    def score(self, baseline: str, places: Ints) -> Floats:
        """A baseline's scores, shape (len(places), treatments); only the open ones mean something."""
        import numpy as np

        rows = self.row[places]
        return np.where(rows >= 0, self._scores[baseline].astype(np.float32)[rows], np.float32(0))

    def matrix(self, places: Ints, everything: bool = False) -> tuple[Ints, Ints, Floats]:
        """Places within `places`, treatments, and their features (n, len(FEATURES)); always of all that is open."""
        import numpy as np

        who, treatment = np.nonzero(self.open(places))
        return who, treatment, self._features[self.row[places[who], treatment]]

    @cached_property
    def _features(self) -> Floats:
        import numpy as np

        pairs, customers = self.histories.pairs, self.histories.customers
        who, what = pairs["customer"].to_numpy(), pairs["treatment"].to_numpy()
        visits = customers["visits"].to_numpy(float)[who]
        recency = customers["recency_days"].to_numpy(float)[who]
        gap = customers["span_days"].to_numpy(float)[who] / np.maximum(visits - 1, 1)
        price = self.histories.treatments["price_min_thb"].to_numpy(float)[what]
        ticket = customers["revenue_thb"].to_numpy(float)[who] / np.maximum(visits, 1)
        had = np.bincount(what, minlength=len(self.histories.treatments))
        again = np.bincount(what, pairs["times"].to_numpy() > 1, minlength=len(had))
        columns = {
            "times": pairs["times"],
            "times_lately": pairs["times_lately"],
            "share_of_visits": self._scores["frequency"],
            "days_since": pairs["days_since"],
            "clock_days": self.clock_days,
            "lateness": pairs["days_since"] / self.clock_days,
            "has_own_gap": pairs["gap_days"].notna(),
            "in_last_visit": pairs["in_last_visit"],
            "transition": self._transition,
            "recency_days": recency,
            "visits": visits,
            "visit_gap_days": np.where(visits > 1, gap, np.nan),
            "visit_lateness": np.where(visits > 1, recency / np.maximum(gap, 1), np.nan),
            "treatments_had": np.bincount(who, minlength=len(customers))[who],
            "repeat_share": (again / np.maximum(had, 1))[what],
            "treatment_gap_days": self.usual_gap_days[what],
            "price_to_ticket": price / np.maximum(ticket, 1),
            "has_course": pairs["has_course"],
            "uses_of_course": pairs["uses_of_course"],
            "last_was_free": pairs["last_was_free"],
        }
        return np.column_stack([np.asarray(columns[name], np.float32) for name in FEATURES])


def _taken(histories: Histories, places: Ints) -> Ints:
    """The number of the visit after the cut in which each treatment was first taken, 0 for never."""
    import numpy as np

    assert histories.followed is not None
    taken = np.zeros(histories.recency.shape, np.int64)
    taken[histories.followed["customer"], histories.followed["treatment"]] = histories.followed["place"]
    return taken[places]
