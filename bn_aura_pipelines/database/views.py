"""Builds the views of `dbt_like_views/` in the database. Their files are read in `view_files`, their column lineage in
`lineage`; they become assets in `view_assets`.

Tables are not swapped. A fresh result is computed beside the table and only the difference is written, so row-level
security, policies and grants are never gone for a moment, readers are never blocked, and a build that changes nothing
writes nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable
from typing import Any

import psycopg
import sqlalchemy
from psycopg import sql

from bn_aura_pipelines.database.connections import psycopg_connection
from bn_aura_pipelines.database.refreshing import note_versions, of_keys
from bn_aura_pipelines.database.view_files import View, ViewError, load_views

log = logging.getLogger(__name__)

MUCH = 0.1
"""The share of a table's rows that is worth counting anew how its values are spread."""


def build(connection: sqlalchemy.Connection, views: Iterable[View]) -> dict[str, int]:
    """Build `views` (in dependency order) in the caller's transaction; returns rows written per relation.

    Raises ViewError with file and cause; the caller's transaction is then lost as a whole.
    """
    driver = psycopg_connection(connection)
    written = {}
    for view in views:
        try:
            if view.materialized == "view":
                written[view.relation] = _build_view(driver, view)
            else:
                written[view.relation] = _build_table(driver, view)
        except psycopg.Error as error:
            cause = str(error.diag.message_primary or error)
            raise ViewError(f"{_place(view, error)}: {cause}") from error
    return written


def _place(view: View, error: psycopg.Error) -> str:
    position = error.diag.statement_position
    if position is None:
        return str(view.path)
    # What `create ... as` puts before the query stands on its first, blank line: about as many characters off.
    return f"{view.path}:{view.query[: int(position) - 60].count(chr(10)) + 1}"


def is_built(connection: sqlalchemy.Connection, view: View) -> bool:
    """Whether the relation is there and was built by the file as it now is."""
    driver = psycopg_connection(connection)
    return _built_hash(driver, view) == view.definition_hash and _exists(driver, view)


def _build_view(driver: psycopg.Connection[Any], view: View) -> int:
    if _built_hash(driver, view) == view.definition_hash and _exists(driver, view):
        return 0
    # Its columns may have changed, so it goes with the views that stand on it.
    standing = drop_relation(driver, view.relation)
    driver.execute(
        sql.SQL("create view {} with (security_invoker = true) as {}").format(view.identifier, _raw(view.query))
    )
    _describe(driver, view)
    _remember(driver, view)
    restore_views(driver, standing, load_views(view.path.parent.parent))
    return 0


def drop_relation(driver: psycopg.Connection[Any], relation: str) -> list[str]:
    """Drop and forget a view or table and the views that stand on it; returns the `schema.name` of these. Tables that
    were computed from it stay: they do not hang on it."""
    gone = dependent_views(driver, relation)
    driver.execute("delete from aura_ops.relations where relation = any(%s)", (gone,))
    found = driver.execute("select relkind = 'v' from pg_class where oid = to_regclass(%s)", (relation,)).fetchone()
    if found:
        kind = sql.SQL("view") if found[0] else sql.SQL("table")
        driver.execute(sql.SQL("drop {} {} cascade").format(kind, sql.Identifier(*relation.split("."))))
    return [name for name in gone if name != relation]


def restore_views(driver: psycopg.Connection[Any], relations: Collection[str], views: Iterable[View]) -> None:
    """Build those of `views` (in dependency order) that were dropped with another, so that building one of them alone
    leaves none missing. One whose file already reads what is not there yet is left to its own turn, which comes in
    every run of the whole graph and says what is wrong if it still does not stand."""
    for view in views:
        if view.relation in relations:
            try:
                with driver.transaction():
                    _build_view(driver, view)
            except psycopg.ProgrammingError as error:
                log.warning("%s is not built yet: %s", view.relation, error.diag.message_primary)


