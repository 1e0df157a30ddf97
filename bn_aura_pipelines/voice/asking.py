"""Asks a provider about conversations, several at once: each is answered, dead with a reason, or left.

Pace, budget and repetitions are those of the embeddings' sync. Nothing here knows of the database.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from bn_aura_pipelines.embeddings.calling import Caller, Stopped
from bn_aura_pipelines.embeddings.providers import InputRefused, TryLater
from bn_aura_pipelines.voice.gemini import Answer, Reply, Spoiled

# What a question costs before it is answered: the instruction, the schema and an answer.
USUAL_TOKENS = 700
# Answers that are none, until the question is given up.
MOST_SPOILED = 3


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
    caller: Caller
    concurrency: int
    stopped: str = ""

    async def ask_all(self, questions: Sequence[Question]) -> AsyncIterator[Settled]:
        """Each question that could be settled, as soon as it is. The others are left for another run.

        Raises ProviderUnusable.
        """
        waiting = iter(questions)
        running: set[asyncio.Task[Settled | None]] = set()
        try:
            while True:
                while len(running) < self.concurrency and not self.stopped:
                    question = next(waiting, None)
                    if question is None:
                        break
                    running.add(asyncio.create_task(self._settle(question)))
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

    async def _settle(self, question: Question) -> Settled | None:
        """Ask until there is an answer or no hope; None leaves the question for another run."""
        attempts = tokens = 0
        cost = 0.0
        size = USUAL_TOKENS + len(question.transcript)
        while not self.stopped:
            attempts += 1
            try:
                reply = await self.caller.call(1, size, lambda: self.provider.ask(question.transcript))
            except Spoiled as error:
                self.caller.correct(error.tokens - size, error.cost_usd)
                tokens, cost = tokens + error.tokens, cost + error.cost_usd
                if attempts >= MOST_SPOILED:
                    return Settled(question, None, str(error), attempts, tokens, cost)
            except InputRefused as error:
                return Settled(question, None, str(error), attempts, tokens, cost)
            except TryLater:
                return None
            except Stopped as reason:
                self.stopped = self.stopped or str(reason)
            else:
                self.caller.correct(reply.tokens - size, reply.cost_usd)
                return Settled(question, reply.answer, None, attempts, tokens + reply.tokens, cost + reply.cost_usd)
        return None
