"""Staff performance and the win-probability map, held against leads written by hand."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

from sqlalchemy import text

from bn_aura_pipelines.database.connections import Database
from bn_aura_pipelines.database.view_files import get_view
from bn_aura_pipelines.database.views import build
from bn_aura_pipelines.models.leads.scoring import score
from bn_aura_pipelines_tests.models.leads.leadbook import CLINIC, START, open_clinic, write_leads

AS_OF = START + timedelta(days=100)
STAR, STEADY, IDLE = (str(uuid.UUID(int=n)) for n in (71, 72, 73))


def built(database: Database, mart: str) -> list[Any]:
    with database.begin(AS_OF) as connection:
        score(connection)
        build(connection, [get_view("aura_marts.lead_board"), get_view(mart)])
        return list(connection.execute(text(f"select * from {mart}")))


def hire(database: Database) -> None:
    with database.begin() as connection:
        for person in (STAR, STEADY, IDLE):
            connection.execute(
                text("insert into public.users (id, email, clinic_id) values (:id, :email, :clinic)"),
                {"id": person, "email": f"{person}@example.test", "clinic": CLINIC},
            )


def outcomes(person: str, wins: int, losses: int) -> list[dict[str, Any]]:
    decided = {"sales_user_id": person, "updated_at": START + timedelta(days=9)}
    return [{**decided, "status": "won"}] * wins + [{**decided, "status": "lost"}] * losses


def test_three_won_leads_make_nobody_a_star(database: Database) -> None:
    open_clinic(database)
    hire(database)
    write_leads(
        database,
        [*outcomes(STAR, 3, 0), *outcomes(STEADY, 120, 180), {"sales_user_id": IDLE, "created_at": START}],
    )
    rows = {str(row.sales_user_id): row for row in built(database, "aura_marts.staff_performance")}
    star, steady, idle = rows[STAR], rows[STEADY], rows[IDLE]
    assert (star.win_rate, star.wins, steady.wins, idle.decided_leads) == (1.0, 3, 120, 0)
    assert star.adjusted_win_rate < 0.5 and star.adjusted_low < steady.adjusted_win_rate < star.adjusted_high
    assert steady.adjusted_high - steady.adjusted_low < (star.adjusted_high - star.adjusted_low) / 1.5
    assert abs(steady.adjusted_win_rate - 0.4) < 0.03
    assert idle.win_rate is None and idle.adjusted_low < steady.adjusted_win_rate < idle.adjusted_high
    assert idle.open_leads == 1 and idle.expected_wins_30d > 0


def test_the_map_counts_every_open_lead_once_and_adds_up_to_the_board(database: Database) -> None:
    open_clinic(database)
    write_leads(
        database,
        [
            {"estimated_value": value, "metadata": {"scoring": {"engagement": points}} if points is not None else {}}
            for value in (None, 4999, 5000, 60_000)
            for points in (None, 0, 12, 25)
        ]
        + [{"status": "won", "updated_at": START + timedelta(days=1)}],
    )
    rows = built(database, "aura_marts.win_probability_map")
    cells = {(row.engagement_band, row.value_band): row for row in rows}
    assert sum(row.leads for row in rows) == 16
    assert {band for band, _ in cells} == {"unknown", "0-4", "10-14", "20-25"}
    assert {band for _, band in cells} == {"unknown", "under 5k", "5k-10k", "50k and more"}
    assert cells["10-14", "unknown"].expected_value_thb is None
    with database.begin() as connection:
        board = connection.execute(
            text("select sum(win_probability::numeric), sum(expected_value_thb) from aura_marts.lead_board")
        ).one()
    assert abs(sum(row.expected_wins for row in rows) - float(board[0])) < 1e-4
    assert sum(row.expected_value_thb or 0 for row in rows) == board[1]
