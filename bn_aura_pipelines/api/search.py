"""Search over the API: conversations, customers and leads by a text, or by one that is there already.

The statements are those of `embeddings.search`, each of which names its clinic; they run in a thread, on connections of
the pipelines' own, since they also read what the API's role may not.
"""

from __future__ import annotations

import asyncio
import json
from datetime import datetime
from typing import Any
from uuid import UUID

from fastapi import FastAPI, HTTPException, Request, Response

from bn_aura_pipelines.api.document import CLINIC, KINDS, SECURITY, parameter, responses
from bn_aura_pipelines.api.reading import JSON, House, about, house_of, parameters, whole_number
from bn_aura_pipelines.database.connections import Database, DatabaseUnreachable, psycopg_connection
from bn_aura_pipelines.errors import UserError

ENTITIES = {"conversations": "conversation", "customers": "customer", "leads": "lead"}
MODES = ("hybrid", "semantic", "lexical")
LONGEST_QUERY = 2_000
MOST_HITS = 50
FILTERS = {
    "status": ("text", "The row's status."),
    "type": ("text", "A conversation's kind, a lead's source, a customer's type."),
    "since": ("timestamptz", "Made at this moment or later."),
    "until": ("timestamptz", "Made before this moment."),
    "language": ("text", "th, en or mixed."),
}
KNOWN = ("q", "like", "mode", "limit", *FILTERS)


def add_search(app: FastAPI, database: Database) -> None:
    """Add the search routes to the application."""
    for name in ENTITIES:
        app.add_api_route(
            f"/v1/search/{name}",
            _search(database, name),
            methods=["GET"],
            tags=["search"],
            summary=f"Find {name} by meaning, spelling or both, or those like one that is given",
            operation_id=f"search_{name}",
            response_class=Response,
            openapi_extra=_document(),
        )


def _search(database: Database, name: str) -> Any:
    async def search(request: Request) -> Response:
        house = house_of(request)
        reader = await house.access.reader(request)
        given = parameters(request, KNOWN)
        limit = whole_number(given.get("limit", "10"), "limit", MOST_HITS)
        mode = given.get("mode", MODES[0])
        if mode not in MODES:
            raise HTTPException(422, f"mode is one of {', '.join(MODES)}.")
        if ("q" in given) == ("like" in given):
            raise HTTPException(422, "Give either q, a text to look for, or like, an id that others should be like.")
        query = given.get("q", "")
        if "\0" in query or len(query) > LONGEST_QUERY or ("q" in given and not query.strip()):
            raise HTTPException(422, f"q is a text of 1 to {LONGEST_QUERY} characters.")
        like = _uuid(given["like"]) if "like" in given else None
        find = asyncio.to_thread(
            _find, database, reader.clinic, ENTITIES[name], query, like, mode, _filters(given), limit
        )
        try:
            hits, sync = await asyncio.gather(find, _about(house, ENTITIES[name]))
        except DatabaseUnreachable as error:
            raise ConnectionError(str(error)) from error
        if name != "conversations":
            house.audit.note(reader, f"search/{name}", like)
        items = [{**vars(hit), "entity_id": str(hit.entity_id)} for hit in hits]
        return Response(json.dumps({**sync, "items": items}, ensure_ascii=False), media_type=JSON)

    return search


async def _about(house: House, entity: str) -> dict[str, Any]:
    """The moment that the last complete sync was about, and when it ended."""
    row = await house.connections.fetchrow(
        "select as_of, materialized_at, materialized_at < now() - make_interval(hours => $2) as stale"
        " from aura_ops.materializations where relation = $1",
        f"{entity}_embeddings",
        house.stale_hours,
    )
    return about(row["as_of"], row["materialized_at"], row["stale"]) if row else {}


def _find(
    database: Database,
    clinic: UUID,
    entity: Any,
    query: str,
    like: UUID | None,
    mode: Any,
    filters: dict[str, Any],
    limit: int,
) -> list[Any]:
    from bn_aura_pipelines.embeddings.choice import make_provider
    from bn_aura_pipelines.embeddings.legs import Filters
    from bn_aura_pipelines.embeddings.search import SearchRefused, active_model, search, similar
    from bn_aura_pipelines.settings import get_settings

    try:
        with database.begin() as connection:
            if like is not None:
                return similar(connection, clinic, entity, like, filters=Filters(**filters), limit=limit)
            provider = make_provider(get_settings(), active_model(psycopg_connection(connection)))
            wanted = Filters(**filters)
            return search(connection, clinic, query, provider, mode=mode, entity=entity, filters=wanted, limit=limit)
    except SearchRefused as error:
        raise HTTPException(404 if like is not None else 409, str(error)) from error
    except UserError as error:
        raise HTTPException(422, str(error)) from error


def _filters(given: dict[str, str]) -> dict[str, Any]:
    for name in ("status", "type", "language"):
        if len(given.get(name, "")) > 100 or "\0" in given.get(name, ""):
            raise HTTPException(422, f"{name} has at most 100 characters.")
    return {
        "status": given.get("status"),
        "type": given.get("type"),
        "language": given.get("language"),
        "created_from": _moment(given, "since"),
        "created_until": _moment(given, "until"),
    }


def _moment(given: dict[str, str], name: str) -> datetime | None:
    if name not in given:
        return None
    try:
        moment = datetime.fromisoformat(given[name])
    except ValueError as error:
        raise HTTPException(422, f"{name} is a moment such as 2026-06-01T00:00:00+07:00.") from error
    if moment.tzinfo is None:
        raise HTTPException(422, f"{name} needs its zone, as in 2026-06-01T00:00:00+07:00.")
    return moment


def _uuid(value: str) -> UUID:
    try:
        return UUID(value)
    except ValueError as error:
        raise HTTPException(422, "like is an id.") from error


def _document() -> dict[str, Any]:
    text = {"type": "string", "maxLength": LONGEST_QUERY, "minLength": 1}
    given = [
        parameter("q", text, "What to look for."),
        parameter("like", KINDS["uuid"], "Or the id of the one that others should be like."),
        parameter("mode", {"type": "string", "enum": [*MODES], "default": MODES[0]}, "How texts are compared."),
        parameter("limit", {"type": "integer", "minimum": 1, "maximum": MOST_HITS, "default": 10}, "Most hits."),
        *(parameter(name, KINDS[kind], words) for name, (kind, words) in FILTERS.items()),
    ]
    return {"parameters": [*given, CLINIC], "responses": responses("Hits"), "security": SECURITY}
