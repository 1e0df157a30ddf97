"""What is past its time goes, once, and nothing that somebody still looks at."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest
import sqlalchemy
from sqlalchemy import text

from bn_aura_pipelines.database.connections import Database
from bn_aura_pipelines.orchestration.housekeeping import RETENTION, advise, old_rows, old_runs
from bn_aura_pipelines.settings import Settings

NOW = datetime.fromisoformat("2026-06-01T00:00:00+07:00")
CLINIC = "00000000-0000-0000-0000-0000000000c1"

# Of each sort one that is past its time and one that is not.
ROWS = f"""
    insert into aura_ops.quarantine (file_name, line_number, table_name, reason, row_text, created_at) values
        ('a.csv', 1, 'customers', 'bad', 'old', :now - interval '91 days'),
        ('a.csv', 2, 'customers', 'bad', 'new', :now - interval '89 days');
    insert into aura_ops.email_events (event_key, kind, occurred_at, received_at) values
        ('old', 'email.opened', :now, :now - interval '731 days'), ('new', 'email.opened', :now, :now);
    insert into aura_marts.notifications (
        clinic_id, event_id, type, title_en, title_th, message_en, message_th, created_at
    )
    values
        ('{CLINIC}', md5('old')::uuid, 'old', '', '', '', '', :now - interval '366 days'),
        ('{CLINIC}', md5('new')::uuid, 'new', '', '', '', '', :now);
    insert into aura_ops.api_reads (read_at, reader, clinic_id, resource, personal) values
        (:now - interval '366 days', 'old', '{CLINIC}', 'customers', true), (:now, 'new', '{CLINIC}', 'leads', true);
    insert into aura_ops.alerts values
        ('old', 'why', :now - interval '92 days', :now - interval '91 days', 2, '', ''),
        ('new', 'why', :now - interval '92 days', :now, 2, '', '');
    insert into aura_ops.embedding_coverage values
        ('lead', 'm', date(:now - interval '732 days'), 1, 0, 0), ('lead', 'm', date(:now), 1, 0, 0);
    insert into aura_ops.trigger_events (
        event_id, clinic_id, rule, subject_type, subject_id, action, value, episode, decided_at, status, reason
    )
    select
        md5(age)::uuid, '{CLINIC}', 'hot-lead-alert', 'lead', md5('lead' || age)::uuid, 'send_email', 90, 1,
        :now - age::interval, 'eligible', ''
    from unnest(array['731 days', '91 days', '89 days', '900 days']) as age;
    insert into aura_ops.outbox (
        message_id, event_id, clinic_id, rule, action, recipient_type, recipient_id, priority, status, decided_at,
        not_before, expires_at, body, finished_at
    )
    select
        event_id, event_id, clinic_id, rule, action, 'customer', subject_id, 1,
        case when decided_at < :now - interval '800 days' then 'waiting' else 'sent' end,
        decided_at, decided_at, decided_at, 'letter'::bytea,
        case when decided_at >= :now - interval '800 days' then decided_at end
    from aura_ops.trigger_events
