"""The best possible churn score on the sample, given the bookings that anyone can see and the laws that nobody can.

An exact Bayesian filter: the joint posterior of visit rate and satisfaction on a grid, moved along each customer's
history, with loss as an absorbing state. It replaces importance sampling of prior draws, whose weights collapse on
long histories; both have the same limit. Judging models against it belongs to whoever trains them.

There are three ceilings, by what a model is given: completed visits alone, all past bookings, or these and the open
bookings ahead. Not seen by any: what people say and which treatments they choose. A model that uses those may be better
by what they tell; one that is better without them has seen the future.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from itertools import pairwise
from statistics import NormalDist
from typing import Literal

import numpy as np
import sqlalchemy
from numpy.typing import NDArray

from bn_aura_pipelines.database.connections import psycopg_connection
from bn_aura_pipelines.errors import UserError
from bn_aura_pipelines.sources.sample.clock import DAY_SECONDS, Calendar, Floats, Ints, make_calendar
from bn_aura_pipelines.sources.sample.laws import LAWS, Laws
from bn_aura_pipelines.sources.sample.truth import existing_sample

RATES, MOODS, PERSONS = 56, 25, 7
Seen = Literal["completed", "bookings", "ahead"]
CHUNK = 400


class SampleMissing(UserError):
    """There is no sample whose laws could be asked."""


@dataclass(frozen=True)
class History:
    """Past bookings, one element a booking, customer by customer and in order; days of the calendar.

    Every customer from 0 to `customers` - 1 has at least one that was completed.
    """

    customers: int
    customer: Ints
    begins: Floats
    completed: NDArray[np.bool_]
    missed: NDArray[np.bool_]  # a no-show; neither completed nor missed is cancelled
    ahead: Floats | None = None  # one a customer: the day of the open booking, nan for none; None: nobody looks


@dataclass(frozen=True)
class _Grid:
    speed: Floats  # (rates, moods): visits a season-day, by rate and satisfaction
    prior: Floats  # (rates, moods)
    move: Floats  # (moods, moods): satisfaction before and after a completed visit
    loss: Floats  # (moods,)
    missing: Floats  # (persons,): probability of a no-show
    person: Floats  # (persons,): their prior
    cancelling: float
    cancel_rate: float
    leads: Floats  # quantiles of the lead time


@dataclass(frozen=True)
class _Outlook:
    """What is known of the time from the moment on, for some customers."""

    lost: float  # likelihood of it for somebody who is lost
    alive: Floats  # for somebody who is not, by rate and satisfaction
    absent: Floats  # the same, jointly with no completed visit within the horizon, by person too


def no_visit_probability(
    history: History,
    calendar: Calendar,
    laws: Laws,
    moment: float,
    horizon_days: float,
    seen: Seen = "bookings",
) -> Floats:
    """P(no completed visit from `moment` to `moment + horizon_days`), one element a customer.

    Bookings of `history` at or after `moment` are an error of the caller's. `seen` is what the score may
    use: completed visits alone, all past bookings, or these and whether one is open ahead (`history.ahead`).
    """
    assert (history.begins < moment).all()
    grid = _grid(laws)
    if seen == "completed":
        history, grid = _completed(history, grid)
    first = np.searchsorted(history.customer, np.arange(history.customers + 1))
    at = calendar.season_days(np.floor(history.begins) + 0.5)
    since = float(calendar.season_days(np.array([moment]))[0])
    looks = seen == "ahead" and history.ahead is not None
    days = np.full(history.customers, -1.0)
    if looks and history.ahead is not None:
        days = np.where(np.isnan(history.ahead), -1.0, np.floor(history.ahead))
    outlooks = {
        float(day): _outlook(grid, calendar, moment, horizon_days, float(day) if looks else None)
        for day in np.unique(days)
    }
    answer = np.empty(history.customers)
    for begin in range(0, history.customers, CHUNK):
        some = slice(begin, min(begin + CHUNK, history.customers))
        count = np.diff(first)[some]
        lost, silent = _beliefs(history, grid, first[some], count, at, since)
        person = _persons(history, grid, first[some], count)
        for day in np.unique(days[some]):
            outlook, rows = outlooks[float(day)], np.flatnonzero(days[some] == day)
            weights = silent[rows].reshape(len(rows), -1)
            absent = ((weights @ outlook.absent.reshape(len(grid.person), -1).T) * person[rows]).sum(axis=1)
            gone = lost[rows] * outlook.lost
            answer[begin + rows] = (gone + absent) / (gone + weights @ outlook.alive.ravel())
    return answer


def _outlook(grid: _Grid, calendar: Calendar, moment: float, horizon_days: float, booked: float | None) -> _Outlook:
    """The time ahead when nobody looks at open bookings (None), when there is none (negative), or one on a day."""
    speed, end = grid.speed, moment + horizon_days
    coming = (1 - grid.cancelling) * (1 - grid.missing)[:, None, None]

    def season(*moments: float) -> Floats:
        return np.diff(calendar.season_days(np.array(moments)))

    if booked is None:
        return _Outlook(1.0, np.ones_like(speed), np.exp(-speed * coming * season(moment, end)))
    if booked >= 0:
        day = max(booked + 0.5, moment)
        alive = speed * np.exp(-speed * season(moment, day))
        kept = np.exp(-grid.cancel_rate * (day - moment)) * (1 - grid.missing)[:, None, None]
        later = np.exp(-speed * coming * season(day, max(end, day)))
        return _Outlook(0.0, alive, alive * np.where(day < end, (1 - kept) * later, 1.0))
    # No open booking: the next visit is one that will be booked after the moment, less and less rare with its distance.
    far = max(float(grid.leads[-1]), horizon_days)
    edges = np.unique(np.concatenate([np.geomspace(0.5, far, 24), [0.0, horizon_days]]))
    alive = np.exp(-speed * season(moment, moment + far))
    absent = alive * np.ones_like(coming)
    for begin, finish in pairwise(edges.tolist()):
        middle = (begin + finish) / 2
        unbooked = np.searchsorted(grid.leads, middle) / len(grid.leads)
        next_visit = np.exp(-speed * season(moment, moment + begin)) - np.exp(-speed * season(moment, moment + finish))
        alive = alive + unbooked * next_visit
        within = (1 - coming) * np.exp(-speed * coming * season(moment + middle, max(end, moment + middle)))
        absent = absent + unbooked * next_visit * np.where(middle < horizon_days, within, 1.0)
    return _Outlook(1.0, alive, absent)


def stored_ceiling(
    connection: sqlalchemy.Connection, moment: datetime, horizon_days: float, seen: Seen = "bookings"
) -> dict[str, float]:
    """`no_visit_probability` at a moment (aware), from the stored sample: by the id of each customer who has been.

    Raises SampleMissing when the database holds no sample.
    """
    sample = existing_sample(connection)
    if sample is None:
        raise SampleMissing("The ceiling is known for the sample clinic alone, and this database holds none.")
    calendar = make_calendar(sample.as_of, LAWS)
    at = calendar.days(moment)
    rows = psycopg_connection(connection).execute(
        """
        with bookings as (
            select
                customer_id::text as customer_id, appointment_date + start_time as begins, status,
                bool_or(
                    status = 'completed' and (appointment_date + start_time) at time zone 'Asia/Bangkok' < %(moment)s
                ) over (partition by customer_id) as has_been
            from public.appointments
            where created_at < %(moment)s and not (
                status = 'cancelled' and updated_at < %(moment)s
                and (appointment_date + start_time) at time zone 'Asia/Bangkok' >= %(moment)s
            )
        )
        select customer_id, begins, status from bookings where has_been order by customer_id, begins
        """,
        {"moment": moment},
    )
    ids, begins, statuses = (np.array(column) for column in zip(*rows.fetchall(), strict=True))
    names, customer = np.unique(ids, return_inverse=True)
    days = (begins.astype("datetime64[s]") - calendar.origin).astype(float) / DAY_SECONDS
    past = days < at
    ahead = np.full(len(names), np.nan)
    ahead[customer[~past]] = days[~past]
    history = History(
        len(names), customer[past], days[past], (statuses == "completed")[past], (statuses == "no_show")[past], ahead
    )
    found = no_visit_probability(history, calendar, LAWS, at, horizon_days, seen)
    return dict(zip(names.tolist(), found.tolist(), strict=True))


def _completed(history: History, grid: _Grid) -> tuple[History, _Grid]:
    """The same customers seen by their completed visits, which come at the rate of bookings thinned by the others."""
    kept = history.completed
    visits = History(
        history.customers, history.customer[kept], history.begins[kept], kept[kept], np.zeros(kept.sum(), bool)
    )
    arriving = (1 - grid.cancelling) * float((grid.person * (1 - grid.missing)).sum())
    thinned = replace(grid, speed=grid.speed * arriving, missing=np.zeros(1), person=np.ones(1), cancelling=0.0)
    return visits, thinned


def _beliefs(
    history: History, grid: _Grid, first: Ints, count: Ints, at: Floats, since: float
) -> tuple[Floats, Floats]:
    """P(lost), and P(not lost and silent since the last booking) by rate and satisfaction; up to one factor."""
    belief = np.broadcast_to(grid.prior, (len(first), *grid.prior.shape)).copy()
    for step in range(int(count.max())):
        here = np.flatnonzero(count > step)
        row = first[here] + step
        if step:
            # Still a customer after the booking before this one, and back after just this time.
            stayed = np.where(history.completed[row - 1][:, None, None], 1 - grid.loss, 1.0)
            waited = (at[row] - at[row - 1])[:, None, None]
            belief[here] *= stayed * grid.speed * np.exp(-grid.speed * waited)
        done = here[history.completed[row]]
        belief[done] = belief[done] @ grid.move
        belief[here] /= belief[here].sum(axis=(1, 2), keepdims=True)
    last = first + count - 1
    loss = np.where(history.completed[last][:, None, None], grid.loss, 0.0)
    lost = (belief * loss).sum(axis=(1, 2))
    silent = belief * (1 - loss) * np.exp(-grid.speed * np.maximum(since - at[last], 0)[:, None, None])
    return lost, silent


def _persons(history: History, grid: _Grid, first: Ints, count: Ints) -> Floats:
    """Posterior of somebody's inclination to miss visits, shape (customers, persons)."""
    begin, end = first[0], first[-1] + count[-1]
    owner = np.repeat(np.arange(len(first)), count)
    missed = np.bincount(owner, history.missed[begin:end], len(first))
    kept = np.bincount(owner, history.completed[begin:end], len(first))
    likely = grid.person * grid.missing ** missed[:, None] * (1 - grid.missing) ** kept[:, None]
    return likely / likely.sum(axis=1, keepdims=True)


