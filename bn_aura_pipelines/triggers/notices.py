"""What stays in the house: notifications and tasks, each written once in the transaction that closes its message.

Into `aura_marts.notifications` always; where sending is live also into the application's `notifications` and
`workflow_tasks`, if these exist.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import psycopg
import sqlalchemy
from psycopg import sql
from psycopg.types.json import Jsonb
from sqlalchemy import text

from bn_aura_pipelines.database.connections import Database, psycopg_connection
from bn_aura_pipelines.settings import Settings
from bn_aura_pipelines.triggers.rendering import Notice, TemplateRefused, read_template, render_notice

log = logging.getLogger(__name__)

BATCH = 500

DUE = """
    select
        o.message_id,
        o.event_id,
        o.clinic_id,
        o.rule,
        o.action,
        o.recipient_id,
        o.priority,
        e.subject_type,
        e.subject_id,
        e.customer_id,
        e.value,
        r.template,
        case
            when o.expires_at <= aura_ops.as_of() then 'not delivered in time'
            when not coalesce(r.is_active, false) then 'the rule was switched off'
            when s.user_id is null then 'the recipient is no longer on the staff'
            when e.customer_id is not null and p.customer_id is null then 'the customer no longer exists'
            when p.contact_obstacle is not null then p.contact_obstacle
            when e.subject_type = 'lead' and coalesce(l.stage, 'lost') in ('won', 'lost')
                then 'the lead is no longer open'
        end as obstacle,
        coalesce(r.dry_run, false) as dry_run
    from aura_ops.outbox as o
    inner join aura_ops.trigger_events as e on o.event_id = e.event_id
    left join aura_ops.rules_by_clinic as r on o.clinic_id = r.clinic_id and o.rule = r.rule
    left join aura_staging.stg_staff as s on o.clinic_id = s.clinic_id and o.recipient_id = s.user_id and s.is_active
    left join aura_staging.stg_contact_permissions as p on e.customer_id = p.customer_id
    left join aura_staging.stg_leads as l on e.subject_type = 'lead' and e.subject_id = l.lead_id
    where o.message_id = any(:messages)
    order by o.priority desc, o.decided_at, o.message_id
"""

FREE = """
    select message_id from aura_ops.outbox
    where action in ('notify', 'create_task') and status = 'waiting' and not_before <= aura_ops.as_of()
    order by priority desc, decided_at, message_id
    limit :batch
    for update skip locked
"""

SHOW = """
    insert into aura_marts.notifications (
        clinic_id, event_id, recipient_user_id, type, subject_type, subject_id, title_en, title_th, message_en,
        message_th, link, priority, created_at
    ) values (
        :clinic_id, :event_id, :recipient_id, :rule, :subject_type, :subject_id, :title_en, :title_th, :message_en,
        :message_th, :link, :priority, aura_ops.as_of()
    )
    on conflict do nothing
"""

CLOSE = """
    update aura_ops.outbox set
        status = :status,
        reason = :reason,
        sent_at = case when :status = 'sent' then aura_ops.as_of() end,
        finished_at = aura_ops.as_of(),
        attempts = attempts + 1
    where message_id = :message_id
"""


def deliver_notices(database: Database, settings: Settings, moment: datetime | None = None) -> Counter[str]:
    """Deliver every notification and task that is due; how many came to which status."""
    outcomes: Counter[str] = Counter()
    while True:
        with database.begin(moment) as connection:
            messages = connection.execute(text(FREE), {"batch": BATCH}).scalars().all()
            rows = connection.execute(text(DUE), {"messages": list(messages)}).mappings().all()
            for row in rows:
                status, reason = _deliver(connection, row, settings.send == "live")
                connection.execute(text(CLOSE), {"message_id": row["message_id"], "status": status, "reason": reason})
                outcomes[status] += 1
        if not messages:
            return outcomes


def _deliver(connection: sqlalchemy.Connection, row: sqlalchemy.RowMapping, is_live: bool) -> tuple[str, str | None]:
    """The status that the message comes to, and why."""
    if row["obstacle"]:
        return ("expired" if row["obstacle"] == "not delivered in time" else "suppressed"), row["obstacle"]
    try:
        notices = {
            language: render_notice(read_template(connection, row["template"], language), row["value"])
            for language in ("en", "th")
        }
    except TemplateRefused as error:
        return "dead", str(error)
    if row["dry_run"]:
        return "dry_run", "rendered, not shown"
    link = f"/{row['subject_type']}s/{row['subject_id']}"
    shown = {
        f"{part}_{language}": getattr(notice, part)
        for language, notice in notices.items()
        for part in ("title", "message")
    }
    connection.execute(text(SHOW), {**row, **shown, "link": link})
    return "sent", _tell_application(connection, row, notices["th"], link) if is_live else None


def _tell_application(
    connection: sqlalchemy.Connection, row: sqlalchemy.RowMapping, notice: Notice, link: str
) -> str | None:
    """Write where the application's own pages read; why not, where that fails: ours is shown all the same."""
    details = Jsonb({"event_id": str(row["event_id"]), "rule": row["rule"], "subject_id": str(row["subject_id"])})
    values: dict[str, Any] = {
        "id": row["message_id"],
        "clinic_id": row["clinic_id"],
        "title": notice.title[:200],
        "metadata": details,
    }
    if row["action"] == "create_task":
        about = {"customer": "customer_id", "lead": "lead_id"}.get(row["subject_type"])
        assignee = dict.fromkeys(("assigned_to", "assignee_id", "assigned_user_id", "user_id"), row["recipient_id"])
        task = {**values, **assignee, "description": notice.message, "task_type": row["rule"][:50]}
        return _insert(connection, "workflow_tasks", task | ({about: row["subject_id"]} if about else {}))
    return _insert(
        connection,
        "notifications",
        {
            **values,
            "user_id": row["recipient_id"],
            "type": row["rule"][:50],
            "message": notice.message,
            "link": link,
            "is_read": False,
        },
    )


def _insert(connection: sqlalchemy.Connection, table: str, values: Mapping[str, Any]) -> str | None:
    """Insert those of the values that the application's table has a column for; once, since the id is the message's."""
    columns = set(
        connection.execute(
            text(
                "select attname from pg_attribute where attrelid = to_regclass(:table) and attnum > 0"
                " and not attisdropped"
            ),
            {"table": f"public.{table}"},
        ).scalars()
    )
    if not columns:
        return None
    if "id" not in columns:
        return f"the application's {table} has no column id"
    chosen = {name: value for name, value in values.items() if name in columns}
    query = sql.SQL("insert into {} ({}) values ({}) on conflict (id) do nothing").format(
        sql.Identifier("public", table),
        sql.SQL(", ").join(map(sql.Identifier, chosen)),
        sql.SQL(", ").join([sql.Placeholder()] * len(chosen)),
    )
    driver = psycopg_connection(connection)
    try:
        with driver.transaction():
            driver.execute(query, list(chosen.values()))
    except (psycopg.errors.IntegrityError, psycopg.errors.DataError, psycopg.ProgrammingError) as error:
        # Such as a recipient without a profile there, or a column that only that installation requires.
        log.warning("the application's %s did not take a row: %s", table, type(error).__name__)
        return f"the application's {table} did not take it: {type(error).__name__}"
    return None
