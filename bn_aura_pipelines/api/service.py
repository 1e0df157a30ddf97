"""About the service itself: whether it lives, whether it can answer, how fresh the tables are, its metrics."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Request, Response
from pydantic import AwareDatetime, BaseModel

from bn_aura_pipelines.api.document import CLINIC, PROBLEMS, SECURITY, responses
from bn_aura_pipelines.api.reading import house_of, parameters
from bn_aura_pipelines.api.watching import Metrics


class Status(BaseModel):
    """The one word that a load balancer reads."""

    status: str


class Freshness(BaseModel):
    """One table: the moment it is about, when it was built, whether that is longer ago than it should be."""

    relation: str
    as_of: AwareDatetime
    materialized_at: AwareDatetime
    stale: bool


class FreshnessList(BaseModel):
    """Every table that was built."""

    items: list[Freshness]


def add_service(app: FastAPI, metrics: Metrics) -> None:
    """Add these routes to the application."""

    @app.get("/healthz", tags=["service"], summary="Whether the process lives")
    async def healthz() -> Status:
        return Status(status="ok")

    @app.get("/readyz", tags=["service"], summary="Whether the database answers", responses=_problem(503))
    async def readyz(request: Request) -> Status:
        await house_of(request).connections.fetchval("select 1")
        return Status(status="ok")

    @app.get("/metrics", tags=["service"], summary="Counts and times for Prometheus", response_class=Response)
    async def numbers() -> Response:
        content, media_type = metrics.text()
        return Response(content, media_type=media_type)

    @app.get(
        "/v1/freshness",
        tags=["service"],
        summary="The moment that each table is about, and when it was built",
        openapi_extra={
            "parameters": [CLINIC],
            "security": SECURITY,
            "responses": responses("FreshnessList", (404, 409)),
        },
    )
    async def freshness(request: Request) -> FreshnessList:
        house = house_of(request)
        await house.access.reader(request)
        parameters(request, ())
        rows = await house.connections.fetch(
            "select relation, as_of, materialized_at, materialized_at < now() - make_interval(hours => $1) as stale"
            " from aura_ops.materializations order by relation",
            house.stale_hours,
        )
        return FreshnessList(items=[Freshness(**dict(row)) for row in rows])


def _problem(status: int) -> dict[int | str, dict[str, Any]]:
    return {status: {"description": PROBLEMS[status]}}
