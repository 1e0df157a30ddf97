"""The outbox: which e-mails may leave now, leased to one worker each, and what became of them.

Everything that could stand against a message is asked again here, at send time. Nothing is sent from here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy
from sqlalchemy import text

LEASE = timedelta(minutes=2)
MOST_ATTEMPTS = 8
# The provider keeps an idempotency key for 24 hours: an hour before that nobody knows any more what asking again does.
CERTAIN_FOR = timedelta(hours=23)

# A lease is void once its time is over or its worker is dead. One that ends later than any lease may was given by a
# clock that has since jumped back.
IS_VOID = """
    not o.lease_until between aura_ops.as_of() and aura_ops.as_of() + :lease
    or o.lease_owner not in (
        select (l.classid::bigint << 32) | l.objid::bigint
        from pg_locks as l
        where l.locktype = 'advisory' and l.objsubid = 1 and l.granted
            and l.database = (select d.oid from pg_database as d where d.datname = current_database())
    )
"""
IS_FREE = f"""
    (o.status = 'waiting' and o.not_before <= aura_ops.as_of()) or (o.status = 'sending' and ({IS_VOID}))
"""

TOO_LATE = f"""
    update aura_ops.outbox as o set
        status = case when o.uncertain_since is null then 'expired' else 'unknown' end,
        reason = case
            when o.uncertain_since is null then 'not sent in time'
            else 'may have been sent; the provider no longer knows the key'
        end,
        finished_at = aura_ops.as_of(),
        fence = null
    where o.action = 'send_email'
        and (o.status = 'waiting' or (o.status = 'sending' and ({IS_VOID})))
        and (
            (o.uncertain_since is null and o.expires_at <= aura_ops.as_of())
            or o.uncertain_since <= aura_ops.as_of() - :certain
            or o.uncertain_since > aura_ops.as_of() + :lease
        )
"""

# Fair between clinics: one message of each before the second of any, beginning with who was served longest ago.
CHOOSE = f"""
    with clinics as (
        select
            c.clinic_id,
            (select max(o.fence) from aura_ops.outbox as o where o.clinic_id = c.clinic_id) as last_fence
        from (
            select distinct clinic_id from aura_ops.outbox
            where status in ('waiting', 'sending') and action = 'send_email'
        ) as c
    ),

    first_of_each as (
        select c.clinic_id, c.last_fence, x.message_id, x.place
        from clinics as c
        cross join lateral (
            select
                o.message_id,
                row_number() over (order by o.priority desc, o.not_before, o.message_id) as place
            from aura_ops.outbox as o
            where o.clinic_id = c.clinic_id and o.action = 'send_email' and ({IS_FREE})
            order by o.priority desc, o.not_before, o.message_id
            limit :batch
        ) as x
    )

    select o.message_id
    from aura_ops.outbox as o
    inner join (
        select * from first_of_each order by place, last_fence nulls first, clinic_id limit :batch
    ) as chosen on o.message_id = chosen.message_id
    where {IS_FREE}
    order by chosen.place, chosen.last_fence nulls first, chosen.clinic_id
    for update of o skip locked
