"""Gemini's batch service through google-genai: many texts at half the price, within a day instead of at once."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from bn_aura_pipelines.embeddings.gemini import GeminiEmbedder
from bn_aura_pipelines.embeddings.providers import DIMENSIONS

if TYPE_CHECKING:
    import numpy as np

State = Literal["running", "done", "failed"]
DONE = {"JOB_STATE_SUCCEEDED", "JOB_STATE_PARTIALLY_SUCCEEDED"}
FAILED = {"JOB_STATE_FAILED", "JOB_STATE_CANCELLED", "JOB_STATE_EXPIRED"}


@dataclass(frozen=True)
class BulkAnswer:
    """How a job stands. `vectors` (n, 768) float32 of a done one, NaN where a text made none; `reason` of a failed."""

    state: State
    vectors: np.ndarray | None = None
    reason: str = ""


class GeminiBulk:
    """The batch service for one embedder's model. Every method raises what the embedder does."""

    def __init__(self, embedder: GeminiEmbedder) -> None:
        self._embedder = embedder

    async def submit(self, texts: Sequence[str], display_name: str) -> str:
        """Hand the texts over; returns the job's name. A name that is never heard of again may still be a job:
        `find` tells by the display name."""
        contents, config = self._embedder.bulk_request(texts)
        source = {"inlined_requests": {"contents": contents, "config": config}}

        async def create(client: Any) -> Any:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # that it is experimental
                return await client.aio.batches.create_embeddings(
                    model=self._embedder.model, src=source, config={"display_name": display_name}
                )

        return (await self._embedder.ask(create)).name

    async def find(self, display_name: str) -> str | None:
        """The name of the job that was submitted under this display name, if there is one."""

        async def look(client: Any) -> str | None:
            async for job in await client.aio.batches.list(config={"page_size": 100}):
                if job.display_name == display_name:
                    return job.name
            return None

        return await self._embedder.ask(look)

    async def read(self, name: str, count: int) -> BulkAnswer:
        """How the job of `count` texts stands; what was forgotten there has failed."""
        import numpy as np

        async def get(client: Any) -> Any:
            from google.genai.errors import APIError

            try:
                return await client.aio.batches.get(name=name)
            except APIError as error:
                if error.code == 404:
                    return None
                raise

        job = await self._embedder.ask(get)
        if job is None:
            return BulkAnswer("failed", reason=f"{name} is not known there any more")
        state = getattr(job.state, "name", str(job.state))
        if state in FAILED:
            return BulkAnswer("failed", reason=f"{state} {getattr(job.error, 'message', None) or ''}".strip())
        if state not in DONE:
            return BulkAnswer("running")
        answers = (job.dest.inlined_embed_content_responses if job.dest else None) or []
        if len(answers) != count:
            return BulkAnswer("failed", reason=f"{len(answers)} vectors came for {count} texts")
        vectors = np.full((count, DIMENSIONS), np.nan, np.float32)
        for place, answer in enumerate(answers):
            embedding = answer.response.embedding if answer.response else None
            values = (embedding.values if embedding else None) or ()
            if len(values) == DIMENSIONS:
                vectors[place] = values
        return BulkAnswer("done", vectors)

    async def close(self) -> None:
        await self._embedder.close()
