"""The provider that the settings name."""

from __future__ import annotations

from bn_aura_pipelines.embeddings.gemini import GeminiEmbedder
from bn_aura_pipelines.embeddings.offline import OfflineEmbedder
from bn_aura_pipelines.embeddings.providers import EmbeddingProvider
from bn_aura_pipelines.settings import Settings


def make_provider(settings: Settings, model: str | None = None) -> EmbeddingProvider:
    """The embedder of `model`, by default the settings' own. Raises ProviderUnusable: unknown model, or no key."""
    model = model or settings.embedding_model
    if model == OfflineEmbedder.model:
        return OfflineEmbedder()
    key = settings.google_gemini_api_key
    return GeminiEmbedder(key.get_secret_value() if key else None, model, base_url=settings.gemini_base_url)
