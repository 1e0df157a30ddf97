"""A small export, built in the test: rows as dictionaries, and writers for each format."""

from __future__ import annotations

import csv
import gzip
import io
import json
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import sqlalchemy

from bn_aura_pipelines.database.connections import Database

Rows = Sequence[Mapping[str, Any]]
CREATED = "2024-01-02T03:04:05+07:00"


def key(name: str) -> str:
    """The uuid that stands for a name."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, name))


def clinic(number: int = 1, **changes: Any) -> dict[str, Any]:
    return {
        "id": key(f"clinic {number}"),
        "clinic_code": f"CL-{number:03}",
        "display_name": {"th": f"คลินิก {number}", "en": f"Clinic {number}"},
        "is_active": True,
        "created_at": CREATED,
        "updated_at": CREATED,
    } | changes


def user(number: int = 1, **changes: Any) -> dict[str, Any]:
    return {
        "id": key(f"user {number}"),
        "email": f"user{number}@example.com",
        "role": "public",
        "tier": "free",
        "clinic_id": key("clinic 1"),
        "created_at": CREATED,
    } | changes


def customer(number: int = 1, **changes: Any) -> dict[str, Any]:
    return {
        "id": key(f"customer {number}"),
        "clinic_id": key("clinic 1"),
        "assigned_sales_id": key("user 1"),
        "customer_code": f"C{number:05}",
        "full_name": f"Customer {number}",
        "email": f"c{number}@example.com",
        "date_of_birth": "1990-05-06",
        "gender": "female",
        "status": "active",
        "customer_type": "regular",
        "source": "walk_in",
        "skin_concerns": ["acne"],
        "tags": [],
        "metadata": {},
        "created_at": CREATED,
        "updated_at": CREATED,
    } | changes


def conversation(number: int = 1, **changes: Any) -> dict[str, Any]:
    return {
        "id": key(f"conversation {number}"),
        "customer_id": key("customer 1"),
        "sales_staff_id": key("user 1"),
        "clinic_id": key("clinic 1"),
        "conversation_type": "line",
        "messages": [{"role": "customer", "content": "สวัสดีค่ะ 😀", "timestamp": CREATED}],
        "deal_probability": 40,
        "objections_handled": ['too "dear"', "a, b"],
        "status": "completed",
        "metadata": {"sentiment": {"overall_sentiment": "positive"}},
        "created_at": CREATED,
        "updated_at": CREATED,
    } | changes


def lead(number: int = 1, **changes: Any) -> dict[str, Any]:
    return {
        "id": key(f"lead {number}"),
        "clinic_id": key("clinic 1"),
        "sales_user_id": None,
        "name": f"Lead {number}",
        "email": f"lead{number}@example.com",
        "status": "new",
        "score": 0,
        "source": "ads",
        "estimated_value": 1500.5,
        "created_at": CREATED,
        "updated_at": CREATED,
    } | changes


def appointment(number: int = 1, **changes: Any) -> dict[str, Any]:
    return {
        "id": key(f"appointment {number}"),
        "clinic_id": key("clinic 1"),
        "customer_id": key("customer 1"),
        "staff_id": key("user 1"),
        "appointment_code": f"A{number:05}",
        "appointment_type": "treatment",
        "status": "completed",
        "appointment_date": "2024-02-03",
        "start_time": "10:00:00",
        "end_time": "11:00:00",
        "treatment_ids": [key("no longer there")],
        "total_price": 2500.0,
        "created_at": CREATED,
        "updated_at": CREATED,
    } | changes


def write_csv(path: Path, rows: Rows, encoding: str = "utf-8", newline: str = "\n") -> None:
    buffer = io.StringIO(newline="")
    writer = csv.DictWriter(buffer, list(rows[0]), lineterminator=newline)
    writer.writeheader()
    writer.writerows({name: _cell(value) for name, value in row.items()} for row in rows)
    _write(path, buffer.getvalue().encode(encoding))


def write_jsonl(path: Path, rows: Sequence[Mapping[str, Any] | str]) -> None:
    lines = [row if isinstance(row, str) else json.dumps(row, ensure_ascii=False) for row in rows]
    _write(path, "".join(f"{line}\n" for line in lines).encode())


def write_parquet(path: Path, rows: Rows) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.Table.from_pylist([dict(row) for row in rows]), path)


def write_parents(folder: Path) -> None:
    """A clinic, a user and two customers for other rows to refer to."""
    write_csv(folder / "clinics.csv", [clinic()])
    write_csv(folder / "users.csv", [user()])
    write_csv(folder / "customers.csv", [customer(1), customer(2)])


def query(database: Database, statement: str) -> list[tuple[Any, ...]]:
    with database.begin() as connection:
        return [tuple(row) for row in connection.execute(sqlalchemy.text(statement))]


def contents(database: Database) -> dict[str, list[tuple[Any, ...]]]:
    """What an import determines: the source tables' rows and the quarantine."""
    tables = ("clinics", "users", "customers", "customer_conversations", "sales_leads", "appointments")
    found = {table: query(database, f"select t::text from public.{table} t order by 1") for table in tables}
    found["quarantine"] = query(
        database,
        "select table_name, file_name, line_number, reason, row_text from aura_ops.quarantine order by 1, 2, 3",
    )
    return found


def _cell(value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict) else value


def _write(path: Path, data: bytes) -> None:
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
