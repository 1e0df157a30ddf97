"""The application: who asks, one call to the database, its JSON as it comes. What is shown stands in `resources`."""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict
from typing import Annotated, Any, Literal
from uuid import UUID

import asyncpg
from fastapi import Depends, FastAPI, HTTPException, Path, Query, Request, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from fastapi_offline import FastAPIOffline

from bn_aura_pipelines.api.keys import hash_key
from bn_aura_pipelines.api.problems import handle_problems
from bn_aura_pipelines.api.resources import RESOURCES, Resource
from bn_aura_pipelines.database.connections import Database, DatabaseUnreachable, psycopg_connection
from bn_aura_pipelines.errors import UserError

ROLE = "aura_api"
STATEMENT_TIMEOUT_MS = "5000"

bearer = HTTPBearer(auto_error=False, description="A key of `bn-aura api-key create`.")


class UnsafeRole(UserError):
    """The API would not be under row-level security."""


def make_app(database: Database, pool_size: int = 8) -> FastAPI:
    """The read API on a migrated database.

    Raises UnsafeRole at its start when the role it would read as escapes row-level security or does not exist.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with await open_pool(database, pool_size) as pool:
            app.state.pool = pool
            yield

    app = FastAPIOffline(
        title="BN-Aura read API",
        version="1",
        description="Materialized results of the pipelines. A key sees its own clinic and nothing else.",
        lifespan=lifespan,
        redoc_url=None,
    )
    handle_problems(app)

    @app.get("/health", tags=["service"], summary="Whether the database answers")
    async def health(request: Request) -> dict[str, str]:
        await request.app.state.pool.fetchval("select 1")
        return {"status": "ok"}

    for resource in RESOURCES:
        app.get(f"/v1/{resource.name}", tags=[resource.name], summary=resource.about, openapi_extra=_filters(resource))(
            _page(resource)
        )
        if resource.item:
            app.get(f"/v1/{resource.name}/{{key}}", tags=[resource.name], summary="One row")(_item(resource))
    app.get("/v1/search", tags=["search"], summary="Find rows by meaning, spelling, or both")(_search(database))
    return app


async def open_pool(database: Database, size: int) -> asyncpg.Pool:
    """Connections whose session role is the API's own: a reset brings them back to it, never above it."""
    url = database.url
    query = dict(url.query)
    try:
        pool = await asyncpg.create_pool(
            host=str(query.get("host") or url.host or "localhost"),
            port=url.port or 5432,
            user=url.username,
            password=url.password,
            database=url.database,
            min_size=1,
            max_size=size,
            server_settings={
                "role": ROLE,
                "TimeZone": "Asia/Bangkok",
                "jit": "off",
                "statement_timeout": STATEMENT_TIMEOUT_MS,
            },
        )
    except (asyncpg.InvalidParameterValueError, asyncpg.InsufficientPrivilegeError) as error:
        raise UnsafeRole(
            f"The read API cannot act as role {ROLE} ({error}): run `bn-aura run` once, or grant the role as an "
            "administrator."
        ) from error
    unsafe = await pool.fetchval(
        "select rolsuper or rolbypassrls or rolname <> $1 from pg_catalog.pg_roles where rolname = current_user", ROLE
    )
    if unsafe is not False:
        await pool.close()
        raise UnsafeRole(f"Role {ROLE} escapes row-level security: run `alter role {ROLE} nosuperuser nobypassrls`.")
    return pool


async def clinic_of(
    request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]
) -> UUID:
    """The clinic of the key that came with the request; 401 without one that holds."""
    clinic = None
    if credentials is not None:
        clinic = await request.app.state.pool.fetchval(
            "select aura_ops.clinic_of_api_key($1)", hash_key(credentials.credentials)
        )
    if clinic is None:
        raise HTTPException(
            401, "This needs a key that holds: Authorization: Bearer bna_…", {"WWW-Authenticate": "Bearer"}
        )
    return clinic


Clinic = Annotated[UUID, Depends(clinic_of)]
Limit = Annotated[int, Query(ge=1, le=200, description="Most rows of a page.")]
Cursor = Annotated[str | None, Query(max_length=500, description="`next` of the page before.")]
Handler = Callable[..., Awaitable[Response]]


