"""Asks a provider about conversations whatever it does: pace, retries, validation, and a budget that ends it cleanly.

Nothing here knows of the database. Rates, budget and errors are those of the embeddings' sync.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from bn_aura_pipelines.embeddings.dispatch import ATTEMPTS, FAILURES_IN_A_ROW, LONGEST_DELAY, PATIENCE_SECONDS
from bn_aura_pipelines.embeddings.limits import Budget, RateLimiter
from bn_aura_pipelines.embeddings.providers import InputRefused, Limits, ProviderUnusable, QuotaExhausted, TryLater
from bn_aura_pipelines.voice.gemini import Answer, Reply, Spoiled

# What a question costs before it is answered: the instruction, the schema and an answer.
USUAL_TOKENS = 700


class Provider(Protocol):
    """Who answers. `ask` raises Spoiled, InputRefused, TryLater, QuotaExhausted or ProviderUnusable."""

    async def ask(self, transcript: str) -> Reply: ...

    async def close(self) -> None: ...


@dataclass(frozen=True)
class Question:
    """A redacted transcript, by the hash of its messages."""

    content_hash: str
    transcript: str


@dataclass(frozen=True)
class Settled:
    """A question that is done with: answered, or dead with the reason; and what it has cost."""

    question: Question
    answer: Answer | None
    error: str | None
    attempts: int
    tokens: int
    cost_usd: float


@dataclass
class Asker:
    """One run's way to a provider. `stopped` says why it ended before everything was asked."""

    provider: Provider
    budget: Budget
    limits: Limits
    first_delay: float = 1.0
    requests: int = 0
    tokens: int = 0
    cost_usd: float = 0.0
    stopped: str = ""
    _failures: int = 0
    _last_answer: float = field(default_factory=time.monotonic)

    async def ask_all(self, questions: Sequence[Question]) -> AsyncIterator[Settled]:
        """Each question that could be settled, as soon as it is. The others are left for another run.

        Raises ProviderUnusable.
        """
        limiter = RateLimiter(self.limits)
        waiting = iter(questions)
        running: set[asyncio.Task[Settled | None]] = set()
        try:
            while True:
                while len(running) < self.limits.concurrency and not self.stopped:
                    question = next(waiting, None)
                    if question is None:
                        break
                    running.add(asyncio.create_task(self._settle(question, limiter)))
                if not running:
                    return
                done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    settled = task.result()
                    if settled is not None:
                        yield settled
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    async def _settle(self, question: Question, limiter: RateLimiter) -> Settled | None:
        """Ask until there is an answer or no hope; None leaves the question for another run."""
        attempts = faults = tokens = 0
        cost = 0.0
        size = USUAL_TOKENS + len(question.transcript)
        while True:
            await limiter.wait(1, size)
            if not self._may_ask(size):
                return None
            self.requests += 1
            attempts += 1
            try:
                reply = await self.provider.ask(question.transcript)
            except Spoiled as error:
                self._spend(error.tokens, error.cost_usd)
                tokens, cost = tokens + error.tokens, cost + error.cost_usd
                if attempts - faults >= ATTEMPTS - 1:
                    return Settled(question, None, str(error), attempts, tokens, cost)
            except InputRefused as error:
                return Settled(question, None, str(error), attempts, tokens, cost)
            except (QuotaExhausted, ProviderUnusable) as error:
                self.stopped = self.stopped or str(error)
                if isinstance(error, ProviderUnusable):
                    raise
                return None
            except TryLater as error:
                faults += 1
                delay = error.delay if error.delay is not None else self.first_delay * 2 ** (faults - 1)
                if not await self._again(error, faults, delay, limiter):
                    return None
            else:
                self._spend(reply.tokens, reply.cost_usd)
                self._failures, self._last_answer = 0, time.monotonic()
                return Settled(question, reply.answer, None, attempts, tokens + reply.tokens, cost + reply.cost_usd)

    async def _again(self, error: TryLater, faults: int, delay: float, limiter: RateLimiter) -> bool:
        """Wait for the next attempt, where there is to be one."""
        if error.rate_limited:  # waiting, not failing
            if time.monotonic() - self._last_answer > PATIENCE_SECONDS:
                self.stopped = self.stopped or f"the provider's rate limit has let nothing through ({error})"
                return False
            limiter.pause(delay)
            return True
        if faults >= ATTEMPTS:
            self._failures += 1
            if self._failures >= FAILURES_IN_A_ROW:
                self.stopped = self.stopped or f"the provider does not answer ({error})"
            return False
        await asyncio.sleep(min(delay, LONGEST_DELAY))
        return True

    def _may_ask(self, size: int) -> bool:
        if self.stopped:
            return False
        budget = self.budget
        if budget.requests is not None and self.requests >= budget.requests:
            self.stopped = f"this run's budget of {budget.requests:,} requests is used up"
        elif budget.tokens is not None and self.tokens + size > budget.tokens:
            self.stopped = f"this run's budget of {budget.tokens:,} tokens is used up"
        return not self.stopped

    def _spend(self, tokens: int, cost_usd: float) -> None:
        self.tokens += tokens
        self.cost_usd += cost_usd
