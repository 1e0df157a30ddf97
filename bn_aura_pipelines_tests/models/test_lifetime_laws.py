"""Gamma-Gamma and the lifetime model: closed forms, known parameters, pooling, intervals that hold what they claim."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.integrate import quad
from scipy.stats import gamma

from bn_aura_pipelines.models.bgnbd import BgNbd, NotEnoughHistory
from bn_aura_pipelines.models.lifetime import gamma_gamma, model
from bn_aura_pipelines.models.lifetime.gamma_gamma import GammaGamma
from bn_aura_pipelines.models.lifetime.model import LifetimeModel, Parameters, shortest_interval
from bn_aura_pipelines_tests.models.simulated import Array, draw_visits, summarise

LAW = Parameters(BgNbd(r=0.9, alpha=40.0, a=0.8, b=2.5), GammaGamma(p=4.0, q=3.5, gamma=3000.0))
YEAR = 365.0


def draw_customers(count: int, seed: int, law: Parameters = LAW, clinic: str = "a") -> tuple[pd.DataFrame, Array]:
    """Histories of customers with these laws, and the revenue of each in the year that follows."""
    age, times = draw_visits(law.visits, count, 700.0, seed)
    repeats, last, age = summarise(times, age)
    rng = np.random.default_rng(seed + 1)
    level = rng.gamma(law.amounts.q, 1 / law.amounts.gamma, count)
    paid = repeats + 1
    later = ((times >= age[:, None]) & (times < age[:, None] + YEAR)).sum(axis=1)
    rows = pd.DataFrame(
        {
            "clinic_id": clinic,
            "customer_id": [f"{clinic}{number:06}" for number in range(count)],
            "repeats": repeats,
            "last_days": last,
            "age_days": age,
            "paid_visits": paid,
            "revenue_thb": rng.gamma(law.amounts.p * paid) / level,
        }
    )
    future = np.where(later > 0, rng.gamma(law.amounts.p * np.maximum(later, 1)) / level, 0)
    return rows, future


def test_the_likelihood_equals_the_integral_over_the_levels() -> None:
    p, q, rate = LAW.amounts.p, LAW.amounts.q, LAW.amounts.gamma
    for visits, mean in ((1, 500.0), (3, 1400.0)):
        found = quad(
            lambda nu, k=visits, m=mean: gamma.pdf(m, p * k, scale=1 / (nu * k)) * gamma.pdf(nu, q, scale=1 / rate),
            0,
            0.05,
            epsabs=0,
        )[0]
        exact = gamma_gamma.log_likelihood(LAW.amounts, np.array([float(visits)]), np.array([mean]))
        assert np.exp(exact)[0] == pytest.approx(found, rel=1e-6)


def test_the_amounts_recover_known_parameters() -> None:
    rows, _ = draw_customers(20_000, seed=1)
    paid = rows["paid_visits"].to_numpy()
    found = gamma_gamma.fit(paid, rows["revenue_thb"].to_numpy() / paid)
    for name in ("p", "q", "gamma"):
        assert getattr(found, name) == pytest.approx(getattr(LAW.amounts, name), rel=0.1)


def test_the_published_customer_is_expected_as_often_as_published() -> None:
    # Fader, Hardie and Lee (2005): 2 repeats by week 30.43 of 38.86, the next 39 weeks.
    published = BgNbd(r=0.243, alpha=4.414, a=0.793, b=2.426)
    found = published.expected_visits(np.array([2.0]), np.array([30.43]), np.array([38.86]), 39.0)
    assert found[0] == pytest.approx(1.226, abs=5e-4)


def test_expectations_equal_the_mean_of_the_draws_and_of_what_comes_true() -> None:
    rows, future = draw_customers(6_000, seed=2)
    found = LifetimeModel(LAW).forecast(rows, YEAR)
    drawn = np.concatenate([draws.mean(axis=1) for _, draws in LifetimeModel(LAW).draw(rows, YEAR)])
    assert drawn.sum() == pytest.approx(found.revenue.sum(), rel=0.03)
    assert future.sum() == pytest.approx(found.revenue.sum(), rel=0.07)
    covered = ((future >= found.low) & (future <= found.high)).mean()
    assert 0.78 <= covered <= 0.9  # somebody who hardly comes back is covered by zero alone


def test_the_same_rows_give_the_same_interval_and_bytes_keep_the_model() -> None:
    rows, _ = draw_customers(300, seed=3)
    one = LifetimeModel(LAW, {"a": LAW}, 0.7)
    again = LifetimeModel.from_bytes(one.to_bytes())
    assert again == one
    assert (again.forecast(rows, YEAR).high == one.forecast(rows, YEAR).high).all()


def test_a_small_clinic_leans_on_the_others_and_a_large_one_on_itself() -> None:
    rare = Parameters(BgNbd(r=0.9, alpha=160.0, a=0.8, b=2.5), GammaGamma(p=4.0, q=3.5, gamma=12_000.0))
    large, _ = draw_customers(3_000, seed=4)
    small, _ = draw_customers(20, seed=5, law=rare, clinic="b")
    third, _ = draw_customers(1_500, seed=6, law=rare, clinic="c")
    fitted = model.fit(pd.concat([large, small, third], ignore_index=True))

    def amount(law: Parameters) -> float:
        return law.amounts.p * law.amounts.gamma / (law.amounts.q - 1)

    common, rarely = amount(LAW), amount(rare)
    assert amount(fitted.clinics["a"]) == pytest.approx(common, rel=0.25)
    assert amount(fitted.clinics["c"]) == pytest.approx(rarely, rel=0.25)
    pooled = amount(fitted.pooled)
    assert abs(amount(fitted.clinics["b"]) - pooled) < abs(rarely - pooled) / 2


def test_nothing_is_learnt_from_nine_customers_or_from_single_visits() -> None:
    rows, _ = draw_customers(200, seed=7)
    with pytest.raises(NotEnoughHistory):
        model.fit(rows.head(9))
    with pytest.raises(NotEnoughHistory):
        model.fit(rows.assign(repeats=0.0, last_days=0.0))


def test_the_shortest_interval_begins_at_zero_where_zero_is_likely() -> None:
    draws = np.sort(np.array([[0.0] * 5 + [1, 2, 3, 4, 5], [10, 11, 12, 13, 14, 15, 16, 17, 30, 40]]), axis=1)
    low, high = shortest_interval(draws, 0.8)
    assert low.tolist() == [0.0, 10.0]
    assert high.tolist() == [3.0, 17.0]
