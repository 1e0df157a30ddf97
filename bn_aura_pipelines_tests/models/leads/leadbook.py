"""A small clinic whose leads tests write by hand."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np
from sqlalchemy import text

from bn_aura_pipelines.database.connections import Database
from bn_aura_pipelines.database.view_files import load_views
from bn_aura_pipelines.database.views import build
from bn_aura_pipelines.sources.relations import build_source_relations

CLINIC = str(uuid.UUID(int=1))
START = datetime.fromisoformat("2026-01-01T00:00:00+07:00")


def lead_id(number: int) -> str:
    return str(uuid.UUID(int=1000 + number))


def open_clinic(database: Database) -> None:
    """The clinic, and the views that leads are read through."""
    with database.begin(START) as connection:
        connection.execute(
            text("insert into public.clinics (id, clinic_code, display_name) values (:id, 'TEST', '{}')"),
            {"id": CLINIC},
        )
        build_source_relations(connection)
        build(connection, [view for view in load_views() if view.schema in ("aura_staging", "aura_features")])


def write_leads(database: Database, leads: Sequence[Mapping[str, Any]]) -> None:
    """Insert leads; what a mapping does not say is ordinary."""
    rows = [
        {
            "id": lead_id(number),
            "clinic_id": CLINIC,
            "sales_user_id": None,
            "name": f"Lead {number}",
            "email": "",
            "status": "new",
            "source": "website",
            "estimated_value": 5000,
            "metadata": {},
            "last_contacted_at": None,
            "created_at": START,
            **lead,
        }
        for number, lead in enumerate(leads)
    ]
    for row in rows:
        row.setdefault("updated_at", row["created_at"])
        row["metadata"] = json.dumps(row["metadata"])
    with database.begin() as connection:
        connection.execute(
            text(
                "insert into public.sales_leads (id, clinic_id, sales_user_id, name, email, status, source,"
                " estimated_value, metadata, last_contacted_at, created_at, updated_at)"
                " values (:id, :clinic_id, :sales_user_id, :name, :email, :status, :source, :estimated_value,"
                " cast(:metadata as jsonb), :last_contacted_at, :created_at, :updated_at)"
            ),
            rows,
        )


def draw_leads(decided: int, waiting: int, seed: int = 1) -> list[dict[str, Any]]:
    """Leads of half a year; budget and job tell something, and two fields are only filled in after the outcome."""
    from datetime import timedelta

    rng = np.random.default_rng(seed)
    leads = []
    for number in range(decided + waiting):
        is_open = number >= decided
        budget, job = float(rng.integers(0, 26)), str(rng.choice(["nurse", "teacher", "student"]))
        won = rng.random() < 1 / (1 + np.exp(-(0.25 * (budget - 16) + 1.2 * (job == "nurse"))))
        created = START + timedelta(days=160 * number / decided if not is_open else 165 + number - decided)
        attributes: dict[str, Any] = {"job": job, "budgetPoints": budget}
        if not is_open:
            attributes["closing_note"] = str(rng.choice(["paid", "deposit"] if won else ["gone", "too dear"]))
            attributes["days_worked"] = float(rng.integers(1, 30))
        leads.append(
            {
                "status": ("won" if won else "lost") if not is_open else "qualified",
                "metadata": {"attributes": attributes},
                "created_at": created,
                "updated_at": created + timedelta(days=float(rng.uniform(1, 10))) if not is_open else created,
            }
        )
    return leads
