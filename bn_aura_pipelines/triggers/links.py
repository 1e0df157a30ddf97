"""Links to unsubscribe: signed, so that nobody unsubscribes others by guessing, and valid for ever."""

from __future__ import annotations

import base64
import hashlib
import hmac
from uuid import UUID


def sign(message_id: UUID, secret: str) -> str:
    """The token of a message: its id and an HMAC-SHA256 of it, URL-safe."""
    return _encode(message_id.bytes + _mac(message_id.bytes, secret))


def verify(token: str, secret: str) -> UUID | None:
    """The message of a token; None for one that was not signed with this secret."""
    try:
        raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except ValueError:
        return None
    if len(raw) != 48 or not hmac.compare_digest(_mac(raw[:16], secret), raw[16:]):
        return None
    return UUID(bytes=raw[:16])


def _mac(content: bytes, secret: str) -> bytes:
    return hmac.new(secret.encode(), b"bn_aura unsubscribe" + content, hashlib.sha256).digest()


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
