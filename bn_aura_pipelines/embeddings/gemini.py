"""Gemini's embeddings through google-genai: what its models want, and what its errors mean.

Pace, retries and halving are the business of `dispatch`.
"""

from __future__ import annotations

import asyncio
import math
import struct
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from bn_aura_pipelines.embeddings.providers import (
    DIMENSIONS,
    AnswerUnusable,
    InputRefused,
    Kind,
    Limits,
    ProviderUnusable,
    QuotaExhausted,
    TryLater,
)

if TYPE_CHECKING:
    import numpy as np

T = TypeVar("T")

ITEMS_PER_REQUEST = 100  # enforced by the server
ROW = struct.Struct(f"{DIMENSIONS}d")


@dataclass(frozen=True)
class GeminiModel:
    """What is particular to a model: ai.google.dev/gemini-api/docs/embeddings and /pricing."""

    tokens_per_item: int
    usd_per_million_tokens: float
    batch_usd_per_million_tokens: float
    task_types: Mapping[Kind, str] | None
    prefixes: Mapping[Kind, str]


# The token limits are a quarter below the documented 2,048 and 8,192: tokens are estimated, and the server would cut
# a text off without a word. The second model ignores task types and wants prefixes.
MODELS: Mapping[str, GeminiModel] = {
    "gemini-embedding-001": GeminiModel(
        1_536,
        0.15,
        0.075,
        {"document": "RETRIEVAL_DOCUMENT", "query": "RETRIEVAL_QUERY"},
        {"document": "", "query": ""},
    ),
    "gemini-embedding-2": GeminiModel(
        6_144, 0.20, 0.10, None, {"document": "title: none | text: ", "query": "task: search result | query: "}
    ),
}
# The rates of the first paid tier.
DEFAULT_LIMITS = Limits(
    items_per_request=ITEMS_PER_REQUEST,
    concurrency=8,
    requests_per_minute=3_000,
    items_per_minute=3_000,
    tokens_per_minute=1_000_000,
)


