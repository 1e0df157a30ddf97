"""The dashboard below /dashboard of the read API: one process, one set of connections, headers of its own."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import RedirectResponse
from starlette.routing import Mount
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bn_aura_pipelines.api.app import make_app as make_api
from bn_aura_pipelines.dashboard import customers, live, now, sales, session, tables, voice
from bn_aura_pipelines.dashboard.errors import HANDLERS
from bn_aura_pipelines.dashboard.rendering import STATIC, PersistentFiles
from bn_aura_pipelines.database.connections import Database
from bn_aura_pipelines.settings import Settings

PATH = "/dashboard"
HEADERS = [
    (
        b"content-security-policy",
        b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        b"form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
    (b"vary", b"Cookie"),
]


def make_app(database: Database, settings: Settings) -> FastAPI:
    """The read API with the dashboard below it. Raises what `api.app.make_app` raises."""
    app = make_api(database, settings)
    dashboard = Starlette(
        routes=[
            *session.ROUTES,
            *now.ROUTES,
            *customers.ROUTES,
            *sales.ROUTES,
            *voice.ROUTES,
            *tables.ROUTES,
            *live.ROUTES,
            Mount("/static", PersistentFiles(directory=STATIC)),
        ],
        middleware=[Middleware(Headers), Middleware(session.Credentials)],
        exception_handlers=HANDLERS,
    )
    dashboard.state.api = app
    dashboard.state.presence = live.Presence()
    app.mount(PATH, dashboard)
    app.add_route("/", _to_dashboard, include_in_schema=False)
    return app


async def _to_dashboard(_: Request) -> RedirectResponse:
    return RedirectResponse(f"{PATH}/")


class Headers:
    """ASGI middleware: what browsers have to obey on these pages. Nothing may be loaded from elsewhere or inline."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                said = {name.lower() for name, _ in message.get("headers", ())}
                added: list[Any] = [header for header in HEADERS if header[0] not in said]
                if b"cache-control" not in said:
                    added.append((b"cache-control", b"private, no-cache"))
                message["headers"] = [*message.get("headers", ()), *added]
            await send(message)

        await self._app(scope, receive, sending)
