"""Where each column comes from, read from the SQL: through CTEs, joins, unions and stars, one relation up."""

from __future__ import annotations

from pathlib import Path

import pytest

from bn_aura_pipelines.database.connections import Database
from bn_aura_pipelines.database.lineage import Columns, column_lineage, read_columns
from bn_aura_pipelines.database.view_files import View, load_views
from bn_aura_pipelines.database.views import build
from bn_aura_pipelines.sources.relations import build_source_relations

VISITS = "aura_staging.visits"
PEOPLE = "aura_staging.people"
COLUMNS: Columns = {
    VISITS: {"visit_id": "integer", "person_id": "integer", "price": "numeric"},
    PEOPLE: {"person_id": "integer", "name": "text"},
}
# What a mart spells out itself.
MADE_UP = {
    "customer_timeline": {"kind"},
    "pipeline_health": {"source"},
    "sales_funnel": {"stage", "stage_number"},
    "trigger_effects": {"outcome"},
    "voice_topics": {"kind"},
}


def lineage(query: str) -> dict[str, set[tuple[str, str]]]:
    view = View("aura_marts", "v", Path("v.sql"), "", (), (), query)
    return column_lineage(view, COLUMNS)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("select price as paid from aura_staging.visits", {"paid": {(VISITS, "price")}}),
        ("select 1 as one, price * 2 as twice from aura_staging.visits", {"one": set(), "twice": {(VISITS, "price")}}),
        (
            "with a as (select person_id, sum(price) as total from aura_staging.visits group by person_id),"
            " b as (select person_id, total + 1 as more from a)"
            " select p.name, b.more from b inner join aura_staging.people as p on b.person_id = p.person_id",
            {"name": {(PEOPLE, "name")}, "more": {(VISITS, "price")}},
        ),
        (
            "select v.price || p.name as both_of_them from aura_staging.visits as v, aura_staging.people as p",
            {"both_of_them": {(VISITS, "price"), (PEOPLE, "name")}},
        ),
        (
            "select person_id as id from aura_staging.visits union all select person_id from aura_staging.people",
            {"id": {(VISITS, "person_id"), (PEOPLE, "person_id")}},
        ),
        (
            "with a as (select person_id, count(*) as rows_of_it from aura_staging.visits group by person_id)"
            " select rows_of_it / 2.0 as half from a",
            {"half": {(VISITS, "person_id")}},
        ),
        (
            "select * from aura_staging.people",
            {"person_id": {(PEOPLE, "person_id")}, "name": {(PEOPLE, "name")}},
        ),
    ],
)
def test_a_column_comes_from_what_it_is_computed_from(query: str, expected: dict[str, set[tuple[str, str]]]) -> None:
    assert lineage(query) == expected


def test_every_column_of_every_mart_comes_from_somewhere(database: Database) -> None:
    load_views.cache_clear()
    with database.begin() as connection:
        build_source_relations(connection)
        build(connection, load_views())
        columns = read_columns(connection)
    made_up = {}
    for view in load_views():
        if view.schema == "aura_marts":
            found = column_lineage(view, columns)
            assert list(found) == list(columns[view.relation]), view.relation
            made_up[view.name] = {column for column, sources in found.items() if not sources}
    assert {name: found for name, found in made_up.items() if found} == MADE_UP