class GeminiEmbedder:
    """One model of Gemini's. Cheap to make; connects with the first request."""

    def __init__(
        self,
        api_key: str | None,
        model: str = "gemini-embedding-001",
        *,
        limits: Limits = DEFAULT_LIMITS,
        base_url: str | None = None,
        timeout_seconds: float = 60,
    ) -> None:
        """Raises ProviderUnusable without a key or for a model that is not known here."""
        if not api_key:
            raise ProviderUnusable(
                "GOOGLE_GEMINI_API_KEY is not set: set it, or set BN_AURA_EMBEDDING_MODEL=offline-ngrams-1."
            )
        if model not in MODELS:
            raise ProviderUnusable(
                f"{model} is no known embedding model: set BN_AURA_EMBEDDING_MODEL to offline-ngrams-1, "
                f"{' or '.join(MODELS)}."
            )
        self.model = model
        self._about = MODELS[model]
        self.limits = Limits(
            items_per_request=min(limits.items_per_request, ITEMS_PER_REQUEST),
            tokens_per_item=self._about.tokens_per_item,
            concurrency=limits.concurrency,
            requests_per_minute=limits.requests_per_minute,
            items_per_minute=limits.items_per_minute,
            tokens_per_minute=limits.tokens_per_minute,
        )
        self._api_key = api_key
        self._base_url = base_url
        self._timeout_seconds = timeout_seconds
        self._client: Any = None
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def usd_per_million_tokens(self) -> float:
        return self._about.usd_per_million_tokens

    @property
    def bulk_usd_per_million_tokens(self) -> float:
        """The price at the batch service."""
        return self._about.batch_usd_per_million_tokens

    def estimate_tokens(self, text: str) -> int:
        """Upper estimate: .3 a Latin character, .6 a Thai one, 1 a digit, 3 an emoji."""
        characters = len(text)
        more_bytes = len(text.encode()) - characters
        digits = sum(map(text.count, "0123456789"))
        astral = len(text.encode("utf-16-le")) // 2 - characters
        return math.ceil(0.3 * characters + 0.15 * more_bytes + 0.7 * digits + 2.2 * astral) + 4

    async def embed(self, texts: Sequence[str], kind: Kind) -> np.ndarray:
        return read_vectors(await self.ask(lambda client: self._request(client, texts, kind)), len(texts))

    async def ask(self, request: Callable[[Any], Awaitable[T]]) -> T:
        """What `request` gets from the SDK's client; its errors as the embedding providers' own."""
        from google.genai.errors import APIError

        client = self._connect()
        try:
            return await asyncio.wait_for(request(client), self._timeout_seconds)
        except APIError as error:
            raise judge(error.code, error.details, self.model) from error
        except (TimeoutError, OSError, ValueError) as error:
            raise TryLater(f"{type(error).__name__}: {error}") from error
        except Exception as error:
            # The transport's own errors, of whichever HTTP library the SDK uses.
            if not type(error).__module__.startswith("httpx"):
                raise
            raise TryLater(f"{type(error).__name__}: {error}") from error

    def bulk_request(self, texts: Sequence[str]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        """Contents and config of a batch job that embeds these texts as `embed` would as documents."""
        prefix = self._about.prefixes["document"]
        config: dict[str, Any] = {"output_dimensionality": DIMENSIONS}
        if self._about.task_types:
            config["task_type"] = self._about.task_types["document"]
        return [{"parts": [{"text": prefix + text}]} for text in texts], config

    async def close(self) -> None:
        if self._client is not None:
            await self._client.aio.aclose()
        self._client = self._loop = None

    async def _request(self, client: Any, texts: Sequence[str], kind: Kind) -> str:
        """The answer as it came. `embed_content` would turn each vector into models of its own, at 3.5 times the time
        of everything else (measured: 390 and 100 microseconds a vector); so only its transport is used."""
        prefix = self._about.prefixes[kind]
        settings: dict[str, Any] = {"model": f"models/{self.model}", "outputDimensionality": DIMENSIONS}
        if self._about.task_types:
            settings["taskType"] = self._about.task_types[kind]
        # Each text is a content of its own: as plain strings the second model would make one vector of them all.
        requests = [{"content": {"parts": [{"text": prefix + text}]}, **settings} for text in texts]
        response = await client._api_client.async_request(
            "post", f"models/{self.model}:batchEmbedContents", {"requests": requests}
        )
        return response.body

    def _connect(self) -> Any:
        from google import genai
        from google.genai.types import HttpOptions

        loop = asyncio.get_running_loop()
        if self._client is None or self._loop is not loop:
            options = HttpOptions(base_url=self._base_url, timeout=int(self._timeout_seconds * 1000))
            self._client = genai.Client(api_key=self._api_key, vertexai=False, http_options=options)
            self._loop = loop
        return self._client


def read_vectors(answer: str, count: int) -> np.ndarray:
    """(count, 768) float32; a row that is no vector of that length is NaN.

    Raises AnswerUnusable when the answer does not hold one vector a text: nobody can say which is missing.
    """
    import numpy as np
    from pydantic_core import from_json

    try:
        embeddings = from_json(answer, allow_inf_nan=True)["embeddings"]
        values = [one.get("values") or () for one in embeddings]
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise TryLater("the answer could not be read") from error
    if len(values) != count:
        raise AnswerUnusable(f"{len(values)} vectors came for {count} texts")
    with suppress(struct.error):  # rows of several lengths, or what is no number: then one by one
        packed = b"".join([ROW.pack(*row) for row in values])  # half the time of NumPy's own way
        return np.frombuffer(packed).reshape(count, DIMENSIONS).astype(np.float32)
    vectors = np.full((count, DIMENSIONS), np.nan, np.float32)
    for place, row in enumerate(values):
        if len(row) == DIMENSIONS and all(isinstance(number, int | float) for number in row):
            vectors[place] = row
    return vectors


def judge(code: int, details: Any, model: str) -> Exception:
    """What an error of the API means for the one who asked."""
    error = details.get("error", details) if isinstance(details, dict) else {}
    message = " ".join(str(error.get("message") or "").split())[:200]
    parts = [part for part in error.get("details") or [] if isinstance(part, dict)]
    if code in (401, 403) or "API_KEY" in str([part.get("reason") for part in parts]) or "API key" in message:
        return ProviderUnusable(f"Gemini refused the key ({message}): check GOOGLE_GEMINI_API_KEY.")
    if code == 404:
        return ProviderUnusable(f"Gemini has no model {model} for this key ({message}): choose another.")
    if code == 429:
        quotas = [violation.get("quotaId") or "" for part in parts for violation in part.get("violations") or []]
        if any("PerDay" in quota for quota in quotas):
            return QuotaExhausted("Gemini's quota for today is used up")
        delays = [part["retryDelay"] for part in parts if "retryDelay" in part]
        return TryLater(f"429 {message}", _seconds(delays[0]) if delays else None, rate_limited=True)
    if 400 <= code < 500 and code != 408:
        return InputRefused(f"{code} {message}")
    return TryLater(f"{code} {message}")


def _seconds(delay: Any) -> float | None:
    try:
        return float(str(delay).removesuffix("s"))
    except ValueError:
        return None
