"""A typed client that openapi-python-client makes of the document, and the API asked through it."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import httpx
import pytest

from bn_aura_pipelines.database.connections import Database
from bn_aura_pipelines_tests.api.conftest import SIAM, THONGLOR, ids_in, key_for

# An event stream has no end: the client gets its route, but to follow it takes a library for event streams.
CONFIG = {"post_hooks": [], "content_type_overrides": {"text/event-stream": "text/plain"}}


@pytest.fixture(scope="module")
def generated(client: httpx.Client, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    """The client's package, made anew; what its generator does not understand is a failure."""
    folder = tmp_path_factory.mktemp("client")
    (folder / "openapi.json").write_text(client.get("/openapi.json").text)
    (folder / "config.json").write_text(json.dumps(CONFIG))
    command = [str(Path(sys.executable).parent / "openapi-python-client"), "generate", "--meta", "none"]
    command += ["--path", "openapi.json", "--config", "config.json", "--output-path", "bn_aura_client"]
    made = subprocess.run([*command, "--fail-on-warning"], cwd=folder, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stdout + made.stderr
    sys.path.insert(0, str(folder))
    yield SimpleNamespace(load=lambda name: importlib.import_module(f"bn_aura_client.{name}"))
    sys.path.remove(str(folder))


@pytest.fixture
def typed(client: httpx.Client, clinics: Database, generated: SimpleNamespace) -> Any:
    key = key_for(clinics, SIAM)["Authorization"].split()[1]
    return generated.load("client").AuthenticatedClient(base_url=str(client.base_url), token=key)


def test_pages_come_typed_and_whole(typed: Any, clinics: Database, generated: SimpleNamespace) -> None:
    listing = generated.load("api.customers.list_customers")
    found: list[Any] = []
    more: dict[str, Any] = {}
    while True:
        page = listing.sync(client=typed, limit=50, **more)
        found += page.items
        if page.next_ is None:
            break
        more = {"cursor": page.next_}
    assert [customer.customer_id for customer in found] == [UUID(one) for one in ids_in(clinics, SIAM)]
    assert all(isinstance(customer.completed_visits, int) for customer in found)
    assert page.as_of.utcoffset() is not None


def test_a_row_and_a_problem_come_typed(typed: Any, clinics: Database, generated: SimpleNamespace) -> None:
    getting = generated.load("api.customers.get_customers")
    own, foreign = ids_in(clinics, SIAM)[0], ids_in(clinics, THONGLOR)[0]
    assert getting.sync(UUID(own), client=typed).item.customer_id == UUID(own)
    answer = getting.sync_detailed(UUID(foreign), client=typed)
    assert (answer.status_code, answer.parsed.code) == (404, "not_found")
    assert isinstance(answer.parsed, generated.load("models.problem").Problem)


def test_a_search_comes_typed(typed: Any, generated: SimpleNamespace) -> None:
    searching = generated.load("api.search.search_conversations")
    hits = searching.sync(client=typed, q="botox", limit=5).items
    assert 0 < len(hits) <= 5
    assert all(isinstance(hit.entity_id, UUID) for hit in hits)
