"""The snapshots of made-up customers against the same features counted in plain Python."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import pytest

from bn_aura_pipelines.database.connections import Database
from bn_aura_pipelines_tests.features.test_snapshots import (
    BANGKOK,
    EARLY,
    START,
    add_clinic,
    add_message,
    add_visit,
    execute,
    features,
)

DAY = timedelta(days=1)
CUSTOMERS = 12
AS_OF = EARLY + timedelta(days=90)  # the last moment's label has just become known


@dataclass(frozen=True)
class Booking:
    at: datetime
    status: str
    entered: datetime
    price: int


def days(length: timedelta) -> float:
    return length / DAY


def expected(bookings: Sequence[Booking], said: Sequence[tuple[datetime, datetime]]) -> dict[str, object] | None:
    """What was known at EARLY of one customer; None when no completed visit was."""
    known = sorted((b for b in bookings if b.entered < EARLY), key=lambda b: b.at)
    past = [b for b in known if b.at < EARLY]
    came = [b for b in past if b.status == "completed"]
    if not came:
        return None

    def within(found: Sequence[Booking], length: int) -> list[Booking]:
        return [b for b in found if b.at >= EARLY - length * DAY]

    on_time = [b for b in came if b.entered <= b.at]
    gaps = [
        (b.at.astimezone(BANGKOK).date() - a.at.astimezone(BANGKOK).date()).days for a, b in itertools.pairwise(on_time)
    ]
    mean_gap = statistics.fmean(gaps) if gaps else None
    recency = days(EARLY - came[-1].at)
    booked_ahead = [b for b in known if b.at >= EARLY]
    heard = [sent for sent, entered in said if max(sent, entered) < EARLY]
    followed = [b for b in bookings if b.status == "completed" and EARLY <= b.at < EARLY + 90 * DAY]
    return {
        "is_active": bool(within(came, 365)),
        "recency_days": recency,
        "tenure_days": days(EARLY - came[0].at),
        "visits": len(came),
        "visits_90d": len(within(came, 90)),
        "visits_180d": len(within(came, 180)),
        "visits_365d": len(within(came, 365)),
        "same_month_last_year": len([b for b in within(came, 365) if b.at < EARLY - 275 * DAY]),
        "gap_mean_days": mean_gap,
        "gap_std_days": statistics.stdev(gaps) if len(gaps) > 1 else None,
        "lateness": recency / mean_gap if mean_gap else None,
        "revenue_thb": sum(b.price for b in came),
        "revenue_90d_thb": sum(b.price for b in within(came, 90)),
        "revenue_365d_thb": sum(b.price for b in within(came, 365)),
        "ticket_thb": sum(b.price for b in came) / len(came),
        "last_ticket_thb": came[-1].price,
        "cancellations_365d": len([b for b in within(past, 365) if b.status == "cancelled"]),
        "no_shows_365d": len([b for b in within(past, 365) if b.status == "no_show"]),
        "days_since_booking": days(EARLY - past[-1].at),
        "has_booking_ahead": int(bool(booked_ahead)),
        "booking_ahead_days": days(booked_ahead[0].at - EARLY) if booked_ahead else None,
        "conversations_90d": len([sent for sent in heard if sent >= EARLY - 90 * DAY]),
        "customer_messages_90d": len([sent for sent in heard if sent >= EARLY - 90 * DAY]),
        "days_since_message": days(EARLY - max(heard)) if heard else None,
        "churned": not followed,
    }


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_snapshots_equal_what_plain_python_counts(database: Database, seed: int) -> None:
    rng = np.random.default_rng(seed)
    add_clinic(database, CUSTOMERS, START - timedelta(days=700))
    edges = [EARLY - length * DAY for length in (0, 90, 180, 275, 365)] + [AS_OF]
    edges += [EARLY.replace(hour=hour, minute=minute) - DAY for hour, minute in ((0, 0), (6, 59), (7, 0), (23, 59))]
    wanted = {}
    for customer in range(CUSTOMERS):
        # On the edges of the windows, a minute to their left, and anywhere.
        times = {edges[int(i)] for i in rng.integers(0, len(edges), 3)}
        times |= {edges[int(i)] - timedelta(minutes=1) for i in rng.integers(0, len(edges), 3)}
        times |= {EARLY + timedelta(minutes=int(m)) for m in rng.integers(-600 * 1440, 110 * 1440, 6)}
        bookings, said = [], []
        for at in sorted(times):
            status = str(rng.choice(["completed", "completed", "completed", "cancelled", "no_show"]))
            entered = at - timedelta(days=int(rng.integers(-20, 60)), hours=1)
            bookings.append(Booking(at, status, entered, int(rng.integers(0, 9000))))
            add_visit(database, customer, at, status, entered, bookings[-1].price)
        for at in list(times)[:4]:
            said.append((at, at + timedelta(days=int(rng.integers(-30, 10)))))
            add_message(database, customer, *said[-1])
        wanted[customer] = expected([b for b in bookings if b.entered < AS_OF], said)
    features(database, AS_OF, EARLY)
    name = "select md5('customer' || %s)::uuid::text"
    rows = execute(database, "select to_jsonb(s) from aura_features.customer_snapshots s where snapshot_at = %s", EARLY)
    assert len(rows) > CUSTOMERS / 2
    found = {row["customer_id"]: row for (row,) in rows}
    for customer, features_of in wanted.items():
        row = found.pop(execute(database, name, customer)[0][0], None)
        if features_of is None:
            assert row is None
            continue
        assert row is not None
        for column, value in features_of.items():
            if isinstance(value, float | int) and not isinstance(value, bool):
                assert row[column] is not None and math.isclose(row[column], value, rel_tol=1e-9), (customer, column)
            else:
                assert row[column] == value, (customer, column)
    assert not found
