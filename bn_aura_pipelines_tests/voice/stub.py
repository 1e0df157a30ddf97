"""A stand-in for Gemini's generateContent on the loopback, that can misbehave."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

GOOD: dict[str, Any] = {
    "overall_sentiment": "negative",
    "confidence": 0.9,
    "satisfaction_score": 2.5,
    "key_concerns": ["price"],
    "positive_signals": [],
    "improvement_suggestions": ["Explain the price."],
    "emotional_tone": "frustrated",
}


@dataclass(frozen=True)
class Reaction:
    """What the stub does: an HTTP status with a body, after so many seconds."""

    body: Any
    status: int = 200
    seconds: float = 0.0


def answer(text: str | None = None, **changes: Any) -> Reaction:
    """An answer with `text`, or with the good one changed; a value of ... leaves the field out."""
    fields = {name: value for name, value in {**GOOD, **changes}.items() if value is not ...}
    part = {"text": json.dumps(fields) if text is None else text}
    usage = {"promptTokenCount": 100, "candidatesTokenCount": 50, "totalTokenCount": 150}
    candidate = {"content": {"role": "model", "parts": [part]}, "finishReason": "STOP"}
    return Reaction({"candidates": [candidate], "usageMetadata": usage})


def refused() -> Reaction:
    return Reaction({"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 100}})


def error(status: int, message: str = "no", details: list[dict[str, Any]] | None = None) -> Reaction:
    return Reaction({"error": {"code": status, "message": message, "details": details or []}}, status)


def rate_limited(delay: str) -> Reaction:
    return error(429, "slow down", [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay}])


@dataclass
class Stub:
    """`with Stub(react) as stub:` and `stub.url`. `react` gets the number of the request and the transcript."""

    react: Callable[[int, str], Reaction] = lambda number, transcript: answer()
    transcripts: list[str] = field(default_factory=list)
    bodies: list[dict[str, Any]] = field(default_factory=list)
    url: str = ""

    def __enter__(self) -> Stub:
        stub, lock = self, threading.Lock()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                transcript = body["contents"][0]["parts"][0]["text"]
                with lock:
                    stub.bodies.append(body)
                    stub.transcripts.append(transcript)
                    number = len(stub.transcripts)
                reaction = stub.react(number, transcript)
                time.sleep(reaction.seconds)
                content = json.dumps(reaction.body).encode()
                self.send_response(reaction.status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *args: Any) -> None:
                """Nothing: the tests' output stays readable."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
