"""Who gets in, what of whom is shown, and what a page says when there is nothing to show."""

from __future__ import annotations

import re
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
import sqlalchemy

from bn_aura_pipelines.dashboard.app import make_app
from bn_aura_pipelines.dashboard.rendering import HERE, LABELS, thai
from bn_aura_pipelines.database.connections import Database
from bn_aura_pipelines.settings import Settings
from bn_aura_pipelines_tests.api.conftest import serving
from bn_aura_pipelines_tests.conftest import run_sql
from bn_aura_pipelines_tests.dashboard.conftest import SIAM, THONGLOR, key_of, signed_in
from bn_aura_pipelines_tests.dashboard.pages import VIEWS, first_link


def test_whoever_has_not_signed_in_is_asked_to_and_then_brought_to_where_they_wanted(
    address: str, shown: Database
) -> None:
    with httpx.Client(base_url=address, headers={"Origin": address}) as client:
        asked = client.get("/dashboard/sales?months=3")
        assert asked.status_code == 303
        door = client.get(asked.headers["location"])
        assert 'value="/dashboard/sales?months=3"' in door.text
        wrong = client.post("/dashboard/sign-in", data={"credential": "bna_wrong"})
        assert wrong.status_code == 401 and not client.cookies
        key = key_of(shown, SIAM)
        entered = client.post("/dashboard/sign-in", data={"credential": key, "next": "/dashboard/sales?months=3"})
        assert entered.headers["location"] == "/dashboard/sales?months=3"
        kept = entered.headers["set-cookie"].lower()
        assert "httponly" in kept and "samesite=lax" in kept and "path=/dashboard" in kept
        assert client.get("/dashboard/sales").status_code == 200
        assert client.post("/dashboard/sign-out").status_code == 303
        assert client.get("/dashboard/sales").status_code == 303


@pytest.mark.parametrize("onward", ["https://evil.example/", "//evil.example", "/dashboard/\\evil", "/v1/customers"])
def test_nobody_is_sent_on_to_another_place(address: str, shown: Database, onward: str) -> None:
    with httpx.Client(base_url=address, headers={"Origin": address}) as client:
        answer = client.post("/dashboard/sign-in", data={"credential": key_of(shown, SIAM), "next": onward})
        assert answer.headers["location"] == "/dashboard/"


@pytest.mark.parametrize(
    "headers", [{"Origin": "https://evil.example"}, {}, {"Sec-Fetch-Site": "cross-site"}, {"Origin": "null"}]
)
@pytest.mark.parametrize("path", ["/dashboard/sign-in", "/dashboard/sign-out", "/dashboard/preferences"])
def test_a_form_of_another_site_is_refused(address: str, path: str, headers: dict[str, str]) -> None:
    answer = httpx.post(f"{address}{path}", data={"credential": "bna_x"}, headers=headers)
    assert answer.status_code == 403 and "set-cookie" not in answer.headers


def test_the_cookie_alone_opens_pages_and_nothing_of_the_api(siam: httpx.Client, address: str, shown: Database) -> None:
    assert siam.get("/v1/customers").status_code == 401
    key = {"Authorization": f"Bearer {key_of(shown, SIAM)}"}
    assert httpx.get(f"{address}/dashboard/customers", headers=key).status_code == 303


def test_pages_load_nothing_from_elsewhere_and_nothing_inline(siam: httpx.Client) -> None:
    for path in _views(siam).values():
        answer = siam.get(f"/dashboard{path}")
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy
        assert answer.headers.get_list("content-security-policy") == [policy]
        assert not re.search(r"<style|\sstyle=|\son\w+=\"|<script(?! src=)|(?:src|href)=\"(?:https?:)?//", answer.text)


def test_a_customer_or_lead_of_another_clinic_is_not_found_like_one_that_nobody_has(
    siam: httpx.Client, address: str, shown: Database
) -> None:
    with signed_in(address, key_of(shown, THONGLOR, "personal")) as thonglor:
        for list_ in ("/customers", "/sales/leads"):
            other = first_link(thonglor.get(f"/dashboard{list_}").text, list_)
            for path in (other, f"{list_}/{uuid4()}", f"{list_}/nobody"):
                answer = siam.get(f"/dashboard{path}")
                assert answer.status_code == 404
                assert 'data-problem="404"' in answer.text


def test_markup_in_a_name_or_a_quote_is_text_and_a_long_name_is_shown(siam: httpx.Client) -> None:
    page = siam.get("/dashboard/customers").text
    assert "&lt;img src=x onerror=alert(1)&gt;" in page and "<img" not in page
    assert "W" * 300 in page
    voice = siam.get("/dashboard/voice").text
    assert "&lt;script&gt;alert(1)&lt;/script&gt; too dear" in voice


