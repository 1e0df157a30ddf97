"""A fault that blocks keeps what stands above it as it was; one that warns keeps nothing."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import dagster as dg
import pytest
import sqlalchemy

from bn_aura_pipelines.database.connections import Database
from bn_aura_pipelines.database.resource import Aura
from bn_aura_pipelines.definitions import build_definitions
from bn_aura_pipelines.orchestration.jobs import REFRESH_EVERYTHING
from bn_aura_pipelines.settings import Settings, get_settings
from bn_aura_pipelines.sources.sample.generate import generate

NOW = datetime.fromisoformat("2026-06-01T00:00:00+07:00")
SOME = ["source_clinics", "source_customers", "source_appointments", "stg_customers", "stg_appointments"]
COHORTS = "select clinic_id, cohort_month, month_number, cohort_size, revenue_thb from aura_marts.cohort_retention"
FIRST = "(select id from public.appointments where status = 'completed' order by appointment_date, id limit 1)"


@pytest.fixture
def clinic(database: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    generate(database, 60, NOW, seed=6)
    monkeypatch.setenv("BN_AURA_DATABASE_URL", database.url.render_as_string(hide_password=False))
    monkeypatch.setenv("BN_AURA_HOME", str(settings.home))
    get_settings.cache_clear()
    yield database
    get_settings.cache_clear()


def run() -> dg.ExecuteInProcessResult:
    job = build_definitions(Aura(as_of=NOW.isoformat())).resolve_job_def(REFRESH_EVERYTHING)
    with dg.DagsterInstance.ephemeral() as instance:
        return job.execute_in_process(
            instance=instance,
            asset_selection=[dg.AssetKey(name) for name in (*SOME, "cohort_retention")],
            raise_on_error=False,
        )


def say(database: Database, statement: str) -> None:
    with database.begin() as connection:
        connection.execute(sqlalchemy.text(statement))


def cohorts(database: Database) -> set[tuple[object, ...]]:
    with database.begin() as connection:
        return {tuple(row) for row in connection.execute(sqlalchemy.text(COHORTS))}


def failed_checks(result: dg.ExecuteInProcessResult) -> dict[str, dg.AssetCheckSeverity]:
    return {one.check_name: one.severity for one in result.get_asset_check_evaluations() if not one.passed}


def test_what_blocks_keeps_the_last_good_content_and_what_warns_does_not(clinic: Database, settings: Settings) -> None:
    assert run().success
    good = cohorts(clinic)
    assert good
    assert (settings.home / "data_docs" / "aura_marts.cohort_retention.html").exists()

    say(clinic, "alter table public.appointments drop constraint if exists appointments_total_price_check")
    say(clinic, f"update public.appointments set total_price = -5000 where id = {FIRST}")
    result = run()
    assert not result.success
    assert failed_checks(result)["total_price_is_in_range"] == dg.AssetCheckSeverity.ERROR
    assert cohorts(clinic) == good

    say(clinic, f"update public.appointments set total_price = 5000, end_time = start_time where id = {FIRST}")
    result = run()
    assert result.success
    assert failed_checks(result)["ends_after_it_begins"] == dg.AssetCheckSeverity.WARN
    assert cohorts(clinic) != good
