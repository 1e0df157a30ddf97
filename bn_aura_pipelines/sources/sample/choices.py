"""What a customer books: a softmax over taste, how due a repeat is and price against budget; and packages."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bn_aura_pipelines.sources.sample.catalogue import (
    OTHER_TASTE,
    PERSONA_BUDGET,
    PERSONA_SHARES,
    TASTE,
    TREATMENTS,
)
from bn_aura_pipelines.sources.sample.clock import Floats, Ints
from bn_aura_pipelines.sources.sample.laws import Laws

KINDS = ("consultation", "treatment", "follow_up", "scan")
CONSULTATION, TREATMENT, FOLLOW_UP, SCAN = range(4)
CLOCKS: Floats = np.array([treatment.clock_days for treatment in TREATMENTS], float)
PACKAGED = np.array([treatment.packaged for treatment in TREATMENTS])
PRICE_MIN: Floats = np.array([treatment.price_min for treatment in TREATMENTS], float)
PRICE_MAX: Floats = np.array([treatment.price_max for treatment in TREATMENTS], float)
INJECTED = np.array([treatment.category == "injectable" for treatment in TREATMENTS])


@dataclass(frozen=True)
class Tastes:
    """What somebody likes and can pay, one row a customer."""

    persona: Ints
    budget: Floats  # THB a visit
    weight: NDArray[np.float32]  # (customers, treatments), logarithms


def draw_tastes(laws: Laws, rng: np.random.Generator, count: int) -> Tastes:
    """Personas by their shares, budgets log-normal around the persona's."""
    persona = rng.choice(len(PERSONA_SHARES), count, p=PERSONA_SHARES)
    centre = np.log(laws.budget_median_thb) + np.array(PERSONA_BUDGET)[persona]
    by_persona = np.array([[taste.get(t.kind, OTHER_TASTE) for t in TREATMENTS] for taste in TASTE], np.float32)
    noise = rng.standard_normal((count, len(TREATMENTS)), dtype=np.float32)
    return Tastes(
        persona=persona,
        budget=np.exp(rng.normal(centre, laws.budget_sigma)),
        weight=(by_persona[persona] + laws.taste_person * noise).astype(np.float32),
    )


class Chooser:
    """Remembers what each customer had and which package is open; only completed visits change that."""

    def __init__(self, laws: Laws, tastes: Tastes) -> None:
        count = len(tastes.persona)
        self.laws = laws
        self.tastes = tastes
        self.last_had = np.full((count, len(TREATMENTS)), -np.inf)
        self.visits = np.zeros(count, np.int64)
        self.last_treatment = np.full(count, -1)
        self.package_left = np.zeros(count, np.int64)
        self.package_treatment = np.full(count, -1)

    def due(self, who: Ints, moment: Floats) -> Floats:
        """How many repeat clocks have run since each treatment, shape (customers, treatments); infinite if never."""
        return (moment[:, None] - self.last_had[who]) / CLOCKS

    def choose(
        self, rng: np.random.Generator, who: Ints, moment: Floats, done: NDArray[np.bool_]
    ) -> dict[str, NDArray]:
        """Columns of `Visits` about what is booked, one element a customer of `who`."""
        laws, count = self.laws, len(who)
        kind = self._kind(rng, who)
        clocks = self.due(who, moment)
        due = np.where(clocks >= 0.9, laws.due_late, np.where(clocks < 0.5, laws.due_early, 0.0))
        price = _price(rng, self.tastes.budget[who])
        dear = laws.price_aversion * np.maximum(np.log(price / self.tastes.budget[who][:, None]), 0)
        utility = self.tastes.weight[who] + np.where(np.isinf(clocks), 0.0, due) - dear
        utility += rng.gumbel(size=utility.shape)
        treatment = utility.argmax(axis=1)
        rows = np.arange(count)
        utility[rows, treatment] = -np.inf
        extra = np.where(rng.random(count) < laws.second_treatment_share, utility.argmax(axis=1), -1)

        treated = kind == TREATMENT
        uses = treated & (self.package_left[who] > 0) & (rng.random(count) < laws.package_use_share)
        treatment = np.where(uses, self.package_treatment[who], treatment)
        extra = np.where(treated & (extra != treatment) & ~uses, extra, -1)
        buys = treated & ~uses & PACKAGED[treatment] & (self.package_left[who] == 0)
        buys &= rng.random(count) < laws.package_share
        paid = price[rows, treatment] * np.where(buys, laws.package_paid, 1) * ~uses
        paid = paid + np.where(extra >= 0, price[rows, extra], 0)
        paid = np.select([treated, kind == SCAN, kind == CONSULTATION], [paid, 500.0, 300.0], 0.0)
        treatment = np.where(treated, treatment, -1)
        minutes = np.where(treated, 60, 30) + np.where(extra >= 0, 30, 0)
        self._remember(who[done], moment[done], treatment[done], extra[done], buys[done], uses[done])
        return {
            "kind": kind,
            "treatment": treatment,
            "extra": extra,
            "price": paid,
            "package": np.where(buys, 1, np.where(uses, 2, 0)),
            "minutes": minutes,
        }

    def _kind(self, rng: np.random.Generator, who: Ints) -> Ints:
        laws, draw = self.laws, rng.random(len(who))
        injected = INJECTED[self.last_treatment[who]] & (self.last_treatment[who] >= 0)
        follows = draw < laws.follow_up_share * np.where(injected, 3, 1)
        scans = (draw > 1 - laws.scan_share) & ~follows
        later = np.where(follows, FOLLOW_UP, np.where(scans, SCAN, TREATMENT))
        return np.where(self.visits[who] > 0, later, np.where(draw < laws.consultation_share, CONSULTATION, TREATMENT))

    def _remember(
        self, who: Ints, moment: Floats, treatment: Ints, extra: Ints, buys: NDArray[np.bool_], uses: NDArray[np.bool_]
    ) -> None:
        self.visits[who] += 1
        for chosen in (treatment, extra):
            had = chosen >= 0
            self.last_had[who[had], chosen[had]] = moment[had]
        self.last_treatment[who] = treatment
        self.package_left[who] += np.where(buys, self.laws.package_paid + self.laws.package_free - 1, 0) - uses
        self.package_treatment[who[buys]] = treatment[buys]


def _price(rng: np.random.Generator, budget: Floats) -> Floats:
    """Prices within the catalogue's range, shape (customers, treatments): who can pay more buys the larger dose."""
    share = 1 / (1 + np.exp(-(np.log(budget / 8000)[:, None] + 0.5 * rng.standard_normal((len(budget), len(CLOCKS))))))
    return np.round((PRICE_MIN + (PRICE_MAX - PRICE_MIN) * share) / 50) * 50
