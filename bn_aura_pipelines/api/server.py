"""The HTTP server around the application."""

from __future__ import annotations

import gc
from socket import socket
from typing import Any

import uvicorn
from fastapi import FastAPI


class Server(uvicorn.Server):
    """uvicorn, which waits for answers to end before it stops: those that never would are ended first.

    `options` are those of uvicorn.Config.
    """

    def __init__(self, app: FastAPI, **options: Any) -> None:
        super().__init__(uvicorn.Config(app, **options))
        self._app = app

    async def startup(self, sockets: list[socket] | None = None) -> None:
        """Start, then take what is there now out of the collector's sight: looking at it would hold up answers."""
        await super().startup(sockets)
        gc.collect()
        gc.freeze()

    async def shutdown(self, sockets: list[socket] | None = None) -> None:
        """End the event streams, then stop."""
        self._app.state.house.events.stop()
        await super().shutdown(sockets)
