"""The history of stages and the funnel, held against what plain Python says happened."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from sqlalchemy import text

from bn_aura_pipelines.cli import cli
from bn_aura_pipelines.database.connections import Database
from bn_aura_pipelines.database.view_files import get_view
from bn_aura_pipelines.database.views import build
from bn_aura_pipelines.models.leads.hazards import learn_hazards, read_places
from bn_aura_pipelines.models.leads.history import HistoryRefused, StageChange, import_history, read_changes, record
from bn_aura_pipelines.models.leads.training import read_rows
from bn_aura_pipelines.settings import get_settings
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


def test_what_a_run_recorded_later_is_unknown_at_an_earlier_moment(database: Database) -> None:
    open_clinic(database)
    write_leads(database, [{}])
    set_status(database, 0, "qualified", START + timedelta(days=2))
    with database.begin(START + timedelta(days=9)) as connection:
        record(connection)
    known = text("select stage from aura_staging.stg_lead_stages order by position")
    with database.begin(START + timedelta(days=8)) as connection:
        assert connection.execute(known).scalars().all() == []
    with database.begin(START + timedelta(days=9)) as connection:
        assert connection.execute(known).scalars().all() == ["new", "qualified"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("17,won,2026-01-02T00:00:00+07:00", "line 3: '17' is no lead's id"),
        (f"{lead_id(1)},hot,2026-01-02T00:00:00+07:00", "line 3: 'hot' is no stage"),
        (f"{lead_id(1)},won,2026-01-02", "line 3: '2026-01-02' is no moment with a zone"),
        (f"{lead_id(1)}", "line 3: '' is no stage"),
    ],
)
def test_a_history_with_a_bad_line_is_refused_by_its_number(tmp_path: Path, line: str, said: str) -> None:
    file = tmp_path / "stages.csv"
    file.write_text(f"lead_id,stage,moment\n{lead_id(0)},new,2026-01-02T00:00:00+07:00\n{line}\n")
    with pytest.raises(HistoryRefused, match=said):
        read_changes(file)
    file.write_text("lead,stage\n")
    with pytest.raises(HistoryRefused, match="has no column lead_id"):
        read_changes(file)


def test_a_history_is_taken_over_from_a_file_once(database: Database, tmp_path: Path) -> None:
    open_clinic(database)
    write_leads(database, [{"status": "negotiation", "updated_at": START + timedelta(days=4)}])
    file = tmp_path / "stages.csv"
    days = {"new": 0, "qualified": 2, "negotiation": 4, "won": 99_999}
    rows = [f"{lead_id(0)},{stage},{(START + timedelta(days=day)).isoformat()}" for stage, day in days.items()]
    rows.append(f"{lead_id(77)},won,{START.isoformat()}")
    file.write_text("\ufefflead_id,stage,moment\n" + "\n".join(rows) + "\n")
    runner = CliRunner()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BN_AURA_DATABASE_URL", database.url.render_as_string(hide_password=False))
        get_settings.cache_clear()
        first, again = (runner.invoke(cli, ["lead-history", str(file)], catch_exceptions=False) for _ in range(2))
    get_settings.cache_clear()
    assert first.exit_code == 0 and "5 changes of 2 leads read, 3 stays stand" in first.output
    assert "unknown leads" in first.output and again.output == first.output
    assert [stay[0] for stay in read_history(database)[lead_id(0)]] == ["new", "qualified", "negotiation"]


def test_where_a_lead_stands_and_how_long_tells_when_it_is_won(database: Database) -> None:
    """Who is to be won stays five days in negotiation, who is to be lost twenty: a stay of ten days means no win."""
    open_clinic(database)
    write_leads(
        database,
        [{"status": "won" if n % 2 else "lost", "updated_at": START + timedelta(days=30 + n / 10)} for n in range(100)]
        + [{"status": "negotiation", "updated_at": START + timedelta(days=40)} for _ in range(2)],
    )
    as_of = START + timedelta(days=50)
    told = [StageChange(lead_id(n), "new", START) for n in range(102)]
    for n in range(100):
        outcome = START + timedelta(days=30 + n / 10)
        told.append(StageChange(lead_id(n), "negotiation", outcome - timedelta(days=5 if n % 2 else 20)))
        told.append(StageChange(lead_id(n), "won" if n % 2 else "lost", outcome))
    told += [StageChange(lead_id(n), "negotiation", as_of - timedelta(days=day)) for n, day in ((100, 2), (101, 10))]
    with database.begin(as_of) as connection:
        import_history(connection, told)
        rows = read_rows(connection)
        hazards = learn_hazards(connection, rows, as_of.timestamp())
        assert hazards is not None and (hazards.winners, hazards.losers) == (50, 50)
        leads = [lead_id(100), lead_id(101)]
        places = read_places(connection, leads, np.full(2, START.timestamp()), as_of.timestamp())
    assert places.stage.tolist() == ["negotiation"] * 2 and places.stay.tolist() == [2, 10]
    within = hazards.win_within(np.array([0.4, 0.4]), places, 30)
    assert within.tolist() == pytest.approx([0.4, 0.0])
    assert hazards.win_within(np.array([0.4, 0.4]), places, 2).tolist() == pytest.approx([0.0, 0.0])
