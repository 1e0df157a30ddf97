"""What a page says when there is nothing to show: in words, with what to do."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import quote

from fastapi import HTTPException
from starlette.exceptions import HTTPException as PlainHTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from bn_aura_pipelines.api.columns import NotBuilt
from bn_aura_pipelines.api.problems import UNAVAILABLE
from bn_aura_pipelines.dashboard.asking import Refused
from bn_aura_pipelines.dashboard.rendering import public_view, render

log = logging.getLogger(__name__)
RETRY_SECONDS = "5"


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    return _page(request, error.status, error.detail)


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, PlainHTTPException)
    return _page(request, error.status_code, str(error.detail), dict(error.headers or {}))


async def _not_built(request: Request, _: Exception) -> Response:
    return _page(request, 409, "")


async def _unavailable(request: Request, error: Exception) -> Response:
    log.warning("the database did not answer: %s", type(error).__name__)
    return _page(request, 503, "")


async def _failed(request: Request, error: Exception) -> Response:
    log.error("a page failed", exc_info=error)
    return _page(request, 500, "")


def _page(request: Request, status: int, detail: str, headers: dict[str, str] | None = None) -> Response:
    if status == 401:
        root = request.scope["root_path"]
        if request.headers.get("accept", "").startswith("text/event-stream"):
            return Response(status_code=401)
        onward = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        return RedirectResponse(f"{root}/sign-in?next={quote(onward)}", 303)
    answer = render(public_view(request), "problem.html", status, status=status, detail=detail)
    answer.headers.update({"Retry-After": RETRY_SECONDS} if status == 503 else {})
    answer.headers.update(headers or {})
    return answer


Handler = Callable[[Request, Exception], Awaitable[Response]]
HANDLERS: dict[Any, Handler] = {
    Refused: _refused,
    PlainHTTPException: _http,
    HTTPException: _http,
    NotBuilt: _not_built,
    Exception: _failed,
    **dict.fromkeys(UNAVAILABLE, _unavailable),
}
