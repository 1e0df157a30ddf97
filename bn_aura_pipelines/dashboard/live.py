"""What comes by itself: notifications, passed on from the API's event stream, and who else is looking.

Whoever has a stream open is present; when the last stream of a person ends, everybody of the clinic is told.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from starlette.requests import Request
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send

from bn_aura_pipelines.api.streams import PATH
from bn_aura_pipelines.dashboard.cookies import name_of
from bn_aura_pipelines.dashboard.opening import open_view


@dataclass(eq=False)
class _Stream:
    """An open stream: who looks, and how to tell them."""

    person: str
    send: Send
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    begun: bool = False

    async def pass_on(self, message: Message) -> None:
        """Whole events only: one at a time."""
        async with self.turn:
            self.begun = self.begun or message["type"] == "http.response.start"
            await self.send(message)

    async def tell(self, event: bytes) -> None:
        if self.begun:
            await self.pass_on({"type": "http.response.body", "body": event, "more_body": True})


class Presence:
    """The streams that are open, by clinic."""

    def __init__(self) -> None:
        self._streams: dict[UUID, set[_Stream]] = defaultdict(set)

    def people(self, clinic: UUID) -> list[str]:
        """Who of a clinic is looking, each person once."""
        return sorted(Counter(stream.person for stream in self._streams[clinic]))

    async def come(self, clinic: UUID, stream: _Stream) -> None:
        self._streams[clinic].add(stream)
        await self._tell(clinic)

    async def go(self, clinic: UUID, stream: _Stream) -> None:
        self._streams[clinic].discard(stream)
        await self._tell(clinic)

    async def _tell(self, clinic: UUID) -> None:
        text = json.dumps(self.people(clinic), ensure_ascii=False)
        event = f"event: presence\ndata: {text}\n\n".encode()
        await asyncio.gather(*(stream.tell(event) for stream in self._streams[clinic]), return_exceptions=True)


class _Live:
    """The API's stream of notifications for whoever is signed in, with presence between its events."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        view, asking = await open_view(request)
        presence: Presence = request.app.state.presence
        clinic = asking.reader.clinic
        person = name_of(request) or view.people.get(asking.reader.name) or asking.reader.name
        stream = _Stream(person, send)
        come = False

        async def passing(message: Message) -> None:
            nonlocal come
            await stream.pass_on(message)
            # The first event is the API's: it carries the number to come back with.
            if not come and message["type"] == "http.response.body":
                come = True
                await presence.come(clinic, stream)

        inner: dict[str, Any] = {**scope, "path": PATH, "raw_path": PATH.encode(), "root_path": "", "path_params": {}}
        inner.pop("app", None)
        try:
            await request.app.state.api(inner, receive, passing)
        finally:
            await presence.go(clinic, stream)


ROUTES = [Route("/stream", _Live())]
