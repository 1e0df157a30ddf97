"""The embedder that needs no network: hashed character n-grams straight to 768 dimensions.

Stateless and the same on every machine. It is lexical: it knows spellings, not meanings. Thai needs no word breaks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from bn_aura_pipelines.embeddings.providers import DIMENSIONS, Kind, Limits

if TYPE_CHECKING:
    import numpy as np


class OfflineEmbedder:
    """Character 2- to 4-grams, counted under a signed hash, damped by a square root, scaled to length 1."""

    model = "offline-ngrams-1"
    limits = Limits(items_per_request=500)
    usd_per_million_tokens = 0.0

    @cached_property
    def _vectorizer(self) -> Any:
        from sklearn.feature_extraction.text import HashingVectorizer

        no_norm: Any = None  # which the library takes, whatever its annotation says
        return HashingVectorizer(analyzer="char", ngram_range=(2, 4), n_features=DIMENSIONS, norm=no_norm)

    def estimate_tokens(self, text: str) -> int:
        return 0

    async def embed(self, texts: Sequence[str], kind: Kind) -> np.ndarray:
        if kind == "query":
            return self.vectors(texts)  # shorter than the way into a thread
        return await asyncio.to_thread(self.vectors, texts)

    async def close(self) -> None:
        """There is nothing to close."""

    def vectors(self, texts: Sequence[str]) -> np.ndarray:
        """(n, 768) float32, each row of length 1; a text with no n-gram points along the first axis."""
        import numpy as np

        counts = self._vectorizer.transform([f" {text} " for text in texts])
        dense = counts.toarray().astype(np.float32)
        dense = np.sign(dense) * np.sqrt(np.abs(dense))
        dense[~dense.any(axis=1), 0] = 1.0
        return dense / np.linalg.norm(dense, axis=1, keepdims=True)
