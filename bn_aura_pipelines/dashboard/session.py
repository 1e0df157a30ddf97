"""Signing in and out, and what a person prefers: all in cookies. The credential's is http-only and same-site; each
request carries it on to the API as the header that it stands for."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl

from fastapi import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from bn_aura_pipelines.api.access import CLINIC_HEADER
from bn_aura_pipelines.dashboard.cookies import (
    CLINIC,
    CREDENTIAL,
    LANGUAGE,
    NAME,
    THEME,
    cookies_of,
    forget,
    keep,
    written,
)
from bn_aura_pipelines.dashboard.rendering import LANGUAGES, THEMES, public_view, render

SESSION_SECONDS = 12 * 3600
PREFERENCE_SECONDS = 365 * 24 * 3600
LONGEST_FORM = 10_000
LONGEST_CREDENTIAL = 3_900
"""Browsers keep cookies of up to 4,096 bytes, name and attributes included."""
WRITABLE = re.compile(r"[A-Za-z0-9._~+/=-]+")


class Credentials:
    """ASGI middleware: the cookie's key or token becomes the header that the API reads; no other header does."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            cookies = cookies_of(scope)
            headers = [h for h in scope["headers"] if h[0] not in (b"authorization", CLINIC_HEADER.encode())]
            headers += _headers(cookies.get(CREDENTIAL, ""), cookies.get(CLINIC, ""))
            scope = {**scope, "headers": headers}
        await self._app(scope, receive, send)


def _headers(credential: str, clinic: str) -> list[tuple[bytes, bytes]]:
    headers = [(b"authorization", f"Bearer {credential}".encode("latin-1", "replace"))] if credential else []
    return headers + ([(CLINIC_HEADER.encode(), clinic.encode("latin-1", "replace"))] if clinic else [])


async def _sign_in_page(request: Request) -> Response:
    return render(public_view(request), "sign_in.html", onward=_local(request.query_params.get("next", "")))


async def _sign_in(request: Request) -> Response:
    form = await read_form(request)
    onward = _local(form.get("next", ""))
    credential, clinic = form.get("credential", "").strip(), form.get("clinic", "").strip()
    problem = 401
    if WRITABLE.fullmatch(credential) and len(credential) <= LONGEST_CREDENTIAL:
        asking = Request({**request.scope, "headers": _headers(credential, clinic)})
        try:
            await request.app.state.api.state.house.access.reader(asking)
            problem = None
        except HTTPException as error:
            problem = error.status_code
    if problem is not None:
        return render(public_view(request), "sign_in.html", problem, onward=onward, problem=problem, clinic=clinic)
    answer = RedirectResponse(onward, 303)
    forget(request, answer, CLINIC, NAME)
    keep(request, answer, CREDENTIAL, credential, SESSION_SECONDS)
    for name, value in ((CLINIC, clinic), (NAME, written(form.get("name", "")))):
        if value:
            keep(request, answer, name, value, SESSION_SECONDS)
    return answer


async def _sign_out(request: Request) -> Response:
    await read_form(request)
    answer = RedirectResponse(f"{request.scope['root_path']}/sign-in", 303)
    forget(request, answer, CREDENTIAL, CLINIC, NAME)
    answer.headers["Clear-Site-Data"] = '"cache"'
    return answer


async def _prefer(request: Request) -> Response:
    form = await read_form(request)
    answer = RedirectResponse(_local(form.get("next", "")), 303)
    for name, allowed in ((LANGUAGE, LANGUAGES), (THEME, THEMES)):
        if form.get(name) in allowed:
            keep(request, answer, name, form[name], PREFERENCE_SECONDS)
    return answer


async def read_form(request: Request) -> dict[str, str]:
    """The fields of a form that one of our own pages sent. Raises HTTPException: 403 for another site's page, 413."""
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    if site is not None:
        own = site == "same-origin"
    else:
        own = origin == f"{request.url.scheme}://{request.headers.get('host')}"
    if not own:
        raise HTTPException(403, "This form was not sent by a page of this dashboard.")
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > LONGEST_FORM:
            raise HTTPException(413, "This form is too long.")
    return dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))


def _local(target: str) -> str:
    """A path of the dashboard to go on to: never another site."""
    own = target.startswith("/dashboard/") and "\\" not in target and target.isprintable()
    return target if own else "/dashboard/"


ROUTES = [
    Route("/sign-in", _sign_in_page),
    Route("/sign-in", _sign_in, methods=["POST"]),
    Route("/sign-out", _sign_out, methods=["POST"]),
    Route("/preferences", _prefer, methods=["POST"]),
]
