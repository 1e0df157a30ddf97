"""Load for the read API, and the same statements through pgbench, each from a process of its own."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import re
import subprocess
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from bn_aura_pipelines.api.connections import address
from bn_aura_pipelines.database.connections import Database

CONNECTIONS = 16


class Refused(Exception):
    """An answer other than 200."""


@dataclass(frozen=True)
class Load:
    """What a run of requests came to."""

    per_second: float
    p50_ms: float
    p99_ms: float


def ask(port: int, requests: Sequence[bytes], seconds: float, connections: int = CONNECTIONS) -> Load:
    """Ask for so long, each connection one request after the other, in another process. Raises Refused."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        taken = pool.submit(_ask, port, list(requests), seconds, connections).result()
    taken.sort()
    return Load(len(taken) / seconds, 1e3 * taken[len(taken) // 2], 1e3 * taken[int(len(taken) * 0.99)])


def pgbench(database: Database, statements: Sequence[str], seconds: int, connections: int = CONNECTIONS) -> float:
    """Transactions a second of pgbench with these statements, prepared, in the API's role."""
    with database.begin() as connection:
        data = Path(connection.exec_driver_sql("show data_directory").scalar_one())
    program = Path(psutil.Process(int((data / "postmaster.pid").read_text().split()[0])).exe()).parent / "pgbench"
    to = address(database)
    options = " ".join(f"-c {name}={value}" for name, value in to["server_settings"].items())
    with tempfile.TemporaryDirectory() as folder:
        arguments = [str(program), "-n", "-M", "prepared", "-c", str(connections), "-j", "1", "-T", str(seconds)]
        for number, statement in enumerate(statements):
            file = Path(folder) / f"{number}.sql"
            file.write_text(statement + ";\n")
            arguments += ["-f", str(file)]
        arguments += ["-h", to["host"], "-p", str(to["port"]), "-U", str(to["user"]), str(to["database"])]
        told = subprocess.run(
            arguments, env={**os.environ, "PGOPTIONS": options}, capture_output=True, text=True, check=False
        )
    found = re.search(r"^tps = ([\d.]+) \(without", told.stdout, re.MULTILINE)
    if told.returncode or found is None or "number of failed transactions: 0 " not in told.stdout:
        raise Refused(f"pgbench: {told.stderr[-500:]}{told.stdout[:500]}")
    return float(found[1])


class _Connection(asyncio.Protocol):
    """One request after the other, until the time is over; reads no more of an answer than its status and length."""

    def __init__(
        self, requests: list[bytes], start: int, until: float, taken: list[float], over: asyncio.Event
    ) -> None:
        self._requests, self._next = requests, start
        self._until, self._taken, self._over = until, taken, over
        self._answer = b""
        self._asked_at = 0.0
        self.refused: bytes | None = None

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._ask()

    def data_received(self, data: bytes) -> None:
        self._answer = self._answer + data if self._answer else data
        head = self._answer.find(b"\r\n\r\n")
        if head < 0:
            return
        at = self._answer.lower().index(b"content-length:", 0, head) + 15
        if len(self._answer) < head + 4 + int(self._answer[at : self._answer.index(b"\r\n", at)]):
            return
        now = time.perf_counter()
        self._taken.append(now - self._asked_at)
        if not self._answer.startswith(b"HTTP/1.1 200"):
            self.refused = self._answer[:500]
        if now < self._until and self.refused is None:
            self._ask()
        else:
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._over.set()

    def _ask(self) -> None:
        self._answer = b""
        self._next = (self._next + 1) % len(self._requests)
        self._asked_at = time.perf_counter()
        self._transport.write(self._requests[self._next])


def _ask(port: int, requests: list[bytes], seconds: float, connections: int) -> list[float]:
    import uvloop

    async def run() -> list[float]:
        taken: list[float] = []
        loop = asyncio.get_running_loop()
        until = time.perf_counter() + seconds
        overs = []
        protocols = []
        for number in range(connections):
            over = asyncio.Event()
            start = number * len(requests) // connections
            _, protocol = await loop.create_connection(
                lambda start=start, over=over: _Connection(requests, start, until, taken, over), "127.0.0.1", port
            )
            overs.append(over)
            protocols.append(protocol)
        await asyncio.gather(*(over.wait() for over in overs))
        for protocol in protocols:
            if protocol.refused is not None:
                raise Refused(protocol.refused.decode(errors="replace"))
        return taken

    return uvloop.run(run())
