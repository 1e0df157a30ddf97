"""A page for somebody signed in: who asks, of which clinic, and who works there."""

from __future__ import annotations

from typing import cast

from fastapi import FastAPI
from starlette.requests import Request

from bn_aura_pipelines.dashboard.asking import Asking
from bn_aura_pipelines.dashboard.figures import BY_NAME
from bn_aura_pipelines.dashboard.rendering import View, public_view

PEOPLE = "aura_marts.staff_members"
MOST_PEOPLE = 200


async def open_view(request: Request) -> tuple[View, Asking]:
    """The view and what it asks with. Raises HTTPException 401 where nobody has signed in."""
    api = cast(FastAPI, request.app.state.api)
    reader = await api.state.house.access.reader(request)
    asking = Asking(api, request, reader)
    view = public_view(request)
    view.asking = asking
    view.columns = await asking.columns()
    clinic = (await asking.figure(BY_NAME["clinic"])).row
    view.clinic = view.both(clinic, "name") or clinic.get("clinic_code", "")
    people = await asking.page("/v1/staff-members", PEOPLE, limit=MOST_PEOPLE)
    view.people = {row["user_id"]: row["full_name"] for row in people.rows if row["full_name"]}
    asking.answers.clear()
    return view, asking
