"""What the sync asks of a provider, the entities, and the errors a provider may raise. The providers themselves have
modules of their own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from bn_aura_pipelines.errors import UserError

if TYPE_CHECKING:
    import numpy as np

DIMENSIONS = 768

Entity = Literal["conversation", "lead", "customer"]
Kind = Literal["document", "query"]
ENTITIES: tuple[Entity, ...] = ("conversation", "lead", "customer")


@dataclass(frozen=True)
class Limits:
    """What a provider takes. Rates are per minute; None is unlimited."""

    items_per_request: int = 100
    tokens_per_item: int | None = None
    concurrency: int = 1
    requests_per_minute: float | None = None
    items_per_minute: float | None = None
    tokens_per_minute: float | None = None


class EmbeddingProvider(Protocol):
    """Texts to vectors. `model` names the vector space: vectors of different models are never compared."""

    @property
    def model(self) -> str: ...

    @property
    def limits(self) -> Limits: ...

    @property
    def usd_per_million_tokens(self) -> float: ...

    def estimate_tokens(self, text: str) -> int:
        """Tokens that a text is likely to be billed as; rather too many than too few."""
        ...

    async def embed(self, texts: Sequence[str], kind: Kind) -> np.ndarray:
        """One row of `DIMENSIONS` float32 numbers a text, in order; a row that makes no vector is NaN.

        Raises InputRefused, AnswerUnusable, TryLater, QuotaExhausted or ProviderUnusable.
        """
        ...

    async def close(self) -> None:
        """Let go of connections; the provider may be used again, in another event loop too."""
        ...


class InputRefused(Exception):
    """The provider will never answer this request as it is: worth halving, never worth repeating."""


class AnswerUnusable(InputRefused):
    """The answer fits no text: not one vector a text. May pass, and may be one text's doing."""


class TryLater(Exception):
    """A fault of the moment. `rate_limited`: nothing is wrong but the pace. `delay`: seconds that it asked for."""

    def __init__(self, reason: str, delay: float | None = None, rate_limited: bool = False) -> None:
        super().__init__(reason)
        self.delay = delay
        self.rate_limited = rate_limited


class QuotaExhausted(Exception):
    """Nothing more today: the sync ends cleanly and says what is left."""


class ProviderUnusable(UserError):
    """The key or the model is missing, wrong or not allowed. Repeating cannot help."""
