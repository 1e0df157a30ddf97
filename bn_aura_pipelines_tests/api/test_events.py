"""The event stream: every notification of the clinic once and in order, whatever is cut off in between."""

from __future__ import annotations

import asyncio
import random
import subprocess
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import httpx
import jwt
import psutil
import pytest
import sqlalchemy
from pydantic import SecretStr

from bn_aura_pipelines.api import events
from bn_aura_pipelines.database.connections import Database
from bn_aura_pipelines.settings import Settings
from bn_aura_pipelines_tests.api.conftest import SIAM, THONGLOR, key_for, serving
from bn_aura_pipelines_tests.api.test_access import ISSUER, SECRET, bearer, claims, clinic_id
from bn_aura_pipelines_tests.conftest import clone, drop, run_sql

PATH = "/v1/notifications/stream"
SETTINGS = Settings(api_pool_size=2, api_requests_per_second=100_000, jwt_secret=SecretStr(SECRET), jwt_issuer=ISSUER)
Address = tuple[str, int]


@pytest.fixture(scope="module")
def news(server: Database, template: str) -> Iterator[Database]:
    """Two clinics to which nothing has happened yet."""
    database = clone(server, template)
    for code in (SIAM, THONGLOR):
        run_sql(database, f"insert into public.clinics (clinic_code) values ('{code}')")
    yield database
    drop(server, database)


@pytest.fixture(scope="module")
def address(news: Database) -> Iterator[Address]:
    with serving(news, SETTINGS) as client:
        yield client.base_url.host, client.base_url.port or 80


def announce(database: Database, code: str, count: int, recipient: str | None = None) -> list[int]:
    """So many notifications in one transaction; their numbers."""
    query = sqlalchemy.text(
        "insert into aura_marts.notifications (clinic_id, event_id, type, title_en, title_th, message_en, message_th,"
        " recipient_user_id)"
        " select id, gen_random_uuid(), 'churn', 'x', 'ข่าว', 'Line one\nline two', 'y', cast(:recipient as uuid)"
        " from public.clinics, generate_series(1, :count) where clinic_code = :code returning notification_id"
    )
    with database.begin() as connection:
        found = connection.execute(query, {"code": code, "count": count, "recipient": recipient})
        return sorted(found.scalars())


@asynccontextmanager
async def opened(address: Address, headers: dict[str, str], path: str = PATH) -> AsyncIterator[AsyncIterator[str]]:
    """The lines of a stream, over a bare socket: two hundred clients of a library would keep the test waiting."""
    reader, writer = await asyncio.open_connection(*address)
    asked = {"Host": "x", **headers}
    lines = "".join(f"{name}: {value}\r\n" for name, value in asked.items())
    writer.write(f"GET {path} HTTP/1.1\r\n{lines}\r\n".encode())
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200"), head

    async def chunks() -> AsyncIterator[str]:
        while size := int(await reader.readuntil(b"\r\n"), 16):
            for line in (await reader.readexactly(size + 2)).decode().splitlines():
                yield line

    try:
        yield chunks()
    finally:
        writer.close()


async def follow(
    address: Address, headers: dict[str, str], count: int, leaves_at: int, found: list[int], first: asyncio.Event
) -> None:
    """Follow until there are `count`, with a new connection after `leaves_at` or when it was cut."""
    last = -1
    while len(found) < count:
        resumed = {"Last-Event-ID": str(last)} if last >= 0 else {}
        ends_at = min(count, leaves_at if len(found) < leaves_at else count)
        try:
            async with opened(address, {**headers, **resumed}) as lines:
                async for line in lines:
                    if line.startswith("id: "):
                        last = int(line[4:])
                        first.set()
                    elif line.startswith("data: "):
                        found.append(last)
                        if len(found) >= ends_at:
                            break
        except (asyncio.IncompleteReadError, ConnectionError):
            await asyncio.sleep(0.1)


def restart(server: Database) -> None:
    """Stop PostgreSQL and start it again, on the same folder and socket."""
    with server.begin() as connection:
        data = Path(connection.exec_driver_sql("show data_directory").scalar_one())
    postmaster = psutil.Process(int((data / "postmaster.pid").read_text().split()[0]))
    command = [str(Path(postmaster.exe()).parent / "pg_ctl"), "-w", "-D", str(data), "-m", "fast", "restart"]
    subprocess.run(command, check=True, user=postmaster.uids().real, stdout=subprocess.DEVNULL)


