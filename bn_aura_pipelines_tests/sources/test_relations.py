from __future__ import annotations

import sqlalchemy

from bn_aura_pipelines.database.connections import Database
from bn_aura_pipelines.database.view_files import load_views
from bn_aura_pipelines.database.views import build
from bn_aura_pipelines.sources.contract import TABLES, get_table
from bn_aura_pipelines.sources.relations import PG_TYPES, build_source_relations

COLUMNS = sqlalchemy.text(
    """
    select a.attname as name, format_type(a.atttypid, a.atttypmod) as type
    from pg_attribute a
    where a.attrelid = to_regclass(:relation) and a.attnum > 0
    order by a.attnum
    """
)
SPELLED = {"timestamp with time zone": "timestamptz", "time without time zone": "time"}


def assert_every_relation_has_the_contracts_columns(connection: sqlalchemy.Connection) -> None:
    for table in TABLES:
        rows = connection.execute(COLUMNS, {"relation": f"aura_staging.source_{table.name}"})
        found = [(row.name, SPELLED.get(row.type, row.type)) for row in rows]
        expected = [(column.name, PG_TYPES[column.type]) for column in table.exposed_columns]
        expected.append(("row_version", "bigint"))
        assert [(name, type_.split("(")[0]) for name, type_ in found] == expected, table.name


def test_every_table_becomes_one_relation_with_the_contracts_columns_in_order(database: Database) -> None:
    with database.begin() as connection:
        built = build_source_relations(connection)
        assert built == [f"aura_staging.source_{table.name}" for table in TABLES]
        assert_every_relation_has_the_contracts_columns(connection)


def test_absent_optional_tables_and_columns_give_typed_nulls_and_empty_relations(database: Database) -> None:
    with database.begin() as connection:
        connection.execute(sqlalchemy.text("drop table public.referrals"))
        connection.execute(
            sqlalchemy.text("alter table public.sales_leads drop column category, drop column customer_id")
        )
        connection.execute(sqlalchemy.text("insert into public.sales_leads (name, email) values ('Lead', 'l@x.th')"))
        build_source_relations(connection)
        assert_every_relation_has_the_contracts_columns(connection)
        row = connection.execute(sqlalchemy.text("select * from aura_staging.source_sales_leads")).one()
        assert (row.name, row.category, row.customer_id, row.status) == ("Lead", None, None, "new")
        assert connection.execute(sqlalchemy.text("select * from aura_staging.source_referrals")).all() == []


def test_nothing_is_rewritten_while_the_tables_stay_as_they_are(database: Database) -> None:
    with database.begin() as connection:
        build_source_relations(connection)
        assert build_source_relations(connection) == []


def test_a_column_that_arrives_is_shown_and_the_views_above_stay(database: Database) -> None:
    with database.begin() as connection:
        connection.execute(sqlalchemy.text("alter table public.treatments drop column clinic_id"))
        build_source_relations(connection)
        build(connection, [view for view in load_views() if view.relation == "aura_staging.stg_treatments"])
        connection.execute(sqlalchemy.text("alter table public.treatments add column clinic_id uuid"))
        assert build_source_relations(connection) == ["aura_staging.source_treatments"]
        assert connection.execute(sqlalchemy.text("select to_regclass('aura_staging.stg_treatments')")).scalar()


def test_a_relation_whose_columns_move_takes_the_views_above_with_it_and_forgets_them(database: Database) -> None:
    with database.begin() as connection:
        connection.execute(sqlalchemy.text("create view aura_staging.source_treatments as select 1 as other"))
        connection.execute(
            sqlalchemy.text("create view aura_staging.above as select other from aura_staging.source_treatments")
        )
        connection.execute(
            sqlalchemy.text(
                "insert into aura_ops.relations values"
                " ('aura_staging.source_treatments', 'old'), ('aura_staging.above', 'its')"
            )
        )
        build_source_relations(connection)
        assert_every_relation_has_the_contracts_columns(connection)
        remembered = connection.execute(sqlalchemy.text("select relation from aura_ops.relations")).scalars().all()
        assert "aura_staging.above" not in remembered
        assert "aura_staging.source_treatments" in remembered


def test_embeddings_are_no_part_of_a_relation() -> None:
    assert "preference_embedding" not in {column.name for column in get_table("customers").exposed_columns}
