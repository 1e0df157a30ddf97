"""The history of stages and the funnel, held against what plain Python says happened."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from sqlalchemy import text

from bn_aura_pipelines.database.connections import Database
from bn_aura_pipelines.database.view_files import get_view
from bn_aura_pipelines.database.views import build
from bn_aura_pipelines.models.leads.history import StageChange, import_history, record
from bn_aura_pipelines_tests.models.leads.leadbook import START, lead_id, open_clinic, write_leads

STAGES = ["new", "contacted", "qualified", "proposal_sent", "negotiation", "won"]
ANY = [*STAGES, "lost", "cold", "warm", "hot"]
LEADS = 150

Stay = tuple[str, datetime, datetime | None]


def read_history(database: Database) -> dict[str, list[Stay]]:
    found: dict[str, list[Stay]] = defaultdict(list)
    with database.begin() as connection:
        for row in connection.execute(text("select * from aura_ops.lead_stage_history order by lead_id, position")):
            found[str(row.lead_id)].append((row.stage, row.valid_from, row.valid_to))
    return found


def read_funnel(database: Database, as_of: datetime) -> dict[tuple[str, str], tuple[int, int, int, int]]:
    view = get_view("aura_marts.sales_funnel")
    with database.begin(as_of) as connection:
        build(connection, [view])
        assert build(connection, [view])[view.relation] == 0
        rows = connection.execute(text("select * from aura_marts.sales_funnel"))
        return {(r.source, r.stage): (r.entered, r.still_there, r.moved_on, r.lost) for r in rows}


def set_status(database: Database, number: int, status: str, moment: datetime) -> None:
    with database.begin() as connection:
        connection.execute(
            text("update public.sales_leads set status = :status, updated_at = :moment where id = :id"),
            {"status": status, "moment": moment, "id": lead_id(number)},
        )


class Oracle:
    """What happened, kept as the leads move."""

    def __init__(self) -> None:
        self.stays: dict[str, list[Stay]] = {}

    def enter(self, number: int, created: datetime) -> None:
        self.stays[lead_id(number)] = [("new", created, None)]

    def see(self, number: int, status: str, moment: datetime) -> None:
        stays = self.stays[lead_id(number)]
        stage, begun, _ = stays[-1]
        if (status in STAGES or status == "lost") and status != stage:
            stays[-1] = (stage, begun, moment)
            stays.append((status, moment, None))

    def funnel(self, sources: dict[str, str]) -> dict[tuple[str, str], tuple[int, int, int, int]]:
        counts = {(source, stage): [0, 0, 0, 0] for source in set(sources.values()) for stage in STAGES}
        for lead, stays in self.stays.items():
            reached = max(STAGES.index(stage) for stage, _, _ in stays if stage != "lost")
            lost = stays[-1][0] == "lost" and reached < STAGES.index("won")
            for place, stage in enumerate(STAGES[: reached + 1]):
                entry = counts[sources[lead], stage]
                entry[0] += 1
                entry[2 if place < reached else 3 if lost else 1] += 1
        return {key: (entry[0], entry[1], entry[2], entry[3]) for key, entry in counts.items()}


def test_history_and_funnel_after_three_days_equal_what_plain_python_counts(database: Database) -> None:
    rng = np.random.default_rng(3)
    open_clinic(database)
    created = [START + timedelta(minutes=int(m)) for m in rng.integers(0, 600, LEADS)]
    source = [str(s) for s in rng.choice(["line", "website"], LEADS)]
    leads: list[dict[str, Any]] = [{"created_at": c, "source": s} for c, s in zip(created, source, strict=True)]
    write_leads(database, leads)
    oracle = Oracle()
    for number, moment in enumerate(created):
        oracle.enter(number, moment)
    today = START + timedelta(days=1)
    with database.begin(today) as connection:
        assert record(connection).first_seen == LEADS
    for _ in range(3):
        today += timedelta(days=1)
        for number in rng.choice(LEADS, 80, replace=False).tolist():
            status = str(rng.choice(ANY))
            moment = today - timedelta(minutes=int(rng.integers(1, 1200)))
            set_status(database, number, status, moment)
            oracle.see(number, status, moment)
        with database.begin(today) as connection:
            record(connection)
            again = record(connection)
            assert again.changes == 0
        assert read_history(database) == oracle.stays
        sources = {lead_id(number): name for number, name in enumerate(source)}
        assert read_funnel(database, today) == oracle.funnel(sources)


def test_a_lead_first_seen_when_won_has_passed_every_stage(database: Database) -> None:
    open_clinic(database)
    write_leads(database, [{"status": "won", "updated_at": START + timedelta(days=5)}])
    as_of = START + timedelta(days=9)
    with database.begin(as_of) as connection:
        record(connection)
    funnel = read_funnel(database, as_of)
    assert [funnel["website", stage] for stage in STAGES] == [(1, 0, 1, 0)] * 5 + [(1, 1, 0, 0)]


def test_a_lead_won_before_it_was_created_has_no_negative_stay(database: Database) -> None:
    open_clinic(database)
    write_leads(database, [{"status": "won", "updated_at": START - timedelta(days=5)}])
    with database.begin(START + timedelta(days=1)) as connection:
        record(connection)
    assert read_history(database)[lead_id(0)] == [("new", START, START), ("won", START, None)]


def test_a_run_about_the_past_rewrites_nothing(database: Database) -> None:
    open_clinic(database)
    write_leads(database, [{}])
    with database.begin(START + timedelta(days=9)) as connection:
        record(connection)
    set_status(database, 0, "won", START + timedelta(days=2))
    with database.begin(START + timedelta(days=3)) as connection:
        assert record(connection).skipped
    assert [stay[0] for stay in read_history(database)[lead_id(0)]] == ["new"]


def test_an_imported_history_replaces_what_was_inferred(database: Database) -> None:
    open_clinic(database)
    write_leads(database, [{"status": "lost", "updated_at": START + timedelta(days=8)}])
    as_of = START + timedelta(days=9)
    days = {"new": 0, "negotiation": 2, "contacted": 5, "lost": 8}
    with database.begin(as_of) as connection:
        record(connection)
        told = [StageChange(lead_id(0), stage, START + timedelta(days=day)) for stage, day in days.items()]
        assert import_history(connection, told) == 4
        assert record(connection).changes == 0
    assert [stay[0] for stay in read_history(database)[lead_id(0)]] == list(days)
    assert read_funnel(database, as_of)["website", "negotiation"] == (1, 0, 0, 1)