def test_names_are_masked_without_the_scope_and_cannot_be_searched_for(address: str, shown: Database) -> None:
    with signed_in(address, key_of(shown, SIAM)) as client:
        page = client.get("/dashboard/customers").text
        assert "W…" in page and "WW" not in page
        assert "personal" in client.get("/dashboard/customers?text=W").text


def test_a_search_by_meaning_finds_customers_of_the_clinic(siam: httpx.Client) -> None:
    page = siam.get("/dashboard/customers?text=botox&by=meaning")
    assert page.status_code == 200
    assert first_link(page.text, "/customers")


@pytest.mark.parametrize("path", ["/customers?cursor=x", "/sales/leads?cursor=%00", "/customers?min_ltv_thb=much"])
def test_an_address_that_cannot_be_read_says_so(siam: httpx.Client, path: str) -> None:
    answer = siam.get(f"/dashboard{path}")
    assert answer.status_code in (200, 422)
    assert 'role="alert"' in answer.text or 'data-problem="422"' in answer.text


def test_every_view_says_what_to_run_before_anything_was_built(server: Database, database: Database) -> None:
    with database.begin() as connection:
        connection.execute(
            sqlalchemy.text("insert into public.clinics (id, clinic_code, display_name) values (:id, 'NEW', '{}')"),
            {"id": uuid4()},
        )
    key = key_of(database, "NEW", "personal")
    with (
        serving(database, Settings(api_pool_size=2), make_app) as server_client,
        signed_in(str(server_client.base_url), key) as client,
    ):
        for name, path in VIEWS.items():
            if "{" not in path:
                answer = client.get(f"/dashboard{path}")
                assert answer.status_code == 200, name
                assert "bn-aura run" in answer.text, name


def test_a_database_that_is_away_is_said_and_comes_back(server: Database, shown: Database) -> None:
    key = key_of(shown, SIAM)
    name = shown.url.database
    with (
        serving(shown, Settings(api_pool_size=2), make_app) as server_client,
        signed_in(str(server_client.base_url), key) as client,
    ):
        assert client.get("/dashboard/voice").status_code == 200
        shown.engine.dispose()
        run_sql(server, f"alter database {name} allow_connections false")
        try:
            run_sql(server, f"select pg_terminate_backend(pid) from pg_stat_activity where datname = '{name}'")
            away = client.get("/dashboard/voice")
            assert away.status_code == 503 and 'data-problem="503"' in away.text
        finally:
            run_sql(server, f"alter database {name} allow_connections true")
        assert client.get("/dashboard/voice").status_code == 200


def test_stale_data_is_called_stale_with_what_to_run(address: str, shown: Database) -> None:
    key = key_of(shown, SIAM)
    with (
        serving(shown, Settings(api_pool_size=2, api_stale_hours=1), make_app) as server_client,
        signed_in(str(server_client.base_url), key) as client,
    ):
        assert "fresh stale" not in client.get("/dashboard/sales").text
        with shown.begin() as connection:
            age = "update aura_ops.materializations set materialized_at = materialized_at - interval '2 hours'"
            connection.execute(sqlalchemy.text(age))
        assert "fresh stale" in client.get("/dashboard/sales").text


def test_a_number_is_defined_in_the_words_of_the_database(siam: httpx.Client, shown: Database) -> None:
    with shown.begin() as connection:
        comment = connection.execute(
            sqlalchemy.text(
                "select col_description(attrelid, attnum) from pg_attribute"
                " where attrelid = 'aura_marts.sales_funnel'::regclass and attname = 'conversion'"
            )
        ).scalar_one()
    page = siam.get("/dashboard/sales").text
    assert 'popover id="def-sales_funnel-conversion" class="definition"' in page
    assert comment in page


def test_pages_speak_thai_with_thai_years(address: str, shown: Database) -> None:
    with signed_in(address, key_of(shown, SIAM, "personal"), bna_language="th") as client:
        page = client.get("/dashboard/sales").text
        assert '<html lang="th"' in page
        assert "มิ.ย. 2569" in page
        english = {
            words
            for view in _views(client).values()
            for words in re.findall(r'class="definition"[^>]*>.*?<p lang="en">(.*?)</p>', client.get(view).text)
        }
        assert english == set()


def test_every_text_of_the_templates_has_its_thai() -> None:
    said: set[str] = set()
    for template in Path(HERE / "templates").glob("*.html"):
        said |= {
            one or two for one, two in re.findall(r"\bt\(\"([^\"]*)\"\)|\bt\('([^']*)'\)", template.read_text("utf-8"))
        }
    assert sorted(said - thai().keys()) == []
    assert sorted(set(LABELS.values()) - thai().keys()) == []


def _views(client: httpx.Client) -> dict[str, str]:
    """Every view with a customer and a lead of the client's clinic."""
    customer = first_link(client.get("/dashboard/customers").text, "/customers")
    lead = first_link(client.get("/dashboard/sales/leads").text, "/sales/leads")
    return {name: path.format(customer=customer, lead=lead) for name, path in VIEWS.items()}
