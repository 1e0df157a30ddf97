"""Clinics never see each other: every route, whatever it is asked, and what it takes to break that."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import sqlalchemy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import DataObject

from bn_aura_pipelines.api import queries
from bn_aura_pipelines.api.resources import RESOURCES, Resource
from bn_aura_pipelines.api.search import ENTITIES
from bn_aura_pipelines.api.streams import PATH as STREAM
from bn_aura_pipelines.database.connections import Database
from bn_aura_pipelines_tests.api.conftest import SIAM, key_for
from bn_aura_pipelines_tests.conftest import run_sql

Row = dict[str, Any]
BY_NAME = {resource.name: resource for resource in RESOURCES}
ANYTHING = settings(
    max_examples=20,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
SYNTHETIC = {
    "uuid": "md5('{column}' || c.clinic_code || n)::uuid",  # the same customers in every mart
    "date": "'2026-01-01'::date + n",
    "timestamptz": "'2026-01-01 00:00+00'::timestamptz + n * interval '1 day'",
    "text": "c.clinic_code || ' {column} ' || n",
    "bool": "n = 1",
    "_text": "array[c.clinic_code]",
    "jsonb": "to_jsonb(c.clinic_code)",
}
"""A value of each type; any other type takes a number."""


@dataclass(frozen=True)
class Truth:
    """What the marts hold: rows by relation, as the API shows them, of one clinic and of all others."""

    own: dict[str, list[Row]]
    foreign: dict[str, list[Row]]
    own_marks: dict[str, set[str]]


@pytest.fixture(scope="module")
def truth(clinics: Database) -> Truth:
    """Some rows of every clinic in every mart, beside those that are there."""
    own: dict[str, list[Row]] = {}
    foreign: dict[str, list[Row]] = {}
    with clinics.begin() as connection:
        relations = {relation for resource in RESOURCES for relation in resource.relations}
        inspector = sqlalchemy.inspect(connection)
        for relation in sorted(relations):
            columns = inspector.get_columns(relation.partition(".")[2], "aura_marts")
            _add_rows(connection, relation, columns)
            if not any(column["name"] == "clinic_id" for column in columns):
                continue
            query = (
                f"select to_jsonb(t) - 'clinic_id' from {relation} as t join public.clinics as c"
                f" on c.id = t.clinic_id where (c.clinic_code = '{SIAM}') = %s"
            )
            own[relation] = list(connection.exec_driver_sql(query, (True,)).scalars())
            foreign[relation] = list(connection.exec_driver_sql(query, (False,)).scalars())
    return Truth(own, foreign, {relation: {_mark(row) for row in rows} for relation, rows in own.items()})


def _add_rows(connection: sqlalchemy.Connection, relation: str, columns: list[Any]) -> None:
    types = connection.exec_driver_sql(
        "select a.attname, t.typname from pg_attribute a join pg_type t on t.oid = a.atttypid"
        f" where a.attrelid = '{relation}'::regclass and a.attnum > 0 and not attisdropped and attidentity = ''"
    ).all()
    names = ", ".join(name for name, _ in types)
    values = ", ".join(
        "c.id" if name == "clinic_id" else SYNTHETIC.get(kind, "n").format(column=name) for name, kind in types
    )
    connection.exec_driver_sql(
        f"insert into {relation} ({names}) select {values} from public.clinics c, generate_series(1, 3) n"
        " on conflict do nothing"
    )


def _mark(row: Row) -> str:
    return json.dumps(row, sort_keys=True)


def check(client: httpx.Client, truth: Truth, resource: Resource, path: str, **request: Any) -> None:
    """Whatever is shown is the clinic's own."""
    answer = client.get(path, **request)
    assert answer.status_code in (200, 403, 404, 422), answer.text
    if answer.status_code != 200 or resource.relation not in truth.own:
        return
    body = answer.json()
    for row in body.get("items", []) + ([body["item"]] if "item" in body else []):
        assert _mark(row) in truth.own_marks[resource.relation], (path, row)
    for part in resource.parts:
        allowed = {
            _mark({k: v for k, v in row.items() if k not in resource.item[:1]}) for row in truth.own[part.relation]
        }
        for row in body.get(part.name) or []:
            assert _mark(row) in allowed, (path, part.name, row)


