"""Asks a provider for vectors: halving what it refuses, checking what it gives, one failure for the text at fault.

Pace, budget and repetitions are in `calling`. Nothing here knows of rows or of the database.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bn_aura_pipelines.embeddings.calling import ATTEMPTS, Caller
from bn_aura_pipelines.embeddings.limits import Budget
from bn_aura_pipelines.embeddings.providers import (
    DIMENSIONS,
    AnswerUnusable,
    EmbeddingProvider,
    InputRefused,
    TryLater,
)

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Failure:
    """A text without a vector. `final`: asking again would not help."""

    reason: str
    final: bool
    attempts: int


class Dispatcher:
    """One run's way to one provider."""

    def __init__(self, provider: EmbeddingProvider, budget: Budget, first_delay: float = 1.0) -> None:
        self._provider = provider
        self.caller = Caller(provider.limits, budget, provider.usd_per_million_tokens, first_delay)

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

        async def request() -> np.ndarray:
            return scaled(await self._provider.embed(texts, "document"), len(texts))

        return await self.caller.call(len(texts), tokens, request)


def scaled(rows: np.ndarray, count: int) -> np.ndarray:
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
