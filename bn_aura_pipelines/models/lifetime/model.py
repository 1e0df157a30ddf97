"""The lifetime model: BG/NBD and Gamma-Gamma for each clinic, its expectations, and draws from their posterior.

Rows come from `histories`; how good it is, is judged in `training`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from bn_aura_pipelines.models import bgnbd
from bn_aura_pipelines.models.bgnbd import BgNbd, NotEnoughHistory
from bn_aura_pipelines.models.lifetime import gamma_gamma
from bn_aura_pipelines.models.lifetime.gamma_gamma import GammaGamma

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

# All clinics together count in each clinic's estimate as so many customers of its own: a clinic of 200 lies half-way.
POOLED_CUSTOMERS = 200
# More of them than this say nothing new about six parameters, and cost time for every clinic.
MOST_POOLED = 5_000

DRAWS = 500
CHUNK = 10_000
SEED = 12
INTERVAL = 0.8
# Nominal shares that an interval may have to be drawn at for it to hold 80 % of what came true.
SHARES = (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)


@dataclass(frozen=True)
class Parameters:
    """The two laws of one clinic."""

    visits: BgNbd
    amounts: GammaGamma


@dataclass(frozen=True)
class Staying:
    """How many of those whom the laws expect to come do: the share exp(intercept) * visits ** (slope - 1), at most 1,
    where `visits` are expected within `horizon_days`.

    In a season in which everybody comes BG/NBD sees nobody leave (on the retail export the fitted chance of leaving is
    .001 a visit), and expects one-time visitors to return who never do. Held-out visits tell how many have left.
    """

    intercept: float
    slope: float
    horizon_days: float

    def share(self, law: Parameters, rows: pd.DataFrame) -> Array:
        import numpy as np

        visits = law.visits.expected_visits(*history(rows), self.horizon_days)
        return np.minimum(np.exp(self.intercept) * np.maximum(visits, 1e-3) ** (self.slope - 1), 1.0)


@dataclass(frozen=True)
class Forecast:
    """What is expected of customers within a horizon; every array has shape (n,). Money in THB."""

    alive: Array
    visits: Array
    revenue: Array
    low: Array
    high: Array


@dataclass(frozen=True)
class LifetimeModel:
    """Fitted laws: of all clinics together, and of each by its id. Intervals hold `interval_share` of the draws.
    `staying` is None until held-out visits were compared."""

    pooled: Parameters
    clinics: dict[str, Parameters] = field(default_factory=dict)
    interval_share: float = INTERVAL
    staying: Staying | None = None

    def to_bytes(self) -> bytes:
        return json.dumps(asdict(self), sort_keys=True).encode()

    @classmethod
    def from_bytes(cls, content: bytes) -> LifetimeModel:
        fields = json.loads(content)

        def read(one: dict[str, dict[str, float]]) -> Parameters:
            return Parameters(BgNbd(**one["visits"]), GammaGamma(**one["amounts"]))

        clinics = {clinic: read(one) for clinic, one in fields["clinics"].items()}
        staying = Staying(**fields["staying"]) if fields.get("staying") else None
        return cls(read(fields["pooled"]), clinics, fields["interval_share"], staying)

    def forecast(self, rows: pd.DataFrame, horizon_days: float) -> Forecast:
        """Expectations and an interval for each row of histories, in their order."""
        import numpy as np

        alive, visits, revenue, low, high = np.zeros((5, len(rows)))
        for law, places in self._by_clinic(rows):
            some = rows.iloc[places]
            staying = self._staying(law, some)
            alive[places], visits[places], revenue[places] = staying * _expect(law, some, horizon_days)
        for places, draws in self.draw(rows, horizon_days):
            low[places], high[places] = shortest_interval(draws, self.interval_share)
        return Forecast(alive, visits, revenue, low, high)

    def draw(self, rows: pd.DataFrame, horizon_days: float) -> Iterator[tuple[NDArray[np.intp], Array]]:
        """Places in `rows`, and draws (places, DRAWS) from the posterior of the revenue within the horizon, sorted.

        Seeded: the same rows give the same draws.
        """
        import numpy as np

        rng = np.random.default_rng(SEED)
        for law, places in self._by_clinic(rows):
            for begin in range(0, len(places), CHUNK):
                some = places[begin : begin + CHUNK]
                alive = law.visits.alive(*history(rows.iloc[some])) * self._staying(law, rows.iloc[some])
                yield some, np.sort(_draw(law, rows.iloc[some], horizon_days, alive, rng), axis=1)

    def _staying(self, law: Parameters, rows: pd.DataFrame) -> Array:
        import numpy as np

        return self.staying.share(law, rows) if self.staying else np.ones(len(rows))

    def _by_clinic(self, rows: pd.DataFrame) -> Iterator[tuple[Parameters, NDArray[np.intp]]]:
        import numpy as np

        clinic = rows["clinic_id"].to_numpy().astype(str)
        for name in np.unique(clinic):
            yield self.clinics.get(str(name), self.pooled), np.flatnonzero(clinic == name)


def fit(rows: pd.DataFrame) -> LifetimeModel:
    """Maximum likelihood for all clinics together, then for each with the pool as so many more customers.

    Raises NotEnoughHistory when all clinics together have too little of it.
    """
    import numpy as np

    pooled = _fit(rows, np.ones(len(rows)))
    clinics = {}
    pool = rows.iloc[:: max(1, -(-len(rows) // MOST_POOLED))]
    for clinic, own in rows.groupby("clinic_id", sort=True):
        if len(own) == len(rows):
            continue
        others = pool[pool["clinic_id"] != clinic]
        together = own if others.empty else _concat(own, others)
        weights = np.concatenate([np.ones(len(own)), np.full(len(others), POOLED_CUSTOMERS / max(len(others), 1))])
        clinics[str(clinic)] = _fit(together, weights, pooled.visits)
    return LifetimeModel(pooled, clinics)


def fit_staying(expected: Array, came: Array, horizon_days: float) -> Staying:
    """Poisson regression of the visits that `came` (n,) on the logarithm of those `expected` (n,), with the spread that
    is there (quasi-likelihood), held to "all as expected" with a standard deviation of .5: few customers move nothing.
    """
    import numpy as np

    x = np.column_stack([np.ones(len(expected)), np.log(np.maximum(expected, 1e-3))])
    prior = np.array([0.0, 1.0])
    weights = prior.copy()
    for _ in range(100):
        mean = np.exp(np.clip(x @ weights, -30, 30))
        spread = max(float(((came - mean) ** 2 / np.maximum(mean, 1e-9)).mean()), 1e-6)
        precision = np.eye(2) * spread / 0.5**2
        curvature = (x * mean[:, None]).T @ x + precision
        step = np.linalg.solve(curvature, x.T @ (came - mean) - precision @ (weights - prior))
        weights = weights + np.clip(step, -0.5, 0.5)
        if np.abs(step).max() < 1e-8:
            break
    return Staying(float(weights[0]), float(weights[1]), horizon_days)


def history(rows: pd.DataFrame) -> tuple[Array, Array, Array]:
    """Repeat visits, day of the last and age, each (n,)."""
    return (
        rows["repeats"].to_numpy(float),
        rows["last_days"].to_numpy(float),
        rows["age_days"].to_numpy(float),
    )


def _concat(own: pd.DataFrame, others: pd.DataFrame) -> pd.DataFrame:
    import pandas as pd

    return pd.concat([own, others])


def _fit(rows: pd.DataFrame, weights: Array, start: BgNbd | None = None) -> Parameters:
    paid = rows["paid_visits"].to_numpy(float)
    some = paid > 0
    if some.sum() < 10:
        raise NotEnoughHistory("Lifetime value needs at least ten customers who paid.")
    mean = rows["revenue_thb"].to_numpy(float)[some] / paid[some]
    return Parameters(
        visits=bgnbd.fit(*history(rows), weights=weights, start=start),
        amounts=gamma_gamma.fit(paid[some], mean, weights=weights[some]),
    )


def _paying(rows: pd.DataFrame) -> tuple[Array, Array, Array]:
    """Paid visits, their revenue, and the share of visits that are paid (one more of each seen: never 0 or 1)."""
    paid = rows["paid_visits"].to_numpy(float)
    return paid, rows["revenue_thb"].to_numpy(float), (paid + 1) / (rows["repeats"].to_numpy(float) + 2)


def _expect(law: Parameters, rows: pd.DataFrame, horizon_days: float) -> Array:
    """Probability of being alive, expected visits and revenue, by the laws alone: shape (3, n)."""
    import numpy as np

    paid, revenue, paying = _paying(rows)
    amount = law.amounts.expected_amount(paid, revenue / np.maximum(paid, 1)) * paying
    visits = law.visits.expected_visits(*history(rows), horizon_days)
    return np.stack([law.visits.alive(*history(rows)), visits, visits * amount])


def _draw(law: Parameters, rows: pd.DataFrame, horizon_days: float, alive: Array, rng: np.random.Generator) -> Array:
    """Revenue drawn from the posterior, shape (n, DRAWS). Given alive, rate and leaving are again Gamma and Beta, and
    the visit after which one leaves is geometric."""
    import numpy as np

    repeats, _, age = history(rows)
    paid, revenue, paying = _paying(rows)
    size = (len(rows), DRAWS)
    rate = rng.gamma((law.visits.r + repeats)[:, None], (1 / (law.visits.alpha + age))[:, None], size)
    leaving = rng.beta(law.visits.a, (law.visits.b + repeats)[:, None], size)
    count = np.minimum(rng.poisson(rate * horizon_days), rng.geometric(np.clip(leaving, 1e-9, 1)))
    count = np.where(rng.random(size) < alive[:, None], count, 0)
    count = rng.binomial(count, np.minimum(paying, 1)[:, None])
    p, q, gamma = law.amounts.p, law.amounts.q, law.amounts.gamma
    level = rng.gamma((q + p * paid)[:, None], (1 / (gamma + revenue))[:, None], size)
    return np.where(count > 0, rng.gamma(p * np.maximum(count, 1)) / level, 0)


def shortest_interval(draws: Array, share: float) -> tuple[Array, Array]:
    """The narrowest interval that holds `share` of each row of sorted draws (n, k): low and high, (n,).

    Where many draws are zero it begins there; between two quantiles a tenth would be given away below zero.
    """
    import numpy as np

    inside = max(1, round(share * draws.shape[1]))
    widths = draws[:, inside - 1 :] - draws[:, : draws.shape[1] - inside + 1]
    begin = widths.argmin(axis=1)
    rows = np.arange(len(draws))
    return draws[rows, begin], draws[rows, begin + inside - 1]
