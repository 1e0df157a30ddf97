from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from bn_aura_pipelines.database.connections import Database
from bn_aura_pipelines.sources.importing import ImportReport, import_folder
from bn_aura_pipelines_tests.sources import export
from bn_aura_pipelines_tests.sources.export import query

MAKERS: Mapping[str, Callable[..., dict[str, Any]]] = {
    "customers": export.customer,
    "customer_conversations": export.conversation,
    "sales_leads": export.lead,
    "appointments": export.appointment,
}
BAD_CELLS: list[tuple[str, dict[str, Any], str]] = [
    ("appointments", {"id": "123"}, 'id is not a uuid: "123"'),
    ("appointments", {"id": None}, "id is empty"),
    ("appointments", {"clinic_id": None}, "clinic_id is empty"),
    ("appointments", {"status": "finished"}, 'status is none of the known values: "finished"'),
    ("appointments", {"customer_id": export.key("nobody")}, "customer_id is an orphan: customers has no row "),
    ("appointments", {"total_price": "a lot"}, 'total_price is not a number: "a lot"'),
    ("appointments", {"total_price": "NaN"}, 'total_price is not a number: "NaN"'),
    ("appointments", {"total_price": "1e9"}, 'total_price is out of range: "1e9"'),
    ("appointments", {"appointment_date": "2024-02-30"}, 'appointment_date is not a date: "2024-02-30"'),
    ("appointments", {"appointment_date": "tomorrow"}, 'appointment_date is not a date: "tomorrow"'),
    ("appointments", {"appointment_date": "03/02/2024"}, 'appointment_date is not a date: "03/02/2024"'),
    ("appointments", {"start_time": "25:00"}, 'start_time is not a time of day: "25:00"'),
    ("appointments", {"created_at": "yesterday"}, 'created_at is not a date with a time: "yesterday"'),
    ("appointments", {"appointment_code": "A" * 21}, "appointment_code is longer than 20 characters"),
    ("appointments", {"reminder_sent": "perhaps"}, 'reminder_sent is not true or false: "perhaps"'),
    ("appointments", {"treatment_ids": {"a": 1}}, "treatment_ids is not a list, but of JSON's type object"),
    ("sales_leads", {"status": "lukewarm"}, 'status is none of the known values: "lukewarm"'),
    ("sales_leads", {"score": "high"}, 'score is not a whole number: "high"'),
    ("sales_leads", {"score": "99999999999"}, 'score is out of range: "99999999999"'),
    ("sales_leads", {"name": "a\0b"}, "holds a NUL character, which PostgreSQL cannot keep"),
    ("sales_leads", {"estimated_value": "12,50"}, 'estimated_value is not a number: "12,50"'),
    ("customer_conversations", {"messages": "hello"}, "messages is not a list, but of JSON's type string"),
    ("customer_conversations", {"messages": {"role": "x"}}, "messages is not a list, but of JSON's type object"),
    ("customer_conversations", {"messages": [{"content": "a\0"}]}, "messages holds a NUL character"),
    ("customer_conversations", {"deal_probability": 101}, 'deal_probability is out of range: "101"'),
    ("customer_conversations", {"summary": {"a": 1}}, "summary is an object where a single value belongs"),
    ("customer_conversations", {"summary": ["a"]}, "summary is a list where a single value belongs"),
    ("customers", {"gender": "F"}, 'gender is none of the known values: "F"'),
    ("customers", {"full_name": None}, "full_name is empty"),
]
BAD_LINES = [
    ("not json", "is no JSON: "),
    ("[1, 2]", "is no JSON object"),
    ('{"score": NaN}', "is no JSON: NaN is no JSON value"),
    ("[" * 100_000, "is nested too deeply"),
    (json.dumps(export.lead(901, name="\ud800")), "holds text that is not UTF-8"),
]


def run(database: Database, folder: Path) -> ImportReport:
    report = import_folder(database, folder, lambda line: None)
    for file in report.files:
        assert file.error is None, file
        assert file.rows_in == file.inserted + file.updated + file.unchanged + file.quarantined
    return report


def reasons(database: Database) -> dict[tuple[str, int], str]:
    rows = query(database, "select file_name, line_number, reason from aura_ops.quarantine")
    return {(file, line): reason for file, line, reason in rows}


