"""Calibration error, bootstrap and promotion on probabilities whose quality is known."""

from __future__ import annotations

import numpy as np
import pytest

from bn_aura_pipelines.models.judging import beats, expected_calibration_error, judge, log_loss_difference

RNG = np.random.default_rng(4)
HONEST = RNG.uniform(0.05, 0.95, 4000)
TRUTH = (RNG.random(4000) < HONEST).astype(float)
BLIND = np.full(4000, TRUTH.mean())
TIMID = 0.5 + (HONEST - 0.5) / 2


def test_calibration_error_is_the_distance_from_what_came_true() -> None:
    assert expected_calibration_error(TRUTH, HONEST) < 0.03
    truth = np.tile([0.0, 1.0], 500)
    assert expected_calibration_error(truth, np.full(1000, 0.5)) == pytest.approx(0)
    assert expected_calibration_error(truth, np.full(1000, 0.7)) == pytest.approx(0.2)


def test_figures_of_a_perfect_order() -> None:
    figures = judge("one", np.array([0.0, 0, 1, 1]), np.array([0.1, 0.2, 0.8, 0.9]))
    assert (figures.auc, figures.n_test, figures.positive_share) == (1.0, 4, 0.5)
    assert figures.brier == pytest.approx(0.025)


def test_one_class_cannot_be_judged() -> None:
    with pytest.raises(ValueError, match="only one class"):
        judge("one", np.ones(5), np.full(5, 0.5))


def test_the_better_model_wins_and_the_same_one_does_not() -> None:
    assert beats(TRUTH, HONEST, TIMID)[0]
    assert not beats(TRUTH, TIMID, HONEST)[0]
    assert not beats(TRUTH, HONEST, HONEST)[0]


def test_a_sharper_but_badly_calibrated_model_does_not_win() -> None:
    worse = np.clip(HONEST + 0.06, 0, 1)
    mean, _, high = log_loss_difference(TRUTH, worse, BLIND)
    assert mean < 0 and high < 0
    won, why = beats(TRUTH, worse, BLIND)
    assert not won
    assert "calibration error" in why


def test_picking_the_best_of_several_widens_the_interval() -> None:
    _, low, high = log_loss_difference(TRUTH, HONEST, BLIND)
    _, lower, higher = log_loss_difference(TRUTH, HONEST, BLIND, comparisons=10)
    assert lower < low < high < higher
    assert log_loss_difference(TRUTH, HONEST, BLIND) == log_loss_difference(TRUTH, HONEST, BLIND)
