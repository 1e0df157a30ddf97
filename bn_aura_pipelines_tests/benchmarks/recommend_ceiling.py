"""The best possible rebooking on the sample: Bayes over persona, taste and budget, given what each customer has chosen.

Importance sampling of the sample's own prior: each draw is somebody the laws could have made, weighed by how probable
the choices seen are with that taste (the softmax of `sources.sample.choices`, second treatments as Plackett and Luce
draw them). Prices are not looked at beyond what was chosen, packages not at all, and the day of the next visit is taken
for the middle of the days in which it came: so a model may come slightly above, where it reads these.
"""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import sqlalchemy
from numpy.typing import NDArray

from bn_aura_pipelines.database.bulk import read_frame
from bn_aura_pipelines.models.recommendations.repeats import Repeats
from bn_aura_pipelines.sources.sample.catalogue import TREATMENTS
from bn_aura_pipelines.sources.sample.choices import CLOCKS, PRICE_MAX, PRICE_MIN, draw_tastes
from bn_aura_pipelines.sources.sample.laws import LAWS

DRAWS, SEED = 20_000, 5
DAYS_AHEAD = 30.0

Array = NDArray[np.float64]
CHOICES = """
    select customer, treatment, extract(epoch from visit_at)::float8 / 86400 as day, appointment_id
    from recommendation_lines where is_completed and visit_at < '{cut}' and created_at < '{cut}'
    order by customer, visit_at, appointment_id, treatment
"""


def ceiling_hits(connection: sqlalchemy.Connection, setting: Repeats, places: NDArray[np.int64]) -> Array:
    """Whether the best choice that the laws allow is what each customer of `places` came back for, (n,)."""
    names = setting.histories.treatments["name_en"].tolist()
    law = np.array([[one.name_en for one in TREATMENTS].index(name) for name in names])
    weight = _weights()[:, law]
    clock = CLOCKS[law]
    cut = setting.histories.cut
    rows = read_frame(connection, CHOICES.format(cut=cut.isoformat()))
    customer, treatment = rows["customer"].to_numpy(int), rows["treatment"].to_numpy(int)
    day, visit = rows["day"].to_numpy(float), rows["appointment_id"].to_numpy(str)
    begin, end = np.searchsorted(customer, places), np.searchsorted(customer, places, side="right")
    open_, (_, first) = setting.open(places), setting.relevant(places)
    then = (cut + timedelta(days=DAYS_AHEAD)).timestamp() / 86400
    hits = np.zeros(len(places))
    for number, (low, high) in enumerate(zip(begin.tolist(), end.tolist(), strict=True)):
        mine = slice(low, high)
        probability = _next(weight, clock, treatment[mine], day[mine], visit[mine], then)
        hits[number] = first[number, np.where(open_[number], probability, -1).argmax()]
    return hits


def _weights() -> Array:
    """exp(taste - price aversion) of each draw and treatment of the catalogue, the price averaged over its law."""
    tastes = draw_tastes(LAWS, np.random.default_rng(SEED), DRAWS)
    budget = tastes.budget[:, None]
    nodes, node_weights = np.polynomial.hermite_e.hermegauss(7)
    kept = np.zeros(tastes.weight.shape)
    for node, part in zip(nodes, node_weights / node_weights.sum(), strict=True):
        share = 1 / (1 + np.exp(-(np.log(budget / 8000) + 0.5 * node)))
        price = PRICE_MIN + (PRICE_MAX - PRICE_MIN) * share
        kept += part * np.exp(-LAWS.price_aversion * np.maximum(np.log(price / budget), 0))
    return np.exp(tastes.weight.astype(float)) * kept


def _next(
    weight: Array, clock: Array, treatment: NDArray[np.int64], day: Array, visit: NDArray[np.str_], then: float
) -> Array:
    """P(each treatment is the next chosen), (treatments,), from choices in order of time."""
    last = np.full(len(clock), -np.inf)
    likely = np.zeros(len(weight))
    starts = np.flatnonzero(np.r_[True, visit[1:] != visit[:-1]])
    for begin, end in zip(starts, np.r_[starts[1:], len(visit)], strict=True):
        strength = weight * _due(last, clock, day[begin])
        total = strength.sum(axis=1)
        chosen = treatment[begin:end]
        if len(chosen) == 1:
            likely += np.log(strength[:, chosen[0]] / total)
        else:  # which of the two came first is not told
            one, other = strength[:, chosen[0]], strength[:, chosen[1]]
            likely += np.log(one / total * other / (total - one) + other / total * one / (total - other))
        last[chosen] = day[begin]
    posterior = np.exp(likely - likely.max())
    strength = weight * _due(last, clock, then)
    return posterior @ (strength / strength.sum(axis=1, keepdims=True)) / posterior.sum()


def _due(last: Array, clock: Array, day: float) -> Array:
    """exp of the law's term for how due each treatment is."""
    clocks = (day - last) / clock
    term = np.where(clocks >= 0.9, LAWS.due_late, np.where(clocks < 0.5, LAWS.due_early, 0.0))
    return np.exp(np.where(np.isinf(clocks), 0.0, term))