@pytest.mark.parametrize("suffix", ["jsonl", "csv"])
def test_each_kind_of_bad_row_goes_to_quarantine_with_its_line_and_reason(
    database: Database, tmp_path: Path, suffix: str
) -> None:
    export.write_parents(tmp_path)
    tables: dict[str, list[dict[str, Any]]] = {table: [make(1)] for table, make in MAKERS.items()}
    expected: dict[tuple[str, int], str] = {}
    for table, changes, reason in BAD_CELLS:
        if suffix == "csv" and ("where a single value" in reason or changes.get("messages") == "hello"):
            continue  # a cell of CSV has no type of its own
        tables[table].append(MAKERS[table](len(tables[table]) + 1, **changes))
        header = 1 if suffix == "csv" else 0
        expected[f"{table}.{suffix}", len(tables[table]) + header] = reason
    (tmp_path / "customers.csv").unlink()
    for table, rows in tables.items():
        if suffix == "csv":
            names = list(dict.fromkeys(name for row in rows for name in row))
            export.write_csv(tmp_path / f"{table}.csv", [{name: row.get(name) for name in names} for row in rows])
        else:
            export.write_jsonl(tmp_path / f"{table}.jsonl", rows)
    report = run(database, tmp_path)
    found = reasons(database)
    assert found.keys() == expected.keys()
    for place, reason in expected.items():
        assert found[place].startswith(reason), (place, found[place])
    assert report.quarantined == len(expected)
    assert query(database, "select count(*) from public.appointments") == [(1,)]


def test_lines_that_are_no_json_objects_go_to_quarantine_as_they_stand(database: Database, tmp_path: Path) -> None:
    export.write_parents(tmp_path)
    lines = [line for line, _ in BAD_LINES]
    export.write_jsonl(tmp_path / "sales_leads.jsonl", [export.lead(1), *lines])
    with (tmp_path / "sales_leads.jsonl").open("ab") as file:
        file.write(b'{"name": "\xff"}\n')
    run(database, tmp_path)
    found = reasons(database)
    for number, (_, reason) in enumerate(BAD_LINES, start=2):
        assert found["sales_leads.jsonl", number].startswith(reason)
    assert found["sales_leads.jsonl", len(lines) + 2] == "holds text that is not UTF-8"
    kept = query(database, "select row_text from aura_ops.quarantine order by line_number")
    assert [row for (row,) in kept][:4] == lines[:4]
    assert kept[-1] == ('{"name": "\\xff"}',)


def test_lines_of_csv_with_too_many_or_torn_cells_go_to_quarantine(database: Database, tmp_path: Path) -> None:
    (tmp_path / "clinics.csv").write_bytes(
        b"id,clinic_code,display_name,created_at\n"
        + f"{export.key('one')},CL-1,{{}},2024-01-01\n".encode()
        + b"a,b,c,d,e\n"
        + b"a,b\n"
        + b'"a"b,c,d,e\n'
        + b"a\0,b,c,d\n"
        + b"\xff,b,c,d\n"
        + b"\n"
        + f"{export.key('two')},CL-2,{{}},2024-01-01\n".encode()
    )
    report = run(database, tmp_path)
    assert report.files[0].inserted == 2
    assert {line: reason.split(":")[0] for (_, line), reason in reasons(database).items()} == {
        3: "has 5 cells where the header has 4",
        4: "has 2 cells where the header has 4",
        5: "is no CSV",
        6: "holds a NUL character, which PostgreSQL cannot keep",
        7: "holds text that is not UTF-8",
    }
    rows = query(database, "select row_text from aura_ops.quarantine where line_number in (6, 7) order by line_number")
    assert rows == [("a\\u0000,b,c,d",), ("\\xff,b,c,d",)]


def test_bad_rows_of_parquet_are_named_by_their_number(database: Database, tmp_path: Path) -> None:
    export.write_parents(tmp_path)
    rows = [export.lead(1), export.lead(2, id="x"), export.lead(3, name="a\0"), export.lead(4, score=7)]
    export.write_parquet(tmp_path / "sales_leads.parquet", rows)
    run(database, tmp_path)
    assert reasons(database) == {
        ("sales_leads.parquet", 2): 'id is not a uuid: "x"',
        ("sales_leads.parquet", 3): "holds a NUL character, which PostgreSQL cannot keep",
    }
    kept = query(database, "select row_text from aura_ops.quarantine order by line_number")
    assert json.loads(kept[0][0])["name"] == "Lead 2"
    assert json.loads(kept[1][0])["name"] == "a\0"


