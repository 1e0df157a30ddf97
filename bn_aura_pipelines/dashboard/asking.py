"""Questions of a signed-in reader to the read API in this process: what its routes answer, and figures of the marts."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from fastapi import FastAPI
from starlette.requests import Request
from starlette.types import Message

from bn_aura_pipelines.api.access import Reader
from bn_aura_pipelines.api.columns import Column, NotBuilt
from bn_aura_pipelines.api.reading import House
from bn_aura_pipelines.dashboard.figures import Figure

CARRIED = (b"authorization", b"x-clinic-id")
Row = dict[str, Any]


class Refused(Exception):
    """The read API answered with a problem: its status, code and words."""

    def __init__(self, status: int, code: str, detail: str) -> None:
        super().__init__(detail)
        self.status, self.code, self.detail = status, code, detail


@dataclass(frozen=True)
class Answer:
    """Rows of a relation, and how fresh they are. `missing`: the relation has not been built, so there are none.
    `next`: the cursor of the next page. `parts`: rows of other relations that belong to a single row."""

    relation: str
    rows: list[Row] = field(default_factory=list)
    next: str | None = None
    as_of: datetime | None = None
    materialized_at: datetime | None = None
    stale: bool = False
    missing: bool = False
    parts: dict[str, list[Row]] = field(default_factory=dict)

    @property
    def row(self) -> Row:
        """The only row, or an empty one."""
        return self.rows[0] if self.rows else {}


class Asking:
    """What one request asks. `answers`: everything that it was told, for the freshness of the page."""

    def __init__(self, api: FastAPI, request: Request, reader: Reader) -> None:
        self.reader = reader
        self.answers: list[Answer] = []
        self._api = api
        self._request = request

    @property
    def house(self) -> House:
        return self._api.state.house

    async def columns(self) -> dict[str, tuple[Column, ...]]:
        """The columns of every mart with their definitions."""
        return await self.house.columns.all()

    async def get(self, path: str, **parameters: object) -> Row:
        """The JSON of an answer of the API. Raises Refused."""
        return await ask(self._api, self._request, path, parameters)

    async def page(self, path: str, relation: str, **parameters: object) -> Answer:
        """A page of a list of the API, or one row of it. Raises Refused, but for a relation that was never built."""
        try:
            body = await self.get(path, **parameters)
        except Refused as refused:
            if refused.code != "not_built":
                raise
            return self._keep(Answer(relation, missing=True))
        return self._keep(_answer(relation, body))

    async def figure(self, figure: Figure, **arguments: object) -> Answer:
        """The rows of a figure, seen as the API's role sees them."""
        known = await self.columns()
        if any(relation not in known for relation in figure.relations):
            return self._keep(Answer(figure.relations[0], missing=True))
        body = await self.house.answer(
            _unconditional(self._request), self.reader, figure.relations, figure.statement, figure.defaults | arguments
        )
        if body is None:
            raise NotBuilt(figure.relations[0])
        return self._keep(_answer(figure.relations[0], json.loads(bytes(body.body))))

    def _keep(self, answer: Answer) -> Answer:
        self.answers.append(answer)
        return answer


def _answer(relation: str, body: Row) -> Answer:
    rows = body.pop("items") if "items" in body else [body.pop("item")]
    front = {name: body.pop(name, None) for name in ("next", "as_of", "materialized_at", "stale")}
    return Answer(
        relation,
        rows,
        front["next"],
        _moment(front["as_of"]),
        _moment(front["materialized_at"]),
        bool(front["stale"]),
        parts=body,
    )


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


async def ask(api: FastAPI, request: Request, path: str, parameters: dict[str, object]) -> Row:
    """GET `path` of the API within this process, as whoever sent `request`. Raises Refused."""
    given = {name: value for name, value in parameters.items() if value not in (None, "")}
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": urlencode(given).encode(),
        "headers": [(b"host", b"dashboard"), *(h for h in request.scope["headers"] if h[0] in CARRIED)],
        "client": request.scope.get("client"),
        "server": request.scope.get("server"),
    }
    status, parts = 500, bytearray()

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        nonlocal status
        if message["type"] == "http.response.start":
            status = message["status"]
        else:
            parts.extend(message.get("body", b""))

    await api(scope, receive, send)
    body = json.loads(bytes(parts))
    if status != 200:
        raise Refused(status, body.get("code", "error"), body.get("detail", ""))
    return body


def _unconditional(request: Request) -> Request:
    """The same request without the browser's own ETag, which is about a page and not about a mart."""
    headers = [header for header in request.scope["headers"] if header[0] != b"if-none-match"]
    return Request({**request.scope, "headers": headers})
