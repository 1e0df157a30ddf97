"""Who may ask: keys, tokens, scopes, rates; what answers carry; who is noted to have read whom."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import httpx
import jwt
import pytest
import sqlalchemy
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm, HMACAlgorithm
from pydantic import SecretStr

from bn_aura_pipelines.api.access import AmbiguousIssuer
from bn_aura_pipelines.api.connections import address
from bn_aura_pipelines.database.connections import Database
from bn_aura_pipelines.settings import Settings
from bn_aura_pipelines_tests.api.conftest import SIAM, THONGLOR, ids_in, key_for, serving
from bn_aura_pipelines_tests.conftest import run_sql

ISSUER = "https://project.example/auth/v1"
SECRET = "a secret of sixty-four bytes and more, as the longest of the algorithms wants it"


def clinic_id(database: Database, code: str) -> str:
    with database.begin() as connection:
        query = sqlalchemy.text("select id::text from public.clinics where clinic_code = :code")
        return connection.execute(query, {"code": code}).scalar_one()


def claims(*clinics: str, **changes: Any) -> dict[str, Any]:
    now = int(time.time())
    about = {"clinic_ids": [*clinics], "scopes": ["personal"]}
    whole = {"sub": "a user", "iss": ISSUER, "aud": "authenticated", "exp": now + 60, "app_metadata": about}
    return {name: value for name, value in {**whole, **changes}.items() if value is not None}


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.fixture(scope="module")
def secret_client(clinics: Database) -> Iterator[httpx.Client]:
    with serving(clinics, Settings(api_pool_size=2, jwt_secret=SecretStr(SECRET), jwt_issuer=ISSUER)) as client:
        yield client


@pytest.fixture(scope="module")
def signing_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


@pytest.fixture(scope="module")
def jwks_client(clinics: Database, signing_key: ec.EllipticCurvePrivateKey) -> Iterator[httpx.Client]:
    public = json.loads(ECAlgorithm.to_jwk(signing_key.public_key()))
    document = json.dumps({"keys": [{**public, "kid": "one", "alg": "ES256", "use": "sig"}]}).encode()

    class Keys(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(document)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    keys = ThreadingHTTPServer(("127.0.0.1", 0), Keys)
    Thread(target=keys.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{keys.server_address[1]}/jwks.json"
    with serving(clinics, Settings(api_pool_size=2, jwt_jwks_url=url, jwt_issuer=ISSUER)) as client:
        yield client
    keys.shutdown()
    keys.server_close()


def test_a_token_sees_the_clinic_of_its_app_metadata(secret_client: httpx.Client, clinics: Database) -> None:
    headers = bearer(jwt.encode(claims(clinic_id(clinics, SIAM)), SECRET))
    found = secret_client.get("/v1/customers?limit=200", headers=headers).json()["items"]
    assert [row["customer_id"] for row in found] == ids_in(clinics, SIAM)[:200]


def test_a_token_of_several_clinics_names_one(secret_client: httpx.Client, clinics: Database) -> None:
    siam, thonglor = clinic_id(clinics, SIAM), clinic_id(clinics, THONGLOR)
    headers = bearer(jwt.encode(claims(siam, thonglor), SECRET))
    assert secret_client.get("/v1/customers", headers=headers).status_code == 422
    for clinic, code in ((siam, SIAM), (thonglor, THONGLOR)):
        found = secret_client.get("/v1/customers?limit=1", headers={**headers, "X-Clinic-Id": clinic}).json()["items"]
        assert found[0]["customer_id"] == ids_in(clinics, code)[0]
    only = bearer(jwt.encode(claims(siam), SECRET))
    assert secret_client.get("/v1/customers", headers={**only, "X-Clinic-Id": thonglor}).status_code == 403
    assert secret_client.get("/v1/customers", headers={**only, "X-Clinic-Id": "x" * 10_000}).status_code == 403
    assert secret_client.get("/v1/customers", headers=bearer(jwt.encode(claims(), SECRET))).status_code == 403


def unsigned(content: dict[str, Any]) -> str:
    parts = ({"alg": "none", "typ": "JWT"}, content)
    return ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts) + "."


FORGERIES: dict[str, Callable[[str], str]] = {
    "expired": lambda clinic: jwt.encode(claims(clinic, exp=int(time.time()) - 5), SECRET),
    "without an end": lambda clinic: jwt.encode(claims(clinic, exp=None), SECRET),
    "of another issuer": lambda clinic: jwt.encode(claims(clinic, iss="https://other.example"), SECRET),
    "for another audience": lambda clinic: jwt.encode(claims(clinic, aud="anon"), SECRET),
    "another secret's": lambda clinic: jwt.encode(claims(clinic), SECRET[::-1]),
    "another algorithm": lambda clinic: jwt.encode(claims(clinic), SECRET, algorithm="HS512"),
    "alg none": lambda clinic: unsigned(claims(clinic)),
    "no token": lambda clinic: "a.b.c",
    "clinic that is none": lambda clinic: jwt.encode(claims("siam"), SECRET),
    "metadata that is none": lambda clinic: jwt.encode(claims(app_metadata="all"), SECRET),
}


@pytest.mark.parametrize("kind", FORGERIES)
def test_a_forged_token_is_refused(secret_client: httpx.Client, clinics: Database, kind: str) -> None:
    answer = secret_client.get("/v1/customers", headers=bearer(FORGERIES[kind](clinic_id(clinics, SIAM))))
    assert (answer.status_code, answer.json()["code"]) == (401, "no_valid_credential")


def test_what_users_can_write_grants_nothing(secret_client: httpx.Client, clinics: Database) -> None:
    own = {"clinic_ids": [clinic_id(clinics, SIAM)]}
    token = jwt.encode(claims(app_metadata={}, user_metadata=own), SECRET)
    assert secret_client.get("/v1/customers", headers=bearer(token)).status_code == 403


def test_public_keys_are_fetched_and_are_no_secrets(
    jwks_client: httpx.Client, clinics: Database, signing_key: ec.EllipticCurvePrivateKey
) -> None:
    siam = clinic_id(clinics, SIAM)
    good = jwt.encode(claims(siam), signing_key, algorithm="ES256", headers={"kid": "one"})
    assert jwks_client.get("/v1/customers", headers=bearer(good)).status_code == 200
    other = ec.generate_private_key(ec.SECP256R1())
    wrong = jwt.encode(claims(siam), other, algorithm="ES256", headers={"kid": "one"})
    unknown = jwt.encode(claims(siam), signing_key, algorithm="ES256", headers={"kid": "two"})
    # The classic confusion: the public key, which everybody has, taken as the secret of an HMAC.
    pem = signing_key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    encoded = [
        base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=")
        for part in ({"alg": "HS256", "typ": "JWT", "kid": "one"}, claims(siam))
    ]
    signature = HMACAlgorithm(HMACAlgorithm.SHA256).sign(b".".join(encoded), pem)
    confused = b".".join([*encoded, base64.urlsafe_b64encode(signature).rstrip(b"=")]).decode()
    for token in (wrong, unknown, confused):
        assert jwks_client.get("/v1/customers", headers=bearer(token)).status_code == 401


def test_keys_that_cannot_be_fetched_ask_to_try_again(clinics: Database) -> None:
    token = jwt.encode(claims(), ec.generate_private_key(ec.SECP256R1()), algorithm="ES256", headers={"kid": "one"})
    with serving(clinics, Settings(jwt_jwks_url="http://127.0.0.1:9/jwks.json", jwt_issuer=ISSUER)) as client:
        assert client.get("/v1/customers", headers=bearer(token)).status_code == 503


@pytest.mark.parametrize(
    "settings",
    [
        Settings(jwt_secret=SecretStr(SECRET)),
        Settings(jwt_secret=SecretStr(SECRET), jwt_jwks_url="https://x.example", jwt_issuer=ISSUER),
    ],
    ids=["no issuer", "two kinds of keys"],
)
def test_settings_that_could_mean_two_things_are_refused(settings: Settings) -> None:
    from bn_aura_pipelines.api.access import Access

    with pytest.raises(AmbiguousIssuer):
        Access(None, settings)  # type: ignore[arg-type]


def test_names_are_masked_without_the_scope(client: httpx.Client, clinics: Database) -> None:
    for path, names in (("/v1/customers", ("full_name", "email", "phone")), ("/v1/leads", ("name",))):
        rows = {}
        for scopes in ((), ("personal",)):
            body = client.get(f"{path}?limit=200", headers=key_for(clinics, SIAM, *scopes)).json()
            rows[scopes] = body["items"]
        for masked, shown in zip(rows[()], rows[("personal",)], strict=True):
            for name in set(names).intersection(shown):
                if shown[name]:
                    assert masked[name] == f"{shown[name][0]}…"
            assert {k: v for k, v in masked.items() if k not in names} == {
                k: v for k, v in shown.items() if k not in names
            }


def test_what_allergies_forbid_is_shown_to_the_scope_only(client: httpx.Client, clinics: Database) -> None:
    caution = "Allergy noted: ask before a filler."
    with clinics.begin() as connection:
        customer = connection.exec_driver_sql(
            "insert into aura_marts.treatment_recommendations"
            " (clinic_id, customer_id, kind, rank, caution_en, caution_th)"
            " select clinic_id, customer_id, 'rebooking', 9, %(caution)s, %(caution)s from aura_marts.customer_360"
            " where clinic_id = %(clinic)s limit 1 returning customer_id",
            {"caution": caution, "clinic": clinic_id(clinics, SIAM)},
        ).scalar_one()
    for scopes in ((), ("personal",)):
        headers = key_for(clinics, SIAM, *scopes)
        listed = client.get(f"/v1/customers/{customer}/recommendations", headers=headers)
        beside = client.get(f"/v1/customers/{customer}", headers=headers).json()["recommendations"]
        for column in ("caution_en", "caution_th"):
            [in_list] = [row[column] for row in listed.json()["items"] if row["rank"] == 9]
            [in_part] = [row.get(column) for row in beside if row["rank"] == 9]
            assert in_list == (caution if scopes else f"{caution[0]}…")
            assert in_part == (caution if scopes else None)


def test_a_name_that_is_masked_cannot_be_asked_for(client: httpx.Client, clinics: Database) -> None:
    """Otherwise asking letter by letter would tell it."""
    whole = client.get("/v1/customers?limit=1", headers=key_for(clinics, SIAM, "personal")).json()["items"][0]
    parameters = {"text": whole["full_name"][1:6]}
    answer = client.get("/v1/customers", params=parameters, headers=key_for(clinics, SIAM))
    assert (answer.status_code, answer.json()["code"]) == (403, "not_allowed")
    found = client.get("/v1/customers", params=parameters, headers=key_for(clinics, SIAM, "personal")).json()["items"]
    assert whole["customer_id"] in [row["customer_id"] for row in found]


def test_who_asks_too_often_is_asked_to_wait(clinics: Database) -> None:
    with serving(clinics, Settings(api_pool_size=1, api_requests_per_second=1)) as client:
        busy, other = key_for(clinics, SIAM), key_for(clinics, SIAM)
        answers = [client.get("/v1/freshness", headers=busy) for _ in range(6)]
        assert [answer.status_code for answer in answers[:2]] == [200, 200]
        assert answers[-1].status_code == 429
        assert int(answers[-1].headers["retry-after"]) >= 1
        assert client.get("/v1/freshness", headers=other).status_code == 200


def test_answers_say_what_they_are_about_and_are_not_sent_twice(client: httpx.Client, clinics: Database) -> None:
    headers = key_for(clinics, SIAM)
    first = client.get("/v1/cohorts", headers=headers)
    body = first.json()
    assert body["as_of"] == "2026-06-01T00:00:00+07:00"
    assert (body["stale"], "materialized_at" in body) == (False, True)
    again = client.get("/v1/cohorts", headers={**headers, "If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    # Neither another clinic nor a reader who sees names gets the answer that was made for this one.
    for other in (key_for(clinics, THONGLOR), key_for(clinics, SIAM, "personal")):
        answer = client.get("/v1/cohorts", headers={**other, "If-None-Match": first.headers["etag"]})
        assert answer.status_code == 200
    run_sql(clinics, "update aura_ops.materializations set materialized_at = materialized_at - interval '2 days'")
    try:
        old = client.get("/v1/cohorts", headers={**headers, "If-None-Match": first.headers["etag"]})
        assert (old.status_code, old.json()["stale"]) == (200, True)
        freshness = client.get("/v1/freshness", headers=headers).json()["items"]
        assert {row["relation"]: row["stale"] for row in freshness}["aura_marts.cohort_retention"]
    finally:
        run_sql(clinics, "update aura_ops.materializations set materialized_at = materialized_at + interval '2 days'")


def test_answers_are_packed_and_carry_headers_that_browsers_obey(client: httpx.Client, clinics: Database) -> None:
    answer = client.get("/v1/cohorts", headers=key_for(clinics, SIAM))
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "private, no-cache"
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    assert "access-control-allow-origin" not in answer.headers
    huge = client.get("/v1/cohorts", headers={**key_for(clinics, SIAM), "X-Long": "x" * 10_240})
    assert huge.status_code in (200, 400, 431)


def test_other_origins_are_let_in_by_name_only(clinics: Database) -> None:
    with serving(clinics, Settings(api_pool_size=1, api_cors_origins=["https://app.example"])) as client:
        for origin, allowed in (("https://app.example", "https://app.example"), ("https://evil.example", None)):
            answer = client.get("/healthz", headers={"Origin": origin})
            assert answer.headers.get("access-control-allow-origin") == allowed


def test_metrics_count_by_route_and_tell_nothing_of_what_was_asked(client: httpx.Client, clinics: Database) -> None:
    someone = ids_in(clinics, SIAM)[0]
    client.get(f"/v1/customers/{someone}", headers=key_for(clinics, SIAM))
    text = client.get("/metrics").text
    assert 'bn_aura_api_requests_total{method="GET",route="/v1/customers/{key}",status="200"}' in text
    assert someone not in text


def test_who_read_which_customer_is_noted(client: httpx.Client, clinics: Database) -> None:
    headers = key_for(clinics, SIAM, "personal")
    own, foreign = ids_in(clinics, SIAM)[0], ids_in(clinics, THONGLOR)[0]
    client.get(f"/v1/customers/{own}", headers=headers)
    client.get(f"/v1/customers/{foreign}", headers=headers)
    client.get("/v1/customers", headers=headers)
    prefix = headers["Authorization"].split()[1][:12]
    query = sqlalchemy.text(
        "select resource, key::text, personal from aura_ops.api_reads where reader = :prefix order by key nulls last"
    )
    until = time.monotonic() + 20
    found: list[tuple[Any, ...]] = []
    while len(found) < 2 and time.monotonic() < until:
        time.sleep(0.2)
        with clinics.begin() as connection:
            found = [tuple(row) for row in connection.execute(query, {"prefix": prefix})]
    assert found == [("customers", own, True), ("customers", None, True)]


@pytest.mark.parametrize(
    "url",
    [
        "postgresql+psycopg://aura@/clinic?host=/tmp/socket&port=5999",
        "postgresql+psycopg://aura@localhost:5999/clinic?host=/tmp/socket",
        "postgresql+psycopg://aura@db.example:5999/clinic",
    ],
)
def test_the_database_is_asked_where_its_address_says(url: str) -> None:
    asked = address(Database(sqlalchemy.make_url(url)))
    assert (asked["port"], asked["user"], asked["database"]) == (5999, "aura", "clinic")
    assert asked["host"] == ("/tmp/socket" if "socket" in url else "db.example")
