from __future__ import annotations

import datetime as dt
import gzip
from pathlib import Path

import pytest

from bn_aura_pipelines.database.connections import Database
from bn_aura_pipelines.sources.importing import ExportNotFound, FileReport, ImportReport, import_folder
from bn_aura_pipelines_tests.sources import export
from bn_aura_pipelines_tests.sources.export import query


def run(database: Database, folder: Path) -> ImportReport:
    return import_folder(database, folder, lambda line: None)


def by_file(report: ImportReport) -> dict[str, FileReport]:
    return {file.file: file for file in report.files}


def write_every_format(folder: Path) -> None:
    export.write_csv(folder / "clinics.csv.gz", [export.clinic(1), export.clinic(2)])
    export.write_jsonl(folder / "users.jsonl", [export.user()])
    export.write_csv(folder / "customers.csv", [export.customer(number) for number in range(1, 6)])
    export.write_jsonl(folder / "customer_conversations.jsonl.gz", [export.conversation(n) for n in range(1, 4)])
    export.write_parquet(folder / "sales_leads.parquet", [export.lead(number) for number in range(1, 4)])
    export.write_parquet(
        folder / "appointments.parquet",
        [
            export.appointment(
                number,
                appointment_date=dt.date(2024, 2, 3),
                start_time=dt.time(10),
                created_at=dt.datetime(2024, 1, 2, 3, 4, 5, tzinfo=dt.timezone(dt.timedelta(hours=7))),
            )
            for number in range(1, 4)
        ],
    )
    export.write_csv(folder / "truth_leads.csv", [{"lead_id": 1}])


def test_every_format_is_loaded_and_other_files_are_named(database: Database, tmp_path: Path) -> None:
    write_every_format(tmp_path)
    report = run(database, tmp_path)
    assert not report.failed
    assert report.quarantined == 0
    assert {name: file.inserted for name, file in by_file(report).items()} == {
        "clinics.csv.gz": 2,
        "users.jsonl": 1,
        "customers.csv": 5,
        "customer_conversations.jsonl.gz": 3,
        "sales_leads.parquet": 3,
        "appointments.parquet": 3,
    }
    assert report.skipped == ("truth_leads.csv: skipped, truth_leads is not a table of the source contract",)
    moment = dt.datetime.fromisoformat(export.CREATED)
    assert query(database, "select created_at, updated_at from public.customers limit 1") == [(moment, moment)]
    assert query(
        database, "select appointment_date, start_time, total_price, created_at, treatment_ids from public.appointments"
    )[0] == (dt.date(2024, 2, 3), dt.time(10), 2500, moment, [export.key("no longer there")])
    assert query(database, "select messages, objections_handled from public.customer_conversations")[0] == (
        export.conversation()["messages"],
        ['too "dear"', "a, b"],
    )


def test_importing_again_changes_no_row_and_no_quarantine(database: Database, tmp_path: Path) -> None:
    write_every_format(tmp_path)
    export.write_csv(tmp_path / "customers.csv", [export.customer(1), export.customer(2), export.customer(3, id="x")])
    run(database, tmp_path)
    versions = (
        "select 'a', xmin::text, id::text from public.customers"
        " union all select 'b', xmin::text, id::text from public.appointments"
        " union all select 'c', xmin::text, quarantine_id::text from aura_ops.quarantine order by 1, 3"
    )
    before = query(database, versions)
    report = run(database, tmp_path)
    assert report.changed == 0
    assert report.quarantined == 1
    assert query(database, versions) == before


def test_changed_rows_are_updated_with_the_files_own_updated_at(database: Database, tmp_path: Path) -> None:
    export.write_parents(tmp_path)
    run(database, tmp_path)
    later = "2024-06-01T00:00:00+07:00"
    export.write_csv(
        tmp_path / "customers.csv", [export.customer(1), export.customer(2, full_name="Renamed", updated_at=later)]
    )
    report = by_file(run(database, tmp_path))["customers.csv"]
    assert (report.updated, report.unchanged) == (1, 1)
    assert query(database, "select full_name, updated_at from public.customers order by customer_code")[1] == (
        "Renamed",
        dt.datetime.fromisoformat(later),
    )
    query_enabled = "select tgenabled from pg_trigger where tgname = 'customers_updated_at'"
    assert query(database, query_enabled) == [("O",)]


def test_a_row_that_only_our_own_writing_touched_is_unchanged(database: Database, tmp_path: Path) -> None:
    export.write_parents(tmp_path)
    run(database, tmp_path)
    with database.begin() as connection:
        connection.exec_driver_sql("update public.customers set full_name = full_name")
    assert run(database, tmp_path).changed == 0


def test_without_updated_at_a_new_row_has_that_of_its_creation(database: Database, tmp_path: Path) -> None:
    export.write_parents(tmp_path)
    rows = [export.lead(1), export.lead(2)]
    for row in rows:
        del row["updated_at"]
    export.write_csv(tmp_path / "sales_leads.csv", rows)
    run(database, tmp_path)
    assert query(database, "select count(*) from public.sales_leads where updated_at = created_at") == [(2,)]


