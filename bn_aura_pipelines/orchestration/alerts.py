"""Tells people what failed: in the log, by e-mail, to a Slack-compatible webhook.

Failures are grouped by what failed and why (`aura_ops.alerts`). Each channel remembers for itself what it has told: a
failure that comes again is counted and told again after six hours at the earliest, with how often it came; one message
holds everything that is due, and a channel sends at most twelve an hour. What a channel did not take is due there again
at the next tick. Messages hold names of assets and one line of cause, no data.
"""

from __future__ import annotations

import http.client
import json
import logging
import re
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import sqlalchemy
from sqlalchemy import text

from bn_aura_pipelines.settings import Settings
from bn_aura_pipelines.triggers.resending import Accepted, resend_with

log = logging.getLogger(__name__)

AGAIN_AFTER = timedelta(hours=6)
OLD_NEWS = timedelta(days=1)
"""What has not come again for so long is nobody's news: a channel that is new, or was away, does not tell of it."""
MOST_IN_A_MESSAGE = 10
MOST_MESSAGES_AN_HOUR = 12
MOST_OF_A_RUN = 20
MOST_CAUSE = 300
SECONDS = 15
GONE = "the run's process ended before it could say why"

# What may be somebody's: addresses, numbers, ids, quoted values, whatever is not English. Names of relations, columns
# and the like are quoted too, and stay.
PERSONAL = re.compile(
    r"(?P<stays>\b(?:relation|column|table|constraint|function|schema|role|database) \"[^\"]*\")"
    r"|[\w.+-]+@[\w-]+\.[\w.-]+"
    r"|\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b"
    r"|\+?\d[\d ()-]{6,}\d|\d{4,}"
    r"|\([^()]*\)=\([^()]*\)"
    r"|\"[^\"]*\"|(?<!\w)'[^']*'"
    r"|[^\x00-\x7f]+"
)
REMEDIES = {
    "DatabaseUnreachable": "see that the database is up; what was missed is made up for by the next run",
    "OperationalError": "see that the database is up; what was missed is made up for by the next run",
    "ProviderUnusable": "see to the provider's key and quota: `bn-aura doctor` says which",
    "DiskFull": "make room on the database's disk, then `bn-aura housekeeping`",
}

NOTE = text("""
    insert into aura_ops.alerts as a (what, cause, first_at, last_at, times, remedy, link)
    values (:what, :cause, :at, :at, 1, :remedy, :link)
    on conflict (what, cause) do update
    set last_at = excluded.last_at, times = a.times + 1, link = excluded.link, remedy = excluded.remedy
    where a.last_at < excluded.last_at
""")
DUE = text("""
    select a.what, a.cause, a.first_at, a.times, a.remedy, a.link
    from aura_ops.alerts as a
    left join aura_ops.alerts_told as t on t.channel = :channel and t.what = a.what and t.cause = a.cause
    where a.times > coalesce(t.times, 0) and a.last_at > :now - :old
        and (t.told_at is null or t.told_at <= :now - :pause)
    order by a.last_at desc, a.what, a.cause
""")
TOLD = text("""
    insert into aura_ops.alerts_told (channel, what, cause, told_at, times)
    values (:channel, :what, :cause, :now, :times)
    on conflict (channel, what, cause) do update set told_at = excluded.told_at, times = excluded.times
""")
LATELY = text("""
    select count(distinct told_at) from aura_ops.alerts_told
    where channel = :channel and told_at > :now - interval '1 hour'
""")

Channel = Callable[[str, str], None]
"""Takes subject and body. Raises NotTold, or OSError, when they did not arrive."""


class NotTold(Exception):
    """A channel did not take a message; says why, without its content."""


@dataclass(frozen=True)
class Failure:
    """What failed, why in one line, what to do about it, where to look, and when its run ended."""

    what: str
    cause: str
    remedy: str
    link: str
    at: datetime


def failures_of(instance: dg.DagsterInstance, record: dg.RunRecord, address: str) -> list[Failure]:
    """Each step of a failed run that failed, else the run itself. `address` is the UI's."""
    run = record.dagster_run
    link = f"{address.rstrip('/')}/runs/{run.run_id}"
    at = datetime.fromtimestamp(record.end_time, UTC) if record.end_time else record.create_timestamp
    found = []
    reason = GONE
    kinds = {dg.DagsterEventType.STEP_FAILURE, dg.DagsterEventType.RUN_FAILURE}
    for entry in instance.all_logs(run.run_id, of_type=kinds):
        event = entry.dagster_event
        if event is not None and event.is_step_failure and len(found) < MOST_OF_A_RUN:
            error = event.step_failure_data.error
            while error is not None and error.cause is not None:
                error = error.cause
            what = event.step_key or run.job_name
            select = f"`bn-aura run --select {what}+`" if "." not in what else "start it again"
            remedy = (error and REMEDIES.get(error.cls_name or "")) or f"mend the cause, then {select}"
            found.append(Failure(what, one_line(error.message if error else GONE), remedy, link, at))
        elif event is not None and event.message:
            reason = event.message
    return found or [Failure(run.job_name, one_line(reason), "`bn-aura doctor` names the usual causes", link, at)]