"""

# Sent, or under way right now: what counts towards a cap.
COUNTED = "status in ('sending', 'sent', 'delivered', 'bounced', 'complained', 'unknown')"

LOOK = f"""
    select
        o.message_id,
        o.clinic_id,
        o.recipient_id,
        o.rule,
        o.attempts,
        o.uncertain_since,
        o.body,
        r.template,
        r.purpose,
        coalesce(r.dry_run, false) as dry_run,
        p.email,
        p.language,
        coalesce(nullif(trim(c.nickname), ''), split_part(trim(c.full_name), ' ', 1)) as customer_name,
        k.name_th,
        k.name_en,
        k.clinic_code,
        case
            when not coalesce(r.is_active, false) then 'the rule was switched off'
            when p.customer_id is null then 'the customer no longer exists'
            when p.contact_obstacle is not null then p.contact_obstacle
            when p.email_obstacle is not null then p.email_obstacle
            when r.purpose = 'marketing' and p.marketing_obstacle is not null then p.marketing_obstacle
            when sent.last_week >= p.max_weekly_contacts then 'weekly cap over all rules reached'
            when sent.last_month >= p.max_monthly_contacts then 'monthly cap over all rules reached'
        end as obstacle,
        aura_ops.quiet_until(aura_ops.as_of(), r.quiet_from, r.quiet_until) as quiet_until
    from aura_ops.outbox as o
    left join aura_ops.rules_by_clinic as r on o.clinic_id = r.clinic_id and o.rule = r.rule
    left join aura_staging.stg_contact_permissions as p on o.recipient_id = p.customer_id and o.clinic_id = p.clinic_id
    left join aura_staging.stg_customers as c on p.customer_id = c.customer_id
    left join aura_staging.stg_clinics as k on o.clinic_id = k.clinic_id
    cross join lateral (
        select
            count(*) filter (where coalesce(s.sent_at, aura_ops.as_of()) > aura_ops.as_of() - interval '7 days')
                as last_week,
            count(*) as last_month
        from aura_ops.outbox as s
        where s.recipient_id = o.recipient_id and s.action = 'send_email' and s.message_id <> o.message_id
            and s.{COUNTED}
            and coalesce(s.sent_at, s.finished_at, aura_ops.as_of()) > aura_ops.as_of() - interval '30 days'
    ) as sent
    where o.message_id = any(:messages)
    order by array_position(cast(:messages as uuid[]), o.message_id)
