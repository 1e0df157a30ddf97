"""The snapshots month by month: computing some of them again, and saying which there are.

A run computes the last 24 months and its own moment in one pass (`customer_snapshots.sql`). Months from before stay as
they were; they come from here.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import sqlalchemy
from sqlalchemy import text

from bn_aura_pipelines.database.view_files import get_view
from bn_aura_pipelines.database.views import build, is_built
from bn_aura_pipelines.errors import UserError

SNAPSHOTS = "aura_features.customer_snapshots"
MOMENTS = "aura_features.snapshot_moments"

COUNT = text(f"""
    select aura_ops.bangkok_day(m.snapshot_at) as month, count(s.customer_id) as customers, count(s.churned) as known
    from {MOMENTS} as m left join {SNAPSHOTS} as s on m.snapshot_at = s.snapshot_at
    where m.snapshot_at = date_trunc('month', aura_ops.bangkok_day(m.snapshot_at)) at time zone 'Asia/Bangkok'
    group by m.snapshot_at order by m.snapshot_at
""")


@dataclass(frozen=True)
class Month:
    """The snapshot at the start of a month: customers in it, and those of whom it is known whether they left."""

    start: date
    customers: int
    labelled: int


class NotYet(UserError):
    """A month that begins after the run's moment."""


def rebuild_months(connection: sqlalchemy.Connection, first: date, end: date) -> tuple[int, list[Month]]:
    """Compute the snapshots of the months from `first` until before `end` (both first days of a month) anew, and no
    other; returns the rows written and the months. Raises NotYet, ViewError."""
    moments, snapshots = get_view(MOMENTS), get_view(SNAPSHOTS)
    if not (is_built(connection, moments) and is_built(connection, snapshots)):
        # A table of another definition is made anew: then its window comes first, or scores would miss it.
        build(connection, [moments, snapshots])
    connection.execute(text("select set_config('bn_aura.months', :m, true)"), {"m": f"[{first},{end})"})
    months = list_months(connection)
    if not months or months[-1].start < (end - timedelta(days=1)).replace(day=1):
        raise NotYet(f"A month before {end} begins after the run's moment: leave it out, or give a later as_of.")
    written = build(connection, [snapshots])[SNAPSHOTS]
    return written, list_months(connection)


def list_months(connection: sqlalchemy.Connection) -> list[Month]:
    """The months that this transaction is about: those of a backfill, else the last 24 and the present one."""
    return [Month(*row) for row in connection.execute(COUNT)]
