"""What goes wrong, as `application/problem+json` (RFC 9457) with a stable code. Nothing of the inside is told: no stack
trace, no SQL, no address of a server."""

from __future__ import annotations

import asyncio
import logging
from http import HTTPStatus
from typing import Any

import asyncpg
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from bn_aura_pipelines.api.columns import NotBuilt

log = logging.getLogger(__name__)

RETRY_SECONDS = "5"
CODES = {
    401: "no_valid_credential",
    403: "not_allowed",
    404: "not_found",
    405: "method_not_allowed",
    409: "not_built",
    422: "unreadable",
    429: "too_many_requests",
    503: "unavailable",
}
UNAVAILABLE = (
    OSError,
    asyncio.TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # a connection that was cut while it stood idle in the pool
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.ObjectNotInPrerequisiteStateError,  # a database that is being restored or closed
    asyncpg.UndefinedColumnError,  # a table that is built anew this moment, with other columns
    asyncpg.UndefinedTableError,
)


def content(status: int, detail: str) -> dict[str, str | int]:
    """A problem's fields: words for people and a code for programs."""
    return {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "code": CODES.get(status, "error"),
        "detail": detail,
    }


def problem(status: int, detail: str, headers: dict[str, str] | None = None) -> Response:
    """One problem as it is answered."""
    return JSONResponse(content(status, detail), status, headers, media_type="application/problem+json")


async def problem_of(app: FastAPI, request: Request, error: Exception) -> Response:
    """What the application answers to an error. Raises it where nothing but a failure can be said of it."""
    for kind in type(error).__mro__:
        handler: Any = app.exception_handlers.get(kind)
        if handler and kind is not Exception:
            return await handler(request, error)
    raise error


def handle_problems(app: FastAPI) -> None:
    """Answer every error of the application so."""

    @app.exception_handler(HTTPException)
    async def refused(_: Request, error: HTTPException) -> Response:
        return problem(error.status_code, str(error.detail), dict(error.headers or {}))

    @app.exception_handler(RequestValidationError)
    async def unreadable(_: Request, error: RequestValidationError) -> Response:
        found = (f"{'.'.join(str(part) for part in one['loc'][1:])}: {one['msg']}" for one in error.errors())
        return problem(422, "; ".join(found))

    @app.exception_handler(asyncpg.DataError)
    async def unreadable_value(_: Request, error: asyncpg.DataError) -> Response:
        return problem(422, f"A value cannot be read: {str(error).splitlines()[0]}")

    @app.exception_handler(NotBuilt)
    async def not_built(_: Request, error: NotBuilt) -> Response:
        return problem(409, f"{error} has not been built yet: run `bn-aura run`.")

    async def unavailable(_: Request, error: Exception) -> Response:
        log.warning("the database did not answer: %s", type(error).__name__)
        return problem(503, "The database did not answer in time: try again.", {"Retry-After": RETRY_SECONDS})

    for kind in UNAVAILABLE:
        app.exception_handler(kind)(unavailable)

    @app.exception_handler(Exception)
    async def failed(_: Request, error: Exception) -> Response:
        log.error("a request failed", exc_info=error)
        return problem(500, "Something failed here; it has been logged.")
