"""The API's connections: under which role they read, and in which order they are handed out."""

from __future__ import annotations

import asyncio
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
    """A pool that hands its connections out in the order in which they were asked for.

    asyncpg's own gives one that has just come free to whoever asks at that moment, and those who waited wait on: under
    load the slowest answers took twice as long (measured).
    """

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool
        self._turn = asyncio.Semaphore(pool.get_max_size())

    async def fetch(self, query: str, *arguments: Any) -> list[asyncpg.Record]:
        """All rows."""
        async with self._turn:
            return await self._pool.fetch(query, *arguments)

    async def fetchrow(self, query: str, *arguments: Any) -> asyncpg.Record | None:
        """The first row, None without one."""
        async with self._turn:
            return await self._pool.fetchrow(query, *arguments)

    async def fetchval(self, query: str, *arguments: Any) -> Any:
        """The first value of the first row, None without one."""
        async with self._turn:
            return await self._pool.fetchval(query, *arguments)


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
