"""The route of the event stream: notifications as server-sent events, from where the client left off."""

from __future__ import annotations

from collections.abc import AsyncIterator
from uuid import UUID

from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import StreamingResponse

from bn_aura_pipelines.api.access import Reader
from bn_aura_pipelines.api.document import CLINIC, KINDS, SECURITY, parameter, responses
from bn_aura_pipelines.api.problems import UNAVAILABLE
from bn_aura_pipelines.api.reading import House, house_of, parameters

PATH = "/v1/notifications/stream"
MOST_STREAMS = 1_000
RETRY_MS = 2_000
LARGEST = 2**63 - 1
EVENT_STREAM = "text/event-stream"
HEARTBEAT = b": nothing new\n\n"
NUMBER = {"type": "integer", "minimum": 0, "maximum": LARGEST}


def add_streams(app: FastAPI) -> None:
    """Add the route to the application."""
    app.add_api_route(
        PATH,
        _stream,
        methods=["GET"],
        tags=["notifications"],
        summary="Notifications as they come, as server-sent events",
        description="Each event carries one row of the list as `data` and its number as `id`. A client that comes back "
        "with `Last-Event-ID` misses none and gets none twice. A comment every 15 seconds keeps the connection open.",
        operation_id="stream_notifications",
        response_class=StreamingResponse,
        openapi_extra={
            "parameters": [
                parameter("Last-Event-ID", NUMBER, "The number of the last one seen; browsers send it.", "header"),
                parameter("after", NUMBER, "The same for clients that cannot set headers."),
                parameter("recipient_user_id", KINDS["uuid"], "Addressed to this user or to everybody."),
                CLINIC,
            ],
            "responses": responses("Event", (304, 404), EVENT_STREAM),
            "security": SECURITY,
        },
    )


async def _stream(request: Request) -> StreamingResponse:
    house = house_of(request)
    reader = await house.access.reader(request)
    given = parameters(request, ("after", "recipient_user_id"))
    user = reader.user or _recipient(given.get("recipient_user_id"))
    last = _number(request.headers.get("last-event-id") or given.get("after"))
    if house.events.streams >= MOST_STREAMS:
        raise ConnectionError("so many streams are open already")
    if last is None:
        last = await house.events.newest(reader.clinic)
    content = _events(request, house, reader, last, user)
    return StreamingResponse(content, media_type=EVENT_STREAM, headers={"X-Accel-Buffering": "no"})


async def _events(request: Request, house: House, reader: Reader, last: int, user: UUID | None) -> AsyncIterator[bytes]:
    # An event without data is shown to nobody, but its id is what the client comes back with.
    yield f"retry: {RETRY_MS}\nid: {last}\n\n".encode()

    async def holds() -> bool:
        try:
            return await house.access.identify(request) == reader
        except HTTPException:
            return False
        except UNAVAILABLE:
            return True

    async for found in house.events.follow(reader.clinic, last, holds, user):
        yield b"".join(one.event for one in found) or HEARTBEAT


def _number(text: str | None) -> int | None:
    """The number of a notification. Raises HTTPException 422."""
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 19 and int(text) <= LARGEST):
        raise HTTPException(422, "Last-Event-ID and after are the id of an event of this stream.")
    return int(text)


def _recipient(text: str | None) -> UUID | None:
    try:
        return UUID(text) if text is not None else None
    except ValueError as error:
        raise HTTPException(422, "recipient_user_id is an id.") from error
