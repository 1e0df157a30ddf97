"""The application: what it is made of, and what runs as long as it does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from fastapi.middleware.gzip import GZipMiddleware
from fastapi_offline import FastAPIOffline

from bn_aura_pipelines.api.access import Access
from bn_aura_pipelines.api.columns import Columns
from bn_aura_pipelines.api.connections import address, open_connections
from bn_aura_pipelines.api.document import describe
from bn_aura_pipelines.api.events import Events
from bn_aura_pipelines.api.hooks import add_hooks
from bn_aura_pipelines.api.problems import handle_problems
from bn_aura_pipelines.api.reading import House
from bn_aura_pipelines.api.routes import Direct, add_resources
from bn_aura_pipelines.api.search import add_search
from bn_aura_pipelines.api.service import add_service
from bn_aura_pipelines.api.streams import add_streams
from bn_aura_pipelines.api.watching import Metrics, Watch
from bn_aura_pipelines.database.connections import Database
from bn_aura_pipelines.settings import Settings

GZIP_FROM_BYTES = 1_000


def make_app(database: Database, settings: Settings) -> FastAPI:
    """The read API on a migrated database.

    Raises UnsafeRole at its start when the role it would read as escapes row-level security or does not exist, and
    AmbiguousIssuer when tokens are asked for and it is not said whose.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with open_connections(database, settings.api_pool_size) as connections:
            columns = Columns(connections)
            events = Events(connections, columns, lambda: asyncpg.connect(**address(database)))
            access = Access(connections, settings)
            app.state.house = house = House(connections, access, columns, events, settings.api_stale_hours)
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
    app.add_middleware(Direct, api=app)
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
