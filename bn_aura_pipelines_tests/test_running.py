"""What `--select` takes, and what a wrong one says."""

from __future__ import annotations

import pytest

from bn_aura_pipelines.definitions import build_definitions
from bn_aura_pipelines.errors import UserError
from bn_aura_pipelines.running import select_assets


def names(select: str | None) -> set[str]:
    return {key.to_user_string() for key in select_assets(build_definitions(), select)}


def test_without_a_selection_the_whole_graph_is_meant() -> None:
    assert {"source_clinics", "stg_leads", "lead_embeddings", "churn_model", "cohort_retention"} <= names(None)


def test_a_plus_reaches_everything_below_or_above() -> None:
    assert {"churn_scores", "customer_360", "trigger_decisions", "trigger_events"} <= names("churn_scores+")
    assert "churn_model" not in names("churn_scores+")
    assert names("+stg_clinics") == {"source_clinics", "stg_clinics"}


def test_names_groups_and_operators_mix() -> None:
    assert names('stg_clinics or (key:"stg_staff" and not group:"marts")') == {"stg_clinics", "stg_staff"}


@pytest.mark.parametrize(("select", "message"), [("nobody", "names no asset"), ("((", "is no asset selection")])
def test_a_wrong_selection_says_what_to_write(select: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        names(select)
