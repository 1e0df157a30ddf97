"""Every candidate: kept as bytes, explained exactly, deterministic; the points are the application's if-statements."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xgboost

from bn_aura_pipelines.models.bgnbd import BgNbd
from bn_aura_pipelines.models.churn import candidates
from bn_aura_pipelines.models.churn.candidates import FEATURES, ChurnModel
from bn_aura_pipelines.models.churn.contributions import WORTH_IT, contributions
from bn_aura_pipelines.models.judging import logit
from bn_aura_pipelines_tests.models.simulated import snapshot_rows

BGNBD = BgNbd(r=0.9, alpha=40.0, a=0.8, b=2.5)
TRAIN, TEST = snapshot_rows(1500, seed=1), snapshot_rows(400, seed=2)
MODELS = {model.kind: model for model in candidates.fit_all(TRAIN, BGNBD)}


@pytest.mark.parametrize("kind", MODELS)
def test_a_model_survives_its_bytes(kind: str) -> None:
    model = MODELS[kind]
    again = ChurnModel.from_bytes(model.to_bytes())
    assert again == model
    assert (again.predict(TEST) == model.predict(TEST)).all()


@pytest.mark.parametrize("kind", MODELS)
def test_contributions_add_up_to_the_log_odds(kind: str) -> None:
    contributions, base = MODELS[kind].explain(TEST)
    probability = MODELS[kind].predict(TEST)
    assert contributions.shape == (len(TEST), len(FEATURES))
    assert ((probability >= 0) & (probability <= 1)).all()
    assert contributions.sum(axis=1) + base == pytest.approx(logit(probability), rel=1e-5, abs=1e-5)


def test_what_is_learnt_from_the_same_rows_is_the_same_to_the_bit() -> None:
    again = {model.kind: model.to_bytes() for model in candidates.fit_all(TRAIN, BGNBD)}
    assert again == {kind: model.to_bytes() for kind, model in MODELS.items()}


def test_the_points_are_the_applications_own_statements() -> None:
    def application(days: float, visits: int, cancellations: int) -> int:
        score = 0
        if days > 120:
            score += 40
        elif days > 90:
            score += 30
        elif days > 60:
            score += 15
        if visits > 5 and days > 60:
            score += 20
        if cancellations > 2:
            score += 20
        return score

    cases = [(d, v, c) for d in (0, 60, 60.5, 90, 91, 120, 121, 999) for v in (1, 5, 6) for c in (0, 2, 3)]
    rows = pd.DataFrame(cases, columns=["recency_days", "visits", "cancellations_365d"])
    assert candidates.sum_points(rows).tolist() == [application(*case) for case in cases]


def test_a_feature_that_is_null_for_everybody_harms_nobody() -> None:
    names = ["gap_mean_days", "gap_std_days", "lateness", "days_since_message"]
    train, test = TRAIN.assign(**dict.fromkeys(names, np.nan)), TEST.assign(**dict.fromkeys(names, np.nan))
    for model in candidates.fit_all(train, None):
        assert np.isfinite(model.predict(test)).all()
        assert np.isfinite(model.explain(test)[0]).all()
    assert {model.kind for model in candidates.fit_all(train, None)} == set(MODELS) - {"bgnbd"}


def test_contributions_of_many_rows_equal_xgboosts_own() -> None:
    booster = xgboost.Booster()
    booster.load_model(bytearray(MODELS["xgboost"].booster_ubj))
    x = candidates.matrix(snapshot_rows(WORTH_IT + 50, seed=9), BGNBD)
    exact = booster.predict(xgboost.DMatrix(x, feature_names=list(FEATURES)), pred_contribs=True)
    assert contributions(booster, x) == pytest.approx(exact, abs=1e-5)
    assert contributions(booster, x[:3]) == pytest.approx(exact[:3], abs=1e-5)
