"""The schema `aura_truth`: which sample this is, the laws behind it, and what no asset may know."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import sqlalchemy
from numpy.typing import NDArray

from bn_aura_pipelines.database.connections import psycopg_connection
from bn_aura_pipelines.sources.sample.catalogue import PERSONAS, STAGES
from bn_aura_pipelines.sources.sample.choices import CLOCKS
from bn_aura_pipelines.sources.sample.clock import Floats
from bn_aura_pipelines.sources.sample.tables import copy_columns, stream, take
from bn_aura_pipelines.sources.sample.visits import COMPLETED
from bn_aura_pipelines.sources.sample.world import World

SCHEMA = """
create schema if not exists aura_truth;
comment on schema aura_truth is 'The latent truth of the sample clinic. No asset may read it.';
create table aura_truth.sample (as_of timestamptz not null, seed bigint not null, customers int not null);
create table aura_truth.laws (law text primary key, value jsonb not null);
create table aura_truth.staff (user_id uuid primary key, skill float8 not null);
create table aura_truth.customers (
    customer_id uuid primary key,
    clinic_id uuid not null,
    persona text not null,
    budget_thb float8 not null,
    visits_per_day float8 not null,
    no_show_effect float8 not null,
    first_satisfaction float8 not null,
    satisfaction float8 not null,
    lost_at timestamptz,
    next_completed_at timestamptz
);
comment on column aura_truth.customers.satisfaction is 'After the last completed visit before the moment.';
comment on column aura_truth.customers.lost_at is 'The visit after which the customer left; it may lie ahead.';
comment on column aura_truth.customers.next_completed_at is
'The first visit after the moment that will be completed; null when none is within the days simulated ahead.';
create table aura_truth.message_effects (
    customer_id uuid primary key,
    holdout boolean not null,
    repeat_due boolean not null,
    tau float8 not null
);
comment on table aura_truth.message_effects is
'What one message adds to the probability of a visit when a repeat is due, and who is held out at random.';
create table aura_truth.leads (
    lead_id uuid primary key,
    quality float8 not null,
    response_speed float8 not null,
    response_hours float8 not null,
    outcome text not null,
    decided_at timestamptz not null,
    note_after_outcome boolean not null
);
comment on column aura_truth.leads.decided_at is 'When the lead was or will be won or lost.';
create table aura_truth.lead_stages (
    lead_id uuid not null,
    stage text not null,
    reached_at timestamptz not null,
    primary key (lead_id, stage)
);
comment on column aura_truth.lead_stages.reached_at is 'When the lead came or will come to the stage.';
create table aura_truth.conversations (
    conversation_id uuid primary key,
    polarity float8 not null,
    sentiment text not null,
    label_noise boolean not null,
    template_set text not null,
    language text not null,
    concerns jsonb not null,
    satisfaction float8
);
"""


@dataclass(frozen=True)
class SampleIdentity:
    """What decides every row of a sample."""

    customers: int
    as_of: datetime
    seed: int


def existing_sample(connection: sqlalchemy.Connection) -> SampleIdentity | None:
    """The sample that this database holds."""
    driver = psycopg_connection(connection)
    if driver.execute("select to_regclass('aura_truth.sample')").fetchone() in (None, (None,)):
        return None
    row = driver.execute("select customers, as_of, seed from aura_truth.sample").fetchone()
    return None if row is None else SampleIdentity(*row)


def write_truth(
    connection: sqlalchemy.Connection, world: World, identity: SampleIdentity, late_notes: NDArray[np.bool_]
) -> None:
    """Create the schema and fill all of it but the conversations."""
    driver = psycopg_connection(connection)
    driver.execute(SCHEMA)
    driver.execute(
        "insert into aura_truth.sample (as_of, seed, customers) values (%s, %s, %s)",
        (identity.as_of, identity.seed, identity.customers),
    )
    laws = dataclasses.asdict(world.laws)
    driver.cursor().executemany(
        "insert into aura_truth.laws (law, value) values (%s, %s)",
        [(name, json.dumps(value)) for name, value in laws.items()],
    )
    leads, calendar, chain = world.leads, world.calendar, world.chain
    copy_columns(connection, "aura_truth", "staff", {"user_id": chain.staff_ids, "skill": chain.skill})
    satisfaction, lost, following = _ends(world)
    tastes = world.customers.tastes
    customers: dict[str, Any] = {
        "customer_id": world.customer_ids,
        "clinic_id": take(chain.clinic_ids, world.customers.clinic),
        "persona": take(PERSONAS, tastes.persona),
        "budget_thb": tastes.budget,
        "visits_per_day": world.customers.rate,
        "no_show_effect": world.customers.no_show,
        "first_satisfaction": world.customers.first_satisfaction,
        "satisfaction": satisfaction,
        "lost_at": calendar.timestamps(lost),
        "next_completed_at": calendar.timestamps(following),
    }
    copy_columns(connection, "aura_truth", "customers", customers)
    rng = stream(world.seed, "message effects")
    effects: dict[str, Any] = {
        "customer_id": world.customer_ids,
        "holdout": rng.random(len(satisfaction)) < world.laws.holdout_share,
        "repeat_due": _repeat_due(world),
        "tau": world.laws.message_effect / (1 + np.exp(world.laws.message_effect_centre - satisfaction)),
    }
    copy_columns(connection, "aura_truth", "message_effects", effects)
    drawn: dict[str, Any] = {
        "lead_id": world.lead_ids,
        "quality": leads.quality,
        "response_speed": leads.speed,
        "response_hours": leads.response_hours,
        "outcome": take(STAGES, leads.outcome),
        "decided_at": calendar.timestamps(leads.decided),
        "note_after_outcome": late_notes,
    }
    copy_columns(connection, "aura_truth", "leads", drawn)
    lead, stage = np.nonzero(np.isfinite(leads.reached))
    stages: dict[str, Any] = {
        "lead_id": take(world.lead_ids, lead),
        "stage": take(STAGES, stage),
        "reached_at": calendar.timestamps(leads.reached[lead, stage]),
    }
    copy_columns(connection, "aura_truth", "lead_stages", stages)


def _ends(world: World) -> tuple[Floats, Floats, Floats]:
    """Satisfaction at the moment, the visit that lost the customer and the next completed one (infinite if none)."""
    visits, as_of = world.visits, world.calendar.as_of
    count = len(world.customer_ids)
    done = visits.outcome == COMPLETED
    past, ahead = done & (visits.begins < as_of), done & (visits.begins >= as_of)
    satisfaction = world.customers.first_satisfaction.copy()
    satisfaction[visits.customer[past]] = visits.satisfaction[past]  # in order: the last one stays
    lost, following = np.full(count, np.inf), np.full(count, np.inf)
    lost[visits.customer[visits.lost]] = visits.begins[visits.lost]
    np.minimum.at(following, visits.customer[ahead], visits.begins[ahead])
    return satisfaction, lost, following


def _repeat_due(world: World) -> NDArray[np.bool_]:
    """Whether the clock of some treatment, had before, has run out by the moment and not long ago."""
    visits, as_of = world.visits, world.calendar.as_of
    last = np.full((len(world.customer_ids), len(CLOCKS)), np.nan)
    past = (visits.outcome == COMPLETED) & (visits.begins < as_of) & (visits.treatment >= 0)
    last[visits.customer[past], visits.treatment[past]] = visits.begins[past]
    clocks = (as_of - last) / CLOCKS
    due: NDArray[np.bool_] = (clocks >= 0.9) & (clocks < 2)
    return np.asarray(due.any(axis=1))
