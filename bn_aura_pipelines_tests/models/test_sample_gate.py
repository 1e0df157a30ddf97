"""No score of the sample clinic is better than the ceiling that its laws allow, and one that leaks is noticed."""

from __future__ import annotations

import pytest

from bn_aura_pipelines.database.connections import Database
from bn_aura_pipelines.models.churn import candidates
from bn_aura_pipelines_tests.benchmarks.sample_gate import best_of, leak_test, open_gate, plant_leak


def test_the_model_stays_below_the_ceiling_and_a_leaking_feature_does_not(
    featured: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(candidates, "XGBOOST_ROUNDS", 60)
    gate = open_gate(featured)
    assert leak_test(gate, best_of(gate)[1])[0]
    leaking = type(gate)(plant_leak(gate.rows), gate.truth, gate.ceiling)
    assert not leak_test(leaking, best_of(leaking)[1])[0]