def _build_table(driver: psycopg.Connection[Any], view: View) -> int:
    anew = _built_hash(driver, view) != view.definition_hash or not _exists(driver, view)
    query, within = _raw(view.query), _raw(view.value("replaces", "true"))
    moved = note_versions(driver, view, anew)
    if view.refresh and moved is not None:
        within = of_keys(view.refresh[0], moved)
        query = sql.SQL("select * from ({}\n) as whole where {}").format(query, within)
    fresh = sql.Identifier("pg_temp", f"fresh_{view.name}")
    driver.execute(sql.SQL("drop table if exists {}").format(fresh))
    driver.execute(
        sql.SQL("create temporary table {} on commit drop as {}").format(sql.Identifier(f"fresh_{view.name}"), query)
    )
    _check_rows(driver, view, fresh)
    if anew:
        standing = drop_relation(driver, view.relation)
        driver.execute(sql.SQL("create table {} as table {} with no data").format(view.identifier, fresh))
        _index(driver, view)
        _describe(driver, view)
        _remember(driver, view)
        restore_views(driver, standing, load_views(view.path.parent.parent))
    protect(driver, view.schema, view.name)
    written = merge(driver, view.identifier, fresh, view.key, within=within)
    note_materialization(driver, view.relation)
    return written


def note_materialization(driver: psycopg.Connection[Any], name: str) -> None:
    """Note that a table, or the part of one that an asset fills, is now about the current as-of."""
    driver.execute(
        "insert into aura_ops.materializations values (%s, aura_ops.as_of(), clock_timestamp())"
        " on conflict (relation) do update set as_of = excluded.as_of, materialized_at = excluded.materialized_at",
        (name,),
    )


def merge(
    driver: psycopg.Connection[Any],
    target: sql.Composable,
    fresh: sql.Composable,
    key: Collection[str],
    slice_columns: Collection[str] = (),
    within: sql.Composable | None = None,
) -> int:
    """Make `target` equal to `fresh` by writing only the difference; returns the rows deleted and inserted.

    With `slice_columns` only the slices that `fresh` holds are replaced: rows of `target` whose values in these columns
    do not occur in `fresh` stay; so do those that the condition `within` excludes. `key` must be unique in
    `fresh`; both relations have the same columns in order.
    """
    same_key = sql.SQL(" and ").join(sql.SQL("t.{0} = f.{0}").format(sql.Identifier(column)) for column in key)
    columns = sql.SQL(", ").join(map(sql.Identifier, dict.fromkeys((*key, *slice_columns))))
    driver.execute(sql.SQL("analyze {} ({})").format(fresh, columns))
    in_slice = within or sql.SQL("true")
    if slice_columns:
        names = sql.SQL(", ").join(sql.Identifier(column) for column in slice_columns)
        in_slice = sql.SQL("({names}) in (select distinct {names} from {fresh})").format(names=names, fresh=fresh)
    deleted = driver.execute(
        sql.SQL(
            "delete from {target} t where ({in_slice}) and not exists"
            " (select from {fresh} f where {same_key} and f.* is not distinct from t.*)"
        ).format(target=target, fresh=fresh, same_key=same_key, in_slice=in_slice)
    ).rowcount
    inserted = driver.execute(
        sql.SQL(
            "insert into {target} select f.* from {fresh} f where not exists (select from {target} t where {same_key})"
        ).format(target=target, fresh=fresh, same_key=same_key)
    ).rowcount
    _analyze_if_much_moved(driver, target, deleted + inserted)
    return deleted + inserted


def _analyze_if_much_moved(driver: psycopg.Connection[Any], target: sql.Composable, written: int) -> None:
    """Let the planner know what a table holds once a tenth of it has moved. Autovacuum would, but too late for what
    runs next."""
    known = driver.execute(
        "select reltuples from pg_class where oid = %s::regclass", (target.as_string(driver),)
    ).fetchone()
    if known and written > MUCH * max(known[0], 0):
        driver.execute(sql.SQL("analyze {}").format(target))


