"""Lifetime values on the sample clinic: judged on months held out, stored once, honest where little is known."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest
import sqlalchemy

from bn_aura_pipelines.database.connections import Database
from bn_aura_pipelines.models import registry
from bn_aura_pipelines.models.lifetime.assets import figures_table
from bn_aura_pipelines.models.lifetime.training import HORIZON_DAYS, accuracy, train
from bn_aura_pipelines.models.lifetime.values import predict_values
from bn_aura_pipelines_tests.models.conftest import AS_OF


def values(database: Database) -> list[dict[str, object]]:
    with database.begin(AS_OF) as connection:
        found = connection.exec_driver_sql("select * from aura_models.lifetime_values order by customer_id")
        return [dict(row) for row in found.mappings()]


def test_everybody_with_a_visit_has_a_value_and_a_second_run_writes_nothing(featured: Database) -> None:
    with featured.begin(AS_OF) as connection:
        first = predict_values(connection)
    with featured.begin(AS_OF) as connection:
        second = predict_values(connection)
        paid = connection.exec_driver_sql(
            "select sum(revenue_thb) from aura_staging.stg_appointments where status = 'completed'"
        ).scalar_one()
    assert first.training.new and not second.training.new
    assert (second.written, second.training.version) == (0, first.training.version)
    assert second.training.held_out == first.training.held_out
    rows = values(featured)
    assert sum(row["ltv_current_thb"] for row in rows) == paid  # type: ignore[misc]
    for row in rows:
        low, middle, high = (float(str(row[f"ltv_12m_{name}thb"])) for name in ("low_", "", "high_"))
        assert 0 <= low <= high and middle >= 0
        assert 0 <= float(str(row["alive_probability"])) <= 1


def test_it_is_judged_on_a_year_it_did_not_know(featured: Database) -> None:
    with featured.begin(AS_OF) as connection:
        training = train(connection)
        entry = registry.champion(connection, "lifetime")
        known = connection.execute(
            sqlalchemy.text(
                "select count(distinct customer_id) from aura_staging.stg_appointments"
                " where status = 'completed' and visit_at < :cut and created_at < :cut"
            ),
            {"cut": AS_OF - timedelta(days=HORIZON_DAYS)},
        ).scalar_one()
    held_out = training.held_out
    assert held_out is not None and entry is not None
    assert (held_out.cut, held_out.customers) == (AS_OF - timedelta(days=HORIZON_DAYS), known)
    by_name = {one.candidate: one for one in held_out.figures}
    assert by_name["model"].rmse_thb < by_name["own rate"].rmse_thb
    assert by_name["model"].coverage is not None and 0.6 < by_name["model"].coverage < 0.97
    assert entry.metrics["interval_share"] == held_out.interval_share
    assert "| model |" in figures_table(held_out)


@pytest.mark.parametrize("kept", [0, 3])
def test_with_hardly_anybody_only_what_was_paid_is_known(featured: Database, kept: int) -> None:
    with featured.begin(AS_OF) as connection:
        connection.execute(
            sqlalchemy.text(
                "delete from public.appointments where customer_id not in"
                " (select customer_id from public.appointments where status = 'completed'"
                " group by customer_id order by customer_id limit :kept)"
            ),
            {"kept": kept},
        )
        result = predict_values(connection)
    assert result.training.model is None
    assert result.training.decision.startswith("No value is predicted: ")
    assert "not judged" in figures_table(None).lower()
    assert [row["ltv_12m_thb"] for row in values(featured)] == [None] * kept


def test_figures_of_known_predictions() -> None:
    actual = np.array([0.0] * 9 + [100.0])
    perfect = accuracy("one", actual, actual)
    assert (perfect.rmse_thb, perfect.bias, perfect.top_decile_share) == (0.0, 0.0, 1.0)
    flat = accuracy("mean", actual, np.full(10, 20.0))
    assert (flat.bias, flat.top_decile_share) == (1.0, 0.1)
    assert flat.rmse_thb == pytest.approx(np.sqrt((9 * 400 + 6400) / 10))
