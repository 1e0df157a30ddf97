"""Which source columns each column of a view of `dbt_like_views` comes from, read from the SQL itself.

Only for people who look at lineage: nothing is built from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import sqlalchemy
from sqlalchemy import text

from bn_aura_pipelines.database.view_files import View

SYSTEM_COLUMNS = {"tableoid": "oid", "ctid": "tid", "xmin": "xid"}
Columns = Mapping[str, Mapping[str, str]]


def read_columns(connection: sqlalchemy.Connection) -> Columns:
    """Columns and types of every relation of the `aura_*` schemas, by `schema.name`."""
    rows = connection.execute(
        text(
            """
            select n.nspname || '.' || c.relname as relation, a.attname, format_type(a.atttypid, a.atttypmod) as type
            from pg_attribute as a
            inner join pg_class as c on a.attrelid = c.oid
            inner join pg_namespace as n on c.relnamespace = n.oid
            where n.nspname in ('aura_staging', 'aura_features', 'aura_models', 'aura_marts', 'aura_ops')
                and c.relkind in ('r', 'v', 'p') and a.attnum > 0 and not a.attisdropped
            order by n.nspname, c.relname, a.attnum
            """
        )
    )
    found: dict[str, dict[str, str]] = {}
    for relation, column, kind in rows:
        found.setdefault(relation, {})[column] = kind
    return found


def column_lineage(view: View, columns: Columns) -> dict[str, set[tuple[str, str]]]:
    """For each output column of the view the (`schema.name`, column) pairs it is computed from, one step up."""
    relations = sorted(view.dependencies & columns.keys())
    known = tuple((name, tuple(columns[name].items())) for name in relations)
    return {name: set(sources) for name, sources in _lineage(view.query, known)}


@lru_cache(maxsize=256)
def _lineage(query: str, known: tuple[tuple[str, tuple[tuple[str, str], ...]], ...]) -> tuple[tuple[str, Any], ...]:
    import sqlglot
    from sqlglot import exp
    from sqlglot.lineage import to_node
    from sqlglot.optimizer.qualify import qualify
    from sqlglot.optimizer.scope import build_scope
    from sqlglot.schema import MappingSchema

    nested: dict[str, Any] = {}
    for relation, pairs in known:
        schema_name, name = relation.split(".")
        nested.setdefault(schema_name, {})[name] = dict(pairs) | {
            column: kind for column, kind in SYSTEM_COLUMNS.items() if f".{column}" in query
        }
    schema = MappingSchema(nested, dialect="postgres")
    tree = qualify(
        sqlglot.parse_one(query, read="postgres"),
        dialect="postgres",
        schema=schema,
        validate_qualify_columns=False,
        identify=False,
    )
    # Rows are counted by what they are grouped by: count(*) alone names no column.
    for count in list(tree.find_all(exp.Count)):
        select = count.find_ancestor(exp.Select)
        group = select.args.get("group") if select else None
        if isinstance(count.this, exp.Star) and group and group.expressions:
            count.set("this", exp.func("coalesce", *(part.copy() for part in group.expressions)))
    scope = build_scope(tree)
    if scope is None or not isinstance(scope.expression, exp.Query):
        return ()
    result = []
    for name in scope.expression.named_selects:
        leaves = {
            (f"{leaf.expression.db}.{leaf.expression.name}", leaf.name.rsplit(".", 1)[-1].strip('"'))
            for leaf in to_node(name, scope, "postgres", schema).walk()
            if isinstance(leaf.expression, exp.Table) and leaf.expression.db
        }
        result.append((name, frozenset(leaves)))
    return tuple(result)
