"""A clinic whose customers talk; labels as the application leaves them in metadata.sentiment."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from psycopg.types.json import Jsonb

from bn_aura_pipelines.database.connections import Database
from bn_aura_pipelines_tests.embeddings.conftest import CLINIC, clinic, execute, rows

__all__ = ["CLINIC", "clinic", "execute", "rows"]

BEGIN = datetime.fromisoformat("2026-01-01T09:00:00+07:00")
AS_OF = datetime.fromisoformat("2026-06-01T00:00:00+07:00")
# What the invented customers say; a word more or less makes each text one of its own.
SAID = {
    "negative": ("เจ็บมากค่ะ ไม่ประทับใจเลย", "รอคิวนานมาก หงุดหงิด", "ผลลัพธ์แย่มาก ผิดหวัง", "very rude staff, terrible"),
    "neutral": ("ราคาเท่าไหร่คะ", "พรุ่งนี้มีคิวว่างไหมคะ", "สาขานี้เปิดกี่โมง", "how much is the package?"),
    "positive": ("ไม่เจ็บเลยค่ะ ประทับใจมาก", "บริการดีมาก ขอบคุณค่ะ", "หน้าใสขึ้นจริง ชอบมาก", "lovely staff, great results"),
}
FILLERS = ("โบท็อกซ์", "เลเซอร์", "วันนี้", "เมื่อวาน", "ที่สาขา", "หมอ", "ครั้งแรก", "รอบสอง", "filler", "today", "again", "คอร์ส")


def say(
    database: Database,
    words: Any,
    *,
    at: datetime = BEGIN,
    label: str | None = None,
    analysed_at: datetime | None = None,
    clinic: UUID | None = CLINIC,
    customer: UUID | None = None,
) -> UUID:
    """A conversation in which the customer writes `words` (or whose messages are exactly that, where it is a list)."""
    messages = words
    if isinstance(words, str):
        messages = [
            {"role": "sales", "content": "สวัสดีค่ะ", "timestamp": at.isoformat()},
            {"role": "customer", "content": words, "timestamp": (at + timedelta(minutes=1)).isoformat()},
        ]
    sentiment: dict[str, Any] = {"overall_sentiment": label} if label else {}
    if analysed_at:
        sentiment["analyzed_at"] = analysed_at.isoformat()
    identity = uuid4()
    execute(
        database,
        "insert into public.customer_conversations (id, clinic_id, customer_id, messages, metadata, created_at)"
        " values (%s, %s, %s, %s, %s, %s)",
        *(identity, clinic, customer, Jsonb(messages), Jsonb({"sentiment": sentiment} if sentiment else {}), at),
    )
    return identity


def write_labels(database: Database, count: int) -> None:
    """Labelled conversations, one every few hours, no two with the same words."""
    draw = random.Random(4)
    moments = [BEGIN + timedelta(hours=3 * number) for number in range(count)]
    values = []
    for number, at in enumerate(moments):
        label = ("negative", "neutral", "positive")[number % 3]
        words = f"{draw.choice(SAID[label])} {' '.join(draw.sample(FILLERS, 4))}"
        message = {"role": "customer", "content": words, "timestamp": at.isoformat()}
        values.append((CLINIC, Jsonb([message]), Jsonb({"sentiment": {"overall_sentiment": label}}), at))
    with database.engine.begin() as connection:
        driver = connection.connection.driver_connection
        assert driver is not None
        driver.cursor().executemany(
            "insert into public.customer_conversations (id, clinic_id, messages, metadata, created_at)"
            " values (gen_random_uuid(), %s, %s, %s, %s)",
            values,
        )


@pytest.fixture
def labelled(clinic: Database) -> Database:
    """The clinic with 300 labelled conversations."""
    write_labels(clinic, 300)
    return clinic
