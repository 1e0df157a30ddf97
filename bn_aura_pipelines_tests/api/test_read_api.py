"""The read API over a real server on a loopback port: a key sees its clinic, whole and in order, and nothing else."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from contextlib import suppress

import asyncpg
import httpx
import pytest
import sqlalchemy

from bn_aura_pipelines.api import queries
from bn_aura_pipelines.api.connections import UnsafeRole, open_connections
from bn_aura_pipelines.api.keys import NoSuchClinic, create_key, revoke_key
from bn_aura_pipelines.api.reading import House
from bn_aura_pipelines.api.resources import RESOURCES, Resource
from bn_aura_pipelines.database.connections import Database
from bn_aura_pipelines_tests.api.conftest import SIAM, THONGLOR, ids_in, key_for
from bn_aura_pipelines_tests.conftest import run_sql

SOMEONE = "00000000-0000-0000-0000-000000000001"


def all_items(client: httpx.Client, path: str, headers: dict[str, str], limit: int) -> list[dict[str, object]]:
    items: list[dict[str, object]] = []
    cursor = None
    while True:
        parameters = {"limit": limit, **({"cursor": cursor} if cursor else {})}
        body = client.get(path, params=parameters, headers=headers).raise_for_status().json()
        items += body["items"]
        cursor = body["next"]
        if cursor is None:
            return items


@pytest.mark.parametrize("clinic", [SIAM, THONGLOR])
def test_pages_hold_the_whole_clinic_once_and_in_order(client: httpx.Client, clinics: Database, clinic: str) -> None:
    expected = ids_in(clinics, clinic)
    assert len(expected) > 20
    for limit in (7, 200):
        found = all_items(client, "/v1/customers", key_for(clinics, clinic), limit)
        assert [item["customer_id"] for item in found] == expected


def test_every_resource_answers(client: httpx.Client, clinics: Database) -> None:
    headers = key_for(clinics, SIAM)
    for resource in RESOURCES:
        path = resource.name.replace("{customer_id}", ids_in(clinics, SIAM)[0])
        body = client.get(f"/v1/{path}", params={"limit": 1}, headers=headers)
        assert body.status_code == 200, body.text


def test_a_row_of_another_clinic_is_not_there(client: httpx.Client, clinics: Database) -> None:
    headers = key_for(clinics, SIAM)
    own, foreign = ids_in(clinics, SIAM)[0], ids_in(clinics, THONGLOR)[0]
    assert client.get(f"/v1/customers/{own}", headers=headers).json()["item"]["customer_id"] == own
    assert client.get(f"/v1/customers/{foreign}", headers=headers).status_code == 404


def test_only_without_policy_and_predicate_a_clinic_would_see_the_other(
    client: httpx.Client, clinics: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant: if this passes without a leak, the tests above prove nothing."""
    headers = key_for(clinics, SIAM)
    foreign = ids_in(clinics, THONGLOR)[0]
    run_sql(clinics, "alter table aura_marts.customer_360 disable row level security")
    try:
        # Alone, the clinic that each query names still holds.
        assert client.get(f"/v1/customers/{foreign}", headers=headers).status_code == 404
        monkeypatch.setattr(queries, "CLINIC", "$1 is not null")
        queries.item_query.cache_clear()
        assert client.get(f"/v1/customers/{foreign}", headers=headers).status_code == 200
    finally:
        run_sql(clinics, "alter table aura_marts.customer_360 enable row level security")
        monkeypatch.undo()
        queries.item_query.cache_clear()


