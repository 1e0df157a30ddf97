"""Sales: funnel and forecast, cohorts, the win-probability map, staff, and the leads themselves."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bn_aura_pipelines.dashboard.figures import BY_NAME
from bn_aura_pipelines.dashboard.opening import open_view
from bn_aura_pipelines.dashboard.rendering import render
from bn_aura_pipelines.dashboard.tables import allowed

LEADS = "aura_marts.lead_board"
CATEGORIES = ("hot", "warm", "cold")
STAGES = ("new", "contacted", "qualified", "proposal_sent", "negotiation")
ENGAGEMENT = ("20-25", "15-19", "10-14", "5-9", "0-4", "unknown")
VALUES = ("under 5k", "5k-10k", "10k-20k", "20k-50k", "50k and more", "unknown")
MEASURES = ("retention", "revenue")
PAGE = 50


async def _funnel(request: Request) -> Response:
    view, asking = await open_view(request)
    months = allowed(request, BY_NAME["funnel"], "months")
    days = allowed(request, BY_NAME["forecast-by-stage"], "days")
    sources = await asking.figure(BY_NAME["sources"], months=months)
    source = request.query_params.get("source", "")
    if source not in {row["source"] for row in sources.rows}:
        source = ""
    return render(
        view,
        "sales_funnel.html",
        tab="funnel",
        months=months,
        days=days,
        source=source,
        sources=sources,
        funnel=await asking.figure(BY_NAME["funnel"], months=months, source=source),
        forecast=await asking.figure(BY_NAME["forecast"]),
        by_stage=await asking.figure(BY_NAME["forecast-by-stage"], days=days),
    )


async def _cohorts(request: Request) -> Response:
    view, asking = await open_view(request)
    months = allowed(request, BY_NAME["cohorts"], "months")
    measure = request.query_params.get("measure")
    answer = await asking.figure(BY_NAME["cohorts"], months=months)
    cohorts: dict[str, dict[int, dict[str, Any]]] = {}
    for row in answer.rows:
        cohorts.setdefault(row["cohort_month"], {})[row["month_number"]] = row
    return render(
        view,
        "sales_cohorts.html",
        tab="cohorts",
        months=months,
        measure=measure if measure in MEASURES else MEASURES[0],
        answer=answer,
        cohorts=cohorts,
    )


async def _map(request: Request) -> Response:
    view, asking = await open_view(request)
    answer = await asking.figure(BY_NAME["win-map"])
    cells = {(row["engagement_band"], row["value_band"]): row for row in answer.rows}
    return render(view, "sales_map.html", tab="map", answer=answer, cells=cells, engagement=ENGAGEMENT, values=VALUES)


async def _staff(request: Request) -> Response:
    view, asking = await open_view(request)
    return render(view, "sales_staff.html", tab="staff", answer=await asking.figure(BY_NAME["staff"]))


async def _leads(request: Request) -> Response:
    view, asking = await open_view(request)
    given = {name: request.query_params.get(name, "") for name in ("category", "stage")}
    order = "date" if request.query_params.get("order") == "date" else "score"
    answer = await asking.page(
        "/v1/leads", LEADS, order=order, limit=PAGE, cursor=request.query_params.get("cursor"), **given
    )
    return render(
        view,
        "sales_leads.html",
        tab="leads",
        answer=answer,
        given=given | {"order": order},
        choices={"category": CATEGORIES, "stage": STAGES},
    )


async def _lead(request: Request) -> Response:
    view, asking = await open_view(request)
    try:
        UUID(request.path_params["lead"])
    except ValueError as error:
        raise HTTPException(404) from error
    answer = await asking.page(f"/v1/leads/{request.path_params['lead']}", LEADS)
    return render(view, "lead.html", tab="leads", answer=answer)


ROUTES = [
    Route("/sales", _funnel),
    Route("/sales/cohorts", _cohorts),
    Route("/sales/map", _map),
    Route("/sales/staff", _staff),
    Route("/sales/leads", _leads),
    Route("/sales/leads/{lead}", _lead),
]