def _grid(laws: Laws) -> _Grid:
    rate = np.geomspace(1e-4, 0.16, RATES)
    rate_prior = rate**laws.visit_rate_shape * np.exp(-rate * laws.visit_rate_days)  # Gamma, by the logarithm
    mood = np.linspace(-3.6, 3.6, MOODS)
    mood_prior = np.exp(-(mood**2) / 2)
    prior = rate_prior[:, None] * mood_prior
    memory = laws.satisfaction_memory
    move = np.exp(-((mood[None, :] - memory * mood[:, None]) ** 2) / (2 * (1 - memory**2)))
    nodes, weights = np.polynomial.hermite_e.hermegauss(PERSONS)
    weights = weights / weights.sum()
    leaving = laws.loss_intercept + laws.loss_satisfaction * mood[:, None] + laws.loss_noise * nodes
    # Lead times by their quantiles, deposits by their share.
    quantiles = np.array([NormalDist().inv_cdf((place + 0.5) / 200) for place in range(200)])
    lead = np.minimum(laws.lead_days_median * np.exp(laws.lead_days_sigma * quantiles), laws.lead_days_most)
    inclination = laws.no_show_person * nodes[:, None] + laws.no_show_intercept + laws.no_show_lead * np.log1p(lead)
    missing = (1 - laws.deposit_share) * _logistic(inclination).mean(axis=1)
    missing += laws.deposit_share * _logistic(inclination + laws.no_show_deposit).mean(axis=1)
    return _Grid(
        speed=rate[:, None] * np.exp(laws.visit_rate_satisfaction * mood),
        prior=prior / prior.sum(),
        move=move / move.sum(axis=1, keepdims=True),
        loss=(_logistic(leaving) * weights).sum(axis=1),
        missing=missing,
        person=weights,
        cancelling=float((1 - np.exp(-laws.cancel_rate * lead)).mean()),
        cancel_rate=laws.cancel_rate,
        leads=lead,
    )


def _logistic(value: Floats) -> Floats:
    return 1 / (1 + np.exp(-value))
