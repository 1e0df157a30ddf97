"""The jobs, and the schedules that replace the application's cron routes. All schedules are stopped until somebody
starts them in the UI."""

from __future__ import annotations

import dagster as dg

REFRESH_EVERYTHING = "refresh_everything"
BUSINESS_TIME = "Asia/Bangkok"

refresh_everything = dg.define_asset_job(REFRESH_EVERYTHING, description="The whole graph, in order.")
refresh_embeddings = dg.define_asset_job(
    "refresh_embeddings",
    selection=dg.AssetSelection.groups("embeddings").upstream(),
    description="Vectors of the conversations, leads and customers that changed, with the views they are read from.",
)

jobs = [refresh_everything, refresh_embeddings]

schedules = [
    dg.ScheduleDefinition(
        name="refresh_everything_daily",
        job=refresh_everything,
        cron_schedule="0 8 * * *",
        execution_timezone=BUSINESS_TIME,
        description="Daily at 08:00 in Bangkok: scores, marts and trigger decisions; replaces the route check-churn.",
    ),
    dg.ScheduleDefinition(
        name="refresh_embeddings_hourly",
        job=refresh_embeddings,
        cron_schedule="15 * * * *",
        execution_timezone=BUSINESS_TIME,
        description="Every hour: embeddings of what changed; replaces the route generate-embeddings.",
    ),
]
