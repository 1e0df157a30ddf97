"""Cross-sell: which treatments that a customer never had would fit. Simple scores, and the numbers a model learns from.

All are statistics of the histories before a moment, as features are; only the trees over them are learnt and kept.
"""

from __future__ import annotations

from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from bn_aura_pipelines.models.recommendations.histories import Histories

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.floating]
    Ints = NDArray[np.int64]
    Bools = NDArray[np.bool_]

SIGNALS = ("ease", "ease_recent", "ease_year", "item_knn", "nearest_customers")
FEATURES = (
    *SIGNALS,
    *(f"{name}_relative" for name in SIGNALS),
    "popularity_30d",
    "popularity_90d",
    "popularity_365d",
    "everywhere_30d",
    "everywhere_90d",
    "treatments_had",
    "treatments_90d",
    "recency_days",
    "price_to_ticket",
    "category_share",
)
BASELINES = ("popularity", "item_knn", "nearest_customers", "ease", "ease_recent")
# Days after which something had counts half.
HALF_LIFE_DAYS = {"ease_recent": 90.0, "ease_year": 365.0, "item_knn": 180.0, "nearest_customers": 180.0}
# The ridge of EASE, in units of the mean number of customers of a treatment.
EASE_RIDGE = {"ease": 1.5, "ease_recent": 2.0, "ease_year": 0.5}
NEIGHBOURS = 50
# Neighbours are looked for among so many customers of a clinic.
NEIGHBOUR_POOL = 5_000
# The trees learn from every treatment and order so many a customer, those that EASE puts first. On the retail export 60
# of 300 cost .007 of recall@10 against all of them, and learning from a shortlist another .01.
SHORTLIST = 100
CHUNK = 50_000


