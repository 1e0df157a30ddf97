"""What PostgreSQL's catalog says of the application's tables. What they ought to be stands in `contract`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy

COLUMNS = sqlalchemy.text(
    """
    select
        c.relname as table_name,
        a.attname as name,
        format_type(a.atttypid, a.atttypmod) as type,
        base.typname as base_type,
        a.attnotnull as not_null,
        pg_get_expr(d.adbin, d.adrelid) as default_expression,
        a.attgenerated <> '' or a.attidentity <> '' as generated,
        case when base.typname in ('varchar', 'bpchar') and a.atttypmod > 4 then a.atttypmod - 4 end as max_length,
        array(
            select e.enumlabel::text from pg_enum e where e.enumtypid = base.oid order by e.enumsortorder
        ) as labels
    from pg_class c
    join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    join pg_type t on t.oid = a.atttypid
    join pg_type base on base.oid = case when t.typtype = 'd' then t.typbasetype else t.oid end
    left join pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum
    where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p', 'v', 'm', 'f')
    order by c.relname, a.attnum
    """
)


@dataclass(frozen=True)
class ActualColumn:
    """A column as it is. `base_type` is the catalog's name (`int4`), seen through a domain."""

    name: str
    type: str
    base_type: str
    not_null: bool
    default_expression: str | None
    generated: bool
    """Whether the database makes its values."""
    max_length: int | None
    labels: tuple[str, ...]
    """The values of an enum; empty for any other type."""


def read_stored_tables(connection: sqlalchemy.Connection) -> set[str]:
    """Those tables of schema `public` whose rows lie in this database: no views, no foreign tables."""
    rows = connection.exec_driver_sql(
        "select relname from pg_class where relnamespace = 'public'::regnamespace and relkind in ('r', 'p')"
    )
    return {row.relname for row in rows}


def read_columns(connection: sqlalchemy.Connection) -> Mapping[str, Mapping[str, ActualColumn]]:
    """The columns of every table of schema `public`, by table and name."""
    tables: dict[str, dict[str, ActualColumn]] = {}
    for row in connection.execute(COLUMNS):
        tables.setdefault(row.table_name, {})[row.name] = ActualColumn(
            name=row.name,
            type=row.type,
            base_type=row.base_type,
            not_null=row.not_null,
            default_expression=None if row.generated else row.default_expression,
            generated=row.generated,
            max_length=row.max_length,
            labels=tuple(row.labels),
        )
    return tables
