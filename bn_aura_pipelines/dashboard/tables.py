"""Every figure as a CSV: the rows that its chart is drawn from."""

from __future__ import annotations

import csv
import io

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bn_aura_pipelines.dashboard.figures import BY_NAME, Figure
from bn_aura_pipelines.dashboard.opening import open_view

BYTE_ORDER_MARK = "\ufeff"
FORMULA = ("=", "+", "-", "@", "\t", "\r")
LONGEST_SOURCE = 200


def allowed(request: Request, figure: Figure, name: str) -> str:
    """What is asked of a figure, or its default where that is not allowed."""
    given = request.query_params.get(name, "")
    return given if given in figure.arguments[name] else figure.arguments[name][0]


async def _csv(request: Request) -> Response:
    figure = BY_NAME.get(request.path_params["figure"])
    if figure is None:
        raise HTTPException(404)
    _, asking = await open_view(request)
    given: dict[str, object] = {name: allowed(request, figure, name) for name in figure.arguments}
    if "source" in given:
        given["source"] = request.query_params.get("source", "")[:LONGEST_SOURCE].replace("\0", "")
    answer = await asking.figure(figure, **given)
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(figure.columns)
    writer.writerows([_cell(row[column]) for column in figure.columns] for row in answer.rows)
    return Response(
        BYTE_ORDER_MARK + out.getvalue(),
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{figure.name}.csv"'},
    )


def _cell(value: object) -> object:
    """A value as a spreadsheet may have it: a text that looks like a formula stays a text."""
    if isinstance(value, list):
        value = " | ".join(str(one) for one in value)
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value


ROUTES = [Route("/csv/{figure}", _csv)]