def test_200_clients_get_1000_notifications_once_and_in_order_across_a_restart(
    server: Database, news: Database, address: Address
) -> None:
    headers, clients, count = key_for(news, SIAM), 200, 1_000
    found: list[list[int]] = [[] for _ in range(clients)]
    leaving = random.Random(5)
    sent: list[int] = []

    def write(until: int) -> None:
        size = random.Random(7)
        while len(sent) < until:
            announce(news, THONGLOR, 2)
            sent.extend(announce(news, SIAM, min(size.randint(1, 12), until - len(sent))))

    async def run() -> None:
        begun = [asyncio.Event() for _ in found]
        following = [
            asyncio.create_task(follow(address, headers, count, leaving.randint(1, 3 * count), mine, first))
            for mine, first in zip(found, begun, strict=True)
        ]
        await asyncio.gather(*(first.wait() for first in begun))
        await asyncio.to_thread(write, count // 2)
        await asyncio.to_thread(restart, server)
        await asyncio.to_thread(write, count - 1)
        # The last is announced while nobody listens.
        run_sql(news, "select pg_terminate_backend(pid) from pg_stat_activity where query ilike 'listen%'")
        await asyncio.to_thread(write, count)
        await asyncio.wait_for(asyncio.gather(*following), 90)

    asyncio.run(run())
    assert len(sent) == count
    assert all(mine == sent for mine in found)


def ids(address: Address, headers: dict[str, str], count: int, path: str = PATH) -> list[int]:
    """Where a stream starts, and the numbers of the first notifications."""

    async def read() -> list[int]:
        got: list[int] = []
        async with opened(address, headers, path) as lines:
            async for line in lines:
                if line.startswith("id: "):
                    got.append(int(line[4:]))
                if len(got) > count:
                    break
        return got

    return asyncio.run(asyncio.wait_for(read(), 20))


def test_a_client_that_saw_nothing_yet_comes_back_to_where_it_began(news: Database, address: Address) -> None:
    headers = key_for(news, SIAM)
    [begin] = ids(address, headers, 0)
    missed = announce(news, SIAM, 3)
    assert ids(address, {**headers, "Last-Event-ID": str(begin)}, 3) == [begin, *missed]
    assert ids(address, headers, 3, f"{PATH}?after={begin}") == [begin, *missed]


def test_a_quiet_stream_beats_and_ends_when_its_key_is_revoked(
    news: Database, address: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bn_aura_pipelines.api import access

    monkeypatch.setattr(events, "HEARTBEAT_SECONDS", 0.2)
    monkeypatch.setattr(access, "REMEMBERED_SECONDS", 0.1)
    headers = key_for(news, SIAM)

    async def read() -> list[str]:
        got: list[str] = []
        async with opened(address, headers) as lines:
            async for line in lines:
                got.append(line)
                if got.count(": nothing new") == 2:
                    run_sql(news, "update aura_ops.api_keys set revoked_at = now()")
        return got

    assert asyncio.run(asyncio.wait_for(read(), 20)).count(": nothing new") >= 2


def test_what_is_addressed_to_another_is_not_shown_to_a_user(news: Database, address: Address) -> None:
    me, other = str(uuid4()), str(uuid4())
    token = bearer(jwt.encode(claims(clinic_id(news, SIAM), sub=me), SECRET))
    [begin] = ids(address, token, 0)
    mine, _, everybody = announce(news, SIAM, 1, me), announce(news, SIAM, 1, other), announce(news, SIAM, 1)
    assert ids(address, {**token, "Last-Event-ID": str(begin)}, 2) == [begin, *mine, *everybody]
    with httpx.Client(base_url="http://{}:{}".format(*address), headers=token) as client:
        for parameters in ({}, {"recipient_user_id": other}):
            rows = client.get("/v1/notifications", params={"limit": 2, **parameters}).json()["items"]
            assert [row["notification_id"] for row in rows] == everybody + mine


@pytest.mark.parametrize("last", ["-1", "x", "9" * 30, str(2**63)])
def test_what_is_no_number_is_refused(news: Database, address: Address, last: str) -> None:
    with httpx.Client(base_url="http://{}:{}".format(*address), headers=key_for(news, SIAM)) as client:
        assert client.get(PATH, headers={"Last-Event-ID": last}).status_code == 422
        assert client.get(PATH, params={"after": last}).status_code == 422


def test_a_server_that_stops_ends_its_streams(news: Database) -> None:
    whole: list[str] = []
    begun = threading.Event()

    async def read(address: Address) -> None:
        async with opened(address, key_for(news, SIAM)) as lines:
            async for line in lines:
                whole.append(line)
                begun.set()
            whole.append("the end")

    with serving(news, SETTINGS) as client:
        address = (client.base_url.host, client.base_url.port or 80)
        reading = threading.Thread(target=lambda: asyncio.run(read(address)))
        reading.start()
        assert begun.wait(20)
    reading.join(5)
    assert whole[-1] == "the end"
