"""Voice of customer: sentiment and satisfaction by day, and what customers talk about."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bn_aura_pipelines.dashboard.figures import BY_NAME
from bn_aura_pipelines.dashboard.opening import open_view
from bn_aura_pipelines.dashboard.rendering import render
from bn_aura_pipelines.dashboard.tables import allowed

KINDS = ("positive", "neutral", "negative", "not_analysed", "failed")


async def _voice(request: Request) -> Response:
    view, asking = await open_view(request)
    span = allowed(request, BY_NAME["voice-days"], "days")
    days = await asking.figure(BY_NAME["voice-days"], days=span)
    return render(
        view,
        "voice.html",
        span=span,
        days=days,
        totals={kind: sum(row[kind] for row in days.rows) for kind in KINDS},
        topics=await asking.figure(BY_NAME["voice-topics"]),
    )


ROUTES = [Route("/voice", _voice)]
