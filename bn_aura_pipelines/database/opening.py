"""The database as commands want it: reachable, fit to hold the pipelines, and with every migration applied."""

from __future__ import annotations

import logging
from collections.abc import Callable

from bn_aura_pipelines.database.connections import Database, open_database
from bn_aura_pipelines.database.migrations import migrate
from bn_aura_pipelines.database.preflight import require_ready
from bn_aura_pipelines.settings import Settings, get_settings

log = logging.getLogger(__name__)


def open_migrated(settings: Settings | None = None, progress: Callable[[str], None] = log.info) -> Database:
    """The configured database. Raises DatabaseUnreachable, NotReady, MigrationError: each one line with a remedy."""
    database = open_database(settings or get_settings())
    require_ready(database)
    for version in migrate(database):
        progress(f"applied migration {version}")
    return database
