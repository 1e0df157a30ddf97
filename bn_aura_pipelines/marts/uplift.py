"""What a message adds to the probability of a visit: learnt from who was held out of a trigger rule at random.

A T-learner (Künzel, Sekhon, Bickel and Yu 2019): one model of the told, one of those held out, and the difference of
both over everybody who was decided on. Its error is a bootstrap over decisions; it is weighed with the prior, which
stands alone where there are too few.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy

from bn_aura_pipelines.database.bulk import read_frame

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.floating]

LEAST_OF_A_GROUP = 100
LEAST_VISITS = 10
ROUNDS, SEED = 200, 11
OUTCOMES = """
    select
        o.is_holdout::int as is_holdout, o.visited::int as visited,
        coalesce(f.recency_days, 365)::float8 as recency_days, coalesce(f.visits, 0) as visits,
        coalesce(f.lateness, 1)::float8 as lateness
    from aura_features.trigger_outcomes as o
    left join lateral (
        select s.recency_days, s.visits, s.lateness from aura_features.customer_snapshots as s
        where s.customer_id = o.customer_id and s.snapshot_at <= o.decided_at
        order by s.snapshot_at desc limit 1
    ) as f on true
    where o.rule = '{rule}' and o.is_complete and o.visited is not null
    order by o.event_id
"""


@dataclass(frozen=True)
class Uplift:
    """Mean uplift of the probability of a visit, its 95 % interval, and what it rests on: prior, holdout or none."""

    mean: float
    low: float
    high: float
    basis: str


def learn_uplift(connection: sqlalchemy.Connection, rule: str | None, prior: Uplift) -> Uplift:
    """The uplift of a rule's message; the prior where no rule sends it or too few decisions are 30 days old."""
    import numpy as np

    if rule is None:
        return prior
    rows = read_frame(connection, OUTCOMES.format(rule=rule))
    held, visited = rows["is_holdout"].to_numpy(float) == 1, rows["visited"].to_numpy(float)
    groups = (~held, held)
    if min(int(group.sum()) for group in groups) < LEAST_OF_A_GROUP:
        return prior
    if any(min(visited[group].sum(), (1 - visited[group]).sum()) < LEAST_VISITS for group in groups):
        return prior
    x = np.log1p(rows[["recency_days", "visits", "lateness"]].to_numpy(float).clip(min=0))
    x = (x - x.mean(axis=0)) / np.maximum(x.std(axis=0), 1e-9)
    rng = np.random.default_rng(SEED)
    draws = [_difference(x, visited, held, rng.integers(0, len(x), len(x))) for _ in range(ROUNDS)]
    return combine(prior, _difference(x, visited, held, np.arange(len(x))), float(np.std(draws)))


def combine(prior: Uplift, mean: float, error: float) -> Uplift:
    """An estimate and its standard error together with the prior, as two normals: each weighs by its precision, and
    the interval is the 95 % interval of both together. The prior's interval spans four of its standard errors."""
    spread = max((prior.high - prior.low) / 4, 1e-6)
    weight = spread**2 / (spread**2 + error**2)
    together, width = weight * mean + (1 - weight) * prior.mean, 1.96 * error * weight**0.5
    return Uplift(together, together - width, together + width, "holdout")


def _difference(x: Array, visited: Array, held: NDArray[np.bool_], rows: NDArray[np.int64]) -> float:
    from sklearn.linear_model import LogisticRegression

    x, visited, held = x[rows], visited[rows], held[rows]
    expected = []
    for group in (~held, held):
        if len(set(visited[group].tolist())) < 2:
            expected.append(visited[group].mean() if group.any() else 0.0)
            continue
        model = LogisticRegression(C=1.0, solver="newton-cholesky").fit(x[group], visited[group])
        expected.append(model.predict_proba(x)[:, 1].mean())
    return float(expected[0] - expected[1])
