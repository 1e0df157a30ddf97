"""A stand-in for Resend on the loopback: keeps keys as Resend does, and can misbehave."""

from __future__ import annotations

import json
import random
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from uuid import uuid4

from bn_aura_pipelines.settings import Settings

SECRET = "a secret of the tests"


@dataclass(frozen=True)
class Reaction:
    """What the stub does: take the message or not, and answer with a status, or break the connection off (0)."""

    status: int = 200
    kind: str = "application_error"
    takes: bool = True
    headers: dict[str, str] = field(default_factory=dict)


GOOD = Reaction()
LOST = Reaction(0)  # taken, and the acknowledgement never arrives
BUSY = Reaction(429, "rate_limit_exceeded", takes=False)
BROKEN = Reaction(502, takes=False)


def faults(seed: int, lost: float = 0.03, busy: float = 0.05, broken: float = 0.03) -> Callable[[int], Reaction]:
    """Reactions at random with these shares of faults."""
    rng = random.Random(seed)

    def react(_number: int) -> Reaction:
        drawn = rng.random()
        for share, reaction in ((lost, LOST), (busy, BUSY), (broken, BROKEN)):
            if drawn < share:
                return reaction
            drawn -= share
        return GOOD

    return react


@dataclass
class Stub:
    """`with Stub(react) as stub:` and `stub.url`. `react` gets the number of the request, from 1."""

    react: Callable[[int], Reaction] = lambda number: GOOD
    requests: list[tuple[str | None, dict[str, Any]]] = field(default_factory=list)
    mailed: Counter[str] = field(default_factory=Counter)
    """How often each message was mailed, by the tag message_id: what recipients see."""
    taken: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    """What was taken under each idempotency key: the provider's id and the body."""
    url: str = ""

    def __enter__(self) -> Stub:
        stub, lock = self, threading.Lock()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                raw = self.rfile.read(int(self.headers["Content-Length"]))
                body, key = json.loads(raw), self.headers.get("Idempotency-Key")
                with lock:
                    stub.requests.append((key, body))
                    reaction = stub.react(len(stub.requests))
                    status, answer = stub._answer(reaction, key, raw, body)
                if reaction.status == 0:
                    self.close_connection = True
                    return
                content = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                for name, value in reaction.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *args: Any) -> None:
                """Nothing: the tests' output stays readable."""

        class Server(ThreadingHTTPServer):
            def handle_error(self, request: object, client_address: object) -> None:
                """Nothing: a worker that is killed breaks its connection off."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _answer(self, reaction: Reaction, key: str | None, raw: bytes, body: dict[str, Any]) -> tuple[int, Any]:
        if not reaction.takes:
            return reaction.status, {"statusCode": reaction.status, "name": reaction.kind, "message": "no"}
        known = self.taken.get(key) if key else None
        if known is not None and known[1] != raw:
            return 409, {"statusCode": 409, "name": "invalid_idempotent_request", "message": "another body"}
        provider_id = known[0] if known else str(uuid4())
        if known is None:
            self.mailed[next(tag["value"] for tag in body["tags"] if tag["name"] == "message_id")] += 1
            if key:
                self.taken[key] = (provider_id, raw)
        if reaction.status not in (0, 200):
            return reaction.status, {"statusCode": reaction.status, "name": reaction.kind, "message": "no"}
        return 200, {"id": provider_id}


def live(url: str, home: Path = Path("unused"), **changes: Any) -> Settings:
    """Settings that send to a stub."""
    return Settings.model_validate(
        {
            "home": home,
            "send": "live",
            "resend_api_key": "re_test",
            "resend_base_url": url,
            "resend_requests_per_second": 10_000,
            "email_from": "hello@clinic.example",
            "public_url": "https://aura.example",
            "unsubscribe_secret": SECRET,
            **changes,
        }
    )
