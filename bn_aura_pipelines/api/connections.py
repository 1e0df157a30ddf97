"""The API's connections: under which role they read, and in which order they are handed out."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from bn_aura_pipelines.database.connections import Database
from bn_aura_pipelines.errors import UserError

ROLE = "aura_api"
STATEMENT_TIMEOUT_MS = "5000"


class UnsafeRole(UserError):
    """The API would not be under row-level security."""


class Connections:
    """A pool whose connections go from one who asks to the next, in the order in which they came, and back to asyncpg's
    own pool when nobody waits.

    asyncpg's gives one that has just come free to whoever asks at that moment, and those who waited wait on: under load
    the slowest answers took twice as long. To take one from it and give it back costs as much as a short query, too
    (both measured).
    """

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool
        self._seats: list[Any] = [None] * pool.get_max_size()
        """Free ones; each with a connection, or None for one that is to be taken from the pool."""
        self._line: deque[asyncio.Future[Any]] = deque()

    async def fetch(self, query: str, *arguments: Any) -> list[asyncpg.Record]:
        """All rows."""
        return await self._ask("fetch", query, arguments)

    async def fetchrow(self, query: str, *arguments: Any) -> asyncpg.Record | None:
        """The first row, None without one."""
        return await self._ask("fetchrow", query, arguments)

    async def fetchval(self, query: str, *arguments: Any) -> Any:
        """The first value of the first row, None without one."""
        return await self._ask("fetchval", query, arguments)

    async def _ask(self, method: str, query: str, arguments: tuple[Any, ...]) -> Any:
        connection = await self._seat()
        try:
            if connection is None:
                connection = await self._pool.acquire()
            return await getattr(connection, method)(query, *arguments)
        finally:
            if connection is not None and (not self._line or _is_closed(connection)):
                left, connection = connection, None
                try:
                    await self._pool.release(left)
                finally:
                    self._pass_on(None)
            else:
                self._pass_on(connection)

    async def _seat(self) -> Any:
        if self._seats:
            return self._seats.pop()
        turn = asyncio.get_running_loop().create_future()
        self._line.append(turn)
        try:
            return await turn
        except asyncio.CancelledError:
            if not turn.cancelled():  # its turn had come
                self._pass_on(turn.result())
            raise

    def _pass_on(self, connection: Any) -> None:
        while self._line:
            turn = self._line.popleft()
            if not turn.done():  # who was cancelled has gone
                turn.set_result(connection)
                return
        self._seats.append(connection)


def _is_closed(connection: Any) -> bool:
    try:
        return connection.is_closed()
    except asyncpg.InterfaceError:  # so closed that the pool has forgotten it
        return True


@asynccontextmanager
async def open_connections(database: Database, size: int) -> AsyncIterator[Connections]:
    """Connections whose session role is the API's own. Raises UnsafeRole where it escapes row-level security."""
    try:
        pool = await asyncpg.create_pool(**address(database), min_size=1, max_size=size, reset=_leave)
    except (asyncpg.InvalidParameterValueError, asyncpg.InsufficientPrivilegeError) as error:
        raise UnsafeRole(
            f"The read API cannot act as role {ROLE} ({error}): run `bn-aura run` once, or grant the role as an "
            "administrator."
        ) from error
    async with pool:
        unsafe = await pool.fetchval(
            "select rolsuper or rolbypassrls or rolname <> $1 from pg_catalog.pg_roles where rolname = current_user",
            ROLE,
        )
        if unsafe is not False:
            raise UnsafeRole(
                f"Role {ROLE} escapes row-level security: run `alter role {ROLE} nosuperuser nobypassrls`."
            )
        yield Connections(pool)


async def _leave(_: asyncpg.Connection) -> None:
    """Nothing to reset: each call is a transaction of its own and sets nothing beyond it.

    asyncpg's own way is a second journey to the server for every answer. What was left open it ends in any case.
    """


def address(database: Database) -> dict[str, Any]:
    """Where and as whom a connection of the API is opened."""
    url = database.url
    query = dict(url.query)
    return {
        "host": str(query.get("host") or url.host or "localhost"),
        "port": int(str(query.get("port") or url.port or 5432)),
        "user": url.username,
        "password": url.password,
        "database": url.database,
        "server_settings": {
            "role": ROLE,
            "search_path": "pg_catalog",
            "TimeZone": "Asia/Bangkok",
            "jit": "off",
            # The statements are few and each has one good plan: to make it anew took longer than to run it (measured).
            "plan_cache_mode": "force_generic_plan",
            "statement_timeout": STATEMENT_TIMEOUT_MS,
        },
    }
