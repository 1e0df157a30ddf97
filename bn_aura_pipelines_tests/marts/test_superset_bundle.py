"""What the Superset dashboard of docs/bi names is there: its files, and relations, columns and SQL of aura_marts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy
import yaml
from sqlalchemy import text

from bn_aura_pipelines.database.connections import Database
from bn_aura_pipelines.settings import PROJECT_ROOT
from bn_aura_pipelines_tests.table_docs import build_everything

FOLDER = PROJECT_ROOT / "docs" / "bi" / "superset"
FILES = {
    path.relative_to(FOLDER).as_posix(): yaml.safe_load(path.read_text("utf-8")) for path in FOLDER.rglob("*.yaml")
}
CHARTS, DATASETS, DATABASES, DASHBOARDS = (
    {content["uuid"]: content for name, content in FILES.items() if name.startswith(kind)}
    for kind in ("charts/", "datasets/", "databases/", "dashboards/")
)
A_COLUMN = ("x_axis", "groupby", "series", "entity", "all_columns", "x_axis_sort")
A_METRIC = ("metric", "metrics", "x", "y", "size")


def named(parameters: dict[str, Any], keys: tuple[str, ...]) -> Iterator[str]:
    for key in keys:
        value = parameters.get(key, [])
        yield from value if isinstance(value, list) else [value]


def columns(chart: dict[str, Any]) -> set[str]:
    parameters = chart["params"]
    ordered = {json.loads(one)[0] for one in parameters.get("order_by_cols", [])}
    filtered = {one["subject"] for one in parameters["adhoc_filters"] if one["expressionType"] == "SIMPLE"}
    return {*named(parameters, A_COLUMN), *ordered, *filtered}


def test_every_file_refers_to_others_of_the_bundle_and_the_dashboard_shows_every_chart() -> None:
    assert FILES["metadata.yaml"]["type"] == "Dashboard"
    assert len(CHARTS) + len(DATASETS) + len(DATABASES) + len(DASHBOARDS) == len(FILES) - 1, "a uuid is used twice"
    assert {chart["dataset_uuid"] for chart in CHARTS.values()} == set(DATASETS)
    assert {dataset["database_uuid"] for dataset in DATASETS.values()} == set(DATABASES)
    (dashboard,) = DASHBOARDS.values()
    position = {key: part for key, part in dashboard["position"].items() if isinstance(part, dict)}
    shown = [part["meta"]["uuid"] for part in position.values() if part["type"] == "CHART"]
    assert sorted(shown) == sorted(CHARTS)
    children = [child for part in position.values() for child in part.get("children", [])]
    assert sorted([*children, "ROOT_ID", "HEADER_ID"]) == sorted(position), "something stands nowhere, or twice"


def test_no_password_is_in_the_bundle() -> None:
    (database,) = DATABASES.values()
    assert sqlalchemy.make_url(database["sqlalchemy_uri"]).password == "XXXXXXXXXX"


@pytest.mark.parametrize("uuid", CHARTS, ids=lambda uuid: CHARTS[uuid]["slice_name"].split(":")[0])
def test_a_chart_names_what_its_dataset_has(uuid: str) -> None:
    chart = CHARTS[uuid]
    dataset = DATASETS[chart["dataset_uuid"]]
    assert columns(chart) <= {column["column_name"] for column in dataset["columns"]}
    assert set(named(chart["params"], A_METRIC)) <= {metric["metric_name"] for metric in dataset["metrics"]}


def test_datasets_and_filters_are_sql_that_the_marts_answer(database: Database) -> None:
    build_everything(database)
    with database.begin() as connection:
        for dataset in DATASETS.values():
            relation = f"{dataset['schema']}.{dataset['table_name']}"
            chosen = [column.get("expression") or column["column_name"] for column in dataset["columns"]]
            measured = [metric["expression"] for metric in dataset["metrics"]]
            for expressions in filter(None, (chosen, measured)):
                ask(connection, f"select {', '.join(expressions)} from {relation}")
        for chart in CHARTS.values():
            dataset = DATASETS[chart["dataset_uuid"]]
            for one in chart["params"]["adhoc_filters"]:
                if one["expressionType"] == "SQL":
                    ask(
                        connection,
                        f"select from {dataset['schema']}.{dataset['table_name']} where {one['sqlExpression']}",
                    )


def ask(connection: sqlalchemy.Connection, statement: str) -> None:
    connection.execute(text(statement.replace("::", "\\:\\:"))).all()
