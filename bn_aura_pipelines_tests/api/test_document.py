"""The OpenAPI document holds: whatever is asked, no failure inside and no answer that it does not describe."""

from __future__ import annotations

import jsonschema
import pytest
import requests
import schemathesis
from httpx import Client
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import (
    content_type_conformance,
    not_a_server_error,
    response_schema_conformance,
    status_code_conformance,
)
from schemathesis.core.result import Ok
from schemathesis.generation import GenerationMode
from schemathesis.schemas import BaseSchema

from bn_aura_pipelines.api.resources import RESOURCES
from bn_aura_pipelines.api.streams import PATH as STREAM
from bn_aura_pipelines.database.connections import Database
from bn_aura_pipelines_tests.api.conftest import SIAM, key_for

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


@pytest.fixture(scope="module")
def document(client: Client) -> BaseSchema:
    return schemathesis.openapi.from_dict(client.get("/openapi.json").raise_for_status().json())


@pytest.fixture(scope="module")
def headers(clinics: Database) -> dict[str, str]:
    return key_for(clinics, SIAM, "personal")


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=str)
def test_whatever_is_asked_is_answered_as_described(
    client: Client, document: BaseSchema, headers: dict[str, str], mode: GenerationMode
) -> None:
    operations = [found.ok() for found in document.get_all_operations() if isinstance(found, Ok)]
    assert len(operations) > len(RESOURCES)
    for operation in operations:
        if mode is GenerationMode.NEGATIVE and not list(operation.iter_parameters()):
            continue

        @settings(
            max_examples=25,
            deadline=None,
            derandomize=True,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        )
        @given(case=operation.as_strategy(generation_mode=mode))
        def asked(case: schemathesis.Case) -> None:
            if case.path == STREAM:  # which has no end to wait for
                assert_begins_as_described(client, case, headers)
            else:
                case.call_and_validate(base_url=str(client.base_url), headers=headers, checks=CHECKS)

        asked()


def assert_begins_as_described(client: Client, case: schemathesis.Case, headers: dict[str, str]) -> None:
    request = case.as_transport_kwargs(base_url=str(client.base_url), headers=headers)
    with requests.request(**request, stream=True, timeout=30) as answer:
        described = case.operation.definition.raw["responses"][str(answer.status_code)]["content"]
        assert answer.headers["content-type"].partition(";")[0] in described


def test_fields_have_types_and_words(document: BaseSchema) -> None:
    fields = document.raw_schema["components"]["schemas"]["Customers"]["properties"]
    assert fields["customer_id"]["format"] == "uuid"
    assert fields["revenue_thb"]["type"] == ["number", "null"]
    assert all(field["description"] for field in fields.values())
    assert "clinic_id" not in fields


def test_every_row_has_an_example_that_fits_its_fields(client: Client) -> None:
    schemas = client.get("/openapi.json").raise_for_status().json()["components"]["schemas"]
    rows = {name: found for name, found in schemas.items() if "examples" in found}
    assert len(rows) > len(RESOURCES)
    for item in [found for name, found in schemas.items() if name.endswith("Item")]:
        rows |= {name: part["items"] for name, part in item["properties"].items() if part.get("type") == "array"}
    for name, schema in rows.items():
        (example,) = schema["examples"]
        assert example.keys() <= schema["properties"].keys(), name
        assert len(example) > len(schema["properties"]) / 2, name
        jsonschema.validate(example, schema)