def test_without_a_key_that_holds_nothing_is_shown(client: httpx.Client, clinics: Database) -> None:
    revoked = key_for(clinics, SIAM)
    expired = key_for(clinics, SIAM)
    with clinics.begin() as connection:
        revoke_key(connection, revoked["Authorization"].split()[1][:12])
        connection.execute(
            sqlalchemy.text("update aura_ops.api_keys set expires_at = now() where prefix = :prefix"),
            {"prefix": expired["Authorization"].split()[1][:12]},
        )
    for headers in ({}, {"Authorization": "Bearer bna_guess"}, {"Authorization": "Basic eDp5"}, revoked, expired):
        for resource in RESOURCES:
            assert client.get(f"/v1/{resource.name}", headers=headers).status_code == 401
    assert client.get("/v1/search/leads", params={"q": "x"}).status_code == 401
    assert client.get("/healthz").json() == client.get("/readyz").json() == {"status": "ok"}


@pytest.mark.parametrize(
    "path",
    [
        "/v1/customers?limit=0",
        "/v1/customers?limit=99999999999999999999",
        "/v1/customers?cursor=nonsense",
        "/v1/customers?cursor=e30",
        "/v1/customers?cursor=eyJjaHVybl9yYW5rIjogIngiLCAiY3VzdG9tZXJfaWQiOiAieCJ9",
        "/v1/customers?order=name",
        "/v1/leads?order=name",
        "/v1/customers?limit=1&limit=2",
        "/v1/customers/not-an-id",
        "/v1/customers/%00",
        "/v1/cohorts?cohort_month=soon",
        "/v1/search/leads?q=",
        "/v1/search/leads",
        "/v1/search/leads?q=x&since=2026-01-01",
    ],
)
def test_what_cannot_be_read_is_the_clients_mistake(client: httpx.Client, clinics: Database, path: str) -> None:
    assert client.get(path, headers=key_for(clinics, SIAM)).status_code == 422


def test_filters_narrow_the_list(client: httpx.Client, clinics: Database) -> None:
    headers = key_for(clinics, SIAM)
    found = client.get("/v1/customers", params={"churn_level": "medium", "limit": 200}, headers=headers).json()["items"]
    assert found
    assert {item["churn_level"] for item in found} == {"medium"}
    assert client.get("/v1/customers", params={"churn_level": "'; drop"}, headers=headers).json()["items"] == []


@pytest.mark.parametrize(
    ("resource", "named"), [(resource, named) for resource in RESOURCES for named, _ in resource.orders], ids=str
)
@pytest.mark.parametrize("later_page", [False, True], ids=["first page", "later page"])
def test_a_page_starts_in_an_index_at_its_cursor(
    clinics: Database, resource: Resource, named: str, later_page: bool
) -> None:
    """Under row-level security an operator that is not leakproof makes a filter of an index condition, and a late page
    then reads everything before it."""
    order = dict(resource.orders)[named]
    relation = resource.relation.removeprefix("aura_marts.")
    for filtered in (frozenset(), frozenset(filter_.name for filter_ in resource.filters)):
        query = queries.page_query(resource, columns_of(clinics, relation), order, filtered, later_page, False)
        plan = plan_of(clinics, query)
        filters = [line for line in plan if line.strip().startswith("Filter:")]
        conditions = [line for line in plan if "Index Cond:" in line]
        assert any("Index" in line and "Scan" in line for line in plan), plan
        assert not any("Seq Scan" in line for line in plan), plan
        for name, _ in order.columns:
            # A filter that was asked for may be on a column of the order.
            allowed = filtered and any(filter_.column == name for filter_ in resource.filters)
            assert allowed or not any(re.search(rf"\b{name}\b", line) for line in filters), plan
            assert not later_page or any(re.search(rf"\b{name}\b", line) for line in conditions), plan


@pytest.mark.parametrize("resource", [resource for resource in RESOURCES if resource.item], ids=str)
def test_a_row_and_its_parts_are_found_in_an_index(clinics: Database, resource: Resource) -> None:
    assert resource.item
    query = queries.item_query(resource, columns_of(clinics, resource.relation.removeprefix("aura_marts.")), False)
    plan = plan_of(clinics, query)
    assert not any("Seq Scan" in line for line in plan), plan
    found = [line for line in plan if "Index Cond:" in line and re.search(rf"\b{resource.item[0]}\b", line)]
    assert len(found) >= 1 + len(resource.parts), plan


