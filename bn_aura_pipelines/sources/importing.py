"""Loads an export, a folder with a file per table, into the application's tables: each file in one transaction.

Reading, validating and writing a file's rows have modules of their own; here is what concerns the folder as a whole.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import psycopg
from sqlalchemy import exc

from bn_aura_pipelines.database.connections import Database, psycopg_connection
from bn_aura_pipelines.errors import UserError
from bn_aura_pipelines.sources.catalog import ActualColumn, read_columns
from bn_aura_pipelines.sources.check import require_sources
from bn_aura_pipelines.sources.contract import TABLES
from bn_aura_pipelines.sources.loading import load
from bn_aura_pipelines.sources.reading import ExportFile, FileRejected, Reading, recognise
from bn_aura_pipelines.sources.staging import copy_rows, create_staging
from bn_aura_pipelines.sources.validating import loadable_columns, make_target

Progress = Callable[[str], None]
EXPECTED = "customers.csv, appointments.parquet, sales_leads.jsonl.gz and the like"


class ExportNotFound(UserError):
    """There is nothing to import."""


@dataclass(frozen=True)
class FileReport:
    """What became of one file. Without an error, rows_in is the sum of the four counts after it."""

    file: str
    table: str
    rows_in: int = 0
    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    quarantined: int = 0
    seconds: float = 0.0
    error: str | None = None

    @property
    def loaded(self) -> int:
        return self.inserted + self.updated + self.unchanged

    def line(self) -> str:
        """The report as one line."""
        if self.error is not None:
            return f"{self.file}: {self.error}"
        counts = [
            f"{self.inserted:,} inserted" if self.inserted else "",
            f"{self.updated:,} updated" if self.updated else "",
            f"{self.unchanged:,} unchanged" if self.unchanged else "",
            f"{self.quarantined:,} quarantined" if self.quarantined else "",
        ]
        counted = ", ".join(count for count in counts if count)
        return f"{self.file}: {self.rows_in:,} rows{': ' if counted else ''}{counted} ({self.seconds:.1f} s)"


@dataclass(frozen=True)
class ImportReport:
    """What became of an export."""

    files: tuple[FileReport, ...]
    skipped: tuple[str, ...]
    """A line for each file that was left alone, with the reason."""

    @property
    def failed(self) -> bool:
        """Whether a file was stopped."""
        return any(file.error is not None for file in self.files)

    @property
    def changed(self) -> int:
        """Rows inserted or updated."""
        return sum(file.inserted + file.updated for file in self.files)

    @property
    def quarantined(self) -> int:
        return sum(file.quarantined for file in self.files)

    def summary(self) -> str:
        """The whole as one line."""
        rows = sum(file.rows_in for file in self.files)
        loaded = sum(file.loaded for file in self.files)
        change = f"{self.changed:,} of them new or changed" if self.changed else "nothing changed"
        stopped = [file.file for file in self.files if file.error is not None]
        return (
            f"{rows:,} rows in = {loaded:,} loaded ({change}) + {self.quarantined:,} quarantined"
            f"{'; stopped: ' + ', '.join(stopped) if stopped else ''}"
        )


def import_folder(database: Database, folder: Path, progress: Progress) -> ImportReport:
    """Import every file of the folder that is named after a source table, parents before children.

    A file that cannot be loaded is reported and the others go on. `progress` gets one line at a time, the report's
    lines among them. Raises ExportNotFound, and SourcesUnusable when the database cannot take an export.
    """
    files, skipped = _find(folder)
    with database.begin() as connection:
        require_sources(connection)
        actual = read_columns(connection)
    for file in [file for file in files if file.table.name not in actual]:
        skipped.append(f"{file.name}: skipped, this database has no table {file.table.name}")
    for line in skipped:
        progress(line)
    reports = []
    for file in files:
        if file.table.name in actual:
            reports.append(_import_file(database, file, actual[file.table.name], progress))
            progress(reports[-1].line())
    return ImportReport(tuple(reports), tuple(skipped))


def _find(folder: Path) -> tuple[list[ExportFile], list[str]]:
    if not folder.is_dir():
        raise ExportNotFound(f"{folder} is not a folder: name the one that holds the export ({EXPECTED}).")
    files: list[ExportFile] = []
    skipped: list[str] = []
    for path in sorted(folder.iterdir()):
        if path.is_file() and not path.name.startswith("."):
            found = recognise(path)
            if isinstance(found, str):
                skipped.append(f"{path.name}: skipped, {found}")
            else:
                files.append(found)
    if not files:
        raise ExportNotFound(f"{folder} holds no file named after a source table: expected {EXPECTED}.")
    order = {table.name: number for number, table in enumerate(TABLES)}
    return sorted(files, key=lambda file: (order[file.table.name], file.name)), skipped


def _import_file(
    database: Database, file: ExportFile, actual: Mapping[str, ActualColumn], progress: Progress
) -> FileReport:
    started = time.monotonic()
    columns = tuple(column.contract for column in loadable_columns(file.table, actual))
    reading = Reading(file, columns)
    try:
        with database.begin() as connection:
            driver = psycopg_connection(connection)
            # A killed import may still be at its last statement in the server: wait until it is gone.
            driver.execute("select pg_advisory_xact_lock(hashtext('bn_aura import'))")
            create_staging(driver, [column.name for column in columns])
            rows_in = copy_rows(driver, reading, actual, progress)
            target = make_target(file.table, actual, reading.names)
            loaded = load(driver, target, file.name, rows_in)
    except FileRejected as error:
        return FileReport(file.name, file.table.name, seconds=time.monotonic() - started, error=str(error))
    except (psycopg.Error, exc.DBAPIError) as error:
        cause = str(getattr(error, "orig", error)).strip().splitlines()[0]
        return FileReport(
            file.name, file.table.name, seconds=time.monotonic() - started, error=f"was not loaded: {cause}"
        )
    for line in _ignored(file, reading.names, actual):
        progress(line)
    return FileReport(
        file=file.name,
        table=file.table.name,
        rows_in=rows_in,
        inserted=loaded.inserted,
        updated=loaded.updated,
        unchanged=loaded.unchanged,
        quarantined=loaded.quarantined,
        seconds=time.monotonic() - started,
    )


def _ignored(file: ExportFile, names: set[str], actual: Mapping[str, ActualColumn]) -> list[str]:
    """Lines about the columns of the file that were not loaded."""
    known = {column.name for column in file.table.columns}
    foreign = sorted(names - known)
    absent = sorted(name for name in names & known if name not in actual)
    lines = []
    if foreign:
        lines.append(f"{file.name}: warning: ignored, not in the source contract: {', '.join(foreign)}")
    if absent:
        lines.append(f"{file.name}: warning: ignored, the table has no such column: {', '.join(absent)}")
    return lines