"""


@dataclass(frozen=True)
class Candidate:
    """A message that is free, and all that decides about it and goes into it."""

    message_id: UUID
    clinic_id: UUID
    recipient_id: UUID
    rule: str
    attempts: int
    uncertain_since: datetime | None
    body: bytes | None
    template: str | None
    purpose: str | None
    dry_run: bool
    email: str | None
    language: str | None
    customer_name: str | None
    name_th: str | None
    name_en: str | None
    clinic_code: str | None
    obstacle: str | None
    quiet_until: datetime | None


@dataclass(frozen=True)
class Lease:
    """A message that this worker may send, under a fencing number. `was_uncertain`: since when it may have left."""

    message_id: UUID
    fence: int
    attempts: int
    was_uncertain: datetime | None
    request: Mapping[str, Any]


def lock_claims(connection: sqlalchemy.Connection) -> None:
    """Claims take turns, until the transaction ends: caps count what others are just sending."""
    connection.execute(text("select pg_advisory_xact_lock(hashtext('bn_aura outbox'))"))


def close_late(connection: sqlalchemy.Connection) -> int:
    """Give up what is past its time, or past the time for which the provider remembers; the number of them."""
    return connection.execute(text(TOO_LATE), {"lease": LEASE, "certain": CERTAIN_FOR}).rowcount


def choose(connection: sqlalchemy.Connection, batch: int) -> list[Candidate]:
    """Up to `batch` free messages, locked until the transaction ends, at most one a recipient."""
    ids = connection.execute(text(CHOOSE), {"batch": batch, "lease": LEASE}).scalars().all()
    rows = connection.execute(text(LOOK), {"messages": list(ids)}).mappings()
    first: dict[UUID, Candidate] = {}
    for row in rows:
        candidate = Candidate(**{**row, "body": bytes(row["body"]) if row["body"] is not None else None})
        first.setdefault(candidate.recipient_id, candidate)
    return list(first.values())


def lease(connection: sqlalchemy.Connection, candidate: Candidate, request: Mapping[str, Any], owner: int) -> Lease:
    """Mark it as being sent by the caller, with the request as it will go out."""
    fence = connection.execute(
        text(
            "update aura_ops.outbox set status = 'sending', fence = nextval('aura_ops.outbox_fence'),"
            " lease_until = aura_ops.as_of() + :lease, lease_owner = :owner,"
            " attempts = attempts + 1, body = :body, language = :language,"
            " uncertain_since = coalesce(uncertain_since, aura_ops.as_of()), reason = null"
            " where message_id = :message returning fence"
        ),
        {
            "lease": LEASE,
            "owner": owner,
            "body": to_bytes(request),
            "language": candidate.language,
            "message": candidate.message_id,
        },
    ).scalar_one()
    return Lease(candidate.message_id, fence, candidate.attempts + 1, candidate.uncertain_since, request)


def to_bytes(request: Mapping[str, Any]) -> bytes:
    """The request as it is stored."""
    return json.dumps(request, ensure_ascii=False).encode()


def close(
    connection: sqlalchemy.Connection, message_id: UUID, status: str, reason: str | None, body: bytes | None = None
) -> None:
    """A message that is not being sent comes to its end without having left."""
    connection.execute(
        text(
            "update aura_ops.outbox set status = :status, reason = :reason, finished_at = aura_ops.as_of(),"
            " body = coalesce(:body, body), fence = null where message_id = :message"
        ),
        {"status": status, "reason": reason, "body": body, "message": message_id},
    )


def defer(connection: sqlalchemy.Connection, message_id: UUID, until: datetime) -> None:
    """A message waits until a moment; a lease that had run out is over."""
    connection.execute(
        text(
            "update aura_ops.outbox set status = 'waiting', not_before = :until, reason = 'quiet hours', fence = null"
            " where message_id = :message"
        ),
        {"until": until, "message": message_id},
    )


def accepted(connection: sqlalchemy.Connection, lease: Lease, provider_id: str) -> bool:
    """Note that the provider took it; False where the lease has gone to somebody else, who will learn the same."""
    return _under_lease(
        connection,
        lease,
        "status = 'sent', provider_id = :provider, sent_at = aura_ops.as_of(), finished_at = aura_ops.as_of()",
        provider=provider_id,
    )


def given_up(connection: sqlalchemy.Connection, lease: Lease, reason: str) -> bool:
    """The dead letter: refused for good, or tried too often. What may have left is unknown instead."""
    status = "dead" if lease.was_uncertain is None else "unknown"
    return _under_lease(
        connection,
        lease,
        "status = :status, reason = :reason, finished_at = aura_ops.as_of()",
        status=status,
        reason=reason,
    )


def again(
    connection: sqlalchemy.Connection, lease: Lease, reason: str, seconds: float, certain: bool, charge: bool = True
) -> bool:
    """Try again in so many seconds. `certain`: it surely has not left by this attempt. Without `charge` the attempt
    does not count."""
    return _under_lease(
        connection,
        lease,
        "status = 'waiting', reason = :reason, not_before = aura_ops.as_of() + :pause,"
        " uncertain_since = case when :certain then :was_uncertain else uncertain_since end,"
        " attempts = attempts - case when :charge then 0 else 1 end",
        reason=reason,
        pause=timedelta(seconds=seconds),
        certain=certain,
        was_uncertain=lease.was_uncertain,
        charge=charge,
    )


def _under_lease(connection: sqlalchemy.Connection, lease: Lease, change: str, **values: Any) -> bool:
    done = connection.execute(
        text(
            f"update aura_ops.outbox set {change}, lease_until = null"
            " where message_id = :message and fence = :fence and status = 'sending'"
        ),
        {"message": lease.message_id, "fence": lease.fence, **values},
    )
    return done.rowcount == 1


def next_turn(connection: sqlalchemy.Connection, per_second: float) -> float | None:
    """Reserve the next request to the provider, of all workers together: seconds to wait; None: everything is stopped.

    By the clock itself, not the run's moment. A turn further off than an hour was set by a clock that jumped.
    """
    return connection.execute(
        text(
            "update aura_ops.delivery_state set next_request_at ="
            " greatest(least(next_request_at, clock_timestamp() + interval '1 hour'), clock_timestamp()) + :gap"
            " where stopped_because is null"
            " returning greatest(0, extract(epoch from next_request_at - :gap - clock_timestamp()))::float8"
        ),
        {"gap": timedelta(seconds=1 / per_second)},
    ).scalar()


def pause_all(connection: sqlalchemy.Connection, seconds: float) -> None:
    """No worker asks the provider for so long."""
    connection.execute(
        text(
            "update aura_ops.delivery_state set next_request_at = greatest(next_request_at, clock_timestamp() + :pause)"
        ),
        {"pause": timedelta(seconds=seconds)},
    )


def given_up_lately(connection: sqlalchemy.Connection) -> dict[str, int]:
    """Messages of the last 24 hours that are dead or unknown, by status and reason."""
    rows = connection.execute(
        text(
            "select status || ': ' || coalesce(reason, ''), count(*) from aura_ops.outbox"
            " where status in ('dead', 'unknown') and finished_at > aura_ops.as_of() - interval '24 hours'"
            " group by 1 order by 2 desc limit 20"
        )
    )
    return {row[0]: row[1] for row in rows}
