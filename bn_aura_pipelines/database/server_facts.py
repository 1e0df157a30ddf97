"""What a server says about itself and about the role that asks: catalogs only, nothing is written.

What follows from it is judged in `preflight`.
"""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy

SCHEMAS = ("aura_ops", "aura_staging", "aura_features", "aura_models", "aura_marts")
READER_ROLES = ("aura_api", "aura_bi")
EMBEDDING_COLUMNS = {
    "customers": "preference_embedding",
    "customer_conversations": "message_embeddings",
    "sales_leads": "profile_embedding",
}
# `trusted` extensions came with 13; of an older server only the version matters.
READABLE_VERSION = 130000


@dataclass(frozen=True)
class Column:
    """One of the application's embedding columns; `type` is null where it is missing."""

    table: str
    name: str
    owner: str
    type: str | None = None
    may_add: bool = True
    may_write: bool = True


@dataclass(frozen=True)
class ServerFacts:
    """What the server says about itself and about the role that asks; the defaults are those of a good one."""

    database: str = "database"
    role: str = "role"
    version: int = 150000
    pgvector_installed: str | None = None
    pgvector_schema: str | None = None
    pgvector_usable: bool = True
    pgvector_available: str | None = "0.8.0"
    may_install_pgvector: bool = True
    may_create_schemas: bool = True
    schemas_owned: frozenset[str] = frozenset()
    schemas_of_others: frozenset[str] = frozenset()
    has_application_tables: bool = True
    may_create_in_public: bool = True
    columns: tuple[Column, ...] = ()
    missing_roles: tuple[str, ...] = ()
    may_create_roles: bool = True
    has_dagster_database: bool = True
    may_connect_to_dagster: bool = True
    may_create_databases: bool = True


def read_facts(connection: sqlalchemy.Connection) -> ServerFacts:
    """Ask the catalogs; nothing is written."""
    version = connection.execute(sqlalchemy.text("select current_setting('server_version_num')::int")).scalar_one()
    if version < READABLE_VERSION:
        return ServerFacts(version=version)
    row = connection.execute(_FACTS, {"schemas": list(SCHEMAS), "roles": list(READER_ROLES)}).one()
    columns = connection.execute(
        _COLUMNS, {"tables": list(EMBEDDING_COLUMNS), "columns": list(EMBEDDING_COLUMNS.values())}
    )
    values = {name: value for name, value in row._mapping.items() if not isinstance(value, list)}
    return ServerFacts(
        **values,
        schemas_owned=frozenset(row.schemas_owned),
        schemas_of_others=frozenset(row.schemas_of_others),
        missing_roles=tuple(row.missing_roles),
        columns=tuple(Column(**column._mapping) for column in columns),
    )


_FACTS = sqlalchemy.text("""
select
    quote_ident(current_database()) as database,
    quote_ident(current_user) as role,
    current_setting('server_version_num')::int as version,
    extension.installed as pgvector_installed,
    extension.schema_name as pgvector_schema,
    coalesce(extension.usable, true) as pgvector_usable,
    available.default_version as pgvector_available,
    me.rolsuper or exists (
        select from pg_available_extension_versions as v
        where v.name = 'vector' and v.version = available.default_version
            and (not v.superuser or v.trusted)
            and has_database_privilege(current_database(), 'create')
    ) as may_install_pgvector,
    has_database_privilege(current_database(), 'create') as may_create_schemas,
    ours.owned as schemas_owned,
    ours.of_others as schemas_of_others,
    to_regclass('public.clinics') is not null as has_application_tables,
    coalesce(has_schema_privilege(to_regnamespace('public')::oid, 'create'), false) as may_create_in_public,
    array(
        select r.name from unnest(cast(:roles as text[])) with ordinality as r (name, position)
        where not exists (select from pg_roles where rolname = r.name)
        order by r.position
    ) as missing_roles,
    me.rolsuper or me.rolcreaterole as may_create_roles,
    exists (select from pg_database where datname = 'dagster') as has_dagster_database,
    coalesce(
        (select has_database_privilege(d.oid, 'connect') from pg_database as d where d.datname = 'dagster'), true
    ) as may_connect_to_dagster,
    me.rolsuper or me.rolcreatedb as may_create_databases
from pg_roles as me
left join lateral (
    select e.extversion as installed, quote_ident(n.nspname) as schema_name,
        has_schema_privilege(n.oid, 'usage') as usable
    from pg_extension as e
    join pg_namespace as n on n.oid = e.extnamespace
    where e.extname = 'vector'
) as extension on true
left join pg_available_extensions as available on available.name = 'vector'
cross join lateral (
    select
        coalesce(array_agg(n.nspname::text) filter (where pg_has_role(n.nspowner, 'usage')), '{}') as owned,
        coalesce(array_agg(n.nspname::text) filter (where not pg_has_role(n.nspowner, 'usage')), '{}') as of_others
    from pg_namespace as n
    where n.nspname = any (cast(:schemas as text[]))
) as ours
where me.rolname = current_user
""")

_COLUMNS = sqlalchemy.text("""
select
    c.relname::text as table,
    w.name,
    quote_ident(pg_get_userbyid(c.relowner)) as owner,
    format_type(a.atttypid, a.atttypmod) as type,
    pg_has_role(c.relowner, 'usage') as may_add,
    coalesce(has_column_privilege(c.oid, a.attnum, 'update'), true) as may_write
from unnest(cast(:tables as text[]), cast(:columns as text[])) with ordinality as w (relation, name, position)
join pg_class as c on c.relnamespace = to_regnamespace('public') and c.relname = w.relation
left join pg_attribute as a on a.attrelid = c.oid and a.attname = w.name and not a.attisdropped
order by w.position
""")
