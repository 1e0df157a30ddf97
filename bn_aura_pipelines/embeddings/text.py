"""What is embedded: the transcript of a conversation, the profile of a lead, the profile of a customer, redacted.

Which rows need it is asked in `ledger`; what personal data looks like is known in `redaction`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from itertools import islice
from typing import Any, LiteralString
from uuid import UUID

import psycopg
import sqlalchemy
from psycopg.rows import dict_row

from bn_aura_pipelines.database.connections import psycopg_connection
from bn_aura_pipelines.embeddings.names import full_names
from bn_aura_pipelines.embeddings.providers import Entity
from bn_aura_pipelines.embeddings.redaction import redact

# Part of every hash: raise it when what is rendered or redacted changes, and everything is embedded anew.
TEMPLATE_VERSION = 1

BUDGET_STEPS_THB = (1_000, 2_500, 5_000, 10_000, 20_000, 50_000, 100_000, 250_000)
# Moves with every visit to the page or every scoring, or says nothing of what a lead wants.
SKIPPED_METADATA = frozenset({"scoring", "score", "engagementData", "engagement", "id", "utm", "embedding"})
METADATA_LINES = 40


@dataclass(frozen=True)
class Document:
    """The redacted text of one source row, and for which moments it holds: after `holds_after` until `holds_until`."""

    entity_id: UUID
    clinic_id: UUID | None
    text: str
    row_version: str
    holds_after: datetime | None
    holds_until: datetime | None

    @cached_property
    def content_hash(self) -> bytes:
        return content_hash(self.text)


def content_hash(text: str) -> bytes:
    """SHA-256 of the template's version and the redacted text."""
    return hashlib.sha256(f"{TEMPLATE_VERSION}\n{text}".encode()).digest()


def render(connection: sqlalchemy.Connection, entity: Entity, ids: Sequence[UUID]) -> list[Document]:
    """The texts of these rows as they stood at `aura_ops.as_of()`; rows that did not exist then are left out."""
    driver = psycopg_connection(connection)
    staff = staff_names(driver)
    cursor = driver.cursor(row_factory=dict_row, binary=True)
    rows = cursor.execute(QUERIES[entity], {"ids": list(ids)}).fetchall()
    strangers = {row["clinic_id"] for row in rows if entity == "conversation" and row["customer_id"] is None}
    leads = lead_names(driver, strangers) if strangers else {}
    return [_document(entity, row, staff, leads) for row in rows]


def staff_names(driver: psycopg.Connection[Any]) -> dict[UUID, tuple[str, ...]]:
    """The names of each clinic's staff at `aura_ops.as_of()`."""
    rows = driver.execute(
        'select clinic_id, array_agg(distinct full_name collate "C") from aura_staging.stg_staff'
        " where full_name <> '' group by clinic_id"
    )
    return {clinic_id: tuple(names) for clinic_id, names in rows}


def lead_names(driver: psycopg.Connection[Any], clinics: Iterable[UUID | None]) -> dict[str, datetime]:
    """Full names of the leads of some clinics, in lower case, with the first time each was entered."""
    rows = driver.execute(
        "select lower(name), min(created_at) from aura_staging.stg_leads"
        " where clinic_id = any(%s) and name like '%% %%' group by 1",
        ([clinic for clinic in clinics if clinic],),
    )
    return dict(rows.fetchall())


def context(connection: sqlalchemy.Connection) -> str:
    """A hash of what every text depends on beside its own rows: the template, the staff's names, the treatments."""
    driver = psycopg_connection(connection)
    parts = driver.execute(CONTEXT_QUERY).fetchone() or ()
    return hashlib.sha256(repr((TEMPLATE_VERSION, *parts)).encode()).hexdigest()[:16]


def _document(
    entity: Entity, row: Mapping[str, Any], staff: Mapping[UUID, tuple[str, ...]], leads: Mapping[str, datetime]
) -> Document:
    text = {"conversation": _transcript, "lead": _lead_profile, "customer": _customer_profile}[entity](row)
    stranger = entity == "conversation" and row["customer_id"] is None
    named = tuple(full_names(text, leads, row["holds_after"])) if stranger and text else ()
    return Document(
        entity_id=row["id"],
        clinic_id=row["clinic_id"],
        text=redact(text, tuple(row["private"]), staff.get(row["clinic_id"], ()), named).strip() if text else "",
        row_version=row["row_version"],
        holds_after=row["holds_after"],
        holds_until=row["holds_until"],
    )


def _transcript(row: Mapping[str, Any]) -> str:
    return row["transcript"] or ""


def _lead_profile(row: Mapping[str, Any]) -> str:
    metadata = islice(_flat(row["metadata"]), METADATA_LINES)
    return _lines(
        ("concern", row["primary_concern"]),
        ("budget", _budget(row["estimated_value_thb"])),
        ("source", row["source"] if row["primary_concern"] or row["metadata"] else None),
        *metadata,
    )


def _customer_profile(row: Mapping[str, Any]) -> str:
    return _lines(
        ("skin concerns", _listed(row["skin_concerns"])),
        ("treatments", row["treatments"]),
        ("budget for a visit", _budget(row["visit_price_thb"])),
        ("preferences", _listed(row["preferences"])),
        ("tags", _listed(row["tags"])),
        ("notes", row["notes"]),
        ("gender", row["gender"]),
        ("province", row["province"]),
    )


def _lines(*entries: tuple[str, str | None]) -> str:
    return "\n".join(f"{name}: {value}" for name, value in entries if value)


def _listed(values: Sequence[Any]) -> str:
    texts = (" ".join(str(part) for part in value.values()) if isinstance(value, dict) else value for value in values)
    return ", ".join(str(text) for text in texts if text not in (None, ""))


