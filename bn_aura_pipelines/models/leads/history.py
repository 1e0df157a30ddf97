"""Records the stages of leads over time. What is counted from them belongs to `dbt_like_views/marts/sales_funnel.sql`.

Temperatures (cold, warm, hot) are no stages: a lead that gets one stays at the stage it had.
"""

from __future__ import annotations

import csv
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import sqlalchemy
from sqlalchemy import text

from bn_aura_pipelines.errors import UserError

STAGES = ("new", "contacted", "qualified", "proposal_sent", "negotiation", "won", "lost")

# At first sight: new since it was entered, contacted since the last contact, the present stage since the last change.
FIRST_SIGHT = """
    with unseen as (
        select
            lead_id,
            stage,
            created_at,
            stage_changed_at,
            case
                when stage <> 'new' and last_contacted_at between created_at and stage_changed_at
                    then last_contacted_at
                when stage = 'contacted' then stage_changed_at
            end as contacted_at
        from aura_staging.stg_leads as l
        where not exists (select from aura_ops.lead_stage_history as h where h.lead_id = l.lead_id)
    ),

    stays as (
        select lead_id, 1 as position, 'new' as stage, created_at as valid_from
        from unseen
        union all
        select lead_id, 2, 'contacted', contacted_at
        from unseen
        where contacted_at is not null
        union all
        select lead_id, case when contacted_at is null then 2 else 3 end, stage, stage_changed_at
        from unseen
        where stage not in ('new', 'contacted')
    )

    insert into aura_ops.lead_stage_history (lead_id, position, stage, valid_from, valid_to, observed, recorded_at)
    select
        lead_id,
        position,
        stage,
        valid_from,
        lead(valid_from) over (partition by lead_id order by position),
        false,
        aura_ops.as_of()
    from stays
"""

# Since the last run: another stage than the present one. A temperature says at most that contact was made.
CHANGES = """
    with changed as materialized (
        select
            l.lead_id,
            h.position,
            l.stage,
            case
                when l.status in ('cold', 'warm', 'hot') and l.last_contacted_at > h.valid_from then l.last_contacted_at
                when l.status not in ('cold', 'warm', 'hot') and l.stage_changed_at > h.valid_from
                    then l.stage_changed_at
                else aura_ops.as_of()
            end as moment
        from aura_staging.stg_leads as l
        inner join aura_ops.lead_stage_history as h on l.lead_id = h.lead_id and h.valid_to is null
        where
            l.stage <> h.stage
            and (l.status not in ('cold', 'warm', 'hot') or (l.stage = 'contacted' and h.stage = 'new'))
    ),

    ended as (
        update aura_ops.lead_stage_history as h set valid_to = c.moment
        from changed as c
        where h.lead_id = c.lead_id and h.position = c.position
    )

    insert into aura_ops.lead_stage_history (lead_id, position, stage, valid_from, valid_to, observed, recorded_at)
    select lead_id, position + 1, stage, moment, null, true, aura_ops.as_of()
    from changed
"""


@dataclass(frozen=True)
class RecordingResult:
    """Leads seen for the first time and changes since. `skipped`: a later moment was recorded before."""

    first_seen: int
    changes: int
    skipped: bool = False


@dataclass(frozen=True)
class StageChange:
    """One line of a history kept elsewhere: the lead reached this stage at this moment."""

    lead_id: str
    stage: str
    moment: datetime


class HistoryRefused(UserError):
    """A file that is no history of lead stages; nothing of it was taken over."""


def read_changes(path: Path) -> list[StageChange]:
    """The changes in a CSV file with the columns lead_id, stage and moment (ISO 8601 with a zone).

    Raises HistoryRefused, naming the first line that says something else.
    """
    found: list[StageChange] = []
    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            rows = csv.DictReader(lines)
            missing = {"lead_id", "stage", "moment"} - set(rows.fieldnames or ())
            if missing:
                name = sorted(missing)[0]
                raise HistoryRefused(f"{path.name} has no column {name}: lead_id, stage and moment are needed.")
            for row in rows:
                found.append(_change(row, f"{path.name}, line {rows.line_num}"))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise HistoryRefused(f"{path} cannot be read as CSV ({error}): save it as CSV in UTF-8.") from error
    return found


def _change(row: dict[str, str | None], place: str) -> StageChange:
    lead, stage, moment = ((row[name] or "").strip() for name in ("lead_id", "stage", "moment"))
    try:
        lead = str(uuid.UUID(lead))
    except ValueError:
        raise HistoryRefused(f"{place}: {lead!r} is no lead's id: write the UUID of sales_leads.id.") from None
    if stage not in STAGES:
        raise HistoryRefused(f"{place}: {stage!r} is no stage: one of {', '.join(STAGES)}.")
    try:
        when = datetime.fromisoformat(moment)
    except ValueError:
        when = None
    if when is None or when.tzinfo is None:
        raise HistoryRefused(f"{place}: {moment!r} is no moment with a zone, such as 2026-05-01T10:00:00+07:00.")
    return StageChange(lead, stage, when)


def record(connection: sqlalchemy.Connection) -> RecordingResult:
    """Record what changed up to the run's moment; again at the same moment nothing changes. About a moment before what
    was recorded nothing is done: history is not rewritten."""
    connection.execute(text("select pg_advisory_xact_lock(hashtext('bn_aura lead stage history'))"))
    later = connection.execute(
        text("select exists (select from aura_ops.lead_stage_history where recorded_at > aura_ops.as_of())")
    ).scalar_one()
    if later:
        return RecordingResult(0, 0, skipped=True)
    changes = connection.execute(text(CHANGES)).rowcount
    connection.execute(text(FIRST_SIGHT))
    first_seen = connection.execute(
        text(
            "select count(distinct lead_id) from aura_ops.lead_stage_history"
            " where recorded_at = aura_ops.as_of() and position = 1"
        )
    ).scalar_one()
    return RecordingResult(first_seen=first_seen, changes=changes)


def import_history(connection: sqlalchemy.Connection, changes: Iterable[StageChange]) -> int:
    """Take over a history kept elsewhere: it replaces what was inferred or recorded of these leads, and counts as
    recorded when it happened. Changes after the run's moment and of unknown leads are left out. Returns the stays
    written."""
    ordered = sorted(changes, key=lambda change: (change.lead_id, change.moment))
    if not ordered:
        return 0
    ids = sorted({change.lead_id for change in ordered})
    connection.execute(
        text("delete from aura_ops.lead_stage_history where lead_id = any(cast(:ids as uuid[]))"), {"ids": ids}
    )
    result = connection.execute(
        text(
            """
            with told as (
                select
                    lead_id,
                    stage,
                    moment,
                    number,
                    lag(stage) over (partition by lead_id order by number) as before
                from unnest(cast(:ids as uuid[]), cast(:stages as text[]), cast(:moments as timestamptz[]))
                with ordinality as t (lead_id, stage, moment, number)
                where moment < aura_ops.as_of() and lead_id in (select id from public.sales_leads)
            )

            insert into aura_ops.lead_stage_history
                (lead_id, position, stage, valid_from, valid_to, observed, recorded_at)
            select
                lead_id,
                row_number() over (partition by lead_id order by number),
                stage,
                moment,
                lead(moment) over (partition by lead_id order by number),
                true,
                moment
            from told
            where stage is distinct from before
            """
        ),
        {
            "ids": [change.lead_id for change in ordered],
            "stages": [change.stage for change in ordered],
            "moments": [change.moment for change in ordered],
        },
    )
    return result.rowcount
