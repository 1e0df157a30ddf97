"""Search over the API: by meaning, by spelling, or both."""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import FastAPI, HTTPException, Query, Request, Response

from bn_aura_pipelines.api.reading import house_of
from bn_aura_pipelines.database.connections import Database, DatabaseUnreachable, psycopg_connection
from bn_aura_pipelines.errors import UserError


def add_search(app: FastAPI, database: Database) -> None:
    """Add the search routes to the application."""

    @app.get("/v1/search", tags=["search"], summary="Find rows by meaning, spelling, or both")
    async def search(
        request: Request,
        q: Annotated[str, Query(min_length=1, max_length=2000, pattern="^[^\\x00]*$", description="What to look for.")],
        mode: Literal["hybrid", "semantic", "lexical"] = "hybrid",
        entity: Annotated[str, Query(pattern="^(conversation|lead|customer)$")] = "conversation",
        limit: Annotated[int, Query(ge=1, le=50)] = 10,
    ) -> Response:
        reader = await house_of(request).access.reader(request)
        try:
            hits = await asyncio.to_thread(_find, database, reader.clinic, q, mode, entity, limit)
        except DatabaseUnreachable as error:
            raise ConnectionError(str(error)) from error
        except UserError as error:
            raise HTTPException(422, str(error)) from error
        items = [{**asdict(hit), "entity_id": str(hit.entity_id)} for hit in hits]
        return Response(json.dumps({"items": items}, ensure_ascii=False), media_type="application/json")


def _find(database: Database, clinic: UUID, q: str, mode: Any, entity: Any, limit: int) -> list[Any]:
    from bn_aura_pipelines.embeddings.choice import make_provider
    from bn_aura_pipelines.embeddings.search import active_model, search
    from bn_aura_pipelines.settings import get_settings

    with database.begin() as connection:
        provider = make_provider(get_settings(), active_model(psycopg_connection(connection)))
        return search(connection, clinic, q, provider, mode=mode, entity=entity, limit=limit)
