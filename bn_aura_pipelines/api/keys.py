"""API keys: 256 random bits, shown once, kept as a SHA-256. A key sees its clinic's marts and nothing else."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy
from sqlalchemy import text

from bn_aura_pipelines.errors import UserError

PREFIX = "bna_"
SHOWN = 12
SCOPES = ("personal",)
"""What a key may see beyond figures: `personal` shows names, e-mails and phones."""


class NoSuchClinic(UserError):
    """A key was asked for a clinic that does not exist."""


@dataclass(frozen=True)
class KeyEntry:
    """A key as people may see it."""

    prefix: str
    clinic_code: str | None
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    scopes: list[str]


def hash_key(key: str) -> bytes:
    """What is stored and looked up."""
    return hashlib.sha256(key.encode()).digest()


def create_key(
    connection: sqlalchemy.Connection, clinic_code: str, days: int | None = None, scopes: Sequence[str] = ()
) -> str:
    """A new key for a clinic, holding so many days, or until it is revoked, with some of SCOPES.

    Raises NoSuchClinic.
    """
    clinic = connection.execute(
        text("select id from public.clinics where clinic_code = :code"), {"code": clinic_code}
    ).scalar()
    if clinic is None:
        raise NoSuchClinic(
            f"There is no clinic {clinic_code}: `bn-aura sql 'select clinic_code from clinics'` lists them."
        )
    key = PREFIX + secrets.token_urlsafe(32)
    connection.execute(
        text(
            "insert into aura_ops.api_keys (key_hash, prefix, clinic_id, scopes, expires_at) values"
            " (:hash, :prefix, :clinic, :scopes, now() + make_interval(days => cast(:days as int)))"
        ),
        {"hash": hash_key(key), "prefix": key[:SHOWN], "clinic": clinic, "days": days, "scopes": [*scopes]},
    )
    return key


def list_keys(connection: sqlalchemy.Connection) -> list[KeyEntry]:
    """Every key ever made, latest first."""
    rows = connection.execute(
        text(
            "select k.prefix, c.clinic_code, k.created_at, k.expires_at, k.revoked_at, k.scopes"
            " from aura_ops.api_keys as k left join public.clinics as c on c.id = k.clinic_id"
            " order by k.created_at desc, k.prefix"
        )
    )
    return [KeyEntry(*row) for row in rows]


def revoke_key(connection: sqlalchemy.Connection, prefix: str) -> int:
    """Revoke the keys that begin so; returns how many held until now."""
    if len(prefix) < SHOWN:
        raise UserError(f"{prefix!r} is too short: give the {SHOWN} characters that `bn-aura api-key list` shows.")
    return connection.execute(
        text("update aura_ops.api_keys set revoked_at = now() where prefix = :prefix and revoked_at is null"),
        {"prefix": prefix[:SHOWN]},
    ).rowcount
