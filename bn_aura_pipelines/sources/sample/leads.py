"""The lives of leads: quality, speed of response, stages, referrals; and the customers that won ones become.

Texts and columns of the table belong to `lead_rows`.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from bn_aura_pipelines.sources.sample.catalogue import LEAD_SOURCES, LOST, REFERRAL, STAGES, WON
from bn_aura_pipelines.sources.sample.clock import Calendar, Floats, Ints, opening_hours, waking_hours
from bn_aura_pipelines.sources.sample.laws import Laws


@dataclass(frozen=True)
class Leads:
    """One element a lead, in order of creation. Moments are days of the calendar."""

    created: Floats
    clinic: Ints
    source: Ints  # place in LEAD_SOURCES
    quality: Floats
    response_hours: Floats
    speed: Floats
    stage: Ints  # place in STAGES at the as-of moment
    changed: Floats  # last change of stage before the as-of moment
    contacted: Floats  # infinite when nobody answered before the as-of moment
    outcome: Ints  # WON or LOST, in the end
    decided: Floats  # when that was or will be
    reached: Floats  # (n, stages) when each of STAGES was or will be reached, infinite where never
    customer: Ints  # place among the customers, -1 unless won by now
    referrer: Ints  # place among the customers of who referred this lead, else -1


@dataclass(frozen=True)
class Arrivals:
    """Who became a customer and when, in order of arrival."""

    start: Floats
    clinic: Ints
    satisfaction: Floats  # before the first visit
    lead: Ints  # place among the leads, -1 for who came without one


def simulate_leads(
    calendar: Calendar, laws: Laws, rng: np.random.Generator, customers: int, clinic_shares: Floats
) -> tuple[Leads, Arrivals]:
    """As many leads as customers, and those their winners refer; customers that no lead explains come by themselves."""
    count = customers
    created = _arrival_moments(calendar, laws, rng, count)
    awake = waking_hours(created)
    created = np.where(awake < calendar.as_of, awake, created)
    clinic = rng.choice(len(clinic_shares), count, p=clinic_shares)
    shares = np.array([source[1] for source in LEAD_SOURCES])
    source = rng.choice(len(shares), count, p=shares / shares.sum())
    referrer = np.full(count, -1)
    generations: list[Leads] = []
    satisfaction: list[Floats] = []
    won_before = 0
    while len(created):
        leads = _generation(calendar, laws, rng, created, clinic, source, referrer)
        won = np.flatnonzero(leads.customer >= 0)
        leads.customer[won] = won_before + np.arange(len(won))
        first = rng.standard_normal(len(won))
        generations.append(leads)
        satisfaction.append(first)
        referred = rng.poisson(laws.referral_rate * np.exp(laws.referral_satisfaction * first))
        parent = np.repeat(won, referred)
        created = leads.decided[parent] + rng.exponential(laws.referral_days, len(parent))
        parent, created = parent[created < calendar.as_of], created[created < calendar.as_of]
        clinic, source = leads.clinic[parent], np.full(len(parent), REFERRAL)
        referrer = leads.customer[parent]
        won_before += len(won)
    everyone = Leads(*(np.concatenate([getattr(part, field.name) for part in generations]) for field in fields(Leads)))
    return _order(calendar, laws, rng, everyone, np.concatenate(satisfaction), customers, clinic_shares)


def _arrival_moments(calendar: Calendar, laws: Laws, rng: np.random.Generator, count: int) -> Floats:
    """Moments before as-of: by the season, and by a steady growth."""
    end = calendar.season_days(np.array([calendar.as_of]))[0]
    uniform = rng.random(count)
    growth = laws.growth  # density 1 + growth * x on [0, 1], inverted
    share = (np.sqrt(1 + uniform * growth * (2 + growth)) - 1) / growth
    return calendar.after(share * end)


def _generation(
    calendar: Calendar,
    laws: Laws,
    rng: np.random.Generator,
    created: Floats,
    clinic: Ints,
    source: Ints,
    referrer: Ints,
) -> Leads:
    count = len(created)
    means = np.array([source[2] for source in LEAD_SOURCES])
    quality = rng.normal(means[source], 1) + np.where(source == REFERRAL, laws.referral_quality, 0)
    speed = rng.standard_normal(count)
    hours = laws.step_days[0] * 24 * np.exp(-laws.response_hours_sigma * speed)
    stage = np.zeros(count, np.int64)
    changed = created.copy()
    contacted = np.full(count, np.inf)
    moment = created.copy()
    outcome = np.full(count, WON)
    open_ = np.ones(count, bool)
    reached = np.full((count, len(STAGES)), np.inf)
    reached[:, 0] = created
    for step in range(len(laws.step_intercept)):
        score = laws.step_intercept[step] + laws.step_quality[step] * quality + laws.step_speed[step] * speed
        moves = rng.random(count) < 1 / (1 + np.exp(-score))
        wait = laws.step_days[step] * np.exp(laws.step_days_sigma * rng.standard_normal(count))
        wait = np.where(moves, hours / 24 if step == 0 else wait, rng.exponential(laws.lost_days, count))
        moment = np.where(open_, moment + wait, moment)
        after = np.where(moves, step + 1, LOST)
        seen = open_ & (moment < calendar.as_of)
        stage = np.where(seen, after, stage)
        changed = np.where(seen, moment, changed)
        if step == 0:
            contacted = np.where(seen & moves, moment, contacted)
        outcome = np.where(open_ & ~moves, LOST, outcome)
        reached[open_, after[open_]] = moment[open_]
        open_ &= moves
    return Leads(
        created=created,
        clinic=clinic,
        source=source,
        quality=quality,
        response_hours=hours,
        speed=speed,
        stage=stage,
        changed=changed,
        contacted=contacted,
        outcome=outcome,
        decided=moment,
        reached=reached,
        customer=np.where(stage == WON, 0, -1),
        referrer=referrer,
    )


def _order(
    calendar: Calendar,
    laws: Laws,
    rng: np.random.Generator,
    leads: Leads,
    satisfaction: Floats,
    customers: int,
    clinic_shares: Floats,
) -> tuple[Leads, Arrivals]:
    """Leads by creation, customers by arrival, with their references renumbered."""
    order = np.argsort(leads.created, kind="stable")
    leads = Leads(*(getattr(leads, field.name)[order] for field in fields(Leads)))
    won = np.flatnonzero(leads.customer >= 0)
    alone = customers - len(won)
    assert alone >= 0
    lead_of = np.full(customers, -1)
    lead_of[leads.customer[won]] = won
    start = opening_hours(_arrival_moments(calendar, laws, rng, customers), rng, calendar.as_of)
    clinic = rng.choice(len(clinic_shares), customers, p=clinic_shares)
    start = np.where(lead_of >= 0, leads.changed[lead_of], np.maximum(start, 0))
    clinic = np.where(lead_of >= 0, leads.clinic[lead_of], clinic)
    first = np.concatenate([satisfaction, rng.standard_normal(alone)])
    arrived = np.argsort(start, kind="stable")
    place: NDArray[np.int64] = np.empty(customers + 1, np.int64)
    place[arrived] = np.arange(customers)
    place[customers] = -1  # what -1 points at
    renumbered = {field.name: getattr(leads, field.name) for field in fields(Leads)}
    renumbered["customer"] = place[leads.customer]
    renumbered["referrer"] = place[leads.referrer]
    return Leads(**renumbered), Arrivals(start[arrived], clinic[arrived], first[arrived], lead_of[arrived])
