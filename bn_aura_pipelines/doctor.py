"""What is configured, reachable, stale or broken, each with its remedy; behind `bn-aura doctor`.

Looks and never mends. What is right or wrong is decided where it belongs (`database.preflight`, `sources.check`,
`database.migrations`); this module asks them all and never raises.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

import pydantic
import sqlalchemy
from pydantic.fields import FieldInfo
from sqlalchemy import exc

from bn_aura_pipelines.database.connections import Database, open_database, parse_url, printable
from bn_aura_pipelines.database.migrations import pending
from bn_aura_pipelines.database.preflight import preflight
from bn_aura_pipelines.database.server_facts import read_facts
from bn_aura_pipelines.errors import UserError
from bn_aura_pipelines.settings import Settings
from bn_aura_pipelines.sources.check import check_sources

Status = Literal["ok", "warning", "error"]

LITTLE_SPACE_BYTES = 2 * 1024**3
NO_SPACE_BYTES = 200 * 1024**2
STALE_AFTER = timedelta(hours=26)  # a nightly run, and two hours of grace


@dataclass(frozen=True)
class Finding:
    """One thing the doctor looked at. `remedy` is empty where nothing is to be done or `message` names it."""

    area: str
    status: Status
    message: str
    remedy: str = ""


def diagnose(settings: Settings) -> list[Finding]:
    """Everything there is to say, in the order in which it is worth reading. Starts the embedded server if needed."""
    findings = [*_asked("settings", lambda: _settings(settings)), *_asked("disk", lambda: _disk(settings))]
    try:
        database = open_database(settings)
    except Exception as error:
        return [*findings, _unknown("database", error)]
    try:
        found = list(_asked("database", lambda: _server(database)))
        findings += found
        if any(finding.area == "database" and finding.status == "error" for finding in found):
            return findings
        findings += _asked("migrations", lambda: _migrations(database))
        findings += _asked("sources", lambda: _sources(database))
        findings += _asked("quarantine", lambda: _quarantine(database))
        findings += _asked("marts", lambda: _marts(database))
        findings += _asked("runs", lambda: _runs(database))
        return findings
    finally:
        database.engine.dispose()


def environment_name(name: str, field: FieldInfo) -> str:
    """The environment variable of a setting."""
    alias = field.validation_alias
    if isinstance(alias, pydantic.AliasChoices):
        alias = alias.choices[0]
    if isinstance(alias, str):
        return alias.upper()
    return f"{Settings.model_config.get('env_prefix', '')}{name}".upper()


def _asked(area: str, question: Callable[[], Iterable[Finding]]) -> Iterator[Finding]:
    try:
        yield from list(question())
    except Exception as error:
        yield _unknown(area, error)


def _unknown(area: str, error: Exception) -> Finding:
    if isinstance(error, UserError):
        return Finding(area, "error", str(error))
    if isinstance(error, exc.DBAPIError):
        cause = str(error.orig)
    elif isinstance(error, OSError):
        cause = f"{error.filename}: {error.strerror}"
    else:
        cause = f"{type(error).__name__}: {error}"
    return Finding(area, "error", f"could not be looked at: {cause.strip().splitlines()[0]}")


def _settings(settings: Settings) -> Iterator[Finding]:
    for name, field in Settings.model_fields.items():
        value = getattr(settings, name)
        if name == "database_url" and value is not None:
            shown = printable(parse_url(value.get_secret_value()))
        elif isinstance(value, pydantic.SecretStr):
            shown = "set (not shown)"
        else:
            shown = "not set" if value in (None, "") else str(value)
        origin = "" if name in settings.model_fields_set else " (default)"
        yield Finding("settings", "ok", f"{environment_name(name, field)} = {shown}{origin}")


def _disk(settings: Settings) -> Iterator[Finding]:
    home = settings.home_path
    free = shutil.disk_usage(home).free
    status: Status = "ok" if free > LITTLE_SPACE_BYTES else "warning" if free > NO_SPACE_BYTES else "error"
    remedy = "" if status == "ok" else "make room, or name another folder in BN_AURA_HOME"
    yield Finding("disk", status, f"{free / 1024**3:.1f} GB are free under {home}", remedy)


def _server(database: Database) -> Iterator[Finding]:
    problems = preflight(database)
    for problem in problems:
        yield Finding(
            "database" if problem.fatal else problem.name, "error" if problem.fatal else "warning", problem.message
        )
    if any(problem.fatal for problem in problems):
        return
    with database.begin() as connection:
        facts = read_facts(connection)
    kind = "embedded PostgreSQL" if database.embedded else "PostgreSQL"
    vector = f"pgvector {facts.pgvector_installed}" if facts.pgvector_installed else "pgvector not installed yet"
    version = f"{facts.version // 10000}.{facts.version % 10000}"
    yield Finding("database", "ok", f"{kind} {version}, {vector}, database {facts.database}, role {facts.role}")


def _migrations(database: Database) -> Iterator[Finding]:
    versions = pending(database)
    if versions:
        message = f"{len(versions)} migrations are not applied yet, from {versions[0]}"
        yield Finding("migrations", "warning", message, "bn-aura run applies them")
    else:
        yield Finding("migrations", "ok", "all are applied and unedited")


def _sources(database: Database) -> Iterator[Finding]:
    with database.begin() as connection:
        if not _exists(connection, "public.clinics"):
            yield Finding("sources", "warning", "there are no application tables yet", "bn-aura run creates them")
            return
        differences = check_sources(connection)
        errors = [difference for difference in differences if difference.severity == "error"]
        for difference in errors:
            yield Finding("sources", "error", difference.message)
        if errors:
            return
        notes = sorted({difference.table for difference in differences})
        about = f"; allowed differences in {', '.join(notes)}" if notes else ""
        yield Finding("sources", "ok", f"the tables are what the contract says{about}")
        if not connection.execute(sqlalchemy.text("select exists (select from public.customers)")).scalar_one():
            yield Finding("sources", "warning", "there is no customer", "bn-aura import DIR, or bn-aura sample")


def _quarantine(database: Database) -> Iterator[Finding]:
    with database.begin() as connection:
        if not _exists(connection, "aura_ops.quarantine"):
            return
        query = "select table_name, count(*) as row_count from aura_ops.quarantine group by 1 order by 1"
        counts = connection.execute(sqlalchemy.text(query)).all()
    for row in counts:
        yield Finding(
            "quarantine",
            "warning",
            f"refused rows of {row.table_name}: {row.row_count}",
            "see aura_ops.quarantine for the reasons, mend the file and import it again",
        )
    if not counts:
        yield Finding("quarantine", "ok", "no imported row was refused")


def _marts(database: Database) -> Iterator[Finding]:
    with database.begin() as connection:
        rows = connection.execute(_MARTS).all()
    for row in rows:
        if row.unprotected:
            message = f"aura_marts.{row.name} holds several clinics and has no row-level security"
            yield Finding(
                "marts", "error", message, f"bn-aura sql \"select aura_ops.protect('aura_marts.{row.name}')\""
            )
    if rows:
        yield Finding("marts", "ok", f"{len(rows)} relations stand in aura_marts")
    else:
        yield Finding("marts", "warning", "nothing is built in aura_marts yet", "bn-aura run")


def _runs(database: Database) -> Iterator[Finding]:
    storage = Database(sqlalchemy.make_url(database.dagster_url()).set(drivername="postgresql+psycopg"))
    with database.begin() as connection:
        found = connection.execute(sqlalchemy.text("select 1 from pg_database where datname = 'dagster'")).scalar()
    if found is None:
        yield Finding("runs", "warning", "Dagster's database does not exist yet", "bn-aura run creates it")
        return
    try:
        with storage.begin() as connection:
            if not _exists(connection, "public.runs"):
                yield Finding("runs", "warning", "nothing has run yet", "bn-aura run")
                return
            last = connection.execute(_LAST_RUN).one_or_none()
            good = connection.execute(_LAST_GOOD_RUN).scalar()
            states = connection.execute(_INSTIGATORS).scalars().all()
    finally:
        storage.engine.dispose()
    yield from judge_runs(last.status if last else None, good, datetime.now(UTC))
    yield judge_automation(_schedules_and_sensors(), {state["name"]: state["status"] for state in map(_state, states)})


def judge_runs(last_status: str | None, last_success: datetime | None, now: datetime) -> list[Finding]:
    """What Dagster's last run and the last one that succeeded say about freshness."""
    if last_status is None:
        return [Finding("runs", "warning", "nothing has run yet", "bn-aura run")]
    findings = []
    if last_status == "FAILURE":
        findings.append(Finding("runs", "error", "the last run failed", "bn-aura up shows why in its Runs page"))
    if last_success is None:
        findings.append(Finding("runs", "warning", "no run has succeeded yet", "bn-aura run"))
    else:
        hours = (now - last_success) / timedelta(hours=1)
        stale = now - last_success > STALE_AFTER
        message = f"the last successful run ended {hours:.0f} hours ago"
        findings.append(Finding("runs", "warning" if stale else "ok", message, "bn-aura run" if stale else ""))
    return findings


