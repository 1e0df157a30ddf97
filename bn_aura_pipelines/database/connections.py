"""The one place that makes connections: ours (SQLAlchemy on psycopg 3) and the URL of Dagster's storage.

What runs over a connection belongs elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, LiteralString

import psycopg
import sqlalchemy
from psycopg import pq
from psycopg.abc import Buffer
from psycopg.adapt import Dumper
from sqlalchemy import event, exc

from bn_aura_pipelines.database.embedded import APPLICATION_DATABASE, DAGSTER_DATABASE, start_server
from bn_aura_pipelines.errors import UserError
from bn_aura_pipelines.settings import Settings

CONNECT_TIMEOUT_SECONDS = "10"  # psycopg's own 130 seconds look like a command that hangs
TYPE_SCHEMA_QUERY: LiteralString = """
    select quote_ident(n.nspname) from pg_catalog.pg_type t
    join pg_catalog.pg_namespace n on n.oid = t.typnamespace where t.typname = 'vector'
"""


class InBinary(bytes):
    """A parameter in PostgreSQL's own binary form; the statement names its type: `%s::halfvec`."""


class InBinaryDumper(Dumper):
    """Sends it as it is."""

    format = pq.Format.BINARY

    def dump(self, obj: Any) -> Buffer | None:
        return bytes(obj)


class DatabaseUnreachable(UserError):
    """No connection could be made."""


@dataclass(frozen=True)
class Database:
    """A PostgreSQL that holds the application's tables and ours. Cheap to pass around; pickled by its URL."""

    url: sqlalchemy.URL
    embedded: bool = False

    @cached_property
    def engine(self) -> sqlalchemy.Engine:
        """Pooled SQLAlchemy engine; pgvector's schema is on the search path, times are Bangkok's."""
        url = self.url.update_query_dict({"connect_timeout": CONNECT_TIMEOUT_SECONDS} | dict(self.url.query))
        engine = sqlalchemy.create_engine(url, pool_pre_ping=True, pool_size=4)
        event.listen(engine, "connect", _prepare_session)
        return engine

    @contextmanager
    def begin(self, as_of: datetime | None = None) -> Iterator[sqlalchemy.Connection]:
        """One transaction. With `as_of` (aware) every `aura_ops.as_of()` in it gives that moment.

        Raises DatabaseUnreachable.
        """
        try:
            connection = self.engine.connect()
        except exc.OperationalError as error:
            raise unreachable(self.url, error) from error
        with connection, connection.begin():
            if as_of is not None:
                set_as_of(connection, as_of)
            yield connection

    def dagster_url(self) -> str:
        """Dagster's storage: database `dagster` on the same server. Always psycopg2: a bare `postgresql://` means
        psycopg 3 to SQLAlchemy 2.1, on which dagster-postgres fails."""
        url = self.url.set(drivername="postgresql+psycopg2", database=DAGSTER_DATABASE)
        return url.render_as_string(hide_password=False)


def open_database(settings: Settings) -> Database:
    """The database that the settings name, else the embedded one (started if nobody has)."""
    if settings.database_url is not None:
        return Database(parse_url(settings.database_url.get_secret_value()))
    folder = start_server(settings.home_path)
    return Database(
        sqlalchemy.URL.create(
            "postgresql+psycopg",
            username="postgres",
            host="localhost",
            port=5432,
            database=APPLICATION_DATABASE,
            query={"host": folder},
        ),
        embedded=True,
    )


def parse_url(text: str) -> sqlalchemy.URL:
    """A database URL in any of its usual spellings, for psycopg 3. Raises UserError."""
    try:
        url = sqlalchemy.make_url(text)
    except exc.ArgumentError as error:
        raise UserError(
            "BN_AURA_DATABASE_URL is not a database URL: write postgresql://user:password@host:5432/database."
        ) from error
    if url.get_backend_name() not in ("postgresql", "postgres"):
        raise UserError(f"BN_AURA_DATABASE_URL names {url.get_backend_name()}: only PostgreSQL is supported.")
    return url.set(drivername="postgresql+psycopg")


def psycopg_connection(connection: sqlalchemy.Connection) -> psycopg.Connection[Any]:
    """The psycopg connection under a SQLAlchemy one, in the same transaction: for COPY and composed SQL."""
    driver = connection.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)
    return driver


def set_as_of(connection: sqlalchemy.Connection, as_of: datetime) -> None:
    """Let `aura_ops.as_of()` give this moment until the transaction ends."""
    if as_of.tzinfo is None:
        raise ValueError("as_of must carry a time zone")
    connection.execute(
        sqlalchemy.text("select set_config('bn_aura.as_of', :moment, true)"), {"moment": as_of.isoformat()}
    )


def unreachable(url: sqlalchemy.URL, error: Exception) -> DatabaseUnreachable:
    """One line that names server, cause and remedy, never the password."""
    cause = str(getattr(error, "orig", error)).strip().splitlines()[0]
    return DatabaseUnreachable(
        f"No connection to {printable(url)}: {cause}. "
        "Check BN_AURA_DATABASE_URL and that the server is up; leave it empty for the embedded database."
    )


def printable(url: sqlalchemy.URL) -> str:
    """The URL without any secret: of its parameters, which may hold a password too, only the harmless are shown."""
    query = {name: value for name, value in url.query.items() if name in ("host", "port", "sslmode")}
    return url.set(query=query).render_as_string(hide_password=True)


def _prepare_session(driver: psycopg.Connection[Any], _record: object) -> None:
    driver.adapters.register_dumper(InBinary, InBinaryDumper)
    # Supabase keeps pgvector in schema `extensions`; elsewhere it is in `public`. Business days are Bangkok's.
    schema = driver.execute(TYPE_SCHEMA_QUERY).fetchone()
    path = "public" if schema is None or schema[0] == "public" else f"public, {schema[0]}"
    driver.execute(
        "select set_config('search_path', %s, false), set_config('TimeZone', 'Asia/Bangkok', false)", (path,)
    )
    driver.commit()