def one_line(message: str) -> str:
    """The first line of an error without what looks like somebody's data, so that one cause reads the same each time.

    An exception's class stands before it in Dagster's messages; it stays.
    """
    first = next((line for line in message.strip().splitlines() if line.strip()), GONE)
    return PERSONAL.sub(lambda found: found["stays"] or "...", first.strip())[:MOST_CAUSE]


def note(connection: sqlalchemy.Connection, failures: Iterable[Failure]) -> None:
    """Count failures, in the order of their runs' ends. One that was noted before is not counted again."""
    for one in failures:
        connection.execute(NOTE, vars(one))


def channels(settings: Settings) -> dict[str, Channel]:
    """The channels that the settings name, by name; the log always."""
    found: dict[str, Channel] = {"log": lambda subject, body: log.error("%s\n%s", subject, body)}
    if settings.alert_webhook_url is not None:
        address = settings.alert_webhook_url.get_secret_value()
        found["webhook"] = lambda subject, body: _post(address, {"text": f"*{subject}*\n{body}"})
    if settings.alert_email is not None and settings.resend_api_key is not None and settings.email_from is not None:
        found["e-mail"] = lambda subject, body: _mail(settings, subject, body)
    return found


def tell_due(connection: sqlalchemy.Connection, channel: str, tell: Channel, now: datetime) -> int:
    """Tell one channel what is due there, as one message; returns how many failures it names.

    Raises NotTold or OSError when the channel did not take it; then all of it stays due there.
    """
    values = {"channel": channel, "now": now, "pause": AGAIN_AFTER, "old": OLD_NEWS}
    due = connection.execute(DUE, values).all()
    if not due or connection.execute(LATELY, values).scalar_one() >= MOST_MESSAGES_AN_HOUR:
        return 0
    tell(*written(due))
    for row in due:
        told = {"channel": channel, "now": now, "what": row.what, "cause": row.cause, "times": row.times}
        connection.execute(TOLD, told)
    return len(due)


def written(due: Sequence[Any]) -> tuple[str, str]:
    """Subject and body about these rows of `aura_ops.alerts`."""
    subject = f"BN-Aura: {due[0].what} failed" + (f", and {len(due) - 1} more" if len(due) > 1 else "")
    parts = []
    for row in due[:MOST_IN_A_MESSAGE]:
        often = f" ({row.times} times since {row.first_at:%Y-%m-%d %H:%M})" if row.times > 1 else ""
        parts.append(f"{row.what}{often}: {row.cause}\nremedy: {row.remedy}\n{row.link}")
    if len(due) > MOST_IN_A_MESSAGE:
        parts.append(f"and {len(due) - MOST_IN_A_MESSAGE} more: bn-aura sql 'select * from aura_ops.alerts'")
    return subject, "\n\n".join(parts)


def _post(address: str, content: dict[str, str]) -> None:
    headers = {"content-type": "application/json"}
    try:
        with urllib.request.urlopen(
            urllib.request.Request(address, json.dumps(content).encode(), headers), timeout=SECONDS
        ):
            pass
    except urllib.error.HTTPError as error:
        raise NotTold(f"the webhook answered {error.code}") from None
    except http.client.HTTPException as error:
        raise NotTold(f"the webhook broke off: {type(error).__name__}") from None
    except ValueError:
        raise NotTold("BN_AURA_ALERT_WEBHOOK_URL is no address") from None


def _mail(settings: Settings, subject: str, body: str) -> None:
    """The same message has the same key: the provider sends it once, however often it is asked."""
    key = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{subject}\n{body}"))
    request = {
        "from": f"BN-Aura <{settings.email_from}>",
        "to": [settings.alert_email],
        "subject": subject,
        "text": body,
        "tags": [{"name": "message_id", "value": key}],
    }
    answer = resend_with(settings)(request, key)
    if not isinstance(answer, Accepted):
        raise NotTold(f"Resend did not take it: {getattr(answer, 'reason', '')}")
