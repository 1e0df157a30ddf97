"""Asks a provider for vectors whatever it does: pace, retries, halving, checking, and when to stop.

Nothing here knows of rows or of the database.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bn_aura_pipelines.embeddings.limits import Budget, RateLimiter
from bn_aura_pipelines.embeddings.providers import (
    DIMENSIONS,
    AnswerUnusable,
    EmbeddingProvider,
    InputRefused,
    QuotaExhausted,
    TryLater,
)

if TYPE_CHECKING:
    import numpy as np

ATTEMPTS = 4
LONGEST_DELAY = 60.0
# A rate limit that has not let a single request through for so long is a quota in disguise.
PATIENCE_SECONDS = 600.0
# So many batches given up in a row: the provider is down, and the rest of the run would only wait.
FAILURES_IN_A_ROW = 3


@dataclass(frozen=True)
class Failure:
    """A text without a vector. `final`: asking again would not help."""

    reason: str
    final: bool
    attempts: int


class Stopped(Exception):
    """The run ends here, cleanly; the message says why."""


class Dispatcher:
    """One run's way to one provider."""

    def __init__(self, provider: EmbeddingProvider, budget: Budget, first_delay: float = 1.0) -> None:
        self._provider = provider
        self._budget = budget
        self._limiter = RateLimiter(provider.limits)
        self._first_delay = first_delay
        self._failures = 0
        self._last_answer = time.monotonic()
        self.requests = 0
        self.tokens = 0

    @property
    def cost_usd(self) -> float:
        return self.tokens * self._provider.usd_per_million_tokens / 1e6

    async def embed(self, texts: Sequence[str], tokens: Sequence[int]) -> list[np.ndarray | Failure]:
        """A vector of length 1 or a failure for each text. Only the text at fault is charged with an attempt.

        Raises Stopped and ProviderUnusable.
        """
        try:
            rows = await self._send(texts, sum(tokens))
        except InputRefused as error:
            if len(texts) == 1 and isinstance(error, AnswerUnusable):
                return [await self._again(texts[0], tokens[0])]
            if len(texts) == 1:
                return [Failure(str(error), final=True, attempts=1)]
            middle = len(texts) // 2
            return [
                *await self.embed(texts[:middle], tokens[:middle]),
                *await self.embed(texts[middle:], tokens[middle:]),
            ]
        except TryLater as error:
            return [Failure(str(error), final=False, attempts=0) for _ in texts]
        results: list[np.ndarray | Failure] = list(rows)
        for place in _unusable(rows):
            results[place] = await self._again(texts[place], tokens[place])
        return results

    async def _again(self, text: str, tokens: int) -> np.ndarray | Failure:
        """A text whose vector was no vector, by itself."""
        for _ in range(1, ATTEMPTS):
            try:
                rows = await self._send([text], tokens)
            except AnswerUnusable:
                continue
            except InputRefused as error:
                return Failure(str(error), final=True, attempts=1)
            except TryLater as error:
                return Failure(str(error), final=False, attempts=1)
            if not _unusable(rows):
                return rows[0]
        return Failure("the provider's vector is not a vector of finite numbers", final=True, attempts=ATTEMPTS)

    async def _send(self, texts: Sequence[str], tokens: int) -> np.ndarray:
        """Rows of length 1, or NaN. Raises TryLater only after it has tried often enough."""
        attempt = 0
        while True:
            await self._limiter.wait(len(texts), tokens)
            self._charge(tokens)
            try:
                rows = _scaled(await self._provider.embed(texts, "document"), len(texts))
            except QuotaExhausted as error:
                raise Stopped(str(error)) from error
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
                self._failures = 0
                self._last_answer = time.monotonic()
                return rows

    def _charge(self, tokens: int) -> None:
        budget = self._budget
        price = self._provider.usd_per_million_tokens / 1e6
        if budget.requests is not None and self.requests + 1 > budget.requests:
            raise Stopped(f"this run's budget of {budget.requests:,} requests is used up")
        if budget.tokens is not None and self.tokens + tokens > budget.tokens:
            raise Stopped(f"this run's budget of {budget.tokens:,} tokens is used up")
        if budget.usd is not None and (self.tokens + tokens) * price > budget.usd:
            raise Stopped(f"this run's budget of {budget.usd:.2f} USD is used up")
        self.requests += 1
        self.tokens += tokens


def _scaled(rows: np.ndarray, count: int) -> np.ndarray:
    """Rows of length 1; what has no length, or is not finite, becomes NaN. Raises AnswerUnusable on a wrong shape."""
    import numpy as np

    if rows.shape != (count, DIMENSIONS):
        raise AnswerUnusable(f"vectors of shape {rows.shape} came for {count} texts")
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        lengths = np.linalg.norm(rows, axis=1, keepdims=True)
        return np.where(np.isfinite(lengths) & (lengths > 0), rows / lengths, np.nan).astype(np.float32)


def _unusable(rows: np.ndarray) -> list[int]:
    import numpy as np

    return np.flatnonzero(~np.isfinite(rows).all(axis=1)).tolist()
