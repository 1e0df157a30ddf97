"""What the registry gives back, at which moment, and what it refuses."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy

from bn_aura_pipelines.database.connections import Database
from bn_aura_pipelines.models import registry
from bn_aura_pipelines.models.judging import Judgement

SPRING = datetime(2025, 4, 1, tzinfo=UTC)
SUMMER = datetime(2025, 7, 1, tzinfo=UTC)


def entry(version: int, knows_until: datetime | None, alias: str | None = "champion") -> registry.Entry:
    return registry.Entry(
        model="churn",
        version=version,
        alias=alias,
        promoted=alias == "champion",
        kind="logistic",
        artifact=f"model {version}".encode(),
        features=("recency_days", "visits"),
        metrics={"auc": 0.7},
        decision="better",
        n_train=100,
        n_test=50,
        window_start=None,
        window_end=knows_until,
        training_fingerprint=f"rows {version}",
        trained_as_of=knows_until or SPRING,
    )


def store(database: Database, *entries: registry.Entry) -> None:
    with database.begin() as connection:
        for one in entries:
            registry.store(connection, one, [])


def test_what_is_stored_is_found_with_the_figures_of_every_candidate(database: Database) -> None:
    figures = Judgement("logistic", 50, 0.7, 0.5, 0.2, 0.02, 0.4)
    with database.begin(SUMMER) as connection:
        registry.store(connection, entry(1, SPRING), [figures])
        assert registry.champion(connection, "churn") == entry(1, SPRING)
        assert registry.by_fingerprint(connection, "churn", "rows 1") == entry(1, SPRING)
        assert registry.by_fingerprint(connection, "churn", "other rows") is None
        assert registry.judgements(connection, "churn", 1) == (figures,)
        assert registry.next_version(connection, "churn") == 2
        assert registry.champion(connection, "lead") is None


def test_an_alias_moves_to_the_version_that_takes_it(database: Database) -> None:
    store(database, entry(1, SPRING), entry(2, SPRING, "challenger"), entry(3, SUMMER))
    with database.begin(SUMMER) as connection:
        found = connection.execute(sqlalchemy.text("select alias from aura_models.registry order by version"))
        assert found.scalars().all() == [None, "challenger", "champion"]


def test_a_run_about_the_past_does_not_know_later_versions(database: Database) -> None:
    store(database, entry(1, SPRING), entry(2, SUMMER))
    for moment, version in ((SPRING, 1), (SUMMER - timedelta(days=1), 1), (SUMMER, 2)):
        with database.begin(moment) as connection:
            found = registry.champion(connection, "churn")
            assert found is not None and found.version == version
    with database.begin(SPRING - timedelta(days=1)) as connection:
        assert registry.champion(connection, "churn") is None


def test_a_version_trained_for_the_past_takes_no_alias_from_one_that_knows_more(database: Database) -> None:
    store(database, entry(1, SUMMER), entry(2, SPRING))
    with database.begin(SUMMER) as connection:
        found = registry.champion(connection, "churn")
        assert found is not None and found.version == 1
    with database.begin(SPRING) as connection:
        found = registry.champion(connection, "churn")
        assert found is not None and found.version == 2


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ("artifact = 'model !'", "damaged in the registry: train again with `bn-aura run --select churn_model`"),
        ("features = array['visits', 'recency_days']", "feature list of churn version 1 was changed: train again"),
    ],
)
def test_a_damaged_version_is_refused_with_its_remedy(database: Database, damage: str, message: str) -> None:
    store(database, entry(1, SPRING))
    with database.begin(SUMMER) as connection:
        connection.exec_driver_sql(f"update aura_models.registry set {damage}")
        with pytest.raises(registry.ModelUnusable, match=message):
            registry.champion(connection, "churn")


def test_rolling_back_moves_the_alias_and_scores_with_the_earlier_version(database: Database) -> None:
    store(database, entry(1, SPRING), entry(2, SPRING))
    with database.begin(SUMMER) as connection:
        assert registry.promote(connection, "churn", 1) == 2
        found = registry.champion(connection, "churn")
        assert found is not None and found.version == 1
        assert registry.promote(connection, "churn", 2) == 1
    with database.begin(SUMMER) as connection, pytest.raises(registry.ModelUnknown, match="bn-aura models list"):
        registry.promote(connection, "churn", 9)
