"""Who read which customer or lead: noted in memory while answering, written in batches beside it."""

from __future__ import annotations

import asyncio
import json
import logging
from collections import deque
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from bn_aura_pipelines.api.access import Reader
from bn_aura_pipelines.api.connections import Connections
from bn_aura_pipelines.api.problems import UNAVAILABLE

log = logging.getLogger(__name__)

EVERY_SECONDS = 0.2
BATCH = 500
"""Small and often: what is made into one statement here, requests wait for."""
MOST_WAITING = 100_000
"""While the database is away so many reads wait; it cannot be read from either, so few are added."""


class Audit:
    """Reads on their way to `aura_ops.api_reads`. A process that is killed loses at most those of the last moment."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._waiting: deque[dict[str, Any]] = deque(maxlen=MOST_WAITING)

    def note(self, reader: Reader, resource: str, key: UUID | None) -> None:
        """One row was read, or with key None a page of them."""
        self._waiting.append(
            {
                "read_at": datetime.now(UTC).isoformat(),
                "reader": reader.name,
                "clinic_id": str(reader.clinic),
                "resource": resource,
                "key": None if key is None else str(key),
                "personal": reader.personal,
            }
        )

    async def write(self) -> None:
        """Write what waits."""
        while self._waiting:
            batch = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
            try:
                await self._connections.fetchval("select aura_ops.note_api_reads($1::jsonb)", json.dumps(batch))
            except UNAVAILABLE as error:
                self._waiting.extendleft(reversed(batch))
                log.warning("%s reads wait to be noted: %s", len(self._waiting), type(error).__name__)
                return

    async def keep_writing(self) -> None:
        """Write every few moments until cancelled."""
        while True:
            await asyncio.sleep(EVERY_SECONDS)
            await self.write()
