"""What Resend tells about e-mails afterwards: verified here, taken once and in any order by the database."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

TAKE = "select aura_ops.note_email_event($1, $2, $3, $4, $5, $6, $7)"
"""For asyncpg, with the fields of an EmailEvent in their order."""


class WebhookRefused(Exception):
    """Not signed by Resend, too old, or no event of an e-mail."""


@dataclass(frozen=True)
class EmailEvent:
    """One event, in the order of `aura_ops.note_email_event`. `address_hash`: SHA-256 of the lower-cased address."""

    event_key: str
    message_id: UUID | None
    provider_id: str | None
    kind: str
    occurred_at: datetime
    address_hash: bytes | None
    is_permanent: bool


def read_webhook(payload: str, headers: Mapping[str, str], secret: str) -> EmailEvent:
    """The event of a request, its signature and age verified by Resend's SDK. Raises WebhookRefused."""
    import resend

    signed = {name: headers.get(f"svix-{name}", "") for name in ("id", "timestamp", "signature")}
    try:
        event: Any = resend.Webhooks.verify(
            {"payload": payload, "headers": signed, "webhook_secret": secret}  # pyright: ignore[reportArgumentType]
        )
    except ValueError as error:
        raise WebhookRefused(str(error)) from error
    try:
        data, kind = event["data"], str(event["type"])
        if not kind.startswith("email."):
            raise WebhookRefused(f"{kind} is no event of an e-mail")
        return EmailEvent(
            event_key=signed["id"],
            message_id=_message_id(data.get("tags")),
            provider_id=str(data["email_id"]) if data.get("email_id") else None,
            kind=kind.removeprefix("email."),
            occurred_at=_moment(str(event["created_at"])),
            address_hash=_hash(data.get("to")),
            is_permanent=str((data.get("bounce") or {}).get("type", "")).lower() == "permanent",
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise WebhookRefused(f"the event is malformed: {type(error).__name__}") from error


def _message_id(tags: object) -> UUID | None:
    if isinstance(tags, list):
        tags = {tag.get("name"): tag.get("value") for tag in tags if isinstance(tag, dict)}
    try:
        return UUID(str(tags["message_id"])) if isinstance(tags, dict) and "message_id" in tags else None
    except ValueError:
        return None


def _moment(value: str) -> datetime:
    moment = datetime.fromisoformat(re.sub(r"(?<=\d)Z$", "+00:00", value))
    if moment.tzinfo is None:
        raise ValueError("no time zone")
    return moment


def _hash(to: object) -> bytes | None:
    address = to[0] if isinstance(to, list) and to else to
    return hashlib.sha256(address.strip().lower().encode()).digest() if isinstance(address, str) and address else None
