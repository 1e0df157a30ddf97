"""Writes `docs/tables.md` from what the database says of itself: the comments of every schema, relation and column.

`make docs` writes the file; `test_documentation` fails when it is not up to date.
"""

from __future__ import annotations

from itertools import groupby

import sqlalchemy

from bn_aura_pipelines.database.connections import Database
from bn_aura_pipelines.database.lineage import column_lineage, read_columns
from bn_aura_pipelines.database.view_files import View, load_views
from bn_aura_pipelines.database.views import build
from bn_aura_pipelines.quality.checks import SUITES
from bn_aura_pipelines.settings import PROJECT_ROOT
from bn_aura_pipelines.sources.relations import build_source_relations

MOST_SOURCES = 4
TABLES_PAGE = PROJECT_ROOT / "docs" / "tables.md"

INTRODUCTION = """# The tables

Every relation that the pipelines own, from the comments that the database itself carries: BI tools show the same text.
`make docs` writes this page; do not edit it.

Of a mart it also says what a row is, from which columns each column comes (after the arrow, one step up), what is
tested before a build is kept, and what Great Expectations asks afterwards: in bold what blocks everything above.

The key is what is unique. The application's own tables are in schema `public` and are not listed here. Schema
`aura_truth` exists only beside the sample clinic and holds what no asset may know.
"""


def build_everything(database: Database) -> None:
    """Every relation of ours, on a migrated database."""
    with database.begin() as connection:
        build_source_relations(connection)
        build(connection, load_views())


def describe_tables(connection: sqlalchemy.Connection) -> str:
    """The page, from a database in which everything stands."""
    keys = {view.relation: ", ".join(view.key) for view in load_views()}
    columns: dict[str, list[tuple[str, str]]] = {}
    for row in connection.execute(COLUMNS):
        columns.setdefault(row.relation, []).append((row.name, row.comment))
    marts = {view.relation: view for view in load_views() if view.schema == "aura_marts"}
    known = read_columns(connection)
    parts = [INTRODUCTION]
    relations = connection.execute(RELATIONS).all()
    for (schema, about), members in groupby(relations, key=lambda row: (row.schema_name, row.schema_comment)):
        parts.append(f"\n## {schema}\n{about or ''}\n\n| relation | key | what it holds |\n|---|---|---|\n")
        detailed = []
        for row in members:
            key = row.key or keys.get(row.relation, "")
            parts.append(f"| `{row.name}` | {key} | {_cell(_about(row.name, row.comment))} |\n")
            if row.relation in columns:
                detailed.append(row.relation)
        for relation in detailed:
            parts.append(f"\n### {relation}\n")
            sources = column_lineage(marts[relation], known) if relation in marts else {}
            parts += [
                f"- `{name}`: {_cell(comment)}{_arrow(sources.get(name, set()))}\n"
                for name, comment in columns[relation]
            ]
            parts += _promises(marts[relation]) if relation in marts else []
    return "".join(parts)


def _arrow(sources: set[tuple[str, str]]) -> str:
    named = [f"{relation.split('.')[1]}.{column}" for relation, column in sorted(sources)]
    more = f" and {len(named) - MOST_SOURCES} more" if len(named) > MOST_SOURCES else ""
    return f" ← {', '.join(named[:MOST_SOURCES])}{more}" if named else ""


def _promises(view: View) -> list[str]:
    """The grain of a mart, and what is tested of it."""
    tests = [f"`{test}`" for test in view.values("test")]
    asked = [
        f"**{one.name}**" if one.blocking else one.name
        for suite in SUITES
        if suite.relation == view.relation
        for one in suite.expectations
    ]
    lines = [f"\nGrain: one row for each {', '.join(view.key)}.\n"]
    lines += [f"Tested: {', '.join(tests)}.\n"] if tests else []
    lines += [f"Expected: {', '.join(asked)}.\n"] if asked else []
    return lines


def _about(name: str, comment: str | None) -> str | None:
    # The comment of such a view tells what this one installation has; the page is about all of them.
    source = name.removeprefix("source_")
    return comment if source == name else f"The application's table {source}; empty where an installation has none."


def _cell(comment: str | None) -> str:
    return " ".join((comment or "").split()).replace("|", "\\|")


RELATIONS = sqlalchemy.text("""
    select
        n.nspname as schema_name,
        obj_description(n.oid, 'pg_namespace') as schema_comment,
        c.relname as name,
        n.nspname || '.' || c.relname as relation,
        obj_description(c.oid, 'pg_class') as comment,
        (
            select string_agg(a.attname, ', ' order by k.position)
            from pg_index as i
            cross join lateral unnest(i.indkey) with ordinality as k (attnum, position)
            join pg_attribute as a on a.attrelid = i.indrelid and a.attnum = k.attnum
            where i.indrelid = c.oid and i.indisprimary
        ) as key
    from pg_class as c
    join pg_namespace as n on n.oid = c.relnamespace
    where n.nspname like 'aura\\_%' and c.relkind in ('r', 'p', 'v', 'm') and not c.relispartition
    order by n.nspname, c.relname
""")

COLUMNS = sqlalchemy.text("""
    select n.nspname || '.' || c.relname as relation, a.attname as name, col_description(c.oid, a.attnum) as comment
    from pg_class as c
    join pg_namespace as n on n.oid = c.relnamespace
    join pg_attribute as a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    where n.nspname like 'aura\\_%' and not c.relispartition and col_description(c.oid, a.attnum) is not null
    order by 1, a.attnum
""")

UNCOMMENTED = sqlalchemy.text(
    """
    select n.nspname || '.' || c.relname as name
    from pg_class as c
    join pg_namespace as n on n.oid = c.relnamespace
    where n.nspname like 'aura\\_%' and c.relkind in ('r', 'p', 'v', 'm') and not c.relispartition
        and coalesce(obj_description(c.oid, 'pg_class'), '') = ''
    union all
    select n.nspname || '.' || c.relname || '.' || a.attname
    from pg_class as c
    join pg_namespace as n on n.oid = c.relnamespace
    join pg_attribute as a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    where n.nspname = 'aura_marts' and c.relkind in ('r', 'p', 'v', 'm')
        and coalesce(col_description(c.oid, a.attnum), '') = ''
    union all
    select p.oid::regprocedure::text
    from pg_proc as p
    join pg_namespace as n on n.oid = p.pronamespace
    where n.nspname like 'aura\\_%' and coalesce(obj_description(p.oid, 'pg_proc'), '') = ''
    order by 1
""".replace("::", "\\:\\:")
)
