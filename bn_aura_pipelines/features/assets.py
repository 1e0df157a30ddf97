"""The monthly snapshots as partitions: which months there are, and a backfill of any of them."""

import dagster as dg
import sqlalchemy

from bn_aura_pipelines.database.resource import Aura, describe_table
from bn_aura_pipelines.database.view_files import get_view
from bn_aura_pipelines.features.months import SNAPSHOTS, list_months, rebuild_months

MONTHS = dg.MonthlyPartitionsDefinition(start_date="2020-01-01", timezone="Asia/Bangkok", end_offset=1)
"""A month's partition is the snapshot at its beginning, so that of the current month is there already. Earlier months
are computed where a run asks for them, and are shown by no partition: the view would be mostly empty."""

READS = sorted(relation.split(".")[1] for relation in get_view(SNAPSHOTS).dependencies)


@dg.asset(
    deps=READS,
    partitions_def=MONTHS,
    backfill_policy=dg.BackfillPolicy.single_run(),
    group_name="features",
    description="The months of customer_snapshots, one partition each: what was known of every customer when the month "
    "began (Bangkok). Every run computes the last 24 again. Materialize months here to compute some alone, after a "
    "correction of old data, or to add months from before those 24; they stay. All in one run; killed and launched "
    "again it gives the same rows.",
    kinds={"postgres", "table"},
    owners=["team:data-science"],
    metadata={
        "dagster/table_name": SNAPSHOTS,
        "runs": "By a click: choose the months. Each run of customer_snapshots notes the months that it has filled.",
    },
    code_version=get_view(SNAPSHOTS).definition_hash[:12],
)
def monthly_snapshots(context: dg.AssetExecutionContext, aura: Aura) -> dg.MaterializeResult:
    window = context.partition_time_window
    with aura.begin(context, turn="customer_snapshots") as connection:
        written, months = rebuild_months(connection, window.start.date(), window.end.date())
        for month in months:
            context.add_asset_metadata(
                {"dagster/partition_row_count": month.customers, "labelled": month.labelled},
                partition_key=month.start.isoformat(),
            )
        return dg.MaterializeResult(
            metadata={**describe_table(connection, SNAPSHOTS), "months": len(months), "rows_written": written}
        )


def note_months(context: dg.AssetExecutionContext, connection: sqlalchemy.Connection) -> None:
    """Let the partition view show the months that a run of customer_snapshots has filled; once each."""
    known = context.instance.get_materialized_partitions(monthly_snapshots.key)
    for month in list_months(connection):
        key = month.start.isoformat()
        if key not in known and MONTHS.has_partition_key(key):
            context.log_event(
                dg.AssetMaterialization(
                    monthly_snapshots.key,
                    partition=key,
                    metadata={"dagster/partition_row_count": month.customers, "labelled": month.labelled},
                )
            )


assets = [monthly_snapshots]
