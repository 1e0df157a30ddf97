"""Nothing that names a customer of the sample leaves for a provider."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime

from bn_aura_pipelines.database.connections import Database
from bn_aura_pipelines.embeddings.gemini import GeminiEmbedder
from bn_aura_pipelines.embeddings.providers import ENTITIES, Limits
from bn_aura_pipelines.embeddings.sync import sync
from bn_aura_pipelines.sources.sample.generate import generate
from bn_aura_pipelines_tests.embeddings.conftest import build_views, rows
from bn_aura_pipelines_tests.embeddings.stub import Stub

AS_OF = datetime(2026, 6, 1, tzinfo=UTC)

PEOPLE = """
select id::text, full_name, nickname, email, phone, customer_code from public.customers
union all
select id::text, name, null, email, phone, null from public.sales_leads
"""


def test_nothing_that_names_a_customer_of_the_sample_leaves_the_house(database: Database) -> None:
    generate(database, 200, AS_OF)
    with database.begin() as connection:
        build_views(connection)
    with Stub() as stub:
        for entity in ENTITIES:
            provider = GeminiEmbedder("key", base_url=stub.url, limits=Limits(concurrency=4))
            assert sync(database, entity, AS_OF, provider).left == 0
        assert len(stub.texts) > 300
        sent = "\n".join(stub.texts)
    people = rows(database, PEOPLE)
    bodies = sent.lower()
    for identity, name, _nickname, email, phone, code in people:
        for secret in (identity, name, email, phone, code):
            assert not secret or secret.lower() not in bodies, "personal data left for the provider"
    digits = re.sub(r"\D", "", sent.replace("\n", "x"))
    assert not any(phone and re.sub(r"\D", "", phone) in digits for *_, phone, _ in people)
    assert "@" not in re.sub(r"\[\w+\]", "", sent)
    assert all(
        json.loads(body)["requests"][0].keys() <= {"content", "model", "taskType", "outputDimensionality"}
        for body in stub.bodies
    )
