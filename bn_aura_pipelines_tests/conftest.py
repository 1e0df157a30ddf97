"""Real parts: one embedded server a test session, one migrated template, a clone of it for each test."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import sqlalchemy
from playwright.sync_api import Browser, sync_playwright

from bn_aura_pipelines.database.connections import Database, open_database
from bn_aura_pipelines.database.migrations import migrate
from bn_aura_pipelines.settings import Settings
from bn_aura_pipelines.sources.sample.generate import generate
from bn_aura_pipelines_tests.sample_runs import NOW, make_recognisable, materialize

_number = itertools.count()


@pytest.fixture(scope="session")
def server() -> Iterator[Database]:
    """The database `postgres` of a server of this session's own.

    Not under pytest's folder: each pytest that root starts closes that to all other users, the server's included.
    """
    with tempfile.TemporaryDirectory(prefix="bn_aura_tests_", ignore_cleanup_errors=True) as home:
        database = open_database(Settings(database_url=None, home=Path(home)))
        yield Database(database.url.set(database="postgres"))
        # Stopped before its folder goes: nothing could stop it afterwards.
        process = psutil.Process(int((Path(home) / "postgres" / "postmaster.pid").read_text().split()[0]))
        process.send_signal(signal.SIGINT)
        process.wait(30)


def run_sql(database: Database, statement: str) -> None:
    """One statement outside a transaction."""
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(sqlalchemy.text(statement))


def clone(server: Database, template: str) -> Database:
    """A new database made from `template`."""
    name = f"test_{os.getpid()}_{next(_number)}"
    # A run in this process leaves its connections to the garbage collector.
    run_sql(server, f"select pg_terminate_backend(pid) from pg_stat_activity where datname = '{template}'")
    run_sql(server, f"create database {name} template {template}")
    return Database(server.url.set(database=name))


def drop(server: Database, database: Database) -> None:
    database.engine.dispose()
    run_sql(server, f"drop database if exists {database.url.database} with (force)")


@pytest.fixture(scope="session")
def template(server: Database) -> str:
    """The name of a database with every migration applied."""
    database = clone(server, "template0")
    migrate(database)
    database.engine.dispose()
    assert database.url.database is not None
    return database.url.database


@pytest.fixture
def empty_database(server: Database) -> Iterator[Database]:
    """A database with nothing in it."""
    database = clone(server, "template0")
    yield database
    drop(server, database)


@pytest.fixture
def database(server: Database, template: str) -> Iterator[Database]:
    """A migrated database of this test's own."""
    clone_ = clone(server, template)
    yield clone_
    drop(server, clone_)


@pytest.fixture(scope="session")
def sample(server: Database, template: str) -> Iterator[str]:
    """The name of a database with the sample clinic, to clone."""
    database = clone(server, template)
    generate(database, 400, NOW, seed=7)
    with database.begin() as connection:
        make_recognisable(connection)
    database.engine.dispose()
    assert database.url.database is not None
    yield database.url.database
    drop(server, database)


@pytest.fixture(scope="session")
def sample_after_a_run(server: Database, sample: str) -> Iterator[str]:
    """The same after a run about now, to clone."""
    database = clone(server, sample)
    materialize(database, NOW)
    database.engine.dispose()
    assert database.url.database is not None
    yield database.url.database
    drop(server, database)


@pytest.fixture
def finished(server: Database, sample_after_a_run: str) -> Iterator[Database]:
    database = clone(server, sample_after_a_run)
    yield database
    drop(server, database)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home")


def chromium() -> str | None:
    """Where the system's Chromium is."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The system's Chromium, headless. Skips where there is none; where CI is set, that is a failure.

    For one module, since an event loop of Playwright's runs as long: asyncio.run is refused meanwhile, so fixtures that
    need it are named before this one.
    """
    path = chromium()
    if path is None:
        missing = "no Chromium was found: install it, for example with `apt-get install chromium fonts-thai-tlwg`"
        if os.environ.get("CI"):
            pytest.fail(missing)
        pytest.skip(missing)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()