def test_of_duplicates_the_first_stays(database: Database, tmp_path: Path) -> None:
    export.write_parents(tmp_path)
    export.write_jsonl(
        tmp_path / "appointments.jsonl",
        [
            export.appointment(1),
            export.appointment(1, appointment_code="other"),
            export.appointment(3, appointment_code="A00001"),
            export.appointment(4, status="nonsense"),
            export.appointment(4),
        ],
    )
    run(database, tmp_path)
    found = reasons(database)
    assert found["appointments.jsonl", 2] == "id is a duplicate: the same stands in line 1"
    assert found["appointments.jsonl", 3] == "appointment_code is a duplicate: the same stands in line 1"
    assert len(found) == 3
    export.write_jsonl(tmp_path / "appointments.jsonl", [export.appointment(9, appointment_code="A00001")])
    run(database, tmp_path)
    assert reasons(database) == {
        ("appointments.jsonl", 1): 'appointment_code is a duplicate: another row of appointments has "A00001"'
    }


def test_a_code_that_another_row_of_the_file_gives_up_can_be_taken(database: Database, tmp_path: Path) -> None:
    export.write_parents(tmp_path)
    run(database, tmp_path)
    export.write_csv(
        tmp_path / "customers.csv",
        [export.customer(1, customer_code="NEW"), export.customer(2), export.customer(3, customer_code="C00001")],
    )
    assert run(database, tmp_path).quarantined == 0
    assert run(database, tmp_path).changed == 0


def test_children_of_a_quarantined_row_are_orphans_until_it_is_mended(database: Database, tmp_path: Path) -> None:
    export.write_parents(tmp_path)
    export.write_csv(tmp_path / "customers.csv", [export.customer(1, status="asleep"), export.customer(2)])
    export.write_jsonl(tmp_path / "appointments.jsonl", [export.appointment(1)])
    assert run(database, tmp_path).quarantined == 2
    export.write_csv(tmp_path / "customers.csv", [export.customer(1), export.customer(2)])
    assert run(database, tmp_path).quarantined == 0
    assert reasons(database) == {}
    assert query(database, "select count(*) from public.appointments") == [(1,)]


def test_a_rule_of_the_table_that_the_contract_does_not_know_rejects_only_its_rows(
    database: Database, tmp_path: Path
) -> None:
    with database.begin() as connection:
        connection.exec_driver_sql("alter table public.sales_leads add constraint polite check (name <> 'Lead 13')")
    export.write_parents(tmp_path)
    export.write_jsonl(tmp_path / "sales_leads.jsonl", [export.lead(number) for number in range(1, 51)])
    report = run(database, tmp_path)
    assert (report.files[-1].inserted, report.files[-1].quarantined) == (49, 1)
    [(place, reason)] = reasons(database).items()
    assert place == ("sales_leads.jsonl", 13)
    assert re.match("the table refuses it: .* check constraint", reason)


def test_whatever_stands_in_the_cells_every_row_is_loaded_or_in_quarantine(database: Database, tmp_path: Path) -> None:
    junk: list[Any] = ["", " ", "null", "\0", "'", '"', "\\", "{", "[", "[]", "{}", "-0", "1e999", "∞", "สวัสดี", "😀"]
    junk += ["infinity", "2024-13-01", "0000-00-00", "99999-01-01", "24:00:00", 0, -1, 2**70, 0.5, True, None, [], {}]
    junk += [[None], {"a": {"b": "\0"}}, "%s", "{0}", "$1", "{a,b", '{"a"}', "\ud800", "x" * 5000, "\x1f"]
    chance = random.Random(7)
    for number, (table, make) in enumerate(MAKERS.items()):
        rows = []
        for place in range(1, 151):
            row = make(place)
            for name in chance.sample(list(row), chance.randint(0, 2)):
                row[name] = chance.choice(junk)
            rows.append(json.dumps(row))
        export.write_jsonl(tmp_path / f"{table}.jsonl", rows)
        assert number < len(MAKERS)
    export.write_csv(tmp_path / "clinics.csv", [export.clinic()])
    export.write_csv(tmp_path / "users.csv", [export.user()])
    report = run(database, tmp_path)
    assert report.quarantined > 100
    assert report.changed > 100
    again = run(database, tmp_path)
    assert (again.changed, again.quarantined) == (0, report.quarantined)