def _flat(value: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, part in value.items():
        if name in SKIPPED_METADATA or part is None or part in ("", [], {}):
            continue
        if isinstance(part, dict):
            yield from _flat(part, f"{prefix}{name} ")
        else:
            yield f"{prefix}{name}", _listed(part) if isinstance(part, list) else str(part)


def _budget(value: Any) -> str | None:
    """A band rather than the sum: a text that changed with every bill would be embedded with every bill."""
    if value is None or value <= 0:
        return None
    above = [step for step in BUDGET_STEPS_THB if step <= value]
    below = [step for step in BUDGET_STEPS_THB if step > value]
    if not below:
        return f"above {above[-1]} THB"
    return f"{above[-1] if above else 0} to {below[0]} THB"


CONTEXT_QUERY: LiteralString = """
select
    (
        select md5(string_agg(concat_ws('|', s.clinic_id, s.full_name), '\n' order by s.clinic_id, s.user_id))
        from aura_staging.stg_staff as s
    ),
    (
        select md5(string_agg(concat_ws('|', t.treatment_id, t.name_en, t.name_th), '\n' order by t.treatment_id))
        from aura_staging.stg_treatments as t
    )
"""

QUERIES: Mapping[Entity, LiteralString] = {
    "conversation": """
        select
            c.id,
            c.clinic_id,
            c.xmin::text as row_version,
            said.transcript,
            c.customer_id,
            array[k.full_name, k.nickname, k.email, k.phone, k.customer_code, u.full_name] as private,
            greatest(c.created_at, said.last_at) as holds_after,
            -- Only where some element is missing can one of them be a message that has not been sent yet.
            case when jsonb_typeof(c.messages) = 'array' and jsonb_array_length(c.messages) > said.messages then (
                select min(later.sent_at)
                from jsonb_array_elements(c.messages) as element
                cross join aura_ops.try_timestamptz(element ->> 'timestamp') as later (sent_at)
                where jsonb_typeof(element) = 'object' and later.sent_at >= aura_ops.as_of()
            ) end as holds_until
        from public.customer_conversations as c
        left join aura_staging.stg_customers as k on k.customer_id = c.customer_id
        left join aura_staging.source_users as u on u.id = c.sales_staff_id and u.created_at < aura_ops.as_of()
        cross join lateral (
            select
                string_agg(m.role || ': ' || m.content, e'\n' order by m.position) as transcript,
                count(*) as messages,
                max(m.sent_at) as last_at
            from aura_staging.stg_messages as m
            where m.conversation_id = c.id
        ) as said
        where c.id = any(%(ids)s) and c.created_at < aura_ops.as_of()
    """,
    "lead": """
        select
            l.lead_id as id,
            l.clinic_id,
            t.xmin::text as row_version,
            l.primary_concern,
            l.estimated_value_thb,
            l.source,
            l.metadata,
            array[l.name, l.email, l.phone] as private,
            l.created_at as holds_after,
            null::timestamptz as holds_until
        from aura_staging.stg_leads as l
        join public.sales_leads as t on t.id = l.lead_id
        where l.lead_id = any(%(ids)s)
    """,
    "customer": """
        with visits as (
            select
                a.customer_id,
                a.treatment_ids,
                nullif(a.total_price_thb, 0) as price_thb,
                greatest(a.created_at, a.visit_at) as known_at
            from aura_staging.stg_appointments as a
            where a.customer_id = any(%(ids)s) and a.status = 'completed'
        ),

        visited as (
            select customer_id, avg(price_thb) as price_thb, max(known_at) as last_at from visits group by customer_id
        ),

        treated as (
            select
                v.customer_id,
                concat_ws(' ', t.name_en, nullif(t.name_th, t.name_en)) collate "C" as label,
                count(*) as times
            from visits as v
            cross join lateral jsonb_array_elements_text(v.treatment_ids) as chosen (treatment_id)
            join aura_staging.stg_treatments as t on t.treatment_id::text = chosen.treatment_id
            group by v.customer_id, t.treatment_id, t.name_en, t.name_th
        ),

        ranked as (
            select *, row_number() over (partition by customer_id order by times desc, label) as place from treated
        ),

        listed as (
            select customer_id, string_agg(label, ', ' order by place) as treatments
            from ranked
            where place <= 30
            group by customer_id
        ),

        -- The session's zone is Bangkok's: the same moment as stg_appointments gives.
        coming as (
            select
                a.customer_id,
                min(greatest(a.created_at, (a.appointment_date + a.start_time)::timestamptz)) as next_at
            from aura_staging.source_appointments as a
            where a.customer_id = any(%(ids)s) and a.status = 'completed'
                and greatest(a.created_at, (a.appointment_date + a.start_time)::timestamptz) >= aura_ops.as_of()
            group by a.customer_id
        )

        select
            k.customer_id as id,
            k.clinic_id,
            t.xmin::text as row_version,
            k.skin_concerns,
            k.tags,
            k.notes,
            k.gender,
            k.province,
            listed.treatments,
            visited.price_thb as visit_price_thb,
            array_remove(
                array[p.language, p.best_contact_time] || coalesce(p.preferred_channels, '{}'), null
            ) as preferences,
            array[k.full_name, k.nickname, k.email, k.phone, k.customer_code] as private,
            greatest(k.created_at, visited.last_at) as holds_after,
            coming.next_at as holds_until
        from aura_staging.stg_customers as k
        join public.customers as t on t.id = k.customer_id
        left join visited on visited.customer_id = k.customer_id
        left join listed on listed.customer_id = k.customer_id
        left join coming on coming.customer_id = k.customer_id
        left join aura_staging.source_customer_preferences as p
            on p.customer_id = k.customer_id and coalesce(p.created_at < aura_ops.as_of(), true)
        where k.customer_id = any(%(ids)s)
    """,
}
