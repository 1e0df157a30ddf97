"""Delivers the outbox: e-mails through the provider, one lease at a time; what stays in the house is in `notices`.

No transaction is open while the provider is asked. A worker may be killed at any moment: its leases die with it, and
whoever takes them over asks with the same key and the same body.
"""

from __future__ import annotations

import json
import logging
import random
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy
from sqlalchemy import text

from bn_aura_pipelines.database.connections import Database
from bn_aura_pipelines.embeddings.leases import worker
from bn_aura_pipelines.errors import UserError
from bn_aura_pipelines.settings import Settings
from bn_aura_pipelines.triggers import outbox
from bn_aura_pipelines.triggers.links import sign
from bn_aura_pipelines.triggers.notices import deliver_notices
from bn_aura_pipelines.triggers.outbox import MOST_ATTEMPTS, Candidate, Lease
from bn_aura_pipelines.triggers.rendering import TemplateRefused, read_template, render_letter
from bn_aura_pipelines.triggers.resending import (
    TIMEOUT_SECONDS,
    Accepted,
    Answer,
    Later,
    Misconfigured,
    Refused,
    Send,
    resend_with,
)

log = logging.getLogger(__name__)

BATCH = 10
FIRST_BACKOFF_SECONDS = 2.0
LONGEST_BACKOFF_SECONDS = 900.0
LONGEST_WAIT_SECONDS = 30.0  # rather than wait longer for the provider, the call ends
NOWHERE = "https://unsubscribe.invalid"  # where the links of a dry run lead


class NotConfigured(UserError):
    """Sending live needs settings that are missing, or the provider refuses the key or the domain."""


@dataclass
class DeliveryReport:
    """What one call did: messages by the status they came to, requests to the provider, why it ended early."""

    outcomes: Counter[str] = field(default_factory=Counter)
    requests: int = 0
    ended_because: str | None = None


def deliver(
    database: Database,
    settings: Settings,
    send: Send | None = None,
    moment: datetime | None = None,
    most_requests: int | None = None,
    backoff_seconds: float = FIRST_BACKOFF_SECONDS,
) -> DeliveryReport:
    """Deliver whatever is due, until nothing is, or `most_requests` were made. `moment`: instead of now, for tests.

    Raises NotConfigured.
    """
    report = DeliveryReport()
    report.ended_because = why_nothing_leaves(database, settings)
    if report.ended_because:
        return report
    if settings.send == "live":
        require_configured(settings)
        send = send or resend_with(settings)
    report.outcomes.update(deliver_notices(database, settings, moment))
    with worker(database) as owner:
        _deliver_letters(database, settings, send, moment, most_requests, backoff_seconds, owner, report)
    log.info("delivery: %s, %s requests", dict(report.outcomes), report.requests)
    return report


def why_nothing_leaves(database: Database, settings: Settings) -> str | None:
    """Who has stopped every delivery, the settings or the kill switch; None: nobody."""
    if settings.send == "off":
        return "BN_AURA_SEND is off"
    with database.begin() as connection:
        stopped = connection.execute(text("select stopped_because from aura_ops.delivery_state")).scalar()
    return f"stopped: {stopped}" if stopped else None


def _deliver_letters(
    database: Database,
    settings: Settings,
    send: Send | None,
    moment: datetime | None,
    most_requests: int | None,
    backoff_seconds: float,
    owner: int,
    report: DeliveryReport,
) -> None:
    while report.ended_because is None:
        with database.begin(moment) as connection:
            leases, looked_at = _claim(connection, settings, report, owner)
        if not looked_at:
            break
        claimed_at = time.monotonic()
        for number, lease in enumerate(leases):
            due = claimed_at + outbox.LEASE.total_seconds() - TIMEOUT_SECONDS - LONGEST_WAIT_SECONDS
            if most_requests is not None and report.requests >= most_requests:
                report.ended_because = f"{most_requests} requests made"
            if report.ended_because or time.monotonic() > due:
                _give_back(database, leases[number:], moment)
                break
            _send(database, settings, send, lease, report, moment, backoff_seconds)


def require_configured(settings: Settings) -> None:
    """Raises NotConfigured naming every setting that sending live lacks."""
    needed = {
        "RESEND_API_KEY": settings.resend_api_key,
        "BN_AURA_EMAIL_FROM": settings.email_from,
        "BN_AURA_PUBLIC_URL": settings.public_url,
        "BN_AURA_UNSUBSCRIBE_SECRET": settings.unsubscribe_secret,
    }
    missing = [name for name, value in needed.items() if not value]
    if missing:
        raise NotConfigured(f"BN_AURA_SEND=live also needs {', '.join(missing)}.")


