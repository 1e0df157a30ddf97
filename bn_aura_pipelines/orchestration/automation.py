"""What runs without a click: which assets follow their data and which the calendar, and how old a mart may become.

Each room says what its assets are; here conditions, tags and freshness are laid over all of them at once. What follows
the clock stands in `jobs`, what follows events in `sensors`.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

import dagster as dg

FOLLOWS = "bn_aura/follows"
DATA = "data"
CALENDAR = "calendar"

# Runs of this lane never run side by side. What somebody waits for is in none.
LANE = {"bn_aura/lane": "graph"}

FOLLOWS_ITS_DATA = (
    # Across runs, eager() alone would go on below a failed blocking check.
    (dg.AutomationCondition.eager() & dg.AutomationCondition.all_deps_blocking_checks_passed()).with_label(
        "follows its data"
    )
)
TRAINS_BY_THE_CALENDAR = dg.AutomationCondition.on_missing().with_label("trains by the calendar, at once if never yet")

MARTS_ARE_DAILY = dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=26), warn_window=timedelta(hours=25))
"""A nightly run, and two hours of grace."""

EXPLAINED = {
    DATA: "Runs by itself when something that it reads has changed, unless a blocking check of that has failed.",
    CALENDAR: "Trained once a week, and when scores drift; not whenever a row changes.",
}


def with_automation(assets: Iterable[dg.AssetsDefinition]) -> list[dg.AssetsDefinition]:
    """The same assets with condition, tag and freshness. An asset named `…_model` or `…_models` trains and follows the
    calendar; one with partitions keeps the condition that it came with."""
    return [one if one.partitions_def else one.map_asset_specs(_lay_over) for one in assets]


def _lay_over(spec: dg.AssetSpec) -> dg.AssetSpec:
    trains = spec.key.path[-1].endswith(("_model", "_models"))
    follows = CALENDAR if trains else DATA
    spec = spec.replace_attributes(
        automation_condition=TRAINS_BY_THE_CALENDAR if trains else FOLLOWS_ITS_DATA
    ).merge_attributes(tags={FOLLOWS: follows}, metadata={"runs": EXPLAINED[follows]})
    return dg.apply_freshness_policy(spec, MARTS_ARE_DAILY) if spec.group_name == "marts" else spec


follow_data = dg.AutomationConditionSensorDefinition(
    "follow_data",
    # Observed tables too: without them a sensor of Dagster's own would take them, and that one is stopped.
    target=dg.AssetSelection.all(include_sources=True),
    minimum_interval_seconds=30,
    run_tags=LANE,
    description="Runs what follows its data, as soon as what it reads has changed: from a grown conversation to the "
    "decision of a trigger, and nothing that did not change.",
)
