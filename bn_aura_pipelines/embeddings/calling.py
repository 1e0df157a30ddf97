"""One run's way to a provider, whatever it does: pace, budget, repetitions, and when to stop.

Embedding (`dispatch`) and asking about conversations (`voice.asking`) both go through it. What is sent, and what an
unusable answer means, is their business.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from bn_aura_pipelines.embeddings.limits import Budget, RateLimiter
from bn_aura_pipelines.embeddings.providers import InputRefused, Limits, QuotaExhausted, TryLater

ATTEMPTS = 4
LONGEST_DELAY = 60.0
# A rate limit that has not let a single request through for so long is a quota in disguise.
PATIENCE_SECONDS = 600.0
# So many requests given up in a row: the provider is down, and the rest of the run would only wait.
FAILURES_IN_A_ROW = 3

T = TypeVar("T")


class Stopped(Exception):
    """The run ends here, cleanly; the message says why."""


class Caller:
    """`requests`, `tokens` and `cost_usd` are what the run has used so far."""

    def __init__(
        self, limits: Limits, budget: Budget, usd_per_million_tokens: float = 0.0, first_delay: float = 1.0
    ) -> None:
        self._limiter = RateLimiter(limits)
        self._budget = budget
        self._price = usd_per_million_tokens / 1e6
        self._first_delay = first_delay
        self._failures = 0
        self._last_answer = time.monotonic()
        self.requests = 0
        self.tokens = 0
        self.cost_usd = 0.0

    async def call(self, items: int, tokens: int, request: Callable[[], Awaitable[T]]) -> T:
        """What `request` returns, repeated while that may help; each attempt is charged with `tokens`.

        Raises Stopped; TryLater after ATTEMPTS; InputRefused and ProviderUnusable as they come.
        """
        attempt = 0
        while True:
            await self._limiter.wait(items, tokens)
            self._charge(tokens)
            try:
                answer = await request()
            except QuotaExhausted as error:
                raise Stopped(str(error)) from error
            except InputRefused:
                self._answered()
                raise
            except TryLater as error:
                delay = error.delay if error.delay is not None else self._first_delay * 2**attempt
                if error.rate_limited:  # waiting, not failing
                    if time.monotonic() - self._last_answer > PATIENCE_SECONDS:
                        raise Stopped(f"the provider's rate limit has let nothing through ({error})") from error
                    self._limiter.pause(delay)
                    continue
                attempt += 1
                if attempt >= ATTEMPTS:
                    self._failures += 1
                    if self._failures >= FAILURES_IN_A_ROW:
                        raise Stopped(f"the provider does not answer ({error})") from error
                    raise
                await asyncio.sleep(min(delay, LONGEST_DELAY))
            else:
                self._answered()
                return answer

    def correct(self, tokens: int, cost_usd: float) -> None:
        """Add what a request has really cost beyond what it was charged with."""
        self.tokens += tokens
        self.cost_usd += cost_usd

    def _answered(self) -> None:
        self._failures = 0
        self._last_answer = time.monotonic()

    def _charge(self, tokens: int) -> None:
        budget, cost = self._budget, tokens * self._price
        if budget.requests is not None and self.requests + 1 > budget.requests:
            raise Stopped(f"this run's budget of {budget.requests:,} requests is used up")
        if budget.tokens is not None and self.tokens + tokens > budget.tokens:
            raise Stopped(f"this run's budget of {budget.tokens:,} tokens is used up")
        if budget.usd is not None and self.cost_usd + cost > budget.usd:
            raise Stopped(f"this run's budget of {budget.usd:.2f} USD is used up")
        self.requests += 1
        self.tokens += tokens
        self.cost_usd += cost