def compose(connection: sqlalchemy.Connection, settings: Settings, candidate: Candidate) -> dict[str, Any]:
    """The request for one message, rendered in its recipient's language. Raises TemplateRefused."""
    language = candidate.language or "th"
    names = (candidate.name_th, candidate.name_en) if language == "th" else (candidate.name_en, candidate.name_th)
    clinic = next((name for name in names if name), candidate.clinic_code or "")
    link = None
    if candidate.purpose == "marketing":
        secret = settings.unsubscribe_secret.get_secret_value() if settings.unsubscribe_secret else ""
        link = f"{(settings.public_url or NOWHERE).rstrip('/')}/unsubscribe/{sign(candidate.message_id, secret)}"
    source = read_template(connection, candidate.template or "", language)
    letter = render_letter(source, language, candidate.customer_name or "", clinic, link)
    sender = settings.email_from or "dry-run@invalid"
    one_click = {"List-Unsubscribe": f"<{link}>", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"}
    return {
        "from": f'"{clinic.translate(str.maketrans("", "", _UNSAFE_IN_A_NAME))}" <{sender}>',
        "to": [candidate.email],
        "subject": letter.subject,
        "html": letter.html,
        "text": letter.text,
        "headers": one_click if link else {},
        "tags": [{"name": "message_id", "value": str(candidate.message_id)}, {"name": "rule", "value": candidate.rule}],
    }


_UNSAFE_IN_A_NAME = '"\\<>\r\n'


def _claim(
    connection: sqlalchemy.Connection, settings: Settings, report: DeliveryReport, owner: int
) -> tuple[list[Lease], int]:
    outbox.lock_claims(connection)
    report.outcomes["too late"] += outbox.close_late(connection)
    candidates = outbox.choose(connection, BATCH)
    leases = []
    for candidate in candidates:
        lease = _decide(connection, settings, candidate, report, owner)
        if lease is not None:
            leases.append(lease)
    return leases, len(candidates)


def _decide(
    connection: sqlalchemy.Connection,
    settings: Settings,
    candidate: Candidate,
    report: DeliveryReport,
    owner: int,
) -> Lease | None:
    """A lease, or the reason why it does not leave is noted."""

    def close(status: str, reason: str | None, body: bytes | None = None) -> None:
        outbox.close(connection, candidate.message_id, status, reason, body)
        report.outcomes[status] += 1

    may_have_left = candidate.uncertain_since is not None
    request: Mapping[str, Any] | None = json.loads(candidate.body) if candidate.body and may_have_left else None
    obstacle = candidate.obstacle
    if obstacle is None and request is not None and request["to"] != [candidate.email]:
        obstacle = "the e-mail address was changed"
    if obstacle is not None:
        close("unknown" if may_have_left else "suppressed", obstacle)
        return None
    if candidate.attempts >= MOST_ATTEMPTS:
        close("unknown" if may_have_left else "dead", f"tried {candidate.attempts} times")
        return None
    if candidate.quiet_until is not None:
        outbox.defer(connection, candidate.message_id, candidate.quiet_until)
        report.outcomes["deferred"] += 1
        return None
    if request is None:
        try:
            request = compose(connection, settings, candidate)
        except TemplateRefused as error:
            close("dead", str(error))
            return None
    if candidate.dry_run or settings.send != "live":
        close("dry_run", "rendered, not sent", outbox.to_bytes(request))
        return None
    return outbox.lease(connection, candidate, request, owner)


def _send(
    database: Database,
    settings: Settings,
    send: Send | None,
    lease: Lease,
    report: DeliveryReport,
    moment: datetime | None,
    backoff_seconds: float,
) -> None:
    assert send is not None
    with database.begin() as connection:
        wait = outbox.next_turn(connection, settings.resend_requests_per_second)
    if wait is None or wait > LONGEST_WAIT_SECONDS:
        _give_back(database, [lease], moment)
        report.ended_because = "stopped" if wait is None else "the provider asks for a longer pause"
        return
    time.sleep(wait)
    report.requests += 1
    answer = send(lease.request, str(lease.message_id))
    with database.begin(moment) as connection:
        if answer.seconds:
            outbox.pause_all(connection, answer.seconds)
        report.outcomes[_note(connection, lease, answer, backoff_seconds)] += 1
    if isinstance(answer, Misconfigured):
        raise NotConfigured(f"Resend refuses the key or the domain ({answer.reason}): see to it in its dashboard.")


def _note(connection: sqlalchemy.Connection, lease: Lease, answer: Answer, backoff_seconds: float) -> str:
    """Write what the answer means; the name of the outcome."""
    if isinstance(answer, Accepted):
        return "sent" if outbox.accepted(connection, lease, answer.provider_id) else "lease lost"
    if isinstance(answer, Refused):
        outbox.given_up(connection, lease, answer.reason)
        return "dead"
    # Full jitter: anything from nothing to the whole backoff, so that workers do not come back together.
    longest = min(LONGEST_BACKOFF_SECONDS, backoff_seconds * 2 ** (lease.attempts - 1))
    pause = random.uniform(0, longest)
    if isinstance(answer, Later | Misconfigured):
        outbox.again(connection, lease, answer.reason, pause + (answer.seconds or 0), certain=True, charge=False)
        return "later"
    outbox.again(connection, lease, answer.reason, pause, certain=False)
    return "uncertain"


def _give_back(database: Database, leases: list[Lease], moment: datetime | None) -> None:
    """What was leased and not asked for waits again."""
    with database.begin(moment) as connection:
        for lease in leases:
            outbox.again(connection, lease, "given back", 0, certain=True, charge=False)
