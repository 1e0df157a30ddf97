"""Whether a database can hold the pipelines, asked before anything is written: server, pgvector, rights, pooler.

What the source tables look like, and whether row-level security hides them, is asked in `sources`.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass

import sqlalchemy

from bn_aura_pipelines.database.connections import Database, DatabaseUnreachable
from bn_aura_pipelines.database.server_facts import SCHEMAS, ServerFacts, read_facts
from bn_aura_pipelines.errors import UserError

OLDEST_SERVER = 15
OLDEST_PGVECTOR = (0, 8)
DIMENSIONS = 768
TRANSACTION_POOLER_PORT = 6543


class NotReady(UserError):
    """The database cannot hold the pipelines as it is."""


@dataclass(frozen=True)
class Problem:
    """One thing that is not as it should be. `message` is one line that names the remedy."""

    name: str
    message: str
    fatal: bool = True


def preflight(database: Database) -> list[Problem]:
    """Everything that stands in the way, the worst first; empty when the pipelines can run."""
    try:
        with database.begin() as connection:
            facts = read_facts(connection)
    except DatabaseUnreachable as error:
        return [*judge_url(database.url), Problem("reachable", str(error))]
    problems = judge_url(database.url) or probe_session(database)
    return [*problems, *judge_server(facts)]


def require_ready(database: Database) -> None:
    """Raise NotReady with the first fatal problem."""
    for problem in preflight(database):
        if problem.fatal:
            raise NotReady(problem.message)


def judge_server(facts: ServerFacts) -> list[Problem]:
    """The problems that these facts are; a pure function, so that servers we cannot start are tested too."""
    problems = [
        *_judge_version(facts),
        *_judge_pgvector(facts),
        *_judge_schemas(facts),
        *_judge_application_tables(facts),
        *_judge_roles(facts),
        *_judge_dagster(facts),
    ]
    return sorted(problems, key=lambda problem: not problem.fatal)


def judge_url(url: sqlalchemy.URL) -> list[Problem]:
    """A transaction-mode pooler, recognised by its port: session settings and locks are lost there."""
    port, host = _as_int(url.query.get("port")) or url.port, str(url.host or url.query.get("host") or "")
    if port != TRANSACTION_POOLER_PORT:
        return []
    certain = host.endswith((".supabase.com", ".supabase.co")) or "pooler" in host
    return [Problem("pooler", _POOLER_MESSAGE.format(f"{host}:{port}"), fatal=certain)]


def probe_session(database: Database) -> list[Problem]:
    """The same pooler on another port, recognised by what it does: a session setting does not outlive a transaction."""
    mark = uuid.uuid4().hex
    with database.engine.connect() as connection:
        with connection.begin():
            connection.execute(sqlalchemy.text("select set_config('bn_aura.probe', :mark, false)"), {"mark": mark})
        with connection.begin():
            found = connection.execute(sqlalchemy.text("select current_setting('bn_aura.probe', true)")).scalar()
    host = f"{database.url.host}:{database.url.port or 5432}"
    return [] if found == mark else [Problem("pooler", _POOLER_MESSAGE.format(host))]


def _judge_version(facts: ServerFacts) -> list[Problem]:
    major = facts.version // 10000
    if major >= OLDEST_SERVER:
        return []
    return [Problem("version", f"The server is PostgreSQL {major}: upgrade it to {OLDEST_SERVER} or newer.")]


def _judge_pgvector(facts: ServerFacts) -> list[Problem]:
    wanted = ".".join(map(str, OLDEST_PGVECTOR))
    if facts.pgvector_installed is not None:
        if _version(facts.pgvector_installed) < OLDEST_PGVECTOR:
            found = f"pgvector {facts.pgvector_installed} is older than {wanted}"
            if facts.pgvector_available and _version(facts.pgvector_available) >= OLDEST_PGVECTOR:
                remedy = "run `alter extension vector update` as an administrator."
            else:
                remedy = f"install pgvector {wanted} or newer on the server, then `alter extension vector update`."
            return [Problem("pgvector", f"{found}: {remedy}")]
        if not facts.pgvector_usable:
            statement = f"grant usage on schema {facts.pgvector_schema} to {facts.role}"
            return [Problem("pgvector", f"The role may not use pgvector: run `{statement}` as an administrator.")]
        return []
    if facts.pgvector_available is None:
        return [Problem("pgvector", f"The server has no pgvector: install pgvector {wanted} or newer on it.")]
    if _version(facts.pgvector_available) < OLDEST_PGVECTOR:
        found = f"The server offers pgvector {facts.pgvector_available}"
        return [Problem("pgvector", f"{found}: install pgvector {wanted} or newer on it.")]
    if not facts.may_install_pgvector:
        remedy = f"run `create extension vector` as an administrator in database {facts.database}."
        return [Problem("pgvector", f"pgvector is not installed and role {facts.role} may not install it: {remedy}")]
    return []


def _judge_schemas(facts: ServerFacts) -> list[Problem]:
    problems = []
    missing = [schema for schema in SCHEMAS if schema not in facts.schemas_owned | facts.schemas_of_others]
    if missing and not facts.may_create_schemas:
        remedy = f"run `grant create on database {facts.database} to {facts.role}` as an administrator."
        problems.append(
            Problem("schemas", f"Role {facts.role} may not create the schemas {', '.join(missing)}: {remedy}")
        )
    if facts.schemas_of_others:
        names = sorted(facts.schemas_of_others)
        remedy = "; ".join(f"alter schema {name} owner to {facts.role}" for name in names)
        message = f"Role {facts.role} does not own {', '.join(names)}: connect as their owner, or run `{remedy}`."
        problems.append(Problem("schemas", message))
    return problems


def _judge_application_tables(facts: ServerFacts) -> list[Problem]:
    if not facts.has_application_tables:
        if facts.may_create_in_public:
            return []
        remedy = (
            "name the application's database in BN_AURA_DATABASE_URL, or, for a new one, run "
            f"`grant create on schema public to {facts.role}` as an administrator."
        )
        found = f"Database {facts.database} holds no application tables and role {facts.role} may not create them"
        return [Problem("application tables", f"{found}: {remedy}")]
    return [*_judge_missing_columns(facts), *_judge_present_columns(facts)]


def _judge_missing_columns(facts: ServerFacts) -> list[Problem]:
    missing = [column for column in facts.columns if column.type is None and not column.may_add]
    if not missing:
        return []
    vector = f"{facts.pgvector_schema}.vector" if facts.pgvector_schema else "vector"
    statements = "; ".join(
        f"alter table public.{column.table} add column {column.name} {vector}({DIMENSIONS})" for column in missing
    )
    owners = ", ".join(sorted({column.owner for column in missing}))
    message = f"Embedding columns are missing and role {facts.role} may not add them: run `{statements}` as {owners}."
    return [Problem("embedding columns", message)]


def _judge_present_columns(facts: ServerFacts) -> list[Problem]:
    otherwise = "or set BN_AURA_WRITE_APPLICATION_COLUMNS=false."
    problems = []
    for column in facts.columns:
        place = f"public.{column.table}.{column.name}"
        if column.type is not None and not column.type.endswith(f"vector({DIMENSIONS})"):
            message = f"{place} is {column.type}: change it to vector({DIMENSIONS}), {otherwise}"
            problems.append(Problem("embedding columns", message, fatal=False))
        elif not column.may_write:
            statement = f"grant update ({column.name}) on public.{column.table} to {facts.role}"
            message = f"Role {facts.role} may not write {place}: run `{statement}` as {column.owner}, {otherwise}"
            problems.append(Problem("embedding columns", message, fatal=False))
    return problems


def _judge_roles(facts: ServerFacts) -> list[Problem]:
    if not facts.missing_roles or facts.may_create_roles:
        return []
    statements = "; ".join(f"create role {role} nologin" for role in facts.missing_roles)
    message = f"No tenant can read aura_marts: run `{statements}` as an administrator, then `bn-aura run`."
    return [Problem("reader roles", message, fatal=False)]


def _judge_dagster(facts: ServerFacts) -> list[Problem]:
    if facts.has_dagster_database:
        if facts.may_connect_to_dagster:
            return []
        remedy = f"run `alter database dagster owner to {facts.role}` as an administrator."
        return [Problem("dagster storage", f"Role {facts.role} may not connect to database dagster: {remedy}")]
    if facts.may_create_databases:
        return []
    remedy = f"run `create database dagster owner {facts.role}` as an administrator."
    found = f"Dagster's database is missing and role {facts.role} may not create it"
    return [Problem("dagster storage", f"{found}: {remedy}", fatal=False)]


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(".") if part.isdigit())


def _as_int(value: object) -> int | None:
    return int(value) if isinstance(value, str) and value.isdigit() else None


_POOLER_MESSAGE = (
    "{} is a pooler in transaction mode, which loses session settings and locks: "
    "use the session mode on port 5432 in BN_AURA_DATABASE_URL."
)