def protect(driver: psycopg.Connection[Any], schema: str, name: str) -> None:
    """Row-level security by clinic, policies and grants for the tenant roles, on a table of `aura_marts`; asserted."""
    if schema == "aura_marts":
        driver.execute("select aura_ops.protect(%s::regclass)", (f"{schema}.{name}",))


def _check_rows(driver: psycopg.Connection[Any], view: View, fresh: sql.Composable) -> None:
    key = sql.SQL(", ").join(sql.Identifier(column) for column in view.key)
    filled = sql.SQL(" and ").join(sql.SQL("{} is not null").format(sql.Identifier(column)) for column in view.key)
    rows, distinct = driver.execute(
        sql.SQL("select count(*), count(distinct ({key})) filter (where {filled}) from {fresh}").format(
            key=key, filled=filled, fresh=fresh
        )
    ).fetchone() or (0, 0)
    if rows != distinct:
        raise ViewError(f"{view.path}: the key ({', '.join(view.key)}) is not unique: {rows} rows, {distinct} keys.")
    for test in view.values("test"):
        row = driver.execute(
            sql.SQL("select count(*) from {} where ({}) is not true").format(fresh, _raw(test))
        ).fetchone()
        if row and row[0]:
            raise ViewError(f"{view.path}: {row[0]} rows fail the test `{test}`.")


def _index(driver: psycopg.Connection[Any], view: View) -> None:
    key = sql.SQL(", ").join(sql.Identifier(column) for column in view.key)
    driver.execute(sql.SQL("alter table {} add primary key ({})").format(view.identifier, key))
    for columns in view.values("index"):
        driver.execute(sql.SQL("create index on {} ({})").format(view.identifier, _raw(columns)))


def _describe(driver: psycopg.Connection[Any], view: View) -> None:
    kind = sql.SQL("view") if view.materialized == "view" else sql.SQL("table")
    driver.execute(sql.SQL("comment on {} {} is {}").format(kind, view.identifier, sql.Literal(view.description)))
    for column, text in view.columns:
        driver.execute(
            sql.SQL("comment on column {}.{} is {}").format(view.identifier, sql.Identifier(column), sql.Literal(text))
        )


def _raw(text: str) -> sql.SQL:
    """SQL of a file of this project; its braces stay, since nothing is formatted into it."""
    literal: Any = text
    return sql.SQL(literal)


def _exists(driver: psycopg.Connection[Any], view: View) -> bool:
    row = driver.execute("select to_regclass(%s) is not null", (view.relation,)).fetchone()
    return bool(row and row[0])


def _built_hash(driver: psycopg.Connection[Any], view: View) -> str | None:
    row = driver.execute("select definition_hash from aura_ops.relations where relation = %s", (view.relation,))
    found = row.fetchone()
    return found[0] if found else None


def _remember(driver: psycopg.Connection[Any], view: View) -> None:
    driver.execute(
        "insert into aura_ops.relations (relation, definition_hash) values (%s, %s)"
        " on conflict (relation) do update set definition_hash = excluded.definition_hash",
        (view.relation, view.definition_hash),
    )


def dependent_views(driver: psycopg.Connection[Any], relation: str) -> list[str]:
    """`schema.name` of a view and of every view that stands on it; none if it does not exist."""
    rows = driver.execute(
        """
        with recursive standing_on as (
            select to_regclass(%s)::oid as relation
            union
            select r.ev_class
            from pg_depend d
            join pg_rewrite r on r.oid = d.objid and d.classid = 'pg_rewrite'::regclass
            join standing_on s on d.refobjid = s.relation and d.refclassid = 'pg_class'::regclass
            where r.ev_class <> s.relation
        )
        select n.nspname || '.' || c.relname
        from standing_on s join pg_class c on c.oid = s.relation join pg_namespace n on n.oid = c.relnamespace
        """,
        (relation,),
    )
    return [row[0] for row in rows.fetchall()]
