"""Rows of appointments, as they stand at the moment, with their dirt: vanished treatments, priced cancellations."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from bn_aura_pipelines.sources.sample.catalogue import CHANNELS, TREATMENTS
from bn_aura_pipelines.sources.sample.choices import KINDS
from bn_aura_pipelines.sources.sample.tables import draw_ids, stream, take
from bn_aura_pipelines.sources.sample.visits import CANCELLED, COMPLETED
from bn_aura_pipelines.sources.sample.world import World

STATUSES = ("completed", "no_show", "cancelled", "scheduled", "confirmed", "in_progress")
PACKAGES = ("none", "bought", "used")
DAY_SECONDS = 86_400


def appointment_table(world: World) -> dict[str, Any]:
    """Columns of appointments booked before the moment; what becomes of later ones is not told."""
    visits, laws, calendar, chain = world.visits, world.laws, world.calendar, world.chain
    rng = stream(world.seed, "appointment rows")
    known = np.flatnonzero(visits.booked < calendar.as_of)
    count = len(known)
    begins, booked, outcome = visits.begins[known], visits.booked[known], visits.outcome[known]
    ends = begins + visits.minutes[known] / 1440
    cancelled = visits.cancelled[known]
    confirmed = rng.random(count) < 0.45
    status = np.where(begins < calendar.as_of, outcome, np.where(confirmed, 4, 3))
    status = np.where((status == COMPLETED) & (ends >= calendar.as_of), 5, status)
    status = np.where((outcome == CANCELLED) & (cancelled < calendar.as_of), CANCELLED, status)

    changed = np.where(status == COMPLETED, ends, np.where(status == CANCELLED, cancelled, booked))
    changed = np.where(np.isin(status, (1, 5)), begins, changed)
    not_revenue = np.isin(status, (1, 2))
    price = np.where(not_revenue & (rng.random(count) >= laws.cancelled_price_share), 0, visits.price[known])
    vanished = rng.random(count) < laws.vanished_treatment_share
    treatments, services = _bookings(world)
    width = len(TREATMENTS) + 1
    combination = (visits.treatment[known] + 1) * width + visits.extra[known] + 1
    metadata = [
        json.dumps({"channel": channel, "deposit": deposit} | ({} if package == "none" else {"package": package}))
        for channel in CHANNELS
        for deposit in (False, True)
        for package in PACKAGES
    ]
    second = np.round(np.mod(begins, 1) * DAY_SECONDS).astype(np.int32)
    return {
        "id": draw_ids(world.seed, "appointments", count),
        "clinic_id": take(chain.clinic_ids, world.customers.clinic[visits.customer[known]]),
        "customer_id": take(world.customer_ids, visits.customer[known]),
        "staff_id": take(chain.staff_ids, visits.staff[known]),
        "appointment_code": [f"AP{number:08d}" for number in range(1, count + 1)],
        "appointment_type": take(KINDS, visits.kind[known]),
        "status": take(STATUSES, status),
        "appointment_date": calendar.dates(begins),
        "start_time": _time(second),
        "end_time": _time(second + visits.minutes[known].astype(np.int32) * 60),
        "treatment_ids": take(treatments, combination + np.where(vanished, width * width, 0)),
        "services": take(services, combination),
        "total_price": price,
        "reminder_sent": (begins - 1 < calendar.as_of) & (begins - booked > 1),
        "metadata": take(metadata, (visits.channel[known] * 2 + visits.deposit[known]) * 3 + visits.package[known]),
        "created_at": calendar.timestamps(booked),
        "updated_at": calendar.timestamps(changed),
    }


def _time(second: np.ndarray) -> Any:
    import pyarrow as pa

    return pa.array(second.astype(np.int32), pa.int32()).cast(pa.time32("s"))


def _bookings(world: World) -> tuple[list[str], list[str]]:
    """treatment_ids and services for each pair of treatments, then treatment_ids with one that no longer exists."""
    ids = world.chain.treatment_ids
    gone = draw_ids(world.seed, "vanished treatment", 1)
    pairs = [
        [place for place in (first, second) if place >= 0]
        for first in range(-1, len(ids))
        for second in range(-1, len(ids))
    ]
    plain = [json.dumps([ids[place] for place in pair]) for pair in pairs]
    dirty = [json.dumps([ids[place] for place in pair] + gone) for pair in pairs]
    services = [json.dumps([{"name": TREATMENTS[place].name_en} for place in pair]) for pair in pairs]
    return plain + dirty, services
