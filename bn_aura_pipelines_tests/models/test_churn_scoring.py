"""Scores of everybody in one pass: levels, reasons, the fallback, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from bn_aura_pipelines.database.connections import Database
from bn_aura_pipelines.models import registry
from bn_aura_pipelines.models.bgnbd import BgNbd
from bn_aura_pipelines.models.churn import candidates, scoring
from bn_aura_pipelines.models.churn.candidates import FEATURES, ChurnModel
from bn_aura_pipelines.models.churn.scoring import score, score_rows
from bn_aura_pipelines_tests.models.conftest import AS_OF
from bn_aura_pipelines_tests.models.simulated import snapshot_rows

ROWS = snapshot_rows(800, seed=3).assign(customer_id="c", clinic_id="k", snapshot_at=AS_OF)
MODELS = {model.kind: model for model in candidates.fit_all(ROWS, BgNbd(0.9, 40.0, 0.8, 2.5))}


def promote(database: Database, model: ChurnModel, features: tuple[str, ...] = FEATURES) -> None:
    with database.begin(AS_OF) as connection:
        entry = registry.Entry(
            "churn", 1, "champion", True, model.kind, model.to_bytes(), features, {}, "better", 800, 100, None, AS_OF,
            "rows", AS_OF,
        )  # fmt: skip
        registry.store(connection, entry, [])


def scored(database: Database) -> list[dict[str, object]]:
    with database.begin(AS_OF) as connection:
        rows = connection.exec_driver_sql("select * from aura_models.churn_scores order by customer_id").mappings()
        return [dict(row) for row in rows]


def test_everybody_with_a_visit_gets_a_score_and_a_second_run_writes_nothing(featured: Database) -> None:
    promote(featured, MODELS["blend"])
    with featured.begin(AS_OF) as connection:
        first = score(connection)
        known = connection.exec_driver_sql(
            "select count(distinct customer_id) from aura_staging.stg_appointments where status = 'completed'"
        ).scalar_one()
    with featured.begin(AS_OF) as connection:
        assert score(connection).written == 0
    assert first.rows == first.written == known
    for row in scored(featured):
        assert row["churn_score"] == round(100 * float(str(row["churn_probability"])))
        assert row["churn_reasons_en"] and row["churn_reasons_th"]


def test_without_a_champion_the_applications_points_score_as_version_0(featured: Database) -> None:
    with featured.begin(AS_OF) as connection:
        result = score(connection)
    assert (result.kind, result.model_version) == ("points", 0)
    assert {row["churn_score"] for row in scored(featured)} <= {0, 15, 20, 30, 35, 40, 50, 55, 60, 75, 80}


def test_a_clinic_with_three_customers_and_one_visit_each_is_scored(featured: Database) -> None:
    with featured.begin(AS_OF) as connection:
        connection.exec_driver_sql(
            "delete from aura_features.customer_snapshots where visits > 1 or snapshot_at < aura_ops.as_of()"
            " or customer_id not in (select customer_id from aura_features.customer_snapshots"
            " where visits = 1 and snapshot_at = aura_ops.as_of() order by customer_id limit 3)"
        )
    promote(featured, MODELS["blend"])
    with featured.begin(AS_OF) as connection:
        assert score(connection).rows == 3
    for row in scored(featured):
        assert 0 < float(str(row["churn_probability"])) < 1
        assert "nan" not in str(row["churn_reasons_en"]) + str(row["churn_reasons_th"])


def test_before_the_first_visit_nobody_is_scored(featured: Database) -> None:
    promote(featured, MODELS["blend"])
    with featured.begin(AS_OF) as connection:
        connection.exec_driver_sql("delete from aura_features.customer_snapshots")
        assert score(connection).rows == 0


def test_a_damaged_model_and_one_of_other_features_are_refused_with_the_remedy(featured: Database) -> None:
    promote(featured, MODELS["logistic"], FEATURES[1:])
    with featured.begin(AS_OF) as connection, pytest.raises(registry.ModelUnusable, match="--select churn_model"):
        score(connection)
    with featured.begin(AS_OF) as connection:
        connection.exec_driver_sql("update aura_models.registry set artifact = substring(artifact from 5)")
        with pytest.raises(registry.ModelUnusable, match="--select churn_model"):
            score(connection)


@pytest.mark.parametrize("kind", MODELS)
def test_scores_and_levels_follow_the_probability(kind: str) -> None:
    result = score_rows(MODELS[kind], ROWS, 7)
    points = result["churn_score"].to_numpy()
    assert (points == np.rint(100 * result["churn_probability"])).all()
    assert ((result["churn_level"] == "high") == (points >= scoring.HIGH_FROM)).all()
    assert ((result["churn_level"] == "low") == (points < scoring.MEDIUM_FROM)).all()
    assert (result["model_version"] == 7).all()
