"""A refreshed table equals one that was computed as a whole, whatever happened in between."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bn_aura_pipelines.database.connections import Database, psycopg_connection
from bn_aura_pipelines.database.refreshing import note_versions
from bn_aura_pipelines.database.view_files import View, ViewError, load_views
from bn_aura_pipelines.database.views import build
from bn_aura_pipelines.models.leads.history import record
from bn_aura_pipelines_tests.marts.conftest import NOW

SOME = "id in (select id from public.{} order by md5(id::text || :seed) limit 4)"
ANYBODY = "(select id from public.customers order by md5(id::text || :seed || 'other') limit 1)"
EVENTS = {
    "a visit is paid": "update public.appointments set status = 'completed', total_price = total_price + 1"
    " where " + SOME.format("appointments"),
    "a visit is another's": f"update public.appointments set customer_id = {ANYBODY}"
    " where " + SOME.format("appointments"),
    "a visit is moved": "update public.appointments set appointment_date = appointment_date + 40"
    " where " + SOME.format("appointments"),
    "a visit is gone": "delete from public.appointments where " + SOME.format("appointments"),
    "somebody wrote": "insert into public.customer_conversations (clinic_id, customer_id, conversation_type, messages,"
    " status, created_at) select clinic_id, customer_id, conversation_type, messages, 'active',"
    " :now - interval '1 hour' from public.customer_conversations where " + SOME.format("customer_conversations"),
    "a conversation grew": "update public.customer_conversations set messages = messages || jsonb_build_object("
    "'role', 'customer', 'content', 'more', 'timestamp', :now + interval '9 days')"
    " where " + SOME.format("customer_conversations"),
    "a conversation is damaged": "update public.customer_conversations set messages = '7'"
    " where " + SOME.format("customer_conversations"),
    "a conversation is nobody's": "update public.customer_conversations set customer_id = null"
    " where " + SOME.format("customer_conversations"),
    "a conversation is gone": "delete from public.customer_conversations where "
    + SOME.format("customer_conversations"),
    "a lead is another's": f"update public.sales_leads set customer_id = {ANYBODY} where " + SOME.format("sales_leads"),
    "a lead moved on": "update public.sales_leads set status = 'won', updated_at = :now"
    " where " + SOME.format("sales_leads"),
    "a customer changed clinics": "update public.customers set clinic_id = (select id from public.clinics"
    " order by md5(id::text || :seed) limit 1) where " + SOME.format("customers"),
    "a customer is forgotten": "insert into aura_ops.erased_subjects select uuid_hash_extended(id, 0), :now"
    " from public.customers where " + SOME.format("customers") + " on conflict do nothing",
}
REFRESHED = [view for view in load_views() if view.refresh]


def differing(connection: sqlalchemy.Connection, view: View) -> int:
    """Rows that only the table or only its query has."""
    query = f"select * from ({view.query}\n) as q"
    statement = (
        f"select count(*) from ((table {view.relation} except all {query}) union all"
        f" ({query} except all table {view.relation})) as d"
    )
    return int(psycopg_connection(connection).execute(statement.encode()).fetchone()[0])  # type: ignore[index]


def happen(connection: sqlalchemy.Connection, event: str, seed: int) -> None:
    statement = EVENTS[event].replace(":now", "cast(:now as timestamptz)")
    values: dict[str, Any] = {"seed": str(seed)} | ({"now": NOW} if ":now" in EVENTS[event] else {})
    connection.execute(sqlalchemy.text(statement), values)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    rounds=st.lists(
        st.tuples(st.lists(st.sampled_from(sorted(EVENTS)), max_size=4), st.integers(-30, 30), st.integers(0, 999)),
        min_size=1,
        max_size=3,
    )
)
def test_a_refreshed_table_equals_a_whole_one(marts: Database, rounds: list[tuple[list[str], int, int]]) -> None:
    with marts.begin(NOW) as connection:
        for events, days, seed in rounds:
            for event in events:
                happen(connection, event, seed)
            connection.execute(
                sqlalchemy.text("select set_config('bn_aura.as_of', :moment, true)"),
                {"moment": (NOW + timedelta(days=days)).isoformat()},
            )
            record(connection)
            build(connection, REFRESHED)
            assert {view.relation: differing(connection, view) for view in REFRESHED} == {
                view.relation: 0 for view in REFRESHED
            }
        connection.rollback()


@pytest.mark.parametrize("event", sorted(EVENTS))
def test_an_event_moves_only_those_it_is_about(marts: Database, event: str) -> None:
    with marts.begin(NOW) as connection:
        happen(connection, event, seed=1)
        for view in REFRESHED:
            moved = note_versions(psycopg_connection(connection), view)
            assert moved is not None
            assert 1 <= len(moved) <= 9


def test_nothing_is_computed_where_nothing_happened(marts: Database) -> None:
    with marts.begin(NOW) as connection:
        assert set(build(connection, REFRESHED).values()) == {0}
        for view in REFRESHED:
            assert note_versions(psycopg_connection(connection), view) == []


def test_what_was_changed_by_hand_is_healed_once_its_versions_are_forgotten(marts: Database) -> None:
    with marts.begin(NOW) as connection:
        connection.execute(sqlalchemy.text("delete from aura_marts.customer_timeline where kind = 'entered'"))
        assert build(connection, REFRESHED)["aura_marts.customer_timeline"] == 0
        connection.execute(sqlalchemy.text("delete from aura_ops.refresh_versions"))
        assert build(connection, REFRESHED)["aura_marts.customer_timeline"] > 0
        assert all(differing(connection, view) == 0 for view in REFRESHED)


def test_a_refresh_line_names_a_column_of_the_key(tmp_path: Any) -> None:
    (tmp_path / "marts").mkdir()
    (tmp_path / "marts" / "a.sql").write_text(
        "-- About.\n-- materialized: table\n-- key: id\n-- refresh: other by aura_marts.b\nselect 1 as id\n"
    )
    with pytest.raises(ViewError, match="refresh: COLUMN by"):
        load_views(tmp_path)
