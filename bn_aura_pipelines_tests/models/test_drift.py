"""Drift is told from chance at every size; the watch over the champion says what moved and whether to train again."""

from __future__ import annotations

import numpy as np
import pytest

from bn_aura_pipelines.database.connections import Database
from bn_aura_pipelines.models.churn.watching import watch
from bn_aura_pipelines.models.drift import population_stability
from bn_aura_pipelines_tests.models.conftest import AS_OF


@pytest.mark.parametrize("size", [200, 600, 6000])
def test_chance_alone_passes_its_threshold_one_time_in_twenty(size: int) -> None:
    rng = np.random.default_rng(size)
    found = [population_stability("one", rng.normal(size=size), rng.normal(size=size // 2)) for _ in range(300)]
    assert np.mean([drift.psi > drift.by_chance for drift in found]) == pytest.approx(0.05, abs=0.045)


def test_a_shift_of_a_standard_deviation_is_drift_and_a_tiny_one_is_of_no_consequence() -> None:
    rng = np.random.default_rng(1)
    before = rng.normal(size=50_000)
    assert population_stability("one", before, rng.normal(1, 1, 50_000)).drifted
    tiny = population_stability("one", before, rng.normal(0.1, 1, 50_000))
    assert tiny.psi > tiny.by_chance and not tiny.drifted


def test_what_goes_missing_is_drift_and_a_constant_is_not() -> None:
    before = np.random.default_rng(2).normal(size=2000)
    assert population_stability("one", before, np.where(np.arange(2000) % 2 == 0, np.nan, before)).drifted
    assert not population_stability("one", np.ones(500), np.ones(300)).drifted
    assert population_stability("one", before, np.full(2000, np.nan)).drifted
    assert not population_stability("one", np.empty(0), before).drifted


def test_the_watch_compares_the_last_known_outcomes_with_today(featured: Database) -> None:
    with featured.begin(AS_OF) as connection:
        found = watch(connection)
        assert found.before > 100 and found.now > 100
        assert "churn_probability" in {drift.name for drift in found.drifts}
        assert found.calibration_error is not None and found.retrain  # nobody trained: the points are no probability
        connection.exec_driver_sql(
            "update aura_features.customer_snapshots set ticket_thb = ticket_thb * 3"
            " where snapshot_at = aura_ops.as_of()"
        )
        assert "ticket_thb" in watch(connection).drifted
        connection.exec_driver_sql("delete from aura_features.customer_snapshots")
        assert watch(connection).drifts == ()
