"""Around every answer: headers that browsers obey, and counts and times for Prometheus."""

from __future__ import annotations

import time
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Histogram, generate_latest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)
HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
]
CLOSED = [
    *HEADERS,
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cache-control", b"private, no-cache"),
    (b"vary", b"Authorization, X-Clinic-Id"),
]
# The pages of the documentation start their own scripts, which come from this server.
READABLE = [
    *HEADERS,
    (
        b"content-security-policy",
        b"default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
        b"img-src 'self' data:; frame-ancestors 'none'",
    ),
]
READABLE_PATHS = ("/docs", "/static-offline-docs")


class Watch:
    """ASGI middleware around the whole application. A header that an answer has is left as it is."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = time.perf_counter()
        status, seconds = 500, None
        headers = READABLE if scope["path"].startswith(READABLE_PATHS) else CLOSED

        async def sending(message: Message) -> None:
            nonlocal status, seconds
            if message["type"] == "http.response.start":
                status, seconds = message["status"], time.perf_counter() - begun
                said = {name for name, _ in message.get("headers", ())}
                message["headers"] = [*message.get("headers", ()), *(one for one in headers if one[0] not in said)]
            await send(message)

        try:
            await self._app(scope, receive, sending)
        finally:
            self._metrics.saw(scope, status, time.perf_counter() - begun if seconds is None else seconds)


class Metrics:
    """How many answers of which kind, and how long they took; labelled by route, never by what was asked for."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "bn_aura_api_requests_total", "Answers.", ["method", "route", "status"], registry=self._registry
        )
        self._seconds = Histogram(
            "bn_aura_api_seconds", "Time until an answer begins.", ["route"], buckets=SECONDS, registry=self._registry
        )
        self._children: dict[tuple[str, str, int], tuple[Any, Any]] = {}

    def saw(self, scope: Scope, status: int, seconds: float) -> None:
        """Count one answer."""
        route = getattr(scope.get("route"), "path", "none")
        method = scope["method"] if route != "none" else "any"
        entry = (method, route, status)
        children = self._children.get(entry)
        if children is None:
            children = self._requests.labels(method, route, str(status)), self._seconds.labels(route)
            self._children[entry] = children
        children[0].inc()
        children[1].observe(seconds)

    def text(self) -> tuple[bytes, str]:
        """What Prometheus reads, and its media type."""
        return generate_latest(self._registry), CONTENT_TYPE_LATEST
