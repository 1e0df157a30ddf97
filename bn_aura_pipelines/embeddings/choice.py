"""The provider that the settings name."""

from __future__ import annotations

from dataclasses import replace

from bn_aura_pipelines.embeddings.gemini import DEFAULT_LIMITS, GeminiEmbedder
from bn_aura_pipelines.embeddings.offline import OfflineEmbedder
from bn_aura_pipelines.embeddings.providers import EmbeddingProvider
from bn_aura_pipelines.settings import Settings


def make_provider(settings: Settings, model: str | None = None) -> EmbeddingProvider:
    """The embedder of `model`, by default the settings' own. Raises ProviderUnusable: unknown model, or no key."""
    model = model or settings.embedding_model
    if model == OfflineEmbedder.model:
        return OfflineEmbedder()
    key = settings.google_gemini_api_key
    limits = replace(
        DEFAULT_LIMITS,
        concurrency=settings.gemini_concurrency,
        requests_per_minute=settings.gemini_requests_per_minute,
        items_per_minute=settings.gemini_items_per_minute,
        tokens_per_minute=settings.gemini_tokens_per_minute,
    )
    return GeminiEmbedder(
        key.get_secret_value() if key else None, model, limits=limits, base_url=settings.gemini_base_url
    )