"""


@pytest.fixture
def filled(database: Database) -> Database:
    with database.begin(NOW) as connection:
        for statement in ROWS.split(";"):
            connection.execute(text(statement), {"now": NOW} if ":now" in statement else {})
    return database


def count(connection: sqlalchemy.Connection, relation: str, condition: str = "true") -> int:
    return connection.execute(text(f"select count(*) from {relation} where {condition}")).scalar_one()


def test_a_dry_run_counts_what_the_housekeeping_then_deletes_once(filled: Database, settings: Settings) -> None:
    with filled.begin(NOW) as connection:
        before = {one.name: count(connection, one.relation) for one in RETENTION}
        promised = old_rows(connection, settings, delete=False)
        assert {one.name: count(connection, one.relation) for one in RETENTION} == before
        assert promised.keys() == before.keys()
        gone = old_rows(connection, settings, delete=True)
        assert gone == promised
        assert set(old_rows(connection, settings, delete=True).values()) == {0}


def test_each_sort_keeps_what_is_not_past_its_time(filled: Database, settings: Settings) -> None:
    with filled.begin(NOW) as connection:
        gone = old_rows(connection, settings, delete=True)
        letters, messages = gone.pop("aura_ops.outbox.body"), gone.pop("aura_ops.outbox")
        assert set(gone.values()) == {1}
        # Of the letters two were old, and the row of one is too; what still waits to be sent stays however old it is.
        assert (letters, messages) == (2, 1)
        assert count(connection, "aura_ops.outbox") == 3
        assert count(connection, "aura_ops.outbox", "body is null") == 1
        assert count(connection, "aura_ops.outbox", "status = 'waiting' and body is not null") == 1
        assert count(connection, "aura_ops.quarantine", "row_text = 'old'") == 0


def test_every_setting_of_the_retention_exists_and_can_be_changed(filled: Database, settings: Settings) -> None:
    longer = settings.model_copy(update={one.setting: 10_000 for one in RETENTION})
    with filled.begin(NOW) as connection:
        assert set(old_rows(connection, longer, delete=True).values()) == {0}


@pytest.fixture
def storage(empty_database: Database) -> Iterator[tuple[dg.DagsterInstance, sqlalchemy.Engine]]:
    """Dagster with its storage in PostgreSQL, as an installation has it."""
    url = empty_database.url.set(drivername="postgresql+psycopg2").render_as_string(hide_password=False)
    with dg.instance_for_test(overrides={"storage": {"postgres": {"postgres_url": url}}}) as instance:
        yield instance, empty_database.engine


@dg.asset
def often() -> dg.MaterializeResult[None]:
    return dg.MaterializeResult(metadata={"rows": 1})


@dg.asset_check(asset=often)
def holds() -> dg.AssetCheckResult:
    return dg.AssetCheckResult(passed=True)


@dg.asset
def once() -> None: ...


def sizes(engine: sqlalchemy.Engine) -> dict[str, int]:
    with engine.connect() as connection:
        return {name: count(connection, name) for name in ("runs", "event_logs", "asset_check_executions")}


def test_a_month_of_runs_leaves_no_more_than_a_week_and_no_asset_goes_missing(
    storage: tuple[dg.DagsterInstance, sqlalchemy.Engine],
) -> None:
    instance, engine = storage
    dg.materialize([once], instance=instance)
    for _ in range(7):
        dg.materialize([often, holds], instance=instance)
    month = datetime.now(UTC) + timedelta(days=31)
    first = []
    for _ in range(3):
        with engine.connect() as connection:
            promised = old_runs(instance, connection, month, 30, delete=False)
            gone = old_runs(instance, connection, month, 30, delete=True)
        first.append((gone, sizes(engine)))
        assert gone["runs"] == promised["runs"]
        for _ in range(7):
            dg.materialize([often, holds], instance=instance)
    # However many months pass, what is left is the run that is each asset's latest news.
    assert [left["runs"] for _, left in first] == [2, 2, 2]
    assert [left["event_logs"] for _, left in first] == [first[0][1]["event_logs"]] * 3
    assert [left["asset_check_executions"] for _, left in first] == [1, 1, 1]
    assert [gone["runs"] for gone, _ in first] == [6, 7, 7]
    for asset in (often, once):
        assert instance.get_latest_materialization_event(asset.key) is not None


def test_runs_that_are_young_stay(storage: tuple[dg.DagsterInstance, sqlalchemy.Engine]) -> None:
    instance, engine = storage
    dg.materialize([often, holds], instance=instance)
    dg.materialize([often, holds], instance=instance)
    before = sizes(engine)
    with engine.connect() as connection:
        gone = old_runs(instance, connection, datetime.now(UTC) + timedelta(days=29), 30, delete=True)
    assert set(gone.values()) == {0}
    assert sizes(engine) == before


def test_advice_names_the_statement_where_a_table_is_full_of_dead_rows(database: Database) -> None:
    with database.begin() as connection:
        assert advise(connection) == []
        connection.execute(text("create table aura_ops.worn (n int)"))
        connection.execute(text("insert into aura_ops.worn select generate_series(1, 20000)"))
    with database.begin() as connection:
        connection.execute(text("delete from aura_ops.worn where n > 100"))
    with database.begin() as connection:
        connection.execute(text("select pg_stat_force_next_flush()"))
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("select pg_stat_clear_snapshot()"))
        [line] = advise(connection)
    assert line.startswith("vacuum (analyze) aura_ops.worn;")