def columns_of(database: Database, relation: str) -> tuple[str, ...]:
    with database.begin() as connection:
        return tuple(column["name"] for column in sqlalchemy.inspect(connection).get_columns(relation, "aura_marts"))


def plan_of(database: Database, statement: str) -> list[str]:
    """The plan of what makes the body, as a connection of the API keeps it."""
    with database.begin() as connection:
        # The test's tables are small; which scan may be used is what matters here.
        for other_way in ("seqscan", "sort", "bitmapscan"):
            connection.exec_driver_sql(f"set local enable_{other_way} = off")
        connection.exec_driver_sql("set local role aura_api")
        connection.exec_driver_sql("set local plan_cache_mode = force_generic_plan")
        connection.exec_driver_sql(f"prepare answer (uuid, jsonb, text, int) as {statement}".replace("%", "%%"))
        plan = list(connection.exec_driver_sql("explain execute answer (null, null, null, 1)").scalars())
        connection.exec_driver_sql("deallocate answer")
    return plan[next(place for place, line in enumerate(plan) if line.strip().startswith("SubPlan")) :]


@pytest.mark.parametrize("path", ["/v1/customers/x", "/v1/nothing", "/v1/customers?limit=x", "/v1/search/leads?q=%00"])
def test_a_mistake_is_a_problem_with_a_code(client: httpx.Client, clinics: Database, path: str) -> None:
    answer = client.get(path, headers=key_for(clinics, SIAM))
    assert answer.status_code in (404, 422)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] in ("not_found", "unreadable")


