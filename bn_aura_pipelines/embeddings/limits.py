"""How fast and how much a run may ask of a provider: token buckets over its rates, and a budget over the run."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

from bn_aura_pipelines.embeddings.providers import Limits

# How much of a minute's allowance may be used at once.
BURST_SECONDS = 5.0


@dataclass(frozen=True)
class Budget:
    """What one run may use at most; None is no bound. Counted is what was sent, answered or not."""

    requests: int | None = None
    tokens: int | None = None
    usd: float | None = None


class Bucket:
    """One rate. Amounts queue up in the order of `wait`; the bucket starts full."""

    def __init__(self, per_minute: float | None) -> None:
        self._seconds_each = 60 / per_minute if per_minute else 0.0
        self._free_at = 0.0

    async def wait(self, amount: float) -> None:
        """Return when `amount` may be used. More than the bucket holds is let through and paid back afterwards."""
        now = time.monotonic()
        self._free_at = max(now - BURST_SECONDS, self._free_at) + amount * self._seconds_each
        if self._seconds_each and self._free_at > now:
            await asyncio.sleep(self._free_at - now)


class RateLimiter:
    """The three rates of a provider, and the pause that it asked for last."""

    def __init__(self, limits: Limits) -> None:
        self._requests = Bucket(limits.requests_per_minute)
        self._items = Bucket(limits.items_per_minute)
        self._tokens = Bucket(limits.tokens_per_minute)
        self._resume_at = 0.0

    async def wait(self, items: int, tokens: int) -> None:
        """Return when a request of this size may be sent."""
        await self._requests.wait(1)
        await self._items.wait(items)
        await self._tokens.wait(tokens)
        while (pause := self._resume_at - time.monotonic()) > 0:
            await asyncio.sleep(pause)

    def pause(self, seconds: float) -> None:
        """Let nothing through for so long."""
        self._resume_at = max(self._resume_at, time.monotonic() + seconds)
