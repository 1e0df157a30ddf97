"""Writes the rows of `import_typed` that are new or differ into their table, and no other.

The rows were validated in `loading`. What the table refuses all the same (a rule that the contract does not know) is
found by halving and rejected with the database's own words.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import psycopg
from psycopg import errors, sql

from bn_aura_pipelines.sources.validating import Target, TargetColumn

log = logging.getLogger(__name__)

REFUSALS = (errors.DataError, errors.IntegrityError, errors.RaiseException)
UPDATE_TRIGGERS = """
    select t.tgname, t.tgenabled::text, p.prosrc ilike '%%updated_at%%'
    from pg_trigger t join pg_proc p on p.oid = t.tgfoid
    where t.tgrelid = to_regclass(%s) and not t.tgisinternal and t.tgenabled in ('O', 'A')
        and t.tgtype & 1 = 1 and t.tgtype & 2 = 2 and t.tgtype & 16 = 16
"""
LOCK_TIMEOUT = "2s"


@dataclass(frozen=True)
class Written:
    """Rows of a file by what they did to the table."""

    inserted: int
    updated: int
    unchanged: int


def write_differences(driver: psycopg.Connection[Any], target: Target) -> Written:
    """Insert what is new and update what differs. A row that the table refuses is added to `import_rejected`.

    Where a trigger writes `updated_at`, a row that differs in nothing else counts as unchanged: our own writing of
    embeddings moves it.
    """
    triggers = driver.execute(UPDATE_TRIGGERS, (f"public.{target.table.name}",)).fetchall()
    _compare(driver, target, ignore_updated_at=bool(triggers))
    rows = driver.execute(
        "select (select count(*) from pg_temp.import_typed) - count(*), min(import_line), max(import_line)"
        " from pg_temp.import_difference"
    ).fetchone()
    unchanged, low, high = rows or (0, None, None)
    if low is None or high is None:
        return Written(0, 0, unchanged)
    # Updates first: one may give up a code that an inserted row takes.
    updated = _write(driver, partial(_update, target), low, high)
    inserted = _write(driver, partial(_insert, target), low, high)
    own = [(name, mode) for name, mode, writes_updated_at in triggers if writes_updated_at]
    if updated and own and "updated_at" in target.names:
        _keep_updated_at(driver, target, own)
    driver.execute(sql.SQL("analyze {}").format(target.identifier))
    return Written(inserted, updated, unchanged)


def _compare(driver: psycopg.Connection[Any], target: Target, ignore_updated_at: bool) -> None:
    differs = [
        sql.SQL("{} is distinct from {}").format(
            _comparable(column, _new_value(column)),
            _comparable(column, sql.SQL("p.{}").format(sql.Identifier(column.name))),
        )
        for column in target.columns
        if column.name not in target.key and not (ignore_updated_at and column.name == "updated_at")
    ]
    driver.execute(
        sql.SQL(
            """
            create temporary table import_difference on commit drop as
            select f.import_line, p.ctid is null as is_new
            from pg_temp.import_typed f
            left join {table} p on {same_key}
            where p.ctid is null or {differs}
            """
        ).format(
            table=target.identifier,
            same_key=_same_key(target),
            differs=sql.SQL(" or ").join(differs) if differs else sql.SQL("false"),
        )
    )
    driver.execute("analyze pg_temp.import_difference")


def _insert(target: Target, low: int, high: int) -> sql.Composed:
    names = [sql.Identifier(column.name) for column in target.columns]
    values = [_first_value(target, column) for column in target.columns]
    if "updated_at" in target.actual and "updated_at" not in target.names and "created_at" in target.names:
        names.append(sql.Identifier("updated_at"))
        values.append(sql.SQL("f.created_at").format())
    return sql.SQL(
        "insert into {table} ({names}) select {values} from pg_temp.import_typed f"
        " join pg_temp.import_difference d on d.import_line = f.import_line and d.is_new"
        " where f.import_line between {low} and {high} order by f.import_line"
    ).format(
        table=target.identifier,
        names=sql.SQL(", ").join(names),
        values=sql.SQL(", ").join(values),
        low=sql.Literal(low),
        high=sql.Literal(high),
    )


def _update(target: Target, low: int, high: int) -> sql.Composed:
    changes = [
        sql.SQL("{} = {}").format(sql.Identifier(column.name), _new_value(column))
        for column in target.columns
        if column.name not in target.key
    ]
    return sql.SQL(
        "update {table} p set {changes} from pg_temp.import_typed f"
        " join pg_temp.import_difference d on d.import_line = f.import_line and not d.is_new"
        " where {same_key} and f.import_line between {low} and {high}"
    ).format(
        table=target.identifier,
        changes=sql.SQL(", ").join(changes),
        same_key=_same_key(target),
        low=sql.Literal(low),
        high=sql.Literal(high),
    )


def _write(driver: psycopg.Connection[Any], statement: Callable[[int, int], sql.Composed], low: int, high: int) -> int:
    """Run the statement over these lines; returns the rows written. Refused lines are found by halving."""
    try:
        with driver.transaction():
            return driver.execute(statement(low, high)).rowcount
    except REFUSALS as error:
        if low == high:
            driver.execute(
                "insert into pg_temp.import_rejected values (%s, %s)",
                (low, f"the table refuses it: {error.diag.message_primary or error}"),
            )
            return 0
    middle = (low + high) // 2
    return _write(driver, statement, low, middle) + _write(driver, statement, middle + 1, high)


def _keep_updated_at(driver: psycopg.Connection[Any], target: Target, triggers: list[tuple[str, str]]) -> None:
    """Give changed rows the `updated_at` of the file, which the triggers have just overwritten.

    Only the table's owner may silence a trigger, and only while nobody else writes to the table; otherwise the moment
    of the import stays, as after any other change.
    """
    mode = {"O": sql.SQL("enable"), "A": sql.SQL("enable always")}
    alter = sql.SQL("alter table {} {} trigger {}")
    try:
        with driver.transaction():
            driver.execute(sql.SQL("set local lock_timeout = {}").format(sql.Literal(LOCK_TIMEOUT)))
            for name, _ in triggers:
                driver.execute(alter.format(target.identifier, sql.SQL("disable"), sql.Identifier(name)))
            driver.execute(
                sql.SQL(
                    "update {table} p set updated_at = f.updated_at from pg_temp.import_typed f"
                    " join pg_temp.import_difference d on d.import_line = f.import_line and not d.is_new"
                    " where {same_key} and f.updated_at is not null and not exists"
                    " (select from pg_temp.import_rejected x where x.import_line = f.import_line)"
                ).format(table=target.identifier, same_key=_same_key(target))
            )
            for name, enabled in triggers:
                driver.execute(alter.format(target.identifier, mode[enabled], sql.Identifier(name)))
            driver.execute("set local lock_timeout = default")
    except (errors.InsufficientPrivilege, errors.LockNotAvailable, errors.ObjectInUse) as error:
        log.info("updated_at of changed rows of %s is the moment of the import: %s", target.table.name, error)


def _new_value(column: TargetColumn) -> sql.Composed:
    """What an existing row gets: an empty cell of a column that cannot be null leaves what is there."""
    if column.fills_itself:
        return sql.SQL("coalesce(f.{0}, p.{0})").format(sql.Identifier(column.name))
    return sql.SQL("f.{}").format(sql.Identifier(column.name))


def _first_value(target: Target, column: TargetColumn) -> sql.Composed:
    """What a new row gets: an empty cell of a column that cannot be null gives the table's default."""
    given = sql.SQL("f.{}").format(sql.Identifier(column.name))
    if column.name == "updated_at" and "created_at" in target.names:
        return sql.SQL("coalesce({}, f.created_at)").format(given)
    if column.fills_itself and column.actual.default_expression is not None:
        default: Any = column.actual.default_expression
        return sql.SQL("coalesce({}, {})").format(given, sql.SQL(default))
    return given


def _comparable(column: TargetColumn, value: sql.Composable) -> sql.Composed:
    if column.actual.base_type == "json":  # has no equality of its own
        return sql.SQL("({})::jsonb").format(value)
    return sql.Composed([value])


def _same_key(target: Target) -> sql.Composed:
    # `is not distinct from` cannot be hashed, so it stands only where a part of the key may be null.
    comparisons = [
        sql.SQL("f.{0} is not distinct from p.{0}" if column.contract.nullable else "f.{0} = p.{0}").format(
            sql.Identifier(column.name)
        )
        for column in target.columns
        if column.name in target.key
    ]
    return sql.SQL(" and ").join(comparisons)
