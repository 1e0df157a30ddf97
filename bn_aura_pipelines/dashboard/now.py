"""Now: the day's figures and news, what the triggers decided, and how fresh and how good all of it is."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bn_aura_pipelines.dashboard.asking import Answer, Asking
from bn_aura_pipelines.dashboard.figures import BY_NAME
from bn_aura_pipelines.dashboard.opening import open_view
from bn_aura_pipelines.dashboard.rendering import render
from bn_aura_pipelines.dashboard.tables import allowed

NEWS = "aura_marts.notifications"
EVENTS = "aura_marts.trigger_events"
PAGE = 20


async def _news(request: Request) -> Response:
    view, asking = await open_view(request)
    return render(
        view,
        "now.html",
        tab="news",
        news=await _notifications(asking, request.query_params.get("cursor")),
        forecast=await asking.figure(BY_NAME["forecast"]),
        topics=await asking.figure(BY_NAME["voice-topics"]),
        decisions=await asking.figure(BY_NAME["decisions"], days="7"),
        leads=await asking.page("/v1/leads", "aura_marts.lead_board", limit=5),
        present=request.app.state.presence.people(asking.reader.clinic),
    )


async def _notifications(asking: Asking, cursor: str | None) -> Answer:
    return await asking.page("/v1/notifications", NEWS, limit=PAGE, cursor=cursor)


async def _triggers(request: Request) -> Response:
    view, asking = await open_view(request)
    days = allowed(request, BY_NAME["decisions"], "days")
    return render(
        view,
        "triggers.html",
        tab="triggers",
        days=days,
        decisions=await asking.figure(BY_NAME["decisions"], days=days),
        effects=await asking.figure(BY_NAME["effects"]),
        events=await asking.page("/v1/trigger-events", EVENTS, limit=50, cursor=request.query_params.get("cursor")),
    )


async def _trust(request: Request) -> Response:
    view, asking = await open_view(request)
    return render(
        view,
        "trust.html",
        tab="trust",
        models=await asking.figure(BY_NAME["models"]),
        freshness=(await asking.get("/v1/freshness"))["items"],
    )


ROUTES = [Route("/", _news), Route("/triggers", _triggers), Route("/trust", _trust)]
