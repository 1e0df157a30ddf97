"""A delivery starts while messages are due, one at a time; the job delivers; what was given up is said."""

from __future__ import annotations

import dagster as dg
import pytest

from bn_aura_pipelines.database.connections import Database
from bn_aura_pipelines.database.resource import Aura
from bn_aura_pipelines.definitions import build_definitions
from bn_aura_pipelines.settings import get_settings
from bn_aura_pipelines.triggers.outbox import given_up_lately
from bn_aura_pipelines.triggers.sensors import DELIVERY, next_delivery
from bn_aura_pipelines_tests.triggers.conftest import NOON, execute, queue, rows


def why_not(database: Database, is_running: bool = False) -> str | None:
    with database.begin() as connection:
        return next_delivery(connection, is_running)


def test_a_delivery_starts_when_something_is_due_and_nothing_holds_it_back(clinic: Database) -> None:
    assert why_not(clinic) == "nothing is due"
    queue(clinic, 1)
    assert why_not(clinic) is None
    assert why_not(clinic, is_running=True) == "a delivery is under way"
    execute(clinic, "update aura_ops.delivery_state set next_request_at = clock_timestamp() + interval '1 hour'")
    assert "asks for a pause" in str(why_not(clinic))
    execute(clinic, "update aura_ops.delivery_state set stopped_because = 'a wrong letter'")
    assert why_not(clinic) == "stopped: a wrong letter"


def test_the_sensor_and_its_job_run_in_dagster(clinic: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BN_AURA_DATABASE_URL", clinic.url.render_as_string(hide_password=False))
    get_settings.cache_clear()
    queue(clinic, 1)
    definitions = build_definitions(Aura())
    try:
        with dg.DagsterInstance.ephemeral() as instance:
            context = dg.build_sensor_context(instance, definitions=definitions, resources={"aura": Aura()})
            asked = definitions.get_sensor_def("messages_are_due").evaluate_tick(context)
            assert len(asked.run_requests or []) == 1
            assert definitions.resolve_job_def(DELIVERY).execute_in_process(instance=instance).success
    finally:
        get_settings.cache_clear()
    assert rows(clinic, "select status from aura_ops.outbox") == [("expired",)]  # it was decided long ago


def test_the_dead_letter_of_a_day_is_counted_by_reason(clinic: Database) -> None:
    queue(clinic, 1)
    for hours, found in ((25, {}), (1, {"dead: 422 validation_error": 1})):
        execute(
            clinic,
            "update aura_ops.outbox set status = 'dead', reason = '422 validation_error',"
            " finished_at = aura_ops.as_of() - make_interval(hours => :hours)",
            hours=hours,
        )
        with clinic.begin(NOON) as connection:
            assert given_up_lately(connection) == found
