"""Starts deliveries while anything is due, and says so when messages are given up."""

import dagster as dg
import sqlalchemy
from sqlalchemy import text

from bn_aura_pipelines.database.resource import Aura
from bn_aura_pipelines.triggers.delivery import deliver

DELIVERY = "deliver_messages"
MOST_REQUESTS = 500
"""Of one run: then it ends, and the sensor starts the next one where something is left."""

UNDER_WAY = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
]

WORK = """
    select
        (select stopped_because from aura_ops.delivery_state) as stopped,
        (
            select greatest(0, extract(epoch from next_request_at - clock_timestamp()))::float8
            from aura_ops.delivery_state
        ) as pause,
        exists (
            select from aura_ops.outbox
            where status in ('waiting', 'sending')
                and least(not_before, expires_at) <= clock_timestamp()
                and coalesce(lease_until, '-infinity') <= clock_timestamp()
        ) as is_due
"""


@dg.op(name="deliver", tags={"kind": "resend"})
def deliver_messages_op(context: dg.OpExecutionContext, aura: Aura) -> None:
    database = aura.database
    try:
        report = deliver(database, aura.settings, most_requests=MOST_REQUESTS)
    finally:
        database.engine.dispose()
    context.log.info(
        f"{dict(report.outcomes)}, {report.requests} requests; {report.ended_because or 'nothing is left'}"
    )


@dg.job(
    name=DELIVERY,
    tags={"dagster/priority": "10"},
    description="Delivers what the trigger rules decided: notifications, tasks, e-mails.",
)
def deliver_messages() -> None:
    deliver_messages_op()


def next_delivery(connection: sqlalchemy.Connection, is_running: bool) -> str | None:
    """Why no delivery should start now; None: one should."""
    if is_running:
        return "a delivery is under way"
    work = connection.execute(text(WORK)).one()
    if work.stopped:
        return f"stopped: {work.stopped}"
    if not work.is_due:
        return "nothing is due"
    if work.pause > 60:
        return f"the provider asks for a pause of {work.pause:.0f} s more"
    return None


@dg.sensor(
    name="messages_are_due",
    job=deliver_messages,
    minimum_interval_seconds=10,
    description="Starts a delivery while messages are due, one at a time, none while the provider asks for a pause.",
)
def messages_are_due(context: dg.SensorEvaluationContext, aura: Aura) -> dg.RunRequest | dg.SkipReason:
    running = context.instance.get_run_records(dg.RunsFilter(job_name=DELIVERY, statuses=UNDER_WAY), limit=1)
    if aura.settings.send == "off":
        return dg.SkipReason("BN_AURA_SEND is off")
    database = aura.database
    try:
        with database.begin() as connection:
            reason = next_delivery(connection, bool(running))
    finally:
        database.engine.dispose()
    return dg.SkipReason(reason) if reason else dg.RunRequest()


jobs = [deliver_messages]
sensors = [messages_are_due]