def test_a_failure_of_our_own_tells_nothing_of_the_inside(
    client: httpx.Client, clinics: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("select secret")

    monkeypatch.setattr(House, "answer", fail)
    answer = client.get("/v1/leads", headers=key_for(clinics, SIAM))
    assert (answer.status_code, answer.json()["code"]) == (500, "error")
    assert answer.headers["content-type"] == "application/problem+json"
    assert "secret" not in answer.text


def test_a_table_that_was_never_built_names_the_command_that_builds_it(client: httpx.Client, clinics: Database) -> None:
    headers = key_for(clinics, SIAM)
    run_sql(clinics, "alter table aura_marts.voice_topics rename to voice_topics_away")
    try:
        answer = client.get("/v1/voice-topics", headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (409, "not_built")
        assert "bn-aura run" in answer.json()["detail"]
    finally:
        run_sql(clinics, "alter table aura_marts.voice_topics_away rename to voice_topics")


def test_a_database_that_is_away_asks_to_try_again(client: httpx.Client, server: Database, clinics: Database) -> None:
    headers = key_for(clinics, SIAM)
    name = clinics.url.database
    run_sql(server, f"alter database {name} allow_connections false")
    ending = "select pg_terminate_backend(pid) from pg_stat_activity where datname = '%s' and pid <> pg_backend_pid()"
    run_sql(server, ending % name)
    try:
        answers = [client.get("/v1/customers", headers=headers) for _ in range(4)]
        assert {answer.status_code for answer in answers} == {503}
        assert answers[0].headers["retry-after"]
    finally:
        run_sql(server, f"alter database {name} allow_connections true")
    assert client.get("/v1/customers", headers=headers).status_code == 200


def test_a_key_needs_a_clinic(clinics: Database) -> None:
    with clinics.begin() as connection, pytest.raises(NoSuchClinic, match="There is no clinic NOWHERE"):
        create_key(connection, "NOWHERE")


def test_a_role_that_escapes_row_level_security_is_refused(clinics: Database) -> None:
    run_sql(clinics, "alter role aura_api bypassrls")
    try:
        with pytest.raises(UnsafeRole, match="escapes row-level security"):
            asyncio.run(_open(clinics))
    finally:
        run_sql(clinics, "alter role aura_api nobypassrls")


def test_the_api_needs_neither_dagster_nor_xgboost() -> None:
    code = (
        "import sys; import bn_aura_pipelines.api.app; sys.exit(any(m in sys.modules for m in ('dagster', 'xgboost')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_search_finds_by_text_and_by_example_within_the_clinic(client: httpx.Client, clinics: Database) -> None:
    headers, foreign = key_for(clinics, SIAM), key_for(clinics, THONGLOR)
    for name in ("conversations", "customers", "leads"):
        found = {}
        for mode in ("hybrid", "semantic", "lexical"):
            body = client.get(f"/v1/search/{name}", params={"q": "botox โบท็อกซ์", "mode": mode}, headers=headers).json()
            assert body["as_of"] == "2026-06-01T00:00:00+07:00"
            found[mode] = body["items"]
        first = found["hybrid"][0]["entity_id"]
        alike = client.get(f"/v1/search/{name}", params={"like": first}, headers=headers).json()["items"]
        assert alike
        assert first not in [hit["entity_id"] for hit in alike]
        assert client.get(f"/v1/search/{name}", params={"like": first}, headers=foreign).status_code == 404


def test_every_column_that_is_filtered_or_ordered_by_is_there(clinics: Database) -> None:
    with clinics.begin() as connection:
        for resource in RESOURCES:
            relation = resource.relation.removeprefix("aura_marts.")
            columns = {column["name"] for column in sqlalchemy.inspect(connection).get_columns(relation, "aura_marts")}
            named = {filter_.column for filter_ in resource.filters}
            named |= {name for _, order in resource.orders for name, _ in order.columns}
            assert named <= columns, resource.name


def test_connections_are_handed_out_in_the_order_they_were_asked_for(clinics: Database) -> None:
    """A request that comes when a connection comes free does not overtake those that wait."""
    came = asyncio.run(_crowd(clinics))
    assert came == sorted(came)


async def _crowd(database: Database) -> list[int]:
    async with open_connections(database, 1) as connections:
        came: list[int] = []

        async def ask(number: int) -> None:
            await connections.fetchval("select 1")
            came.append(number)

        asking = []
        for number in range(1_000):  # one comes with every turn of the loop, also with that of a connection's return
            asking.append(asyncio.create_task(ask(number)))
            await asyncio.sleep(0)
        await asyncio.gather(*asking)
        return came


def test_who_left_the_line_holds_up_nobody_and_a_cut_connection_is_replaced(clinics: Database) -> None:
    asyncio.run(asyncio.wait_for(_leave_and_cut(clinics), 30))


async def _leave_and_cut(database: Database) -> None:
    async with open_connections(database, 1) as connections:

        async def take_and_pass_on(seconds: float) -> None:
            with suppress(asyncpg.PostgresError):
                await connections.fetchval("select pg_sleep($1)", seconds)
            line[1].cancel()  # it has been given what came free and does not know yet

        process = await connections.fetchval("select pg_backend_pid()")
        for seconds, cut in ((0.3, False), (60.0, True)):
            first = asyncio.create_task(take_and_pass_on(seconds))
            await asyncio.sleep(0)
            line = [asyncio.create_task(connections.fetchval("select pg_backend_pid()")) for _ in range(4)]
            await asyncio.sleep(0.1)
            line[0].cancel()
            if cut:
                await asyncio.to_thread(run_sql, database, f"select pg_terminate_backend({process})")
            await first
            left = await asyncio.gather(*line, return_exceptions=True)
            assert [isinstance(one, asyncio.CancelledError) for one in left] == [True, True, False, False]
            assert left[2] == left[3]
            assert (left[2] != process) == cut
        asker = asyncio.create_task(connections.fetchval("select pg_sleep(60)"))
        await asyncio.sleep(0.1)
        asker.cancel()
        assert await connections.fetchval("select 1") == 1


async def _open(database: Database) -> None:
    async with open_connections(database, 1):
        pass
