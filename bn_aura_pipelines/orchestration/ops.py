"""The job that makes no asset: the right to be forgotten."""

import dagster as dg

from bn_aura_pipelines.database.resource import Aura
from bn_aura_pipelines.orchestration.erasure import erase, hide, pending_requests


def said(found: dict[str, int]) -> str:
    """Rows by table, in one line."""
    return ", ".join(f"{name} {rows:,}" for name, rows in found.items() if rows) or "nothing"


@dg.op(
    out=dg.Out(dg.Nothing),
    description="Erases what is held about people who asked for it, and hides them from every later run.",
)
def forget(context: dg.OpExecutionContext, aura: Aura) -> None:
    with aura.connect() as connection:
        requests = pending_requests(connection)
    for request in requests:
        # Hidden for good before anything is deleted: what starts to read from here on does not see them, and what has
        # read them already is waited for.
        with aura.connect() as connection:
            person = hide(connection, request)
        with aura.begin_alone() as connection:
            rows = erase(connection, request, person, aura.settings.write_application_columns)
        context.log.info(f"a request was carried out: {said(dict(rows))}")


@dg.job(
    description="Carries out the pending requests of `data_deletion_requests`: everything we hold about a person goes,"
    " with a row in aura_ops.erasures. Safe to run at any time: without a request it does nothing."
)
def erase_people() -> None:
    forget()