def judge_automation(names: Collection[str], states: Mapping[str, str]) -> Finding:
    """Which schedules and sensors are off: never started, or stopped by somebody."""
    off = sorted(name for name in names if states.get(name) != "RUNNING")
    if not off:
        return Finding("automation", "ok", f"all {len(names)} schedules and sensors are started")
    stopped = [name for name in off if name in states]
    remedy = "start them in the UI's Automation page" if stopped else "bn-aura up starts them"
    return Finding("automation", "warning", f"off: {', '.join(off)}", remedy)


def _schedules_and_sensors() -> list[str]:
    from bn_aura_pipelines.definitions import build_definitions

    repository = build_definitions().get_repository_def()
    return [one.name for one in (*repository.schedule_defs, *repository.sensor_defs)]


def _state(body: str) -> dict[str, str]:
    """Name and status of a schedule or sensor, of Dagster's own record of it."""
    from dagster._core.scheduler.instigation import InstigatorState
    from dagster._serdes import deserialize_value

    state = deserialize_value(body, InstigatorState)
    running = state.status.value in ("RUNNING", "AUTOMATICALLY_RUNNING", "DECLARED_IN_CODE")
    return {"name": state.instigator_name, "status": "RUNNING" if running else "STOPPED"}


def _exists(connection: sqlalchemy.Connection, relation: str) -> bool:
    return connection.execute(
        sqlalchemy.text("select to_regclass(:relation) is not null"), {"relation": relation}
    ).scalar_one()


_MARTS = sqlalchemy.text("""
    select
        c.relname as name,
        c.relkind in ('r', 'p') and not c.relrowsecurity and exists (
            select from pg_attribute as a
            where a.attrelid = c.oid and a.attname = 'clinic_id' and not a.attisdropped
        ) and exists (select from pg_roles where rolname = 'aura_api') as unprotected
    from pg_class as c
    where c.relnamespace = to_regnamespace('aura_marts') and c.relkind in ('r', 'p', 'v', 'm')
    order by c.relname
""")

_LAST_RUN = sqlalchemy.text("select status from public.runs order by id desc limit 1")

_INSTIGATORS = sqlalchemy.text("select instigator_body from public.instigators")

_LAST_GOOD_RUN = sqlalchemy.text(
    "select to_timestamp(max(coalesce(end_time, extract(epoch from update_timestamp))))"
    " from public.runs where status = 'SUCCESS'"
)
