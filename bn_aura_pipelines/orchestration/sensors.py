"""What follows events: changed tables, new leads, drift, requests, failures. What each decides is a plain function."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import dagster as dg
from sqlalchemy import text

from bn_aura_pipelines.database.resource import Aura
from bn_aura_pipelines.orchestration.alerts import NotTold, channels, failures_of, note, tell_due
from bn_aura_pipelines.orchestration.automation import CALENDAR, FOLLOWS, follow_data
from bn_aura_pipelines.orchestration.erasure import pending_requests
from bn_aura_pipelines.orchestration.jobs import FIRST, LAST, decide_about_leads, train_models
from bn_aura_pipelines.orchestration.ops import erase_people
from bn_aura_pipelines.sources.assets import APPLICATION
from bn_aura_pipelines.sources.versions import Seen, data_versions

if TYPE_CHECKING:
    import sqlalchemy

DATA_VERSION = "dagster/data_version"
MOST_SECONDS = 45
"""A sensor has sixty seconds; past these its query is given up and the tick says so."""
MOST_LEADS = 1000
MOST_RUNS = 100
HOLDS = "_still_holds"

UNSCORED_LEADS = text("""
    select l.id from public.sales_leads as l
    where l.created_at >= now() - interval '2 days' and l.clinic_id is not null
        and not exists (select from aura_models.lead_scores as s where s.lead_id = l.id)
    order by l.created_at, l.id limit :most
