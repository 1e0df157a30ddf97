"""Customers: the list with its filters and search, and a customer's own page."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bn_aura_pipelines.dashboard.asking import Answer, Asking, Refused
from bn_aura_pipelines.dashboard.opening import open_view
from bn_aura_pipelines.dashboard.rendering import render

MART = "aura_marts.customer_360"
LEVELS = ("high", "medium", "low")
STATUSES = ("active", "inactive", "blacklisted")
VALUES = ("5000", "20000", "50000")
PAGE = 50
HITS = 12
TIMELINE = "aura_marts.customer_timeline"
ACTIONS = "aura_marts.next_best_actions"
RECOMMENDATIONS = "aura_marts.treatment_recommendations"
NETWORK = {
    "similar": ("similar", "aura_marts.similar_customers"),
    "referrals": ("network", "aura_marts.customer_referrals"),
}


async def _list(request: Request) -> Response:
    view, asking = await open_view(request)
    given = {name: request.query_params.get(name, "").strip() for name in ("churn_level", "status", "min_ltv_thb")}
    given["order"] = "churn" if request.query_params.get("order") == "churn" else "risk"
    text, meaning = request.query_params.get("text", "").strip(), request.query_params.get("by") == "meaning"
    cursor = request.query_params.get("cursor")
    problem, snippets = "", {}
    try:
        if text and meaning:
            answer, snippets = await _found(asking, text)
        else:
            answer = await asking.page("/v1/customers", MART, text=text, cursor=cursor, limit=PAGE, **given)
    except Refused as refused:
        if refused.status not in (403, 409, 422):
            raise
        answer, problem = Answer(MART), refused.detail
    return render(
        view,
        "customers.html",
        answer=answer,
        given=given | {"text": text, "by": "meaning" if meaning else "name"},
        problem=problem,
        snippets=snippets,
        choices={"churn_level": LEVELS, "status": STATUSES, "min_ltv_thb": VALUES},
    )


async def _found(asking: Asking, text: str) -> tuple[Answer, dict[str, str]]:
    """Customers by meaning, best first, and the words that were found."""
    body = await asking.get("/v1/search/customers", q=text[:2000], limit=HITS)
    hits = body["items"]
    pages = await asyncio.gather(*(_one(asking, hit["entity_id"]) for hit in hits))
    known = [page for page in pages if page]
    front = known[0] if known else Answer(MART)
    rows = [page.row for page in known]
    answer = Answer(MART, rows, None, front.as_of, front.materialized_at, front.stale)
    return answer, {hit["entity_id"]: hit["snippet"] for hit in hits}


async def _one(asking: Asking, customer: str) -> Answer | None:
    """A customer that a search found; the table of customers may not have it yet."""
    try:
        return await asking.page(f"/v1/customers/{customer}", MART)
    except Refused as refused:
        if refused.status != 404:
            raise
        return None


async def _customer(request: Request) -> tuple[Any, Asking, Answer]:
    view, asking = await open_view(request)
    try:
        UUID(request.path_params["customer"])
    except ValueError as error:
        raise HTTPException(404) from error
    return view, asking, await asking.page(f"/v1/customers/{request.path_params['customer']}", MART)


async def _overview(request: Request) -> Response:
    view, _, customer = await _customer(request)
    return render(view, "customer.html", customer=customer, tab="overview")


async def _timeline(request: Request) -> Response:
    view, asking, customer = await _customer(request)
    events = await _below(asking, request, "timeline", TIMELINE, cursor=request.query_params.get("cursor"), limit=30)
    return render(view, "customer_timeline.html", customer=customer, tab="timeline", events=events)


async def _insights(request: Request) -> Response:
    view, asking, customer = await _customer(request)
    recommendations = await _below(asking, request, "recommendations", RECOMMENDATIONS)
    return render(
        view,
        "customer_insights.html",
        customer=customer,
        tab="insights",
        actions=await _action(asking, request.path_params["customer"]),
        recommendations=recommendations,
    )


async def _action(asking: Asking, customer: str) -> Answer:
    """What to do next for a customer; no row where nothing was thought about this one."""
    if ACTIONS not in await asking.columns():
        return Answer(ACTIONS, missing=True)
    try:
        return await asking.page(f"/v1/next-best-actions/{customer}", ACTIONS)
    except Refused as refused:
        if refused.status != 404:
            raise
        return Answer(ACTIONS)


async def _network(request: Request) -> Response:
    view, asking, customer = await _customer(request)
    answers = {name: await _below(asking, request, *where) for name, where in NETWORK.items()}
    return render(view, "customer_network.html", customer=customer, tab="network", **answers)


async def _below(asking: Asking, request: Request, name: str, relation: str, **given: object) -> Answer:
    """What the API lists below a customer."""
    if relation not in await asking.columns():
        return Answer(relation, missing=True)
    return await asking.page(f"/v1/customers/{request.path_params['customer']}/{name}", relation, **given)


ROUTES = [
    Route("/customers", _list),
    Route("/customers/{customer}", _overview),
    Route("/customers/{customer}/timeline", _timeline),
    Route("/customers/{customer}/insights", _insights),
    Route("/customers/{customer}/network", _network),
]
