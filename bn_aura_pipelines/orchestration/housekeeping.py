"""Keeps the house small: old runs, events and rows go, what readers still look at stays; advice for PostgreSQL.

Personal data before their time are the business of `erasure`. Tables that a run replaces are no business of this:
snapshots reach back 24 months because their view says so, and cached vectors go with the embedding sync.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import LiteralString

import dagster as dg
import sqlalchemy
from psycopg import sql

from bn_aura_pipelines.database.connections import psycopg_connection
from bn_aura_pipelines.settings import Settings

FINISHED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]
MANY_DEAD = 10_000
LARGE_INDEXES_BYTES = 64 * 1024**2


@dataclass(frozen=True)
class Retention:
    """Rows of a table that go as many days after `moment` as the setting says; only those that `where` names, and of
    them only the content of column `emptied` where there is one."""

    relation: str
    setting: str
    moment: LiteralString
    where: LiteralString = "true"
    emptied: str | None = None

    @property
    def name(self) -> str:
        return f"{self.relation}.{self.emptied}" if self.emptied else self.relation


OVER = "status not in ('waiting', 'sending')"
# Whoever refers to a row stands above it.
RETENTION = (
    Retention("aura_ops.quarantine", "keep_quarantine_days", "created_at"),
    Retention("aura_ops.email_events", "keep_messages_days", "received_at"),
    # What a letter said goes early. Its row stays as long as somebody may click on the link to unsubscribe.
    Retention("aura_ops.outbox", "keep_letters_days", "finished_at", OVER, emptied="body"),
    Retention("aura_ops.outbox", "keep_messages_days", "finished_at", OVER),
    Retention("aura_marts.notifications", "keep_notifications_days", "created_at"),
    Retention("aura_ops.api_reads", "keep_api_reads_days", "read_at"),
    Retention("aura_ops.alerts", "keep_alerts_days", "last_at"),
    Retention("aura_ops.embedding_coverage", "keep_figures_days", "day"),
)

# Runs that hold the latest news of an asset or of one of its partitions: without them the UI calls it missing, and the
# automation would run it again.
STILL_SHOWN = """
    select distinct on (asset_key, partition) run_id from event_logs
    where dagster_event_type = 'ASSET_MATERIALIZATION' and asset_key is not null
    order by asset_key, partition, id desc
"""
# What Dagster leaves behind: observations of sensors, which belong to no run, and results of checks, which it keeps
# when their run goes. The latest of each stays, for the next one is compared with it. These are conditions alone.
LEFT_BEHIND: Mapping[str, LiteralString] = {
    "event_logs": """
        run_id = '' and timestamp < %(before)s
        and id not in (select max(id) from event_logs where run_id = '' group by asset_key, dagster_event_type)
    """,
    "asset_check_executions": """
        create_timestamp < %(before)s
        and id not in (select max(id) from asset_check_executions group by asset_key, check_name, partition)
    """,
    "job_ticks": "create_timestamp < %(before)s",
    "asset_daemon_asset_evaluations": """
        create_timestamp < %(before)s
        and id not in (select max(id) from asset_daemon_asset_evaluations group by asset_key)
    """,
}
ADVICE = sqlalchemy.text("""
    select relid::regclass::text as relation, n_dead_tup as dead, n_live_tup as live,
        pg_table_size(relid) as table_bytes, pg_indexes_size(relid) as index_bytes
    from pg_stat_user_tables where schemaname like 'aura%' or schemaname = 'public'
    order by pg_total_relation_size(relid) desc
""")


def old_rows(connection: sqlalchemy.Connection, settings: Settings, delete: bool) -> dict[str, int]:
    """Rows of our tables that are past their time at the run's moment, by table; deleted, or only counted."""
    driver = psycopg_connection(connection)
    found = {}
    for one in RETENTION:
        table, column = sql.Identifier(*one.relation.split(".")), sql.Identifier(one.emptied or "")
        past = sql.SQL("{} < aura_ops.as_of() - make_interval(days => %s) and {}").format(
            sql.SQL(one.moment), sql.SQL(one.where)
        )
        if one.emptied:
            past += sql.SQL(" and {} is not null").format(column)
        if not delete:
            statement = sql.SQL("select 1 from {} where {}").format(table, past)
        elif one.emptied:
            statement = sql.SQL("update {} set {} = null where {}").format(table, column, past)
        else:
            statement = sql.SQL("delete from {} where {}").format(table, past)
        found[one.name] = driver.execute(statement, (getattr(settings, one.setting),)).rowcount
    return found


def old_runs(
    instance: dg.DagsterInstance, storage: sqlalchemy.Connection, now: datetime, days: int, delete: bool
) -> dict[str, int]:
    """Finished runs older than `days`, and what belongs to no run any more, by table of Dagster's storage; deleted with
    their events, or only counted. `storage` is a connection to it. Killed half-way, the next one goes on.

    Times in Dagster's storage are UTC without a zone.
    """
    before = now - timedelta(days=days)
    values = {"before": before.astimezone(UTC).replace(tzinfo=None)}
    kept = set(storage.exec_driver_sql(STILL_SHOWN).scalars())
    storage.commit()
    finished = instance.get_run_ids(dg.RunsFilter(statuses=FINISHED, created_before=before))
    old = [run_id for run_id in finished if run_id not in kept]
    if delete:
        for run_id in old:
            instance.delete_run(run_id)
    found = {"runs": len(old)}
    for table, condition in LEFT_BEHIND.items():
        verb = "delete from" if delete else "select 1 from"
        found[table] = storage.exec_driver_sql(f"{verb} {table} where {condition}", values).rowcount
    storage.commit()
    return found


def advise(connection: sqlalchemy.Connection) -> list[str]:
    """What somebody should vacuum or reindex, and with which statement. Does neither itself."""
    lines = []
    for row in connection.execute(ADVICE):
        if row.dead > MANY_DEAD and row.dead > row.live / 5:
            lines.append(f"vacuum (analyze) {row.relation};  -- {row.dead:,} dead rows beside {row.live:,}")
        if row.index_bytes > LARGE_INDEXES_BYTES and row.index_bytes > 3 * row.table_bytes:
            megabytes = row.index_bytes // 1024**2
            lines.append(f"reindex table concurrently {row.relation};  -- {megabytes:,} MB of indexes")
    return lines
