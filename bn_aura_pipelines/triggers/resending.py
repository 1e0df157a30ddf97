"""Hands one rendered e-mail to Resend through its SDK, and says what its answer means.

When and whether something is sent is decided in `delivery`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bn_aura_pipelines.settings import Settings

if TYPE_CHECKING:
    from resend.exceptions import ResendError

TIMEOUT_SECONDS = 15
QUOTA_PAUSE_SECONDS = 3600.0


@dataclass(frozen=True)
class Pace:
    """How long the provider wants nobody to ask, in seconds; None: it did not say."""

    seconds: float | None = None


@dataclass(frozen=True)
class Accepted(Pace):
    """It is the provider's now."""

    provider_id: str = ""


@dataclass(frozen=True)
class Later(Pace):
    """Not accepted for sure, and no fault of the message: it waits and is charged no attempt."""

    reason: str = ""


@dataclass(frozen=True)
class Uncertain(Pace):
    """It may have been accepted: asked again with the same key."""

    reason: str = ""


@dataclass(frozen=True)
class Refused(Pace):
    """It will never be accepted."""

    reason: str = ""


@dataclass(frozen=True)
class Misconfigured(Pace):
    """No message will be accepted until somebody has seen to the key or the domain."""

    reason: str = ""


Answer = Accepted | Later | Uncertain | Refused | Misconfigured
Send = Callable[[Mapping[str, Any], str], Answer]
"""The request and its idempotency key."""


def resend_with(settings: Settings) -> Send:
    """A function that sends through Resend's SDK with the key of the settings."""
    import resend
    from resend.exceptions import ResendError

    assert settings.resend_api_key is not None
    resend.api_key = settings.resend_api_key.get_secret_value()
    resend.default_http_client = resend.RequestsClient(timeout=TIMEOUT_SECONDS)
    if settings.resend_base_url:
        resend.api_url = settings.resend_base_url

    def send(request: Mapping[str, Any], key: str) -> Answer:
        try:
            answer: Any = resend.Emails.send(dict(request), {"idempotency_key": key})  # pyright: ignore[reportArgumentType]
        except ResendError as error:
            return judge(error)
        return Accepted(_pause(answer.get("http_headers") or {}), answer["id"])

    return send


def judge(error: ResendError) -> Answer:
    """What an error of the SDK means. No text of the provider is kept: it may repeat the address."""
    code, kind = str(error.code), error.error_type
    headers = {name.lower(): value for name, value in error.headers.items()}
    said = f"{code} {kind}"
    if code == "429":
        pause = QUOTA_PAUSE_SECONDS if kind.endswith("quota_exceeded") else _pause(headers)
        return Later(pause if pause is not None else 1.0, said)
    if code == "409" and kind == "concurrent_idempotent_requests":
        return Uncertain(None, said)
    if code in ("401", "403"):
        return Misconfigured(None, said)
    if code.startswith("4"):
        return Refused(None, said)
    return Uncertain(_pause(headers), said)


def _pause(headers: Mapping[str, str]) -> float | None:
    """Seconds from `retry-after`, or from `ratelimit-reset` once `ratelimit-remaining` is used up."""
    lower = {name.lower(): value for name, value in headers.items()}
    try:
        if "retry-after" in lower:
            return max(0.0, float(lower["retry-after"]))
        if lower.get("ratelimit-remaining") == "0":
            return max(0.0, float(lower["ratelimit-reset"]))
    except (KeyError, ValueError):
        return None
    return None
