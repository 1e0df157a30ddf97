"""Starts schedules and sensors through the UI's own interface, as clicks would; what people stopped stays stopped."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Collection
from typing import Any

import dagster as dg

from bn_aura_pipelines.errors import UserError

REPOSITORIES = """
    { repositoriesOrError { ... on RepositoryConnection { nodes {
        name location { name } schedules { name } sensors { name }
    } } ... on PythonError { message } } }
"""
MUTATIONS = {
    "schedule": "mutation ($s: ScheduleSelector!) { done: startSchedule(scheduleSelector: $s) { __typename } }",
    "sensor": "mutation ($s: SensorSelector!) { done: startSensor(sensorSelector: $s) { __typename } }",
}


class NotStarted(UserError):
    """A schedule or sensor could not be started."""


def decided_by_people(instance: dg.DagsterInstance) -> set[str]:
    """Schedules and sensors that were ever started or stopped."""
    return {state.instigator_name for state in instance.all_instigator_state()}


def start_all(address: str, leave: Collection[str]) -> list[str]:
    """Start every schedule and sensor but those in `leave`; returns their names. `address` is the UI's. Raises
    NotStarted, also where the code location does not load."""
    found = _ask(address, REPOSITORIES, {})["repositoriesOrError"]
    if not found.get("nodes"):
        raise NotStarted(f"The code location does not load: {found.get('message', 'see the lines above')}")
    started = []
    for repository in found["nodes"]:
        where = {"repositoryName": repository["name"], "repositoryLocationName": repository["location"]["name"]}
        for kind, mutation in MUTATIONS.items():
            for name in sorted(one["name"] for one in repository[f"{kind}s"]):
                if name not in leave:
                    answer = _ask(address, mutation, {"s": {**where, f"{kind}Name": name}})["done"]["__typename"]
                    if answer not in ("ScheduleStateResult", "Sensor"):
                        raise NotStarted(f"The {kind} {name} could not be started ({answer}).")
                    started.append(name)
    return started


def _ask(address: str, query: str, variables: dict[str, Any]) -> dict[str, Any]:
    request = urllib.request.Request(
        f"{address}/graphql",
        json.dumps({"query": query, "variables": variables}).encode(),
        {"content-type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as response:
        answer = json.load(response)
    if answer.get("errors"):
        raise NotStarted(f"The Dagster UI refused: {answer['errors'][0]['message']}")
    return answer["data"]
