"""A stand-in for the Gemini embeddings API on the loopback, that can misbehave in every way the real one may.

The vector of a text depends on the text alone. `python -m bn_aura_pipelines_tests.embeddings.stub --latency 0.05` runs
it as a process of its own, for benchmarks; `GET /stats` tells what it has seen.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import threading
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np

POOL = 4096
DIMENSIONS = 768


@dataclass(frozen=True)
class Fault:
    """What happens instead of an answer. `edit` changes the list of vectors; `drop` closes, `hang` never answers."""

    status: int = 200
    body: Any = None
    drop: bool = False
    hang: bool = False
    edit: Callable[[list[str]], list[str]] | None = None


Misbehaviour = Callable[[int, list[str]], Fault | None]


def error(status: int, code: str, message: str, details: list[dict[str, Any]] | None = None) -> Fault:
    """An error as Google's APIs spell it."""
    return Fault(status, {"error": {"code": status, "status": code, "message": message, "details": details or []}})


def rate_limited(delay: str) -> Fault:
    return error(
        *(429, "RESOURCE_EXHAUSTED", "Quota exceeded"),
        [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay}],
    )


def day_quota_exhausted() -> Fault:
    return error(
        *(429, "RESOURCE_EXHAUSTED", "You exceeded your current quota"),
        [
            {
                "@type": "type.googleapis.com/google.rpc.QuotaFailure",
                "violations": [{"quotaId": "EmbedContentRequestsPerDayPerUserPerProjectPerModel-FreeTier"}],
            },
            {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "40s"},
        ],
    )


def key_refused() -> Fault:
    return error(
        *(400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key."),
        [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}],
    )


def input_refused() -> Fault:
    return error(400, "INVALID_ARGUMENT", "The input is not acceptable.")


@lru_cache(maxsize=1)
def _pool() -> list[str]:
    drawn = np.random.default_rng(7).normal(size=(POOL, DIMENSIONS)).round(7)
    return [json.dumps({"values": row.tolist()}, separators=(",", ":")) for row in drawn]


def _vector(text: str) -> str:
    return _pool()[zlib.crc32(text.encode()) % POOL]


def vector_of(text: str) -> np.ndarray:
    """The vector that the stub gives for a text, before anybody scales it."""
    return np.array(json.loads(_vector(text))["values"], dtype=np.float32)


@dataclass
class Stub:
    """The server. In a test: `with Stub() as stub:` and `stub.url`."""

    latency: float = 0.0
    misbehave: Misbehaviour | None = None
    keep_texts: bool = True
    requests: int = 0
    items: int = 0
    in_flight: int = 0
    most_in_flight: int = 0
    texts: list[str] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    bulk_jobs: list[dict[str, Any]] = field(default_factory=list)
    """Jobs of the batch service: name, displayName, texts and state; a test may set `state` and `answers`."""
    bulk_state: str = "BATCH_STATE_SUCCEEDED"
    bulk_fault: Fault | None = None
    """What happens once a job has been received, instead of an answer."""
    url: str = ""

    def __enter__(self) -> Stub:
        ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, args=(ready,), daemon=True)
        self._thread.start()
        ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def _run(self, ready: threading.Event) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self.listen())
        ready.set()
        self._loop.run_forever()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.close()

    async def listen(self) -> None:
        _pool()  # takes a second, which is not the first request's
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=2**26)
        self._server = server
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                headers = head.decode("latin-1").lower()
                length = int(headers.partition("content-length:")[2].split("\r\n")[0] or 0)
                body = await reader.readexactly(length)
                if headers.startswith("get /stats"):
                    answer = json.dumps({"requests": self.requests, "items": self.items}).encode()
                    status = 200
                elif b"atch" in head.split(b"\r\n")[0] and b":batchEmbed" not in head:
                    status, answer = self._bulk(head.split(b" ")[1].decode().partition("?")[0], body, writer)
                    if not status:
                        return
                else:
                    status, answer = await self._answer(body, writer)
                    if not status:
                        return
                writer.write(
                    b"HTTP/1.1 %d X\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
                    % (status, len(answer), answer)
                )
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            return
        finally:
            writer.close()

    def _bulk(self, path: str, body: bytes, writer: asyncio.StreamWriter) -> tuple[int, bytes]:
        """The batch service: receives a job, lists all, or tells how one stands."""
        if path.endswith(":asyncBatchEmbedContent"):
            batch = json.loads(body)["batch"]
            asked = [one["request"] for one in batch["inputConfig"]["requests"]["requests"]]
            assert all(one["taskType"] == "RETRIEVAL_DOCUMENT" for one in asked)
            texts = [one["content"]["parts"][0]["text"] for one in asked]
            self.texts += texts
            self.bodies.append(body)
            name = f"batches/{len(self.bulk_jobs) + 1}"
            job = {"name": name, "displayName": batch["displayName"], "texts": texts, "state": self.bulk_state}
            self.bulk_jobs.append(job)
            if self.bulk_fault:
                writer.transport.abort()
                return 0, b""
            return 200, json.dumps(self._job(job)).encode()
        if path.endswith("/batches"):
            return 200, json.dumps({"operations": [self._job(job) for job in self.bulk_jobs]}).encode()
        found = [job for job in self.bulk_jobs if path.endswith(job["name"])]
        if not found:
            return 404, json.dumps(error(404, "NOT_FOUND", "No such job.").body).encode()
        return 200, json.dumps(self._job(found[0], whole=True)).encode()

    def _job(self, job: dict[str, Any], whole: bool = False) -> dict[str, Any]:
        metadata = {"displayName": job["displayName"], "state": job["state"]}
        if whole and job["state"] == "BATCH_STATE_SUCCEEDED":
            answers = job.get("answers") or [{"response": {"embedding": json.loads(_vector(t))}} for t in job["texts"]]
            metadata["output"] = {"inlinedResponses": {"inlinedResponses": answers}}
        return {"name": job["name"], "metadata": metadata}

    async def _answer(self, body: bytes, writer: asyncio.StreamWriter) -> tuple[int, bytes]:
        texts = [one["content"]["parts"][0]["text"] for one in json.loads(body)["requests"]]
        self.requests += 1
        number = self.requests
        self.items += len(texts)
        if self.keep_texts:
            self.texts += texts
            self.bodies.append(body)
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            fault = (self.misbehave(number, texts) if self.misbehave else None) or Fault()
            await asyncio.sleep(3600 if fault.hang else self.latency)
        finally:
            self.in_flight -= 1
        if fault.drop:
            writer.transport.abort()
            return 0, b""
        if fault.body is not None:
            return fault.status, fault.body if isinstance(fault.body, bytes) else json.dumps(fault.body).encode()
        vectors = [_vector(text) for text in texts]
        if fault.edit:
            vectors = fault.edit(vectors)
        return fault.status, ('{"embeddings":[' + ",".join(vectors) + "]}").encode()


async def _main(latency: float) -> None:
    stub = Stub(latency=latency, keep_texts=False)
    await stub.listen()
    sys.stdout.write(stub.url + "\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--latency", type=float, default=0.05)
    asyncio.run(_main(parser.parse_args().latency))