def test_a_missing_required_column_stops_that_file_alone(database: Database, tmp_path: Path) -> None:
    export.write_parents(tmp_path)
    for name, write in (
        ("sales_leads.csv", export.write_csv),
        ("appointments.parquet", export.write_parquet),
        ("customer_conversations.jsonl", export.write_jsonl),
    ):
        make = {"s": export.lead, "a": export.appointment, "c": export.conversation}[name[0]]
        row = make()
        row["wrong"] = row.pop("created_at")
        write(tmp_path / name, [row])
    report = run(database, tmp_path)
    assert report.failed
    files = by_file(report)
    assert files["customers.csv"].inserted == 2
    for name in ("sales_leads.csv", "appointments.parquet", "customer_conversations.jsonl"):
        table = name.split(".")[0]
        assert files[name].error == f"has no column created_at, which {table} needs; it was not loaded"
        assert query(database, f"select count(*) from public.{table}") == [(0,)]


@pytest.mark.parametrize(
    ("name", "data", "error"),
    [
        ("clinics.parquet", b"PAR1 not really", "cannot be read: "),
        ("clinics.csv.gz", b"not gzip", "cannot be read: "),
        ("clinics.jsonl.gz", gzip.compress(b'{"id": 1}\n' * 999, mtime=0)[:30], "cannot be read: "),
        ("clinics.csv", b"", "is empty: its first line has to name the columns"),
        ("clinics.csv", "id,name\n".encode("utf-16"), "cannot be read: it is not UTF-8 text"),
        ("clinics.csv", b"id,id\n1,2\n", "names the column id twice"),
        (
            "clinics.csv",
            b'id,clinic_code,display_name,created_at\nx,y,"{},z\n1,2,3,4\n',
            "cannot be read: the quote opened in line 2 is never closed",
        ),
    ],
)
def test_an_unreadable_file_is_one_clear_line(
    database: Database, tmp_path: Path, name: str, data: bytes, error: str
) -> None:
    (tmp_path / name).write_bytes(data)
    report = run(database, tmp_path)
    assert report.failed
    assert (report.files[0].error or "").startswith(error)
    assert "\n" not in report.files[0].line()


def test_a_file_with_a_header_only_is_loaded_as_nothing(database: Database, tmp_path: Path) -> None:
    (tmp_path / "clinics.csv").write_text("id,clinic_code,display_name,created_at\n")
    (tmp_path / "users.jsonl").write_text("")
    report = run(database, tmp_path)
    assert [(file.rows_in, file.error) for file in report.files] == [(0, None), (0, None)]


def test_a_folder_without_an_export_is_one_clear_line(database: Database, tmp_path: Path) -> None:
    with pytest.raises(ExportNotFound, match="holds no file named after a source table"):
        run(database, tmp_path)
    with pytest.raises(ExportNotFound, match="is not a folder"):
        run(database, tmp_path / "nowhere")


def test_byte_order_mark_carriage_returns_and_quoted_line_breaks_are_read(database: Database, tmp_path: Path) -> None:
    rows = [
        export.clinic(1, display_name='{"th": "a",\r\n "en": "b"}'),
        export.clinic(2, id="malformed"),
        export.clinic(3, subscription_tier=""),
    ]
    for row in rows:
        row.setdefault("subscription_tier", "starter")
    export.write_csv(tmp_path / "clinics.csv", rows, encoding="utf-8-sig", newline="\r\n")
    report = run(database, tmp_path)
    assert (report.files[0].inserted, report.quarantined) == (2, 1)
    # The first row takes two lines, so the malformed one begins on line 4.
    assert query(database, "select line_number from aura_ops.quarantine") == [(4,)]
    assert query(database, "select subscription_tier from public.clinics order by clinic_code") == [
        ("starter",),
        (None,),
    ]


def test_an_absent_optional_table_and_column_are_named_and_left_out(database: Database, tmp_path: Path) -> None:
    with database.begin() as connection:
        connection.exec_driver_sql("drop table public.referrals")
        connection.exec_driver_sql("alter table public.sales_leads drop column category")
    export.write_parents(tmp_path)
    export.write_csv(tmp_path / "sales_leads.csv", [export.lead(category="hot", nonsense=1)])
    export.write_csv(tmp_path / "referrals.csv", [{"id": export.key("referral")}])
    lines: list[str] = []
    report = import_folder(database, tmp_path, lines.append)
    assert by_file(report)["sales_leads.csv"].inserted == 1
    assert "referrals.csv: skipped, this database has no table referrals" in report.skipped
    assert "sales_leads.csv: warning: ignored, the table has no such column: category" in lines
    assert "sales_leads.csv: warning: ignored, not in the source contract: nonsense" in lines


def test_a_table_without_ids_in_the_file_is_matched_by_its_natural_key(database: Database, tmp_path: Path) -> None:
    export.write_parents(tmp_path)
    row = {"clinic_id": export.key("clinic 1"), "email": "a@example.com", "unsubscribed_at": export.CREATED}
    export.write_csv(tmp_path / "email_unsubscribes.csv", [row])
    run(database, tmp_path)
    assert run(database, tmp_path).changed == 0
    export.write_csv(tmp_path / "email_unsubscribes.csv", [row | {"unsubscribed_at": "2024-09-09T00:00:00+07:00"}])
    assert by_file(run(database, tmp_path))["email_unsubscribes.csv"].updated == 1
    assert query(database, "select count(*) from public.email_unsubscribes") == [(1,)]
