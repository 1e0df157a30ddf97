"""The lives of customers: bookings, what becomes of them, satisfaction, loss. Texts and columns belong elsewhere."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bn_aura_pipelines.sources.sample.catalogue import CHANNEL_SHARES, CHANNELS
from bn_aura_pipelines.sources.sample.choices import Chooser, Tastes
from bn_aura_pipelines.sources.sample.clock import Calendar, Floats, Ints, waking_hours
from bn_aura_pipelines.sources.sample.laws import Laws

COMPLETED, NO_SHOW, CANCELLED = 0, 1, 2
SLOTS = np.arange(10.0, 19.75, 0.5) / 24
_busy = 1 + 0.8 * np.exp(-(((SLOTS * 24 - 13) / 1.5) ** 2)) + np.exp(-(((SLOTS * 24 - 18) / 1.2) ** 2))
SLOT_SHARES: Floats = _busy / _busy.sum()
MINUTES_AHEAD = 30 / 1440


@dataclass(frozen=True)
class Staff:
    """The therapists, clinic by clinic: `first[c]` to `first[c] + count[c]` work at clinic c."""

    first: Ints
    count: Ints
    skill: Floats


@dataclass(frozen=True)
class Customers:
    """Who somebody is, one element a customer, in order of arrival."""

    start: Floats
    clinic: Ints
    rate: Floats
    no_show: Floats
    first_satisfaction: Floats
    tastes: Tastes


@dataclass(frozen=True)
class Visits:
    """One element a booking, customer by customer in order. Some lie after the as-of moment: for the truth alone."""

    customer: Ints
    booked: Floats
    begins: Floats
    minutes: Ints
    outcome: Ints  # COMPLETED, NO_SHOW or CANCELLED, as it will end
    cancelled: Floats  # when, else infinite
    channel: Ints
    deposit: NDArray[np.bool_]
    staff: Ints
    kind: Ints  # place in KINDS
    treatment: Ints  # place in TREATMENTS, -1 for none
    extra: Ints  # a second treatment, -1 for none
    price: Floats
    package: Ints  # 0 none, 1 bought, 2 used
    satisfaction: Floats  # after a completed visit
    waiting: Floats
    result: Floats
    lost: NDArray[np.bool_]  # whether the customer left for good after it


def simulate_visits(
    calendar: Calendar, laws: Laws, rng: np.random.Generator, customers: Customers, staff: Staff
) -> Visits:
    """Booking after booking for all customers at once, until the calendar ends or they are lost."""
    end = len(calendar.season)
    chooser = Chooser(laws, customers.tastes)
    satisfaction = customers.first_satisfaction.copy()
    favourite = rng.integers(0, 1 << 30, len(customers.start))
    who = np.arange(len(customers.start))
    free_from = customers.start.copy()
    moment = np.floor(customers.start) + 1 + np.minimum(rng.exponential(3.0, len(who)), 14)
    parts: list[dict[str, NDArray]] = []
    first = True
    while len(who):
        inside = moment < end
        who, moment, free_from = who[inside], moment[inside], free_from[inside]
        count = len(who)
        begins = np.floor(moment) + rng.choice(SLOTS, count, p=SLOT_SHARES)
        lead = np.exp(np.log(laws.lead_days_median) + laws.lead_days_sigma * rng.standard_normal(count))
        booked = np.maximum(waking_hours(begins - np.minimum(lead, laws.lead_days_most)), free_from)
        booked = np.minimum(free_from if first else booked, begins - MINUTES_AHEAD)
        lead = begins - booked
        deposit = rng.random(count) < laws.deposit_share
        cancelled = booked + rng.exponential(1 / laws.cancel_rate, count)
        score = laws.no_show_intercept + laws.no_show_lead * np.log1p(lead) + laws.no_show_deposit * deposit
        missed = rng.random(count) < 1 / (1 + np.exp(-score - customers.no_show[who]))
        outcome = np.where(cancelled < begins, CANCELLED, np.where(missed, NO_SHOW, COMPLETED))
        done = outcome == COMPLETED
        choice = chooser.choose(rng, who, begins, done)

        clinic = customers.clinic[who]
        anyone = rng.integers(0, 1 << 30, count)
        pick = np.where(rng.random(count) < 0.5, favourite[who], anyone) % staff.count[clinic]
        therapist = staff.first[clinic] + pick
        waiting, result = rng.standard_normal(count), rng.standard_normal(count)
        shock = laws.shock_outcome * result - laws.shock_waiting * waiting + laws.shock_skill * staff.skill[therapist]
        memory = laws.satisfaction_memory
        after = memory * satisfaction[who] + np.sqrt(1 - memory**2) * shock
        satisfaction[who] = np.where(done, after, satisfaction[who])
        now = satisfaction[who]
        leaving = laws.loss_intercept + laws.loss_satisfaction * now + laws.loss_noise * rng.standard_normal(count)
        lost = done & (rng.random(count) < 1 / (1 + np.exp(-leaving)))
        parts.append(
            {
                "customer": who,
                "booked": booked,
                "begins": begins,
                "outcome": outcome,
                "cancelled": np.where(outcome == CANCELLED, cancelled, np.inf),
                "channel": rng.choice(len(CHANNELS), count, p=CHANNEL_SHARES),
                "deposit": deposit,
                "staff": therapist,
                "satisfaction": now,
                "waiting": waiting,
                "result": result,
                "lost": lost,
                **choice,
            }
        )
        rate = customers.rate[who] * np.exp(laws.visit_rate_satisfaction * now)
        following = calendar.after(calendar.season_days(moment) + rng.exponential(1, count) / rate)
        free_from = begins + choice["minutes"] / 1440
        moment = np.maximum(following, np.floor(begins) + 1)
        who, moment, free_from = who[~lost], moment[~lost], free_from[~lost]
        first = False
    joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    order = np.lexsort((joined["begins"], joined["customer"]))
    return Visits(**{name: values[order] for name, values in joined.items()})
