"""The closed forms against integrals over the laws themselves; the estimate against parameters that are known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import beta, gamma

from bn_aura_pipelines.models.bgnbd import BgNbd, NotEnoughHistory, fit, log_likelihood
from bn_aura_pipelines_tests.models.simulated import Array, draw_visits, summarise

MODEL = BgNbd(r=0.9, alpha=40.0, a=0.8, b=2.5)
POINTS = [(0, 0.0, 90.0), (1, 20.0, 90.0), (4, 80.0, 90.0)]


def arrays(*values: float) -> list[Array]:
    return [np.array([value], float) for value in values]


def integral(repeats: int, last: float, age: float, longer: float = 0.0) -> tuple[float, float]:
    """Likelihood of a history in which the customer is still there at its end, and of one in which he left.

    The laws of rate and of leaving are independent, so the double integrals are products of two.
    """

    def over_rates(until: float) -> float:
        weight = gamma(MODEL.r, scale=1 / MODEL.alpha)
        return float(weight.expect(lambda rate: rate**repeats * np.exp(-rate * until)))

    def over_leaving(staying: int, leaving: int) -> float:
        return float(beta(MODEL.a, MODEL.b).expect(lambda p: (1 - p) ** staying * p**leaving))

    here = over_leaving(repeats, 0) * over_rates(age + longer)
    return here, over_leaving(repeats - 1, 1) * over_rates(last) if repeats else 0.0


@pytest.mark.parametrize(("repeats", "last", "age"), POINTS)
def test_likelihood_and_probabilities_equal_the_integrals_they_stand_for(repeats: int, last: float, age: float) -> None:
    here, gone = integral(repeats, last, age)
    silent, _ = integral(repeats, last, age, longer=60.0)
    history = arrays(repeats, last, age)
    assert np.exp(log_likelihood(MODEL, *history))[0] == pytest.approx(here + gone, rel=1e-4)
    assert MODEL.alive(*history)[0] == pytest.approx(here / (here + gone), rel=1e-4)
    assert MODEL.no_visit(*history, 60.0)[0] == pytest.approx((silent + gone) / (here + gone), rel=1e-4)


def test_the_estimate_recovers_known_parameters_in_any_unit_of_time() -> None:
    age, times = draw_visits(MODEL, 20_000, 700.0, seed=1)
    repeats, last, age = summarise(times, age)
    found = fit(repeats, last, age)
    for name in ("r", "alpha", "a", "b"):
        assert getattr(found, name) == pytest.approx(getattr(MODEL, name), rel=0.15)
    weeks = fit(repeats, last / 7, age / 7)
    assert weeks.alpha == pytest.approx(found.alpha / 7, rel=1e-3)
    assert weeks.r == pytest.approx(found.r, rel=1e-3)


def test_its_probability_of_silence_is_calibrated_on_what_follows() -> None:
    age, times = draw_visits(MODEL, 20_000, 700.0, seed=2)
    probability = MODEL.no_visit(*summarise(times, age), 90.0)
    silent = ~((times >= age[:, None]) & (times < age[:, None] + 90)).any(axis=1)
    for low in np.arange(0.1, 1.0, 0.2):
        some = (probability >= low) & (probability < low + 0.2)
        if some.sum() > 300:
            assert silent[some].mean() == pytest.approx(probability[some].mean(), abs=0.03)


def test_too_little_history_is_refused() -> None:
    with pytest.raises(NotEnoughHistory):
        fit(np.zeros(100), np.zeros(100), np.full(100, 50.0))
    with pytest.raises(NotEnoughHistory):
        fit(np.ones(9), np.ones(9), np.full(9, 50.0))
