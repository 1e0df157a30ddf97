from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy
from pydantic import SecretStr

from bn_aura_pipelines.database.connections import Database
from bn_aura_pipelines.doctor import Finding, diagnose, judge_runs
from bn_aura_pipelines.settings import Settings
from bn_aura_pipelines_tests.conftest import run_sql


def settings_for(database: Database, home: Path) -> Settings:
    return Settings(home=home, database_url=SecretStr(database.url.render_as_string(hide_password=False)))


def about(findings: list[Finding], area: str) -> list[Finding]:
    return [finding for finding in findings if finding.area == area]


def test_every_setting_is_shown_and_no_secret(tmp_path: Path) -> None:
    url = SecretStr("postgresql://me:hidden@127.0.0.1:1/clinic?password=hidden&sslmode=require")
    findings = diagnose(Settings(home=tmp_path, database_url=url))
    text = repr(findings)
    assert "hidden" not in text
    assert "BN_AURA_DATABASE_URL = postgresql+psycopg://me:***@127.0.0.1:1/clinic?sslmode=require" in text
    assert len(about(findings, "settings")) == len(Settings.model_fields)


def test_an_unreachable_database_is_a_finding(tmp_path: Path) -> None:
    url = SecretStr("postgresql://me:hidden@127.0.0.1:1/clinic")
    (finding,) = about(diagnose(Settings(home=tmp_path, database_url=url)), "database")
    assert finding.status == "error"
    assert "Connection refused" in finding.message
    assert "\n" not in finding.message


@pytest.mark.parametrize("url", ["nonsense", "mysql://localhost/clinic"])
def test_a_wrong_url_is_a_finding(tmp_path: Path, url: str) -> None:
    (finding,) = about(diagnose(Settings(home=tmp_path, database_url=SecretStr(url))), "database")
    assert finding.status == "error"
    assert "BN_AURA_DATABASE_URL" in finding.message


def test_a_home_that_cannot_be_made_is_a_finding(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    findings = diagnose(Settings(home=tmp_path / "file" / "home", database_url=None))
    assert "name a folder you may write to" in about(findings, "disk")[0].message
    assert about(findings, "database")[0].status == "error"


def test_an_empty_database_says_what_to_do_next(empty_database: Database, tmp_path: Path) -> None:
    findings = diagnose(settings_for(empty_database, tmp_path))
    assert [finding.status for finding in about(findings, "database")] == ["ok"]
    assert about(findings, "migrations")[0].remedy == "bn-aura run applies them"
    assert about(findings, "sources")[0].status == "warning"
    assert not [finding for finding in findings if finding.status == "error"]


def test_a_migrated_database_without_customers_asks_for_an_import(database: Database, tmp_path: Path) -> None:
    findings = diagnose(settings_for(database, tmp_path))
    assert about(findings, "migrations") == [Finding("migrations", "ok", "all are applied and unedited")]
    assert about(findings, "sources")[-1].message == "there is no customer"
    assert about(findings, "quarantine")[0].status == "ok"


def test_an_edited_migration_a_broken_source_and_refused_rows_are_findings(database: Database, tmp_path: Path) -> None:
    run_sql(database, "update aura_ops.migrations set checksum = 'x' where version = '0001_schemas'")
    run_sql(database, "alter table public.appointments drop column total_price cascade")
    run_sql(
        database,
        "insert into aura_ops.quarantine (file_name, line_number, table_name, reason, row_text)"
        " values ('customers.csv', 7, 'customers', 'malformed uuid', 'x')",
    )
    findings = diagnose(settings_for(database, tmp_path))
    assert "0001_schemas.sql was edited" in about(findings, "migrations")[0].message
    assert "public.appointments.total_price does not exist" in about(findings, "sources")[0].message
    assert about(findings, "quarantine")[0].message == "refused rows of customers: 1"


def test_a_mart_that_any_clinic_could_read_is_an_error(database: Database, tmp_path: Path) -> None:
    run_sql(database, "create table aura_marts.open_to_all (clinic_id uuid)")
    findings = about(diagnose(settings_for(database, tmp_path)), "marts")
    assert [finding.status for finding in findings] == ["error", "ok"]
    assert "aura_marts.open_to_all" in findings[0].message
    with database.begin() as connection:
        connection.execute(sqlalchemy.text("select aura_ops.protect('aura_marts.open_to_all')"))
    findings = about(diagnose(settings_for(database, tmp_path)), "marts")
    assert [finding.status for finding in findings] == ["ok"]


def test_a_run_is_stale_after_a_day_and_a_failed_one_is_said() -> None:
    now = datetime(2026, 1, 2, tzinfo=UTC)
    assert [finding.status for finding in judge_runs("SUCCESS", now - timedelta(hours=3), now)] == ["ok"]
    assert [finding.status for finding in judge_runs("SUCCESS", now - timedelta(hours=30), now)] == ["warning"]
    assert [finding.status for finding in judge_runs("FAILURE", now - timedelta(hours=3), now)] == ["error", "ok"]
    assert [finding.status for finding in judge_runs(None, None, now)] == ["warning"]
