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
LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)


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
    return _load(taken, len(taken) / seconds)


def pgbench(database: Database, statements: Sequence[str], seconds: int, connections: int = CONNECTIONS) -> Load:
    """What pgbench comes to with these statements, prepared, in the API's role."""
    with database.begin() as connection:
        data = Path(connection.exec_driver_sql("show data_directory").scalar_one())
    program = Path(psutil.Process(int((data / "postmaster.pid").read_text().split()[0])).exe()).parent / "pgbench"
    to = address(database)
    options = " ".join(f"-c {name}={value}" for name, value in to["server_settings"].items())
    with tempfile.TemporaryDirectory() as folder:
        arguments = [str(program), "-n", "-M", "prepared", "-c", str(connections), "-j", "1", "-T", str(seconds)]
        arguments += ["-l", "--log-prefix", str(Path(folder) / "times")]
        for number, statement in enumerate(statements):
            file = Path(folder) / f"{number}.sql"
            file.write_text(statement + ";\n")
            arguments += ["-f", str(file)]
        arguments += ["-h", to["host"], "-p", str(to["port"]), "-U", str(to["user"]), str(to["database"])]
        told = subprocess.run(
            arguments, env={**os.environ, "PGOPTIONS": options}, capture_output=True, text=True, check=False
        )
        lines = [line for file in Path(folder).glob("times.*") for line in file.read_text().splitlines()]
    found = re.search(r"^tps = ([\d.]+) \(without", told.stdout, re.MULTILINE)
    if told.returncode or found is None or "number of failed transactions: 0 " not in told.stdout:
        raise Refused(f"pgbench: {told.stderr[-500:]}{told.stdout[:500]}")
    return _load([1e-6 * int(line.split()[2]) for line in lines], float(found[1]))


def _load(taken: list[float], per_second: float) -> Load:
    taken.sort()
    return Load(per_second, 1e3 * taken[len(taken) // 2], 1e3 * taken[int(len(taken) * 0.99)])


class _Connection(asyncio.Protocol):
    """One request after the other, until the time is over; reads no more of an answer than its status and length."""

    def __init__(
        self, requests: list[bytes], start: int, until: float, taken: list[float], over: asyncio.Event
    ) -> None:
        self._requests, self._next = requests, start
        self._until, self._taken, self._over = until, taken, over
        self._missing = 0
        self._asked_at = 0.0
        self.refused: bytes | None = None

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._ask()

    def data_received(self, data: bytes) -> None:
        if not self._missing:  # the first part of an answer, which holds all of its head
            head = data.index(b"\r\n\r\n") + 4
            self._missing = head + int(LENGTH.search(data, 0, head)[1])  # type: ignore[index]
            if not data.startswith(b"HTTP/1.1 200"):
                self.refused = data[:500]
        self._missing -= len(data)
        if self._missing:
            return
        now = time.perf_counter()
        self._taken.append(now - self._asked_at)
        if now < self._until and self.refused is None:
            self._ask()
        else:
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._over.set()

    def _ask(self) -> None:
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
