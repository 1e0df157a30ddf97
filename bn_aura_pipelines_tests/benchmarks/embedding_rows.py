"""Rows for the embedding benchmarks: conversations of clinics of Zipf sizes, made in SQL, the same every time."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bn_aura_pipelines.database.connections import Database, open_database, psycopg_connection
from bn_aura_pipelines.database.migrations import migrate
from bn_aura_pipelines.database.view_files import load_views
from bn_aura_pipelines.database.views import build
from bn_aura_pipelines.settings import Settings
from bn_aura_pipelines.sources.relations import build_source_relations

AS_OF = datetime(2026, 6, 1, tzinfo=UTC)


@contextmanager
def fresh_database() -> Iterator[Database]:
    """A migrated database on a server of its own, gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as folder:
        database = open_database(Settings(database_url=None, home=Path(folder)))
        migrate(database)
        with database.begin() as connection:
            build_source_relations(connection)
            build(connection, [view for view in load_views() if view.schema == "aura_staging"])
        yield database
        database.engine.dispose()


def execute(database: Database, statement: str, *values: Any) -> list[tuple[Any, ...]]:
    with database.begin() as connection:
        query: Any = statement
        cursor = psycopg_connection(connection).execute(query, values)
        return cursor.fetchall() if cursor.description else []


def add_conversations(database: Database, count: int, clinics: int = 200) -> None:
    """Each of a customer, four messages, about 230 characters in Thai and English."""
    execute(database, CLINICS, clinics)
    execute(database, CUSTOMERS, clinics, max(count // 4, 1))
    execute(database, CONVERSATIONS, max(count // 4, 1), count)
    for table in ("public.clinics", "public.customers", "public.customer_conversations"):
        execute(database, f"analyze {table}")


CLINICS = """
insert into public.clinics (id, clinic_code, created_at)
select md5('clinic' || n)::uuid, 'C' || n, '2025-01-01' from generate_series(1, %s) as n
"""

# The first of 200 clinics gets between a fifth and a quarter of all, the last hardly any.
CUSTOMERS = """
insert into public.customers (id, clinic_id, customer_code, full_name, nickname, email, phone, created_at)
select
    md5('customer' || n)::uuid,
    md5('clinic' || floor(exp(ln(%s + 1) * drawn.share))::int)::uuid,
    'K' || n,
    (array['สมชาย ใจดี', 'ปราณี สุขสันต์', 'Anna Berg', 'วิภา ทองดี', 'John Miller', 'กมล รักไทย'])[1 + n %% 6],
    (array['ชาย', 'ณีณี่', 'Annie', 'วิวิ', 'Jojo', 'กมลา'])[1 + n %% 6],
    'person' || n || '@example.com',
    '08' || lpad(n::text, 8, '0'),
    '2025-01-02'
from generate_series(1, %s) as n
cross join lateral (
    select power((hashint4(n)::bigint + 2147483648) / 4294967296.0, 1.36) as share
) as drawn
"""

CONVERSATIONS = """
with words as (
    select
        array['โบท็อกซ์', 'ฟิลเลอร์', 'เลเซอร์', 'สิว', 'ฝ้า', 'รอยแผลเป็น', 'ร้อยไหม', 'hifu', 'botox', 'filler', 'laser',
            'acne', 'melasma', 'pico', 'thread lift', 'ยกกระชับ', 'กำจัดขน', 'ผิวแห้ง', 'รูขุมขน', 'ริ้วรอย'] as topics,
        array['หน้าผาก', 'แก้ม', 'คาง', 'ใต้ตา', 'ริมฝีปาก', 'คอ', 'ทั้งหน้า', 'lips', 'chin', 'cheeks', 'forehead'] as places,
        array['ราคาเท่าไหร่คะ', 'เจ็บไหมคะ', 'ต้องพักฟื้นกี่วัน', 'มีโปรโมชั่นไหม', 'how long does it last?',
            'is it safe?', 'ผ่อนได้ไหม', 'จองคิวได้วันไหนบ้าง', 'เห็นผลเมื่อไหร่คะ'] as questions
)

insert into public.customer_conversations (id, clinic_id, customer_id, messages, created_at)
select
    md5('conversation' || n)::uuid,
    k.clinic_id,
    k.id,
    jsonb_build_array(
        jsonb_build_object('role', 'sales', 'content', 'สวัสดีค่ะคุณ' || k.nickname || ' สนใจบริการอะไรคะ',
            'timestamp', '2026-01-02T10:00:00Z'),
        jsonb_build_object('role', 'customer', 'content', 'สนใจ' || topics[1 + h %% 20] || ' '
            || places[1 + h / 32 %% 11] || ' ' || questions[1 + h / 512 %% 9] || ' เลขที่คิว ' || n,
            'timestamp', '2026-01-02T10:01:00Z'),
        jsonb_build_object('role', 'sales', 'content', topics[1 + h %% 20] || ' เริ่มต้น ' || 990 + h %% 97 * 100
            || ' บาท ขอเบอร์ติดต่อกลับได้ไหมคะ', 'timestamp', '2026-01-02T10:02:00Z'),
        jsonb_build_object('role', 'customer', 'content', 'ได้ค่ะ ' || k.phone || ' แล้วก็อยากถามเรื่อง '
            || topics[1 + h / 8192 %% 20] || ' ' || places[1 + h / 65536 %% 11], 'timestamp', '2026-01-02T10:03:00Z')
    ),
    '2026-01-02 10:00+00'::timestamptz
from words
cross join generate_series(1, %s * 4) as n
join public.customers as k on k.id = md5('customer' || (1 + (n - 1) / 4))::uuid
cross join lateral (select abs(hashint4(n)::bigint) %% 1000000007 as h) as drawn
where n <= %s
"""
