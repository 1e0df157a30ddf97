"""The read API over a real server on a loopback port: a key sees its clinic, whole and in order, and nothing else."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import datetime

import httpx
import pytest
import sqlalchemy
import uvicorn

from bn_aura_pipelines.api.app import UnsafeRole, make_app
from bn_aura_pipelines.api.keys import NoSuchClinic, create_key, revoke_key
from bn_aura_pipelines.api.resources import RESOURCES, Resource
from bn_aura_pipelines.database.connections import Database
from bn_aura_pipelines.database.view_files import load_views
from bn_aura_pipelines.database.views import build
from bn_aura_pipelines.sources.relations import build_source_relations
from bn_aura_pipelines.sources.sample.generate import generate
from bn_aura_pipelines_tests.conftest import clone, drop, run_sql

NOW = datetime.fromisoformat("2026-06-01T00:00:00+07:00")
SIAM, THONGLOR = "AURA-SIAM", "AURA-THONGLOR"
SOMEONE = "00000000-0000-0000-0000-000000000001"


@pytest.fixture(scope="module")
def clinics(server: Database, template: str) -> Iterator[Database]:
    """Two clinics with their marts; a third of the customers have a score."""
    database = clone(server, template)
    generate(database, 300, NOW, seed=5)
    with database.begin(NOW) as connection:
        build_source_relations(connection)
        build(connection, load_views())
        connection.execute(
            sqlalchemy.text(
                "insert into aura_models.churn_scores select customer_id, clinic_id, aura_ops.as_of(), 1, .5,"
                " 40 + (row_number() over (order by customer_id) % 7)::int, 'medium', '', ''"
                " from aura_marts.customer_360 where completed_visits > 2"
            )
        )
        build(connection, [view for view in load_views() if view.name == "customer_360"])
    yield database
    drop(server, database)


@pytest.fixture(scope="module")
def client(clinics: Database) -> Iterator[httpx.Client]:
    server = uvicorn.Server(uvicorn.Config(make_app(clinics, 2), port=0, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    until = time.monotonic() + 30
    while not server.started and time.monotonic() < until:
        time.sleep(0.05)
    port = server.servers[0].sockets[0].getsockname()[1]
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
        yield client
    server.should_exit = True
    thread.join(10)


def key_for(database: Database, clinic: str) -> dict[str, str]:
    with database.begin() as connection:
        return {"Authorization": f"Bearer {create_key(connection, clinic)}"}


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


def ids_in(database: Database, clinic: str) -> list[str]:
    query = (
        "select customer_id::text from aura_marts.customer_360 join public.clinics on clinics.id = clinic_id"
        " where clinic_code = :clinic order by churn_rank desc, customer_id desc"
    )
    with database.begin() as connection:
        return list(connection.execute(sqlalchemy.text(query), {"clinic": clinic}).scalars())


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
        body = client.get(f"/v1/{resource.name}", params={"limit": 1}, headers=headers)
        assert body.status_code == 200, body.text


def test_a_row_of_another_clinic_is_not_there(client: httpx.Client, clinics: Database) -> None:
    headers = key_for(clinics, SIAM)
    own, foreign = ids_in(clinics, SIAM)[0], ids_in(clinics, THONGLOR)[0]
    assert client.get(f"/v1/customers/{own}", headers=headers).json()["customer_id"] == own
    assert client.get(f"/v1/customers/{foreign}", headers=headers).status_code == 404


def test_without_its_policy_a_clinic_would_see_the_other(client: httpx.Client, clinics: Database) -> None:
    """The mutant: if this passes without a leak, the tests above prove nothing about row-level security."""
    headers = key_for(clinics, SIAM)
    foreign = ids_in(clinics, THONGLOR)[0]
    run_sql(clinics, "alter table aura_marts.customer_360 disable row level security")
    try:
        assert client.get(f"/v1/customers/{foreign}", headers=headers).status_code == 200
    finally:
        run_sql(clinics, "alter table aura_marts.customer_360 enable row level security")


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
    assert client.get("/v1/search", params={"q": "x"}).status_code == 401
    assert client.get("/health").json() == {"status": "ok"}


@pytest.mark.parametrize(
    "path",
    [
        "/v1/customers?limit=0",
        "/v1/customers?limit=99999999999999999999",
        "/v1/customers?cursor=nonsense",
        "/v1/customers?cursor=e30",
        "/v1/customers?cursor=eyJjaHVybl9yYW5rIjogIngiLCAiY3VzdG9tZXJfaWQiOiAieCJ9",
        "/v1/customers?order=name",
        "/v1/customers/not-an-id",
        "/v1/customers/%00",
        "/v1/cohorts?cohort_month=soon",
        "/v1/search?q=",
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


AFTER = {"int": 5, "uuid": SOMEONE, "text": "m", "date": "2026-01-01", "timestamptz": "2026-01-01T00:00:00+07:00"}


@pytest.mark.parametrize("resource", RESOURCES, ids=lambda resource: resource.name)
@pytest.mark.parametrize("later_page", [False, True], ids=["first page", "later page"])
def test_a_page_starts_in_an_index_at_its_cursor(clinics: Database, resource: Resource, later_page: bool) -> None:
    """Under row-level security an operator that is not leakproof makes a filter of an index condition, and a late page
    then reads everything before it."""
    after = {name: AFTER[kind] for name, kind in resource.order} if later_page else None
    with clinics.begin() as connection:
        # The test's tables are small; which scan may be used for the keyset is what matters here.
        for other_way in ("seqscan", "sort", "bitmapscan"):
            connection.exec_driver_sql(f"set local enable_{other_way} = off")
        connection.exec_driver_sql("set local role aura_api")
        connection.exec_driver_sql(f"select set_config('aura.clinic_id', '{SOMEONE}', true)")
        arguments = json.dumps({"limit": 5, "after": after})
        query = resource.page_query.replace("$1", f"'{arguments}'::jsonb").replace("%", "%%")
        plan = list(connection.exec_driver_sql(f"explain {query}").scalars())
    filters = [line for line in plan if line.strip().startswith("Filter:")]
    conditions = [line for line in plan if "Index Cond:" in line]
    assert any("Index" in line and "Scan" in line for line in plan), plan
    for name, _ in resource.order:
        assert not any(re.search(rf"\b{name}\b", line) for line in filters), plan
        assert not later_page or any(re.search(rf"\b{name}\b", line) for line in conditions), plan


@pytest.mark.parametrize("path", ["/v1/customers/x", "/v1/nothing", "/v1/customers?limit=x", "/v1/search?q=%00"])
def test_a_mistake_is_a_problem_with_a_code(client: httpx.Client, clinics: Database, path: str) -> None:
    answer = client.get(path, headers=key_for(clinics, SIAM))
    assert answer.status_code in (404, 422)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] in ("not_found", "unreadable")


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
            import asyncio

            from bn_aura_pipelines.api.app import open_pool

            asyncio.run(open_pool(clinics, 1))
    finally:
        run_sql(clinics, "alter role aura_api nobypassrls")


def test_the_api_needs_neither_dagster_nor_xgboost() -> None:
    code = (
        "import sys; import bn_aura_pipelines.api.app; sys.exit(any(m in sys.modules for m in ('dagster', 'xgboost')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