def _values(truth: Truth, relation: str, column: str) -> st.SearchStrategy[Any]:
    """What stands in a column, mostly of other clinics."""
    own, foreign = ([row[column] for row in rows.get(relation, [])] for rows in (truth.own, truth.foreign))
    found = sorted({str(value) for value in foreign + own[:20] if value is not None})
    return st.sampled_from(found or ["x"])


def _asked(data: DataObject, truth: Truth, resource: Resource) -> tuple[str, dict[str, Any]]:
    """A list's path and parameters, with cursors and values of other clinics."""
    name = resource.name
    if resource.parent:
        parent = data.draw(_values(truth, resource.parent, resource.parent_key))
        name = name.replace(f"{{{resource.parent_key}}}", parent)
    given: dict[str, Any] = {"limit": data.draw(st.integers(1, 200))}
    order = data.draw(st.sampled_from(resource.orders))
    if len(resource.orders) > 1:
        given["order"] = order[0]
    rows = truth.foreign.get(resource.relation, []) + truth.own.get(resource.relation, [])[:20]
    if rows and data.draw(st.booleans()):
        row = data.draw(st.sampled_from(rows))
        after = json.dumps({column: row[column] for column, _ in order[1].columns})
        given["cursor"] = base64.urlsafe_b64encode(after.encode()).decode().rstrip("=")
    for filter_ in resource.filters:
        if data.draw(st.integers(0, 3)) == 0:
            given[filter_.name] = data.draw(_values(truth, resource.relation, filter_.column))
    return f"/v1/{name}", given


@pytest.mark.parametrize("name", BY_NAME)
def test_a_list_shows_the_clinics_own_rows_whatever_is_asked(
    client: httpx.Client, clinics: Database, truth: Truth, name: str
) -> None:
    headers = key_for(clinics, SIAM, "personal")

    @ANYTHING
    @given(data=st.data())
    def asked(data: DataObject) -> None:
        path, parameters = _asked(data, truth, BY_NAME[name])
        check(client, truth, BY_NAME[name], path, params=parameters, headers=headers)

    asked()


@pytest.mark.parametrize("name", [resource.name for resource in RESOURCES if resource.item])
def test_a_row_is_shown_to_its_clinic_only_and_is_missing_to_others(
    client: httpx.Client, clinics: Database, truth: Truth, name: str
) -> None:
    resource, headers = BY_NAME[name], key_for(clinics, SIAM, "personal")
    assert resource.item
    column = resource.item[0]
    nobody = client.get(f"/v1/{name}/00000000-0000-0000-0000-000000000001", headers=headers)
    for row in truth.foreign[resource.relation][:50]:
        answer = client.get(f"/v1/{name}/{row[column]}", headers=headers)
        assert (answer.status_code, answer.content) == (404, nobody.content)
    for row in truth.own[resource.relation][:50]:
        check(client, truth, resource, f"/v1/{name}/{row[column]}", headers=headers)


@pytest.mark.parametrize("name", ENTITIES)
def test_a_search_finds_the_clinics_own_rows_whatever_is_asked(
    client: httpx.Client, clinics: Database, name: str
) -> None:
    headers = key_for(clinics, SIAM, "personal")
    table = {"conversations": "customer_conversations", "customers": "customers", "leads": "sales_leads"}[name]
    with clinics.begin() as connection:
        found = connection.exec_driver_sql(
            f"select r.id::text, c.clinic_code = '{SIAM}' from public.{table} r"
            " join public.clinics c on c.id = r.clinic_id"
        ).all()
    own = {one for one, is_own in found if is_own}
    texts = st.one_of(st.text(min_size=1, max_size=50), st.sampled_from(["botox", "โบท็อกซ์", "somchai", "laser สิว"]))
    questions = st.one_of(
        st.builds(lambda q, mode: {"q": q, "mode": mode}, texts, st.sampled_from(["hybrid", "semantic", "lexical"])),
        st.builds(lambda like: {"like": like}, st.sampled_from(sorted(one for one, _ in found))),
    )

    @ANYTHING
    @given(question=questions)
    def asked(question: dict[str, str]) -> None:
        answer = client.get(f"/v1/search/{name}", params={**question, "limit": 50}, headers=headers)
        assert answer.status_code in (200, 404, 422), answer.text
        assert {hit["entity_id"] for hit in answer.json().get("items", [])} <= own

    asked()


