"""The best possible churn score: calibrated, better than what is fitted without the laws, equal to sampling them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import sqlalchemy
from numpy.typing import NDArray
from sklearn.metrics import log_loss, roc_auc_score

from bn_aura_pipelines.database.connections import Database
from bn_aura_pipelines.models import bgnbd
from bn_aura_pipelines.sources.sample.ceiling import History, SampleMissing, no_visit_probability, stored_ceiling
from bn_aura_pipelines.sources.sample.clock import make_calendar
from bn_aura_pipelines.sources.sample.laws import LAWS
from bn_aura_pipelines.sources.sample.visits import COMPLETED, NO_SHOW
from bn_aura_pipelines.sources.sample.world import World, draw_world
from bn_aura_pipelines_tests.sources.sample.conftest import AS_OF

HORIZON = 90


@pytest.fixture(scope="module")
def world() -> World:
    return draw_world(4000, AS_OF, 11, LAWS)


def history_of(world: World) -> tuple[History, NDArray[np.bool_], list[NDArray[np.float64]]]:
    """Active customers' past, whether none of them came in the next 90 days, and repeats, last and age for BG/NBD."""
    visits, now, count = world.visits, world.calendar.as_of, len(world.customer_ids)
    done = visits.outcome == COMPLETED
    past = visits.begins < now
    first, last = np.full(count, np.inf), np.full(count, -np.inf)
    np.minimum.at(first, visits.customer[past & done], visits.begins[past & done])
    np.maximum.at(last, visits.customer[past & done], visits.begins[past & done])
    active = last >= now - 365
    rows = past & active[visits.customer]
    place = np.cumsum(active) - 1
    history = History(
        int(active.sum()),
        place[visits.customer[rows]],
        visits.begins[rows],
        done[rows],
        visits.outcome[rows] == NO_SHOW,
    )
    absent = np.ones(count, bool)
    absent[visits.customer[done & ~past & (visits.begins < now + HORIZON)]] = False
    ahead = np.full(count, np.nan)
    open_ = ~past & (visits.booked < now) & (visits.cancelled >= now)
    ahead[visits.customer[open_]] = visits.begins[open_]
    history = replace(history, ahead=ahead[active])
    repeats = np.bincount(visits.customer[past & done], minlength=count) - 1.0
    return history, absent[active], [repeats[active], (last - first)[active], (now - first)[active]]


def test_it_is_calibrated_and_beats_what_knows_less(world: World) -> None:
    history, absent, summary = history_of(world)
    score = no_visit_probability(history, world.calendar, LAWS, world.calendar.as_of, HORIZON)
    narrow = no_visit_probability(history, world.calendar, LAWS, world.calendar.as_of, HORIZON, "completed")
    fitted = bgnbd.fit(*summary).no_visit(*summary, HORIZON)
    wide = no_visit_probability(history, world.calendar, LAWS, world.calendar.as_of, HORIZON, "ahead")
    for found in (score, narrow, wide):
        assert abs(found.mean() - absent.mean()) < 0.03
        for low in np.arange(0.2, 0.95, 0.15):
            some = (found >= low) & (found < low + 0.15)
            assert abs(found[some].mean() - absent[some].mean()) < 0.09
    assert roc_auc_score(absent, narrow) > roc_auc_score(absent, fitted) - 0.004
    assert log_loss(absent, narrow) < log_loss(absent, fitted)
    assert roc_auc_score(absent, score) > roc_auc_score(absent, narrow) + 0.01
    assert roc_auc_score(absent, wide) > roc_auc_score(absent, score) + 0.005


def test_it_equals_sampling_the_laws_on_a_short_history() -> None:
    calendar, draws = make_calendar(AS_OF, LAWS), 400_000
    days, now = np.array([600.0, 640.0, 655.0]), 720.0
    history = History(1, np.zeros(3, int), days, np.array([True, False, True]), np.array([False, False, False]))
    rng = np.random.default_rng(5)
    rate = rng.standard_gamma(LAWS.visit_rate_shape, draws) / LAWS.visit_rate_days
    person = rng.normal(0, LAWS.no_show_person, draws)
    memory = LAWS.satisfaction_memory
    mood = rng.standard_normal(draws)
    later = memory * mood + np.sqrt(1 - memory**2) * rng.standard_normal(draws)

    def leaves(now_felt: NDArray[np.float64]) -> NDArray[np.float64]:
        noise = LAWS.loss_noise * rng.standard_normal(draws)
        return 1 / (1 + np.exp(-LAWS.loss_intercept - LAWS.loss_satisfaction * now_felt - noise))

    def speed(now_felt: NDArray[np.float64]) -> NDArray[np.float64]:
        return rate * np.exp(LAWS.visit_rate_satisfaction * now_felt)

    def shows_up() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Probabilities of a completed visit, and of one that is not missed once it is not cancelled."""
        lead = np.minimum(LAWS.lead_days_median * np.exp(LAWS.lead_days_sigma * rng.standard_normal(draws)), 60)
        deposit = rng.random(draws) < LAWS.deposit_share
        logit = LAWS.no_show_intercept + LAWS.no_show_lead * np.log1p(lead) + LAWS.no_show_deposit * deposit + person
        return np.exp(-LAWS.cancel_rate * lead) / (1 + np.exp(logit)), 1 / (1 + np.exp(logit))

    at = calendar.season_days(np.floor(days) + 0.5)
    since, until = calendar.season_days(np.array([now, now + HORIZON]))
    weight = (
        (1 - leaves(mood)) * speed(mood) ** 2 * np.exp(-speed(mood) * (at[2] - at[0])) * shows_up()[1] * shows_up()[1]
    )
    lost = leaves(later)
    silent = (1 - lost) * np.exp(-speed(later) * (since - at[2]))
    # The inclination to miss visits is one number a person, the lead time another every time: average over the latter.
    coming = np.mean([shows_up()[0] for _ in range(40)], axis=0)
    absent = lost + silent * np.exp(-speed(later) * coming * (until - since))
    sampled = (weight * absent).sum() / (weight * (lost + silent)).sum()
    exact = no_visit_probability(history, calendar, LAWS, now, HORIZON)[0]
    assert exact == pytest.approx(sampled, abs=0.01)


def test_it_can_be_asked_of_a_stored_sample(sampled: Database) -> None:
    with sampled.begin() as connection:
        found = stored_ceiling(connection, AS_OF, HORIZON)
        wide = stored_ceiling(connection, AS_OF, HORIZON, "ahead")
        rows = connection.execute(
            sqlalchemy.text(
                "select t.customer_id::text, coalesce(t.next_completed_at < :until, false)"
                " from aura_truth.customers t join customers c on c.id = t.customer_id"
                " where c.last_visit_date is not null"
            ),
            {"until": AS_OF.replace(month=9, day=29)},
        ).all()
    assert set(wide) == set(found)
    assert all(0 < score <= 1 for scores in (found, wide) for score in scores.values())
    assert set(found) == {customer for customer, _ in rows}
    assert roc_auc_score([not came for _, came in rows], [found[customer] for customer, _ in rows]) > 0.75


def test_without_a_sample_there_is_no_ceiling(database: Database) -> None:
    with database.begin() as connection, pytest.raises(SampleMissing):
        stored_ceiling(connection, AS_OF, HORIZON)
