"""The application: its connections, under which role it reads, and what it is made of."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from fastapi.middleware.gzip import GZipMiddleware
from fastapi_offline import FastAPIOffline

from bn_aura_pipelines.api.access import Access
from bn_aura_pipelines.api.columns import Columns
from bn_aura_pipelines.api.document import describe
from bn_aura_pipelines.api.events import Events
from bn_aura_pipelines.api.hooks import add_hooks
from bn_aura_pipelines.api.problems import handle_problems
from bn_aura_pipelines.api.reading import House
from bn_aura_pipelines.api.routes import add_resources
from bn_aura_pipelines.api.search import add_search
from bn_aura_pipelines.api.service import add_service
from bn_aura_pipelines.api.streams import add_streams
from bn_aura_pipelines.api.watching import Metrics, Watch
from bn_aura_pipelines.database.connections import Database
from bn_aura_pipelines.errors import UserError
from bn_aura_pipelines.settings import Settings

ROLE = "aura_api"
STATEMENT_TIMEOUT_MS = "5000"
GZIP_FROM_BYTES = 1_000


class UnsafeRole(UserError):
    """The API would not be under row-level security."""


def make_app(database: Database, settings: Settings) -> FastAPI:
    """The read API on a migrated database.

    Raises UnsafeRole at its start when the role it would read as escapes row-level security or does not exist, and
    AmbiguousIssuer when tokens are asked for and it is not said whose.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with await open_pool(database, settings.api_pool_size) as pool:
            columns = Columns(pool)
            events = Events(pool, columns, lambda: asyncpg.connect(**address(database)))
            app.state.house = house = House(pool, Access(pool, settings), columns, events, settings.api_stale_hours)
            await columns.all()
            beside = [asyncio.create_task(work) for work in (house.audit.keep_writing(), events.keep_listening())]
            try:
                yield
            finally:
                for task in beside:
                    task.cancel()
                await asyncio.gather(*beside, return_exceptions=True)
                await house.audit.write()

    app = FastAPIOffline(
        title="BN-Aura read API",
        version="1",
        lifespan=lifespan,
        redoc_url=None,
        swagger_ui_parameters={"defaultModelsExpandDepth": -1, "docExpansion": "none", "tryItOutEnabled": True},
    )
    handle_problems(app)
    metrics = Metrics()
    add_service(app, metrics)
    add_streams(app)
    add_resources(app)
    add_search(app, database)
    add_hooks(app, settings)
    app.openapi = lambda: describe(app, app.state.house.columns.known)
    app.add_middleware(GZipMiddleware, minimum_size=GZIP_FROM_BYTES, compresslevel=5)
    if settings.api_cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.api_cors_origins,
            allow_methods=["GET"],
            allow_headers=["Authorization", "X-Clinic-Id", "If-None-Match", "Last-Event-ID"],
            expose_headers=["ETag", "Retry-After"],
        )
    app.add_middleware(Watch, metrics=metrics)
    return app


async def open_pool(database: Database, size: int) -> asyncpg.Pool:
    """Connections whose session role is the API's own."""
    try:
        pool = await asyncpg.create_pool(**address(database), min_size=1, max_size=size, reset=_leave)
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


async def _leave(_: asyncpg.Connection) -> None:
    """Nothing to reset: each call is a transaction of its own and sets nothing beyond it.

    asyncpg's own way is a second journey to the server for every answer. What was left open it ends in any case.
    """


def address(database: Database) -> dict[str, Any]:
    """Where and as whom a connection of the API is opened."""
    url = database.url
    query = dict(url.query)
    return {
        "host": str(query.get("host") or url.host or "localhost"),
        "port": int(str(query.get("port") or url.port or 5432)),
        "user": url.username,
        "password": url.password,
        "database": url.database,
        "server_settings": {
            "role": ROLE,
            "search_path": "pg_catalog",
            "TimeZone": "Asia/Bangkok",
            "jit": "off",
            "statement_timeout": STATEMENT_TIMEOUT_MS,
        },
    }