class Novelties:
    """Every treatment that customers have not had and may have."""

    kind = "cross_sell"
    features = FEATURES
    baselines = BASELINES

    def __init__(self, histories: Histories) -> None:
        self.histories = histories

    @cached_property
    def had(self) -> Bools:
        import numpy as np

        return np.isfinite(self.histories.recency)

    def _weight(self, signal: str, places: Ints | slice = slice(None)) -> Floats:
        """What has been had, by how long ago, shape (customers, treatments)."""
        import numpy as np

        if signal not in HALF_LIFE_DAYS:
            return self.had[places].astype(np.float32)
        return np.exp2(-self.histories.recency[places] / HALF_LIFE_DAYS[signal]).astype(np.float32)

    @cached_property
    def _items(self) -> dict[str, Floats]:
        """What each treatment says for each other, shape (treatments, treatments)."""
        import numpy as np

        found = {}
        for signal in EASE_RIDGE:
            weight = self._weight(signal)
            found[signal] = ease(weight.T @ weight, EASE_RIDGE[signal])
        weight = self._weight("item_knn")
        together = (weight.T @ weight).astype(float)
        norm = np.sqrt(np.maximum(np.diag(together), 1e-9))
        cosine = together / np.outer(norm, norm)
        np.fill_diagonal(cosine, 0)
        found["item_knn"] = cosine.astype(np.float32)
        return found

    @cached_property
    def popularity(self) -> dict[int, Floats]:
        """The share of each clinic's customers who had each treatment within so many days, (clinics, treatments);
        0 stands for ever."""
        import numpy as np

        clinics, known = self.histories.clinic, self.had.any(axis=1)
        number = len(self.histories.offered)
        size = np.maximum(np.bincount(clinics[known], minlength=number), 1)
        bounds = np.searchsorted(clinics, np.arange(number + 1))
        found = {days: np.zeros((number, self.had.shape[1]), np.float32) for days in (0, 30, 90, 365)}
        for clinic, (begin, end) in enumerate(pairwise(bounds.tolist())):
            recency = self.histories.recency[begin:end]
            for days, share in found.items():
                share[clinic] = (recency < (days or np.inf)).sum(axis=0) / size[clinic]
        return found

    @cached_property
    def _everywhere(self) -> dict[int, Floats]:
        """The share of all customers who had each treatment within so many days, (treatments,)."""
        size = max(int(self.had.any(axis=1).sum()), 1)
        return {days: (self.histories.recency < days).sum(axis=0) / size for days in (30, 90)}

    def open(self, places: Ints) -> Bools:
        """What may be recommended to some customers, shape (len(places), treatments)."""
        return ~self.had[places] & ~self.histories.closed[places]

    def relevant(self, places: Ints) -> tuple[Bools, Bools]:
        """Which of the open ones were taken afterwards; twice, since any first of them is as good as another."""
        import numpy as np

        assert self.histories.followed is not None
        taken = np.zeros(self.had.shape, bool)
        taken[self.histories.followed["customer"], self.histories.followed["treatment"]] = True
        taken = taken[places] & self.open(places)
        return taken, taken

    def score(self, baseline: str, places: Ints) -> Floats:
        """A baseline's scores, shape (len(places), treatments)."""
        if baseline == "popularity":
            return self.popularity[0][self.histories.clinic[places]]
        if baseline == "nearest_customers":
            return self._neighbours(places)
        return self._weight(baseline, places) @ self._items[baseline]

    def matrix(self, places: Ints, everything: bool = False) -> tuple[Ints, Ints, Floats]:
        """Places within `places`, treatments, and their features (n, len(FEATURES)), of the shortlist or of all that
        is open."""
        import numpy as np

        asked = self.open(places)
        if not asked.any():
            return np.zeros(0, int), np.zeros(0, int), np.zeros((0, len(FEATURES)), np.float32)
        signals = {name: self.score(name, places) for name in SIGNALS}
        clinic = self.histories.clinic[places]
        if not everything and asked.shape[1] > SHORTLIST:
            liked = np.where(asked, signals["ease_recent"] + 1e-3 * self.popularity[90][clinic], -np.inf)
            asked &= liked >= np.partition(liked, -SHORTLIST, axis=1)[:, [-SHORTLIST]]
        who, treatment = np.nonzero(asked)
        columns = {}
        for name, values in signals.items():
            spread = values.std(axis=1, keepdims=True)
            columns[name] = values[who, treatment]
            relative = (values - values.mean(axis=1, keepdims=True)) / np.maximum(spread, 1e-9)
            columns[f"{name}_relative"] = relative[who, treatment]
        for days in (30, 90, 365):
            columns[f"popularity_{days}d"] = self.popularity[days][clinic[who], treatment]
        for days in (30, 90):
            columns[f"everywhere_{days}d"] = self._everywhere[days][treatment]
        recency, customers = self.histories.recency[places], self.histories.customers.iloc[places]
        columns["treatments_had"] = self.had[places].sum(axis=1)[who]
        columns["treatments_90d"] = (recency < 90).sum(axis=1)[who]
        columns["recency_days"] = customers["recency_days"].to_numpy(float)[who]
        ticket = customers["revenue_thb"].to_numpy(float) / np.maximum(customers["visits"].to_numpy(float), 1)
        price = self.histories.treatments["price_min_thb"].to_numpy(float)
        columns["price_to_ticket"] = price[treatment] / np.maximum(ticket[who], 1)
        columns["category_share"] = self._category_share(places)[who, treatment]
        return who, treatment, np.column_stack([np.asarray(columns[name], np.float32) for name in FEATURES])

    def partner(self, customer: Ints, treatment: Ints) -> tuple[Ints, Floats]:
        """For each customer and treatment, (n,): the treatment had before that speaks most for it, and of those who had
        that one, the share who have had this one too; a share of 0 where none speaks for it."""
        import numpy as np

        had = self._weight("ease")
        together, customers = had.T @ had, had.sum(axis=0)
        partner, share = np.zeros(len(customer), int), np.zeros(len(customer), np.float32)
        for begin in range(0, len(customer), CHUNK):
            who, what = customer[begin : begin + CHUNK], treatment[begin : begin + CHUNK]
            says = self._weight("ease_year", who) * self._items["ease_year"][:, what].T
            most = says.argmax(axis=1)
            partner[begin : begin + CHUNK] = most
            often = together[most, what] / np.maximum(customers[most], 1)
            share[begin : begin + CHUNK] = np.where(says[np.arange(len(who)), most] > 0, often, 0)
        return partner, share

    def _category_share(self, places: Ints) -> Floats:
        """Of what a customer has had, the share in each treatment's category."""
        import numpy as np

        _, code = np.unique(self.histories.treatments["category"].to_numpy(str), return_inverse=True)
        same = (code[:, None] == code[None, :]).astype(np.float32)
        had = self.had[places].astype(np.float32)
        return had @ same / np.maximum(had.sum(axis=1, keepdims=True), 1)

    def _neighbours(self, places: Ints) -> Floats:
        """What the customers of the clinic with the most similar histories have had, weighted by similarity."""
        import numpy as np
        from sklearn.neighbors import NearestNeighbors

        scores = np.zeros((len(places), self.had.shape[1]), np.float32)
        some: Bools = np.any(self.had, axis=1)
        for clinic in np.unique(self.histories.clinic[places]):
            here = np.flatnonzero(np.equal(self.histories.clinic[places], clinic) & some[places])
            pool = self._pool(int(clinic))
            if len(here) == 0 or len(pool) < 2:
                continue
            theirs = self._weight("nearest_customers", pool)
            search = NearestNeighbors(n_neighbors=min(NEIGHBOURS + 1, len(pool)), metric="cosine", algorithm="brute")
            near: Any = search.fit(theirs).kneighbors(self._weight("nearest_customers", places[here]))
            distance, found = near
            likeness = np.where(pool[found] == places[here][:, None], 0, 1 - distance).astype(np.float32)
            for column in range(found.shape[1]):
                scores[here] += likeness[:, [column]] * theirs[found[:, column]]
        return scores / NEIGHBOURS

    def _pool(self, clinic: int) -> Ints:
        """Customers of a clinic with a history, the ones who came last where there are very many."""
        import numpy as np

        pool = np.flatnonzero((self.histories.clinic == clinic) & self.had.any(axis=1))
        if len(pool) > NEIGHBOUR_POOL:
            latest = np.argsort(self.histories.recency[pool].min(axis=1), kind="stable")[:NEIGHBOUR_POOL]
            pool = np.sort(pool[latest])
        return pool


def ease(together: Floats, ridge: float) -> Floats:
    """Item weights of EASE in closed form: -P_ij / P_jj of the inverse P of the ridged Gram matrix, zero diagonal
    (Steck 2019, "Embarrassingly Shallow Autoencoders for Sparse Data", equation 8).

    `together`: (n, n) Gram matrix of the items; `ridge` is in units of its mean diagonal.
    """
    import numpy as np

    gram = together.astype(float)
    if len(gram) == 0:
        return together
    mean = max(float(np.diag(gram).mean()), 1e-9)
    inverse = np.linalg.inv(gram + ridge * mean * np.eye(len(gram)))
    weights = -inverse / np.diag(inverse)
    np.fill_diagonal(weights, 0)
    return weights.astype(np.float32)
