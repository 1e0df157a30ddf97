"""News as it comes: one connection that listens for everybody, and for each reader the rows after the last it has seen.

What was announced is never believed, only looked up: a reader asks for what is later than its last row whenever its
clinic's bell has rung. So nothing is sent twice, left out or out of order, whatever happens to the connections. The
routes are in `streams`.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID
from weakref import WeakValueDictionary

import asyncpg

from bn_aura_pipelines.api.columns import Columns
from bn_aura_pipelines.api.connections import Connections
from bn_aura_pipelines.api.problems import UNAVAILABLE
from bn_aura_pipelines.api.queries import page_query
from bn_aura_pipelines.api.resources import RESOURCES

log = logging.getLogger(__name__)

CHANNEL = "aura_notifications"
HEARTBEAT_SECONDS = 15.0
AGAIN_SECONDS = 0.5
"""After a failure of the database, until it is asked again."""
LISTENING_SECONDS = 30.0
"""How often the listening connection is tried: one whose other end vanished would wait for ever."""
AT_ONCE = 200
NEWS = next(resource for resource in RESOURCES if resource.name == "notifications")
ORDERS = dict(NEWS.orders)


@dataclass(frozen=True)
class Notification:
    """A row of aura_marts.notifications, and the same as a server-sent event."""

    number: int
    recipient: UUID | None
    row: dict[str, Any]
    event: bytes

    @classmethod
    def of(cls, row: dict[str, Any]) -> Notification:
        number, recipient = row["notification_id"], row["recipient_user_id"]
        text = f"id: {number}\nevent: notification\ndata: {json.dumps(row, ensure_ascii=False)}\n\n"
        return cls(number, UUID(recipient) if recipient else None, row, text.encode())


@dataclass(eq=False)
class _Bell:
    """Rings when a clinic may have news. `reads`: what is being looked up, by the last row seen and `rung`."""

    rung: int = 0
    event: asyncio.Event = field(default_factory=asyncio.Event)
    reads: dict[tuple[int, int], asyncio.Task[list[Notification]]] = field(default_factory=dict)

    def ring(self) -> None:
        self.rung += 1
        self.event.set()
        self.event = asyncio.Event()

    async def wait(self, rung: int, seconds: float) -> None:
        """Until it has rung more often than `rung`, or so long."""
        if self.rung == rung:
            with suppress(TimeoutError):
                await asyncio.wait_for(self.event.wait(), seconds)


class Events:
    """The notifications of every clinic as they are committed. `connect` opens a connection of the API's role.

    `streams`: how many are being followed.
    """

    def __init__(
        self, connections: Connections, columns: Columns, connect: Callable[[], Awaitable[asyncpg.Connection]]
    ) -> None:
        self._connections = connections
        self._columns = columns
        self._connect = connect
        self._bells: WeakValueDictionary[UUID, _Bell] = WeakValueDictionary()
        self._stopped = False
        self.streams = 0

    def stop(self) -> None:
        """End every stream: a server that stops waits for its answers to end."""
        self._stopped = True
        self._ring_all()

    async def keep_listening(self) -> None:
        """Listen until cancelled, on a new connection whenever one was lost."""
        while True:
            try:
                await self._listen()
            except UNAVAILABLE as error:
                log.warning("nothing announces notifications for now: %s", type(error).__name__)
            await asyncio.sleep(AGAIN_SECONDS)

    async def newest(self, clinic: UUID) -> int:
        """The number of the clinic's last notification; 0 before the first."""
        rows = await self._read(clinic, None)
        return rows[-1].number if rows else 0

    async def follow(
        self, clinic: UUID, last: int, holds: Callable[[], Awaitable[bool]], user: UUID | None = None
    ) -> AsyncIterator[list[Notification]]:
        """What comes after number `last`, in order, as lists that are empty for a heartbeat.

        With `user` only what is addressed to that user or to everybody. Ends soon after `holds`, which is asked at
        every heartbeat, gives False.
        """
        self.streams += 1
        try:
            async for shown in self._follow(clinic, last, holds, user):
                yield shown
        finally:
            self.streams -= 1

    async def _follow(
        self, clinic: UUID, last: int, holds: Callable[[], Awaitable[bool]], user: UUID | None
    ) -> AsyncIterator[list[Notification]]:
        bell = self._bells.setdefault(clinic, _Bell())
        beat = time.monotonic()
        while not self._stopped:
            rung = bell.rung
            seconds = HEARTBEAT_SECONDS
            found: list[Notification] = []
            try:
                found = await self._shared(bell, clinic, last, rung)
            except UNAVAILABLE:
                seconds = AGAIN_SECONDS
            if found:
                last = found[-1].number
                shown = [one for one in found if user is None or one.recipient in (user, None)]
                if shown:
                    yield shown
            else:
                await bell.wait(rung, min(seconds, max(0.0, beat + HEARTBEAT_SECONDS - time.monotonic())))
            if time.monotonic() - beat >= HEARTBEAT_SECONDS:
                if not await holds():
                    return
                beat = time.monotonic()
                yield []

    async def _shared(self, bell: _Bell, clinic: UUID, last: int, rung: int) -> list[Notification]:
        """One look for all who have seen the same when the bell rang: it began later, so it finds the news."""
        entry = (last, rung)
        task = bell.reads.get(entry)
        if task is None:
            task = bell.reads[entry] = asyncio.ensure_future(self._read(clinic, last))
            task.add_done_callback(lambda done: (bell.reads.pop(entry), done.cancelled() or done.exception()))
        return await asyncio.shield(task)  # who leaves takes the answer away from nobody

    async def _read(self, clinic: UUID, last: int | None) -> list[Notification]:
        """The next rows after number `last`; with None the newest row."""
        names = tuple(column.name for column in await self._columns.of(NEWS.relation))
        arguments: dict[str, Any] = {"limit": 1}
        if last is not None:
            arguments = {"limit": AT_ONCE, "after": {"notification_id": last}}
        order = ORDERS["latest" if last is None else "oldest"]
        query = page_query(NEWS, names, order, frozenset(), last is not None, True)
        row = await self._connections.fetchrow(query, clinic, json.dumps(arguments), None, 0)
        assert row is not None
        return [Notification.of(item) for item in json.loads(row["body"])["items"]]

    async def _listen(self) -> None:
        lost = asyncio.Event()
        connection = await self._connect()
        try:
            connection.add_termination_listener(lambda _: lost.set())
            await connection.add_listener(CHANNEL, self._heard)
            self._ring_all()  # what was announced until now was heard by nobody
            while not lost.is_set():
                with suppress(TimeoutError):
                    await asyncio.wait_for(lost.wait(), LISTENING_SECONDS)
                if not lost.is_set():
                    await connection.execute("select 1", timeout=10 * AGAIN_SECONDS)
        finally:
            connection.terminate()

    def _heard(self, _connection: object, _pid: int, _channel: str, announced: object) -> None:
        with suppress(ValueError):  # whoever may connect may announce anything
            bell = self._bells.get(UUID(str(announced).partition(":")[0]))
            if bell:
                bell.ring()

    def _ring_all(self) -> None:
        for bell in list(self._bells.values()):
            bell.ring()
