"""What is known of a lead in its first days, and what the board says should be done next."""

from __future__ import annotations

import math
import uuid
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from bn_aura_pipelines.database.connections import Database
from bn_aura_pipelines.database.view_files import get_view
from bn_aura_pipelines.database.views import build
from bn_aura_pipelines_tests.models.leads.leadbook import CLINIC, START, lead_id, open_clinic, write_leads

AS_OF = START + timedelta(days=60)
SELLERS = [str(uuid.UUID(int=70 + number)) for number in range(2)]
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def read_facts(database: Database, columns: str) -> list[Any]:
    with database.begin(AS_OF) as connection:
        return list(connection.execute(text(f"select {columns} from aura_features.lead_facts order by lead_id")))


def hire(database: Database) -> None:
    with database.begin() as connection:
        for number, seller in enumerate(SELLERS):
            connection.execute(
                text("insert into public.users (id, email) values (:id, :email)"),
                {"id": seller, "email": f"seller{number}@clinic.test"},
            )


def test_staff_load_counts_the_leads_of_the_thirty_days_before_and_no_later_ones(database: Database) -> None:
    open_clinic(database)
    hire(database)
    days = {0: 0, 1: 10, 2: 29, 3: 45, 4: 46}
    leads = [{"sales_user_id": SELLERS[0], "created_at": START + day * DAY} for day in days.values()]
    leads += [{"sales_user_id": SELLERS[1], "created_at": START + 46 * DAY}, {"sales_user_id": None}]
    write_leads(database, leads)
    assert [row[0] for row in read_facts(database, "staff_load_30d")] == [0, 1, 2, 1, 2, 0, None]


def test_the_time_to_the_first_contact_ends_after_three_days_and_is_unknown_before(database: Database) -> None:
    open_clinic(database)
    late = AS_OF - DAY
    leads = [
        {"last_contacted_at": START + 2 * HOUR},
        {"last_contacted_at": START + 200 * HOUR},
        {"last_contacted_at": None},
        {"created_at": late, "last_contacted_at": None},
        {"created_at": late, "last_contacted_at": late - DAY},
        {"created_at": late, "last_contacted_at": AS_OF + HOUR},
    ]
    write_leads(database, leads)
    assert [row[0] for row in read_facts(database, "response_hours")] == [2, 72, 72, None, None, None]


def test_the_season_is_the_bangkok_day_of_the_lead(database: Database) -> None:
    open_clinic(database)
    write_leads(database, [{"created_at": START - timedelta(minutes=1)}, {"created_at": START}])
    sine = [row[0] for row in read_facts(database, "season_sin")]
    assert sine == pytest.approx([math.sin(2 * math.pi * day / 365.25) for day in (365, 1)])


@pytest.mark.parametrize(
    ("lead", "score", "priority", "action"),
    [
        ({"status": "new"}, 20, "high", "Make first contact today"),
        ({"status": "qualified", "last_contacted_at": AS_OF - DAY}, 80, "high", "Offer an appointment now"),
        ({"status": "qualified", "last_contacted_at": AS_OF - 15 * DAY}, 60, "medium", "Nobody spoke for two weeks"),
        ({"status": "negotiation", "last_contacted_at": AS_OF - DAY}, 20, "high", "Ask for the decision"),
        ({"status": "contacted", "last_contacted_at": AS_OF - DAY}, 60, "medium", "Send a proposal"),
        ({"status": "contacted", "last_contacted_at": AS_OF - DAY}, 20, "low", "Keep informed"),
    ],
)
def test_the_board_says_what_to_do_next_and_how_soon(
    database: Database, lead: dict[str, Any], score: int, priority: str, action: str
) -> None:
    open_clinic(database)
    write_leads(database, [lead])
    category = "hot" if score >= 75 else "warm" if score >= 50 else "cold"
    with database.begin(AS_OF) as connection:
        connection.execute(
            text(
                "insert into aura_models.lead_scores (lead_id, clinic_id, model_version, win_probability, win_low,"
                " win_high, score, category, confidence, completeness, reasons_en, reasons_th)"
                " values (:lead, :clinic, 0, :p, :p, :p, :score, :category, 1, 1, 'x', 'x')"
            ),
            {"lead": lead_id(0), "clinic": CLINIC, "p": score / 100, "score": score, "category": category},
        )
        build(connection, [get_view("aura_marts.lead_board")])
        row = connection.execute(text("select * from aura_marts.lead_board")).one()
    assert row.priority == priority and row.suggested_action_en.startswith(action)
    assert any("\u0e00" <= letter <= "\u0e7f" for letter in row.suggested_action_th)
    assert float(row.expected_value_thb) == pytest.approx(score / 100 * 5000)
