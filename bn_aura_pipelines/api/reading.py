"""One question of a reader to the marts: one call to the database, its JSON as it comes, with what it is about."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import asyncpg
from fastapi import HTTPException, Request, Response

from bn_aura_pipelines.api.access import Access, Reader, fingerprint
from bn_aura_pipelines.api.audit import Audit
from bn_aura_pipelines.api.columns import Columns
from bn_aura_pipelines.api.connections import Connections
from bn_aura_pipelines.api.events import Events

JSON = "application/json"
ZONE = ZoneInfo("Asia/Bangkok")


class House:
    """What every route needs: connections, who may ask, the columns there are, the notes of who read whom, and the
    ear for notifications."""

    def __init__(
        self, connections: Connections, access: Access, columns: Columns, events: Events, stale_hours: int
    ) -> None:
        self.connections = connections
        self.access = access
        self.columns = columns
        self.audit = Audit(connections)
        self.events = events
        self.stale_hours = stale_hours

    async def answer(
        self, request: Request, reader: Reader, relations: Sequence[str], statement: str, arguments: dict[str, Any]
    ) -> Response | None:
        """What a statement of `queries` about these relations gives; 304 where the client has this version; None where
        there is nothing to show. Raises NotBuilt."""
        mark = fingerprint(reader)
        known = _known(request.headers.get("if-none-match"), mark)
        try:
            row = await self.connections.fetchrow(
                statement, reader.clinic, json.dumps(arguments), known, self.stale_hours
            )
        except (asyncpg.UndefinedColumnError, asyncpg.UndefinedTableError):
            self.columns.forget()
            for relation in relations:
                await self.columns.of(relation)
            raise
        assert row is not None
        version, body = row
        headers = {"ETag": f'W/"{version}-{mark}"'} if version else {}
        if body is None:
            return Response(status_code=304, headers=headers) if known == version and known else None
        return Response(body, media_type=JSON, headers=headers)


def about(as_of: datetime, materialized_at: datetime, stale: bool) -> dict[str, Any]:
    """What every answer says of itself."""
    return {
        "as_of": as_of.astimezone(ZONE).isoformat(),
        "materialized_at": materialized_at.astimezone(ZONE).isoformat(),
        "stale": stale,
    }


def house_of(request: Request) -> House:
    """The house of the application that this request came to."""
    return request.app.state.house


def parameters(request: Request, known: Sequence[str]) -> dict[str, str]:
    """The query's parameters. Raises HTTPException 422 for one that is unknown or said twice."""
    given: dict[str, str] = {}
    for name, value in request.query_params.multi_items():
        if name not in known:
            raise HTTPException(422, f"{name[:50]!r} is no parameter here: {', '.join(known) or 'none'} are.")
        if name in given:
            raise HTTPException(422, f"{name} was given twice.")
        given[name] = value
    return given


def whole_number(text: str, name: str, most: int) -> int:
    """1 to `most`. Raises HTTPException 422."""
    if not (text.isascii() and text.isdigit() and len(text) <= 9 and 1 <= int(text) <= most):
        raise HTTPException(422, f"{name} is a whole number from 1 to {most}.")
    return int(text)


def _known(header: str | None, mark: str) -> str | None:
    """The version in If-None-Match, if this reader got it from us."""
    if header and header.startswith('W/"') and header.endswith(f'-{mark}"'):
        return header[3 : -len(mark) - 2]
    return None
