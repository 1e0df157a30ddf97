"""The next best action: the highest gain, never without consent or past a cap, with the runner-up and why it lost."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from bn_aura_pipelines.database.connections import Database
from bn_aura_pipelines.database.view_files import load_views
from bn_aura_pipelines.database.views import build
from bn_aura_pipelines.marts.actions import ACTIONS, choose_actions, decide, weigh
from bn_aura_pipelines.marts.uplift import Uplift, combine, learn_uplift
from bn_aura_pipelines_tests.models.test_recommendations import MOMENT, Clinics, key

PRIOR = {action.name: action.prior for action in ACTIONS}
ANNA = {
    "customer_id": "a", "clinic_id": "k", "visits": 4, "recency_days": 128.0, "is_booked": 0, "ticket_thb": 5000.0,
    "churn_probability": 0.4, "ltv_12m_thb": 0.0, "is_vip": 0, "is_barred": 0,
    "has_consent": 1, "is_capped": 0, "is_negative": 0, "due_id": "botox", "due_score": 0.5, "due_in_days": -8.0,
    "due_price_thb": 8000.0, "due_en": "Botox", "due_th": "โบท็อกซ์", "fresh_id": "laser", "fresh_score": 0.1,
    "fresh_price_thb": 5000.0, "fresh_en": "Laser", "fresh_th": "เลเซอร์",
}  # fmt: skip


def action_of(**changes: object) -> dict[str, object]:
    rows = pd.DataFrame([ANNA | changes])
    return decide(rows, weigh(rows, PRIOR), PRIOR).to_dict("records")[0]


def test_the_highest_gain_wins_and_the_runner_up_is_kept_with_the_reason() -> None:
    found = action_of()
    assert (found["action"], found["treatment_id"]) == ("rebook", "botox")
    assert found["expected_value_thb"] == pytest.approx(0.02 * 0.5 * 8000 - 20)
    assert found["confidence"] == pytest.approx(0.5 + 0.02)
    assert (found["runner_up"], found["runner_up_treatment_id"]) == ("do_nothing", None)
    assert found["why_en"] == "Botox is 8 days overdue; expected gain 60 THB"
    assert found["why_th"] == "โบท็อกซ์ เลยกำหนด 8 วัน คาดว่าจะได้กำไรเพิ่ม 60 บาท"
    assert found["why_not_runner_up_en"] == "do nothing: 60 THB less"


def test_what_was_never_shown_to_help_is_not_done_and_what_a_holdout_shows_is() -> None:
    found = action_of(due_id=None, due_score=None, due_in_days=None, due_price_thb=None)
    assert (found["action"], found["runner_up"]) == ("do_nothing", "cross_sell")
    assert found["why_not_runner_up_en"] == "suggest Laser: not shown to bring anybody in yet"
    rows = pd.DataFrame([ANNA])
    shown = PRIOR | {"cross_sell": Uplift(0.04, 0.02, 0.06, "holdout")}
    (row,) = decide(rows, weigh(rows, shown), shown).to_dict("records")
    assert (row["action"], row["uplift_basis"]) == ("cross_sell", "holdout")
    assert (row["runner_up"], row["why_not_runner_up_en"]) == ("rebook", "remind of Botox: 20 THB less")


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"has_consent": 0}, "no consent to marketing on record"),
        ({"is_capped": 1}, "was contacted as often as allowed"),
        ({"is_barred": 1}, "must not be contacted"),
        ({"due_price_thb": 500.0, "fresh_price_thb": 500.0}, "no action is worth its cost now"),
    ],
)
def test_nobody_is_contacted_without_consent_past_a_cap_or_at_a_loss(changes: dict[str, object], why: str) -> None:
    found = action_of(**changes)
    assert (found["action"], found["expected_value_thb"], found["why_en"]) == ("do_nothing", 0.0, why)
    assert found["runner_up"] != "do_nothing"


def test_more_uplift_never_makes_an_action_less_likely_to_be_chosen() -> None:
    values = [weigh(pd.DataFrame([ANNA]), PRIOR | {"rebook": Uplift(u, 0, 1, "holdout")}).value[0, 0] for u in (0, 0.1)]
    assert values[0] == -ACTIONS[0].cost_thb < values[1]


def test_a_holdout_outweighs_the_prior_the_more_the_surer_it_is() -> None:
    prior = Uplift(0.03, 0.0, 0.06, "prior")
    vague, sure = combine(prior, 0.2, 0.5), combine(prior, 0.2, 0.001)
    assert vague.mean == pytest.approx(0.03, abs=0.001)
    assert sure.mean == pytest.approx(0.2, abs=0.002)
    assert sure.low < sure.mean < sure.high and sure.high - sure.low < vague.high - vague.low


OUTCOMES = """
    insert into aura_features.trigger_outcomes
        (event_id, clinic_id, rule, subject_type, subject_id, customer_id, is_holdout, decided_at, outcome_until,
        is_complete, visited, revenue_30d_thb)
    select gen_random_uuid(), '{clinic}', 'repeat_due', 'customer', '{clinic}', '{clinic}', n % 2 = 0,
        '2026-01-01', '2026-01-31', true, n % 10 < case when n % 2 = 0 then 2 else {visits} end, 0
    from generate_series(1, 2000) as n
"""


def test_uplift_is_learnt_from_who_was_held_out_and_is_the_prior_before(database: Database) -> None:
    clinics = Clinics(database)
    clinics.recommend()
    with database.begin(MOMENT) as connection:
        build(connection, [view for view in load_views() if view.schema == "aura_features"])
        assert learn_uplift(connection, "repeat_due", PRIOR["rebook"]) is PRIOR["rebook"]
        # Of those held out one in five visits; of the told two in five.
        connection.exec_driver_sql(OUTCOMES.format(clinic=key("a"), visits=4).replace("%", "%%"))
        found = learn_uplift(connection, "repeat_due", PRIOR["rebook"])
    assert found.basis == "holdout"
    assert found.low < found.mean < found.high
    assert 0.06 < found.mean < 0.25


def test_everybody_gets_an_action_and_the_same_run_again_writes_nothing(database: Database) -> None:
    clinics = Clinics(database)
    clinics.add_clinic("a")
    clinics.add_treatment("botox")
    for name in ("anna", "new"):
        clinics.add_customer(name, "a")
    clinics.visit("anna", "a", 128, "botox")
    clinics.recommend()
    for again in (False, True):
        with database.begin(MOMENT) as connection:
            build(connection, [view for view in load_views() if view.schema == "aura_features"])
            result = choose_actions(connection)
        assert (result.written == 0) is again
    assert sum(result.chosen.values()) == 2
    assert np.isfinite(result.expected_value_thb)
