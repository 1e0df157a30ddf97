"""Dagster's instance: where its home is and how it finds its storage. Runs themselves are in `running`."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg

from bn_aura_pipelines.database.connections import Database
from bn_aura_pipelines.database.dagster_storage import ensure_dagster_database
from bn_aura_pipelines.settings import PROJECT_ROOT, Settings


def prepare_environment(database: Database, settings: Settings) -> Path:
    """Set DAGSTER_HOME and BN_AURA_DAGSTER_URL for this process and its children; returns Dagster's home.

    Raises NoDagsterStorage, DatabaseUnreachable.
    """
    ensure_dagster_database(database)
    home = settings.home_path / "dagster"
    home.mkdir(exist_ok=True)
    shutil.copyfile(PROJECT_ROOT / "dagster.yaml", home / "dagster.yaml")
    os.environ["DAGSTER_HOME"] = str(home)
    os.environ["BN_AURA_DAGSTER_URL"] = database.dagster_url()
    # Children find the same database and the same home wherever they are started.
    os.environ["BN_AURA_HOME"] = str(settings.home_path)
    return home


@contextmanager
def open_instance(database: Database, settings: Settings) -> Iterator[dg.DagsterInstance]:
    """The instance that the UI shows too."""
    prepare_environment(database, settings)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    with dg.DagsterInstance.get() as instance:
        yield instance
