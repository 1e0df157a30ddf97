"""Training on the sample clinic: who is promoted, what stays when too little is known, what a repetition changes."""

from __future__ import annotations

from datetime import timedelta

import pytest
import sqlalchemy

from bn_aura_pipelines.database.connections import Database
from bn_aura_pipelines.models import registry
from bn_aura_pipelines.models.churn import candidates
from bn_aura_pipelines.models.churn.training import read_rows, train
from bn_aura_pipelines_tests.benchmarks.scratch import build_features
from bn_aura_pipelines_tests.models.conftest import AS_OF


@pytest.fixture(autouse=True)
def fewer_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(candidates, "XGBOOST_ROUNDS", 20)


def execute(database: Database, statement: str) -> list[sqlalchemy.Row[tuple[object, ...]]]:
    with database.begin(AS_OF) as connection:
        result = connection.exec_driver_sql(statement)
        return list(result) if result.returns_rows else []


def test_a_learnt_model_earns_its_place_and_its_card_shows_every_candidate(featured: Database) -> None:
    with featured.begin(AS_OF) as connection:
        result = train(connection)
        champion = registry.champion(connection, "churn")
    assert result.new and result.promoted
    assert {judgement.candidate for judgement in result.judgements} == {
        "points", "recency", "bgnbd", "logistic", "xgboost", "blend",
    }  # fmt: skip
    assert champion is not None and champion.kind == result.kind
    assert "replaces the application's points" in result.decision


def test_no_training_label_reaches_into_the_test_snapshot(featured: Database) -> None:
    with featured.begin(AS_OF) as connection:
        rows = read_rows(connection)
    test_at = rows.test["snapshot_at"].iloc[0]
    assert (rows.test["snapshot_at"] == test_at).all()
    assert rows.train["snapshot_at"].max() + timedelta(days=candidates.HORIZON_DAYS) <= test_at
    assert rows.everyone["snapshot_at"].max() == rows.train["snapshot_at"].max()


def test_the_same_rows_again_give_no_new_version(featured: Database) -> None:
    with featured.begin(AS_OF) as connection:
        first = train(connection)
    with featured.begin(AS_OF) as connection:
        second = train(connection)
        versions = connection.exec_driver_sql("select count(*) from aura_models.registry").scalar_one()
    assert (second.version, second.kind, second.decision, second.new) == (1, first.kind, first.decision, False)
    assert versions == 1


def test_a_champion_is_not_replaced_by_its_equal(featured: Database) -> None:
    with featured.begin(AS_OF) as connection:
        train(connection)
    execute(featured, "update aura_features.customer_snapshots set treatments_per_visit = treatments_per_visit + 1")
    with featured.begin(AS_OF) as connection:
        again = train(connection)
        champion = registry.champion(connection, "churn")
    assert again.new and not again.promoted
    assert "version 1 stays" in again.decision
    assert champion is not None and champion.version == 1
    assert "champion before" in {judgement.candidate for judgement in again.judgements}


def test_a_champion_of_other_features_stands_no_longer(featured: Database) -> None:
    with featured.begin(AS_OF) as connection:
        train(connection)
    execute(featured, "update aura_models.registry set training_fingerprint = 'before the change'")
    shorter = registry.feature_hash(candidates.FEATURES[1:])
    execute(featured, f"update aura_models.registry set features = features[2:], feature_hash = '{shorter}'")
    with featured.begin(AS_OF) as connection:
        again = train(connection)
        champion = registry.champion(connection, "churn")
    assert again.promoted and "replaces the application's points" in again.decision
    assert champion is not None and champion.version == 2


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("update aura_features.customer_snapshots set churned = true where churned is not null", "of each kind"),
        (
            "delete from aura_features.customer_snapshots where customer_id not in"
            " (select id from public.customers order by id limit 20)",
            "at least 500 are needed",
        ),
        ("delete from aura_features.customer_snapshots", "0 training rows"),
    ],
    ids=["one class only", "twenty customers", "nobody"],
)
def test_where_nothing_can_be_learnt_the_points_stay_and_say_why(featured: Database, change: str, reason: str) -> None:
    execute(featured, change)
    with featured.begin(AS_OF) as connection:
        result = train(connection)
        assert registry.champion(connection, "churn") is None
    assert (result.kind, result.promoted, result.judgements) == ("points", False, ())
    assert result.decision.startswith("The application's points stay: ")
    assert reason in result.decision


def test_before_the_first_event_there_is_nothing_to_learn(featured: Database) -> None:
    long_ago = AS_OF.replace(year=2001)
    build_features(featured, long_ago)
    with featured.begin(long_ago) as connection:
        assert "0 training rows" in train(connection).decision
