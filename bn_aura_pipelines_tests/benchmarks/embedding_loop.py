"""The loop to hold the sync against: read, embed through the SDK, write the same rows, and nothing else.

It redacts nothing, skips nothing, retries nothing and cannot be killed without loss.
"""

from __future__ import annotations

import asyncio
from typing import Any

import psycopg

from bn_aura_pipelines.database.connections import Database
from bn_aura_pipelines.embeddings.writing import to_halfvec

IN_FLIGHT = 8
ITEMS = 100
COMMIT = 1_000

READ = """
select
    c.id,
    c.clinic_id,
    string_agg((e.value ->> 'role') || ': ' || (e.value ->> 'content'), chr(10) order by e.ordinality)
from public.customer_conversations as c
cross join lateral jsonb_array_elements(c.messages) with ordinality as e
group by c.id
"""


async def bare_loop(database: Database, url: str) -> int:
    """Embed every conversation; returns how many."""
    from google import genai
    from google.genai.types import EmbedContentConfig, HttpOptions

    client = genai.Client(api_key="key", http_options=HttpOptions(base_url=url))
    config = EmbedContentConfig(task_type="RETRIEVAL_DOCUMENT", output_dimensionality=768)
    connection = psycopg.connect(str(database.url.render_as_string(hide_password=False)).replace("+psycopg", ""))
    rows = connection.cursor(binary=True).execute(READ).fetchall()
    batches = iter([rows[start : start + ITEMS] for start in range(0, len(rows), ITEMS)])
    done: list[tuple[Any, Any, bytes]] = []

    async def work() -> None:
        import numpy as np

        for batch in batches:
            answer = await client.aio.models.embed_content(
                model="gemini-embedding-001", contents=[text for _, _, text in batch], config=config
            )
            vectors = np.array([one.values for one in answer.embeddings or []], np.float32)
            vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
            done.extend((row[0], row[1], vector) for row, vector in zip(batch, to_halfvec(vectors), strict=True))
            if len(done) >= COMMIT:
                taken = done[:]
                done.clear()
                await asyncio.to_thread(_write, connection, taken)

    await asyncio.gather(*[work() for _ in range(IN_FLIGHT)])
    _write(connection, done)
    await client.aio.aclose()
    connection.close()
    return len(rows)


def _write(connection: psycopg.Connection[Any], rows: list[tuple[Any, Any, bytes]]) -> None:
    connection.execute(
        "create temporary table if not exists loop_batch (entity_id uuid, clinic_id uuid, embedding halfvec(768))"
        " on commit delete rows"
    )
    with connection.cursor().copy("copy loop_batch from stdin (format binary)") as copy:
        copy.set_types(["uuid", "uuid", "bytea"])
        for row in rows:
            copy.write_row(row)
    connection.execute(
        "insert into aura_ops.embeddings"
        " (entity, entity_id, clinic_id, model, template_version, content_hash, embedding)"
        " select 'conversation', entity_id, clinic_id, 'loop', 1, '', embedding from loop_batch"
    )
    connection.execute(
        "update public.customer_conversations as c set message_embeddings = b.embedding::vector"
        " from loop_batch as b where c.id = b.entity_id"
    )
    connection.commit()
