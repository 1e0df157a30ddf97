"""A worker that delivers until it is killed: URL of the database, of the stub, `with` or `without` the key."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from bn_aura_pipelines.database.connections import Database, parse_url
from bn_aura_pipelines.triggers.delivery import deliver
from bn_aura_pipelines.triggers.resending import Answer, Send, resend_with
from bn_aura_pipelines_tests.triggers.stub import live


def without_key(send: Send) -> Send:
    """The same with the idempotency key taken out: a new one each time."""

    def sending(request: Mapping[str, Any], key: str) -> Answer:
        return send(request, str(uuid4()))

    return sending


if __name__ == "__main__":
    _, database_url, stub_url, key = sys.argv
    settings = live(stub_url, resend_requests_per_second=1_000)
    send = resend_with(settings)
    database = Database(parse_url(database_url))
    while True:
        deliver(database, settings, send if key == "with" else without_key(send), backoff_seconds=0)
        time.sleep(0.05)
