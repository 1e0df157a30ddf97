"""Which part of a table has to be computed again: the keys that moved since its last build.

A file with a line `-- refresh: COLUMN by RELATION` promises that the rows of one value of COLUMN change only when the
`version` changes that RELATION holds for it. Versions are noted with each build; the next one computes the rows of
those that differ, by its whole query under a condition on COLUMN, so nothing else is asked of the query.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

import psycopg
from psycopg import sql

from bn_aura_pipelines.database.view_files import View, load_views

MOST_STALE = 0.2
"""Above this share of moved keys everything is computed: picking would cost as much."""


def note_versions(driver: psycopg.Connection[Any], view: View, anew: bool = False) -> list[UUID] | None:
    """Note the versions that `view` is computed from now, and return the keys that moved; None where everything has to
    be computed: the table does not refresh, most keys moved, or `anew` asks for it. What changes after this is read
    here again next time."""
    if view.refresh is None:
        return None
    column, relation = view.refresh
    if anew:
        driver.execute("delete from aura_ops.refresh_versions where relation = %s", (view.relation,))
    driver.execute("drop table if exists pg_temp.moved_keys")
    driver.execute(
        sql.SQL(
            "create temporary table moved_keys on commit drop as select key, n.version, k.version as known"
            " from (select {column} as key, version # {definitions} as version from {relation}) as n"
            " full join (select key, version from aura_ops.refresh_versions where relation = {name}) as k using (key)"
            " where n.version is distinct from k.version"
        ).format(
            column=sql.Identifier(column),
            definitions=sql.Literal(_definitions(driver, view)),
            relation=sql.Identifier(*relation.split(".")),
            name=sql.Literal(view.relation),
        )
    )
    driver.execute(
        "delete from aura_ops.refresh_versions where relation = %s"
        # as an array, which is looked up whatever the planner believes of either table: a join took four seconds
        " and key = any(array(select key from pg_temp.moved_keys where version is null))",
        (view.relation,),
    )
    driver.execute(
        "insert into aura_ops.refresh_versions"
        " select %s, key, version from pg_temp.moved_keys where version is not null"
        " on conflict (relation, key) do update set version = excluded.version",
        (view.relation,),
    )
    moved, kept = driver.execute(
        "select (select count(*) from pg_temp.moved_keys),"
        " (select count(*) from aura_ops.refresh_versions where relation = %s)",
        (view.relation,),
    ).fetchone() or (0, 0)
    if moved > MOST_STALE * kept:
        return None
    return [row[0] for row in driver.execute("select key from pg_temp.moved_keys")]


def of_keys(column: str, keys: list[UUID]) -> sql.Composed:
    """The condition that a row is of one of `keys`. They stand in the text, since PostgreSQL looks up a long list by
    hashing only where it is a constant."""
    listed = sql.Literal("{" + ",".join(map(str, keys)) + "}")
    return sql.SQL("{} = any({}::uuid[])").format(sql.Identifier(column), listed)


def _definitions(driver: psycopg.Connection[Any], view: View) -> int:
    """A number that changes with the definition of anything that `view` stands on, and with migrations."""
    known = {other.relation: other for other in load_views(view.path.parent.parent)}
    below, waiting = set[str](), [view.relation]
    while waiting:
        relation = waiting.pop()
        below.add(relation)
        waiting += known[relation].dependencies - below if relation in known else []
    row = driver.execute(
        "select hashtextextended(concat((select string_agg(relation || definition_hash, ' ' order by relation)"
        " from aura_ops.relations where relation = any(%s)), (select max(version) from aura_ops.migrations)), 0)",
        (sorted(below - {view.relation}),),
    ).fetchone()
    return row[0] if row else 0