def first_events(client: httpx.Client, headers: dict[str, str], count: int) -> list[Row]:
    rows: list[Row] = []
    with client.stream("GET", STREAM, params={"after": 0}, headers=headers) as answer:
        for line in answer.iter_lines():
            if line.startswith("data: "):
                rows.append(json.loads(line[6:]))
            if len(rows) == count:
                return rows
    return rows


def check_everything(client: httpx.Client, truth: Truth, headers: dict[str, str], name: str) -> None:
    """The whole list of a resource, and the rows of other clinics one by one."""
    resource = BY_NAME[name]
    parents = {row[resource.parent_key] for row in truth.foreign[resource.relation]} if resource.parent else {None}
    for parent in sorted(parents)[:20]:
        path = f"/v1/{name.replace(f'{{{resource.parent_key}}}', str(parent))}"
        for order, _ in resource.orders:
            given = {"limit": 200, **({"order": order} if len(resource.orders) > 1 else {})}
            check(client, truth, resource, path, params=given, headers=headers)
    for row in truth.foreign[resource.relation][:20] if resource.item else []:
        check(client, truth, resource, f"/v1/{name}/{row[resource.item[0]]}", headers=headers)
    if name == "notifications":
        mine = truth.own_marks[resource.relation]
        assert all(_mark(row) in mine for row in first_events(client, headers, len(mine)))


@pytest.fixture
def without_predicate(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The mutant: no query names its clinic."""
    monkeypatch.setattr(queries, "CLINIC", "$1 is not null")
    for made in (queries.page_query, queries.item_query):
        made.cache_clear()
    yield
    monkeypatch.undo()
    for made in (queries.page_query, queries.item_query):
        made.cache_clear()


@pytest.fixture
def without_policies(clinics: Database, truth: Truth) -> Iterator[None]:
    """The other mutant: no table protects its rows."""
    for relation in truth.own:
        run_sql(clinics, f"alter table {relation} disable row level security")
    yield
    for relation in truth.own:
        run_sql(clinics, f"alter table {relation} enable row level security")


TENANTS = [resource.name for resource in RESOURCES if not resource.name.startswith("model")]


@pytest.mark.usefixtures("without_predicate")
def test_without_the_predicate_the_policies_still_hold(client: httpx.Client, clinics: Database, truth: Truth) -> None:
    headers = key_for(clinics, SIAM, "personal")
    for name in TENANTS:
        check_everything(client, truth, headers, name)


@pytest.mark.usefixtures("without_policies")
def test_without_the_policies_the_predicate_still_holds(client: httpx.Client, clinics: Database, truth: Truth) -> None:
    headers = key_for(clinics, SIAM, "personal")
    for name in TENANTS:
        check_everything(client, truth, headers, name)


@pytest.mark.usefixtures("without_predicate", "without_policies")
@pytest.mark.parametrize("name", TENANTS)
def test_without_both_each_of_these_checks_fails(
    client: httpx.Client, clinics: Database, truth: Truth, name: str
) -> None:
    """Otherwise the checks above would prove nothing."""
    with pytest.raises(AssertionError):
        check_everything(client, truth, key_for(clinics, SIAM, "personal"), name)


def test_every_route_is_among_these(client: httpx.Client) -> None:
    known = {f"/v1/{name}" for name in BY_NAME} | {f"/v1/{name}/{{key}}" for name in BY_NAME if BY_NAME[name].item}
    known |= {f"/v1/search/{name}" for name in ENTITIES} | {STREAM, "/v1/freshness"}
    assert {path for path in client.get("/openapi.json").json()["paths"] if path.startswith("/v1/")} == known
