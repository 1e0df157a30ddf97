"""What the sensors see in a real database, and what they ask for."""

from __future__ import annotations

import json
import time
from pathlib import Path

import dagster as dg
import psutil
import pytest
import sqlalchemy

from bn_aura_pipelines.database.connections import Database
from bn_aura_pipelines.database.resource import Aura
from bn_aura_pipelines.definitions import build_definitions
from bn_aura_pipelines.orchestration.sensors import (
    changed_tables,
    decide_about_new_leads,
    unscored_leads,
    watch_application_tables,
)
from bn_aura_pipelines.settings import get_settings
from bn_aura_pipelines.sources.versions import Seen, data_versions

CLINIC = "00000000-0000-0000-0000-00000000000c"
LEAD = """
    insert into public.sales_leads (clinic_id, name, email, created_at)
    values (:clinic, 'Somchai', :email, now() - cast(:age as interval))
"""


@pytest.fixture
def clinic(database: Database, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Database:
    """An empty clinic in the database that the settings name."""
    monkeypatch.setenv("BN_AURA_DATABASE_URL", database.url.render_as_string(hide_password=False))
    monkeypatch.setenv("BN_AURA_HOME", str(tmp_path))
    get_settings.cache_clear()
    execute(database, "insert into public.clinics (id, clinic_code, display_name) values (:clinic, 'C', '{}')")
    return database


def execute(database: Database, statement: str, **values: object) -> None:
    with database.begin() as connection:
        connection.execute(sqlalchemy.text(statement), {"clinic": CLINIC, **values})
        connection.exec_driver_sql("select pg_stat_force_next_flush()")


def look(database: Database, known: dict[str, Seen] | None = None, clock: float = 1e9) -> dict[str, Seen]:
    with database.begin() as connection:
        return data_versions(connection, known or {}, clock)


def test_a_changed_table_has_another_version_and_what_we_write_ourselves_has_not(clinic: Database) -> None:
    execute(clinic, LEAD, email="a@example.com", age="1 hour")
    first = look(clinic)
    execute(clinic, "update public.sales_leads set score = 90, category = 'hot', profile_embedding = null")
    ours = look(clinic, first, clock=2e9)
    assert changed_tables(first, ours) == []
    assert ours["sales_leads"].writes > first["sales_leads"].writes
    execute(clinic, "update public.sales_leads set status = 'contacted'")
    assert changed_tables(ours, look(clinic, ours, clock=3e9)) == ["sales_leads"]


def test_a_table_that_took_long_is_left_alone_for_a_while(clinic: Database) -> None:
    first = look(clinic)
    tired = {**first, "sales_leads": Seen(first["sales_leads"].version, 0, rest_until=1e9 + 60)}
    execute(clinic, LEAD, email="a@example.com", age="1 hour")
    assert changed_tables(tired, look(clinic, tired, clock=1e9 + 59)) == []
    assert changed_tables(tired, look(clinic, tired, clock=1e9 + 61)) == ["sales_leads"]


def test_a_table_that_is_missing_is_absent_and_one_that_comes_is_a_change(clinic: Database) -> None:
    execute(clinic, "drop table public.referrals cascade")
    without = look(clinic)
    assert without["referrals"].version == "absent"
    execute(clinic, "create table public.referrals (id uuid, created_at timestamptz)")
    assert changed_tables(without, look(clinic, without)) == ["referrals"]


def test_the_watching_sensor_notes_changed_tables_once(clinic: Database) -> None:
    context = dg.build_sensor_context(resources={"aura": Aura()})
    result = watch_application_tables(context)
    assert isinstance(result, dg.SensorResult)
    assert dg.AssetKey(["application", "customers"]) in {event.asset_key for event in result.asset_events}
    again = dg.build_sensor_context(resources={"aura": Aura()}, cursor=result.cursor)
    assert isinstance(watch_application_tables(again), dg.SkipReason)


def test_only_a_new_lead_of_a_clinic_without_a_score_asks_for_a_decision(clinic: Database) -> None:
    execute(clinic, LEAD, email="old@example.com", age="3 days")
    execute(clinic, "insert into public.sales_leads (name, email) values ('x', 'nobodys@example.com')")
    context = dg.build_sensor_context(resources={"aura": Aura()})
    assert isinstance(decide_about_new_leads(context), dg.SkipReason)
    execute(clinic, LEAD, email="new@example.com", age="1 minute")
    request = decide_about_new_leads(context)
    assert isinstance(request, dg.RunRequest)
    # Two ticks at once, or a tick after a run that failed, ask under the same key: one run.
    assert decide_about_new_leads(context).run_key == request.run_key
    execute(clinic, LEAD, email="newer@example.com", age="0 minutes")
    assert decide_about_new_leads(context).run_key != request.run_key


def test_a_million_new_leads_are_a_capped_batch(clinic: Database) -> None:
    execute(
        clinic,
        "insert into public.sales_leads (clinic_id, name, email) select :clinic, 'x', g || '@example.com'"
        " from generate_series(1, 20000) as g",
    )
    with clinic.begin() as connection:
        assert len(unscored_leads(connection)) == 1000


def test_many_ticks_add_no_memory(clinic: Database) -> None:
    repository = build_definitions().get_repository_def()
    sensor = repository.get_sensor_def("watch_application_tables")
    with dg.DagsterInstance.ephemeral() as instance:

        def tick(cursor: str | None) -> str | None:
            with dg.build_sensor_context(
                instance=instance, repository_def=repository, cursor=cursor, resources={"aura": Aura()}
            ) as context:
                return sensor.evaluate_tick(context).cursor

        cursor = tick(None)
        for _warm in range(5):
            cursor = tick(cursor)
        before = psutil.Process().memory_info().rss
        for _again in range(15):
            cursor = tick(cursor)
        assert psutil.Process().memory_info().rss - before < 1024**2
    assert json.loads(cursor or "{}")["customers"]["rest_until"] < time.time() + 60