def _page(resource: Resource) -> Handler:
    async def page(request: Request, clinic: Clinic, limit: Limit = 50, cursor: Cursor = None) -> Response:
        arguments: dict[str, Any] = {"limit": limit, "after": _decode(resource, cursor)}
        for name, value in request.query_params.items():
            if name in resource.filters:
                arguments[name] = value
            elif name not in ("limit", "cursor"):
                known = ", ".join(["limit", "cursor", *resource.filters])
                raise HTTPException(422, f"{name} is no parameter here: {known} are.")
        body = json.loads(await _read(request, clinic, resource.page_query, arguments) or "{}")
        body["next"] = _encode(body["next"])
        return Response(json.dumps(body, ensure_ascii=False), media_type="application/json")

    return page


def _item(resource: Resource) -> Handler:
    async def item(request: Request, clinic: Clinic, key: Annotated[str, Path(max_length=100)]) -> Response:
        body = await _read(request, clinic, resource.item_query, {"key": key})
        if body is None:
            raise HTTPException(404, f"This clinic has no such row in {resource.name}.")
        return Response(body, media_type="application/json")

    return item


def _search(database: Database) -> Handler:
    async def search(
        clinic: Clinic,
        q: Annotated[str, Query(min_length=1, max_length=2000, pattern="^[^\\x00]*$", description="What to look for.")],
        mode: Literal["hybrid", "semantic", "lexical"] = "hybrid",
        entity: Annotated[str, Query(pattern="^(conversation|lead|customer)$")] = "conversation",
        limit: Annotated[int, Query(ge=1, le=50)] = 10,
    ) -> Response:
        try:
            hits = await asyncio.to_thread(_find, database, clinic, q, mode, entity, limit)
        except DatabaseUnreachable as error:
            raise ConnectionError(str(error)) from error
        except UserError as error:
            raise HTTPException(422, str(error)) from error
        items = [{**asdict(hit), "entity_id": str(hit.entity_id)} for hit in hits]
        return Response(json.dumps({"items": items}, ensure_ascii=False), media_type="application/json")

    return search


def _find(database: Database, clinic: UUID, q: str, mode: Any, entity: Any, limit: int) -> list[Any]:
    from bn_aura_pipelines.embeddings.choice import make_provider
    from bn_aura_pipelines.embeddings.search import active_model, search
    from bn_aura_pipelines.settings import get_settings

    with database.begin() as connection:
        provider = make_provider(get_settings(), active_model(psycopg_connection(connection)))
        return search(connection, clinic, q, provider, mode=mode, entity=entity, limit=limit)


async def _read(request: Request, clinic: UUID, query: str, arguments: dict[str, Any]) -> str | None:
    return await request.app.state.pool.fetchval(
        "select aura_marts.read_as($1, $2, $3::jsonb)", clinic, query, json.dumps(arguments)
    )


def _encode(order: dict[str, Any] | None) -> str | None:
    if order is None:
        return None
    return base64.urlsafe_b64encode(json.dumps(order).encode()).decode().rstrip("=")


def _decode(resource: Resource, cursor: str | None) -> dict[str, Any] | None:
    """The order columns of the last row of the page before. Raises 422 for anything this API did not hand out."""
    if cursor is None:
        return None
    try:
        order = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (binascii.Error, ValueError) as error:
        raise HTTPException(422, "cursor is not one of this API's.") from error
    if not isinstance(order, dict) or set(order) != {name for name, _ in resource.order}:
        raise HTTPException(422, "cursor is not one of this list's.")
    if not all(isinstance(value, str | int) for value in order.values()):
        raise HTTPException(422, "cursor is not one of this list's.")
    return order


def _filters(resource: Resource) -> dict[str, Any]:
    kinds = {"int": "integer", "uuid": "string", "text": "string", "date": "string", "timestamptz": "string"}
    return {
        "parameters": [
            {"name": name, "in": "query", "required": False, "schema": {"type": kinds[kind]}}
            for name, kind in resource.filters.items()
        ]
    }