""")


def changed_tables(before: Mapping[str, Seen], after: Mapping[str, Seen]) -> list[str]:
    """The tables whose version is another one than before, or that are seen for the first time."""
    return sorted(name for name, seen in after.items() if name not in before or before[name].version != seen.version)


@dg.sensor(
    name="watch_application_tables",
    minimum_interval_seconds=30,
    description="Notes a new data version of each table of the application in which anything that is read has changed: "
    "a new or grown conversation, a visit, a lead. `follow_data` then runs what depends on it. What the pipelines "
    "write themselves does not count. The longer a table takes to read, the longer it is left alone.",
)
def watch_application_tables(context: dg.SensorEvaluationContext, aura: Aura) -> dg.SensorResult | dg.SkipReason:
    before = {name: Seen(**seen) for name, seen in json.loads(context.cursor or "{}").items()}
    with aura.connect() as connection:
        _give_up_in_time(connection)
        after = data_versions(connection, before, time.time())
    changed = changed_tables(before, after)
    cursor = json.dumps({name: asdict(seen) for name, seen in after.items()})
    if not changed:
        context.update_cursor(cursor)
        return dg.SkipReason("Nothing has changed.")
    return dg.SensorResult(
        cursor=cursor,
        asset_events=[
            dg.AssetObservation(
                dg.AssetKey([APPLICATION, name]),
                tags={DATA_VERSION: after[name].version},
                metadata={"version": after[name].version},
            )
            for name in changed
        ],
    )


def unscored_leads(connection: sqlalchemy.Connection) -> list[str]:
    """Leads of the last two days that have no score yet, oldest first, at most a thousand. Exact without a cursor: a
    lead whose transaction commits late is found as well."""
    return [str(lead_id) for lead_id in connection.execute(UNSCORED_LEADS, {"most": MOST_LEADS}).scalars()]


@dg.sensor(
    name="decide_about_new_leads",
    job=decide_about_leads,
    minimum_interval_seconds=10,
    description="Scores new leads and decides about them within a minute. Leads that a failed run left behind ask for "
    "no second run; they wait for the next new lead or for the morning.",
)
def decide_about_new_leads(context: dg.SensorEvaluationContext, aura: Aura) -> dg.RunRequest | dg.SkipReason:
    with aura.connect() as connection:
        _give_up_in_time(connection)
        leads = unscored_leads(connection)
    if not leads:
        return dg.SkipReason("Every new lead has a score.")
    return dg.RunRequest(run_key=f"leads {_digest(leads)}", tags={**FIRST, "bn_aura/leads": str(len(leads))})


def trainings_wanted(graph: dg.AssetGraph, failed: Iterable[dg.AssetCheckKey]) -> dict[str, list[dg.AssetKey]]:
    """Which models to train, by the name of the check that asks for it: those that the checked asset stands on."""
    wanted = {}
    for check in failed:
        parents = graph.get(check.asset_key).parent_keys
        models = sorted(key for key in parents if graph.get(key).tags.get(FOLLOWS) == CALENDAR)
        if models:
            wanted[check.name] = models
    return wanted


@dg.sensor(
    name="retrain_on_drift",
    job=train_models,
    minimum_interval_seconds=600,
    description="Trains a model again when the check of its scores (named …_still_holds) says that they no longer look "
    "like those that were judged; at most once a week for each check.",
)
def retrain_on_drift(context: dg.SensorEvaluationContext) -> Sequence[dg.RunRequest] | dg.SkipReason:
    assert context.repository_def is not None
    graph = context.repository_def.asset_graph
    checks = [key for key in graph.asset_check_keys if key.name.endswith(HOLDS)]
    latest = context.instance.event_log_storage.get_latest_asset_check_execution_by_key(checks)
    failed = [key for key, record in latest.items() if record.status.value == "FAILED"]
    year, week, _day = datetime.now(UTC).isocalendar()
    requests = [
        dg.RunRequest(run_key=f"{check} {year}-{week}", asset_selection=models, tags={**LAST, "bn_aura/because": check})
        for check, models in trainings_wanted(graph, failed).items()
    ]
    return requests or dg.SkipReason("No score has drifted.")


@dg.sensor(
    name="erase_on_request",
    job=erase_people,
    minimum_interval_seconds=300,
    description="Carries out new requests of `data_deletion_requests`: everything we hold about the person goes. A run "
    "that failed is tried again after an hour.",
)
def erase_on_request(context: dg.SensorEvaluationContext, aura: Aura) -> dg.RunRequest | dg.SkipReason:
    with aura.connect() as connection:
        _give_up_in_time(connection)
        requests = pending_requests(connection)
    if not requests:
        return dg.SkipReason("Nobody has asked to be forgotten.")
    hour = f"{datetime.now(UTC):%Y-%m-%d %H}"
    return dg.RunRequest(run_key=f"erase {_digest([one.key for one in requests])} {hour}", tags=FIRST)


@dg.sensor(
    name="tell_failures",
    minimum_interval_seconds=30,
    description="Tells of runs that failed, in the log, by e-mail, by webhook: grouped by what failed and why, again "
    "after six hours at the earliest, at most twelve messages an hour.",
)
def tell_failures(context: dg.SensorEvaluationContext, aura: Aura) -> dg.SkipReason:
    now = datetime.now(UTC)
    since = datetime.fromisoformat(context.cursor) if context.cursor else now
    records = context.instance.get_run_records(
        dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE], updated_after=since),
        limit=MOST_RUNS,
        ascending=True,
        order_by="update_timestamp",
    )
    failures = [one for record in records for one in failures_of(context.instance, record, aura.settings.ui_url)]
    with aura.connect() as connection:
        note(connection, failures)
    context.update_cursor((records[-1].update_timestamp if records else since).isoformat())
    said = [f"{len(failures)} new failures"]
    for channel, tell in channels(aura.settings).items():
        try:
            with aura.connect() as connection:
                said.append(f"{channel}: {tell_due(connection, channel, tell, now)} told")
        except (NotTold, OSError) as error:
            said.append(f"{channel}: not told ({error}), tried again")
            context.log.warning(said[-1])
    return dg.SkipReason("; ".join(said))


def _give_up_in_time(connection: sqlalchemy.Connection) -> None:
    connection.exec_driver_sql(f"set local statement_timeout = '{MOST_SECONDS}s'")


def _digest(names: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(sorted(names)).encode()).hexdigest()[:16]


sensors = [
    follow_data,
    watch_application_tables,
    decide_about_new_leads,
    retrain_on_drift,
    erase_on_request,
    tell_failures,
]
