"""The jobs, and the schedules of what follows the clock, in Bangkok time. They replace the application's cron routes.

All schedules are stopped until somebody starts them: `bn-aura up` does, or a click in the UI.
"""

from __future__ import annotations

from typing import Any

import dagster as dg

from bn_aura_pipelines.orchestration.automation import CALENDAR, DATA, FOLLOWS, LANE
from bn_aura_pipelines.orchestration.ops import erase_people, keep_house_job

REFRESH_EVERYTHING = "refresh_everything"
BUSINESS_TIME = "Asia/Bangkok"

# Runs wait in one queue. Who waits for a lead waits seconds; a training can wait for everybody.
FIRST = {"dagster/priority": "10"}
LAST = {"dagster/priority": "-10"}

TRAINED = dg.AssetSelection.tag(FOLLOWS, CALENDAR)
COMPUTED = dg.AssetSelection.tag(FOLLOWS, DATA)

# Every step of a training imports the same heavy libraries: its workers are forked from one process that has them.
FORKSERVER = dg.multiprocess_executor.configured(
    {
        "max_concurrent": 1,
        "start_method": {
            "forkserver": {
                "preload_modules": ["bn_aura_pipelines.definitions", "pandas", "scipy.optimize", "sklearn.linear_model"]
            }
        },
    }
)

MOMENT_HELP = (
    "Nothing needs to be filled in. `resources.aura.config.as_of` in the launchpad makes the run about another moment, "
    "such as 2025-06-01T00:00:00+07:00."
)


def _job(name: str, selection: dg.AssetSelection | None, description: str, **options: Any) -> Any:
    options = {"tags": LANE} | options
    return dg.define_asset_job(name, selection, description=f"{description}\n\n{MOMENT_HELP}", **options)


def _named(*names: str) -> dg.AssetSelection:
    return dg.AssetSelection.assets(*names)


refresh_everything = _job(REFRESH_EVERYTHING, TRAINED | COMPUTED, "The whole graph, in order; models are trained.")
refresh_language = _job(
    "refresh_language",
    dg.AssetSelection.groups("embeddings", "voice").upstream() & COMPUTED,
    "Vectors of the conversations, leads and customers that changed, and what changed conversations say.",
)
check_churn = _job(
    "check_churn",
    _named("trigger_events", "customer_360").upstream() & COMPUTED,
    "Scores of every customer and lead, and what the trigger rules decide about them: time passes without any change "
    "of data.",
)
refresh_marts = _job(
    "refresh_marts", dg.AssetSelection.groups("marts").upstream() & COMPUTED, "Every mart, with what it is made of."
)
train_models = _job(
    "train_models",
    TRAINED,
    "Trains every model on what is known by now and promotes the better one; scores follow by themselves.",
    executor_def=FORKSERVER,
    tags=LANE | LAST,
)
decide_about_leads = _job(
    "decide_about_leads",
    _named("lead_stage_history", "lead_scores", "lead_board", "trigger_decisions", "trigger_events"),
    "From a lead's entry to the decision whether to tell somebody, and to nothing else: a hot lead must not wait.",
    tags=FIRST,
)

jobs = [
    refresh_everything,
    refresh_language,
    check_churn,
    refresh_marts,
    train_models,
    decide_about_leads,
    keep_house_job,
    erase_people,
]


def _schedule(name: str, job: Any, cron: str, description: str) -> dg.ScheduleDefinition:
    return dg.ScheduleDefinition(
        name=name, job=job, cron_schedule=cron, execution_timezone=BUSINESS_TIME, description=description
    )


# A tick that was missed is made up for once, however many were missed: each run is about everything up to its moment.
schedules = [
    _schedule(
        "refresh_language_hourly",
        refresh_language,
        "15 * * * *",
        "Every hour: embeddings and sentiment of what changed; replaces the route generate-embeddings.",
    ),
    _schedule(
        "check_churn_daily",
        check_churn,
        "0 8 * * *",
        "Daily at 08:00 in Bangkok: churn and lead scores, trigger decisions; replaces the route check-churn.",
    ),
    _schedule("refresh_marts_nightly", refresh_marts, "0 2 * * *", "Nightly at 02:00 in Bangkok: every mart."),
    _schedule("train_models_weekly", train_models, "0 3 * * 0", "Sundays at 03:00 in Bangkok: every model."),
    _schedule(
        "keep_house_weekly",
        keep_house_job,
        "0 5 * * 0",
        "Sundays at 05:00 in Bangkok: what is past its time is deleted.",
    ),
]
