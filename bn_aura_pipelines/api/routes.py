"""Routes over the marts: each entry of `resources` becomes a list, and where it has a key a single row."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Coroutine
from functools import cached_property
from typing import Any
from uuid import UUID

from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.routing import APIRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from bn_aura_pipelines.api.document import item_document, page_document
from bn_aura_pipelines.api.problems import problem_of
from bn_aura_pipelines.api.queries import item_query, page_query
from bn_aura_pipelines.api.reading import house_of, parameters, whole_number
from bn_aura_pipelines.api.resources import RESOURCES, Order, Resource

Handler = Callable[[Request], Coroutine[Any, Any, Response]]

PAGE = 50
LARGEST_PAGE = 200
LONGEST_VALUE = 200


class _Plain(APIRoute):
    """Its handler takes the request as it is: there are no arguments to read off its signature for every request."""

    def get_route_handler(self) -> Handler:
        return self.endpoint


class Direct:
    """ASGI middleware that hands a request for a resource to its handler. The way there through the framework's router,
    which stays for all else, costs as much as the answer itself (measured)."""

    def __init__(self, app: ASGIApp, api: FastAPI) -> None:
        self._app = app
        self._api = api

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        found = self._find(scope["path"]) if scope["type"] == "http" and scope["method"] == "GET" else None
        if found is None:
            await self._app(scope, receive, send)
            return
        scope["route"], scope["path_params"] = found
        request = Request(scope, receive)
        try:
            response = await found[0].endpoint(request)
        except Exception as error:
            response = await problem_of(self._api, request, error)
        await response(scope, receive, send)

    def _find(self, path: str) -> tuple[APIRoute, dict[str, str]] | None:
        route = self._fixed.get(path)
        if route:
            return route, {}
        for route in self._with_keys:
            match = route.path_regex.match(path)
            if match:
                return route, match.groupdict()
        return None

    @cached_property
    def _fixed(self) -> dict[str, APIRoute]:
        return {route.path: route for route in self._routes if not route.param_convertors}

    @cached_property
    def _with_keys(self) -> list[APIRoute]:
        return [route for route in self._routes if route.param_convertors]

    @property
    def _routes(self) -> list[APIRoute]:
        return [route for route in self._api.routes if isinstance(route, _Plain)]


def add_resources(app: FastAPI) -> None:
    """Add every resource of `resources` to the application."""
    for resource in RESOURCES:
        path = f"/v1/{resource.name}"
        named = resource.name.replace("/", "_").replace("{", "").replace("}", "").replace("-", "_")
        app.router.add_api_route(
            path,
            _page(resource),
            methods=["GET"],
            tags=[resource.tag],
            summary=resource.about,
            operation_id=f"list_{named}",
            response_class=Response,
            openapi_extra=page_document(resource),
            route_class_override=_Plain,
        )
        if resource.item:
            app.router.add_api_route(
                f"{path}/{{key}}",
                _item(resource),
                methods=["GET"],
                tags=[resource.tag],
                summary=_one(resource),
                operation_id=f"get_{named}",
                response_class=Response,
                openapi_extra=item_document(resource),
                route_class_override=_Plain,
            )


def _one(resource: Resource) -> str:
    parts = " and ".join(part.name.replace("_", " ") for part in resource.parts)
    return f"One row of {resource.name}" + (f", with {parts}" if parts else "")


def _page(resource: Resource) -> Handler:
    orders = dict(resource.orders)
    default = resource.orders[0][0]
    filters = {filter_.name for filter_ in resource.filters}
    addressed = {filter_.name for filter_ in resource.filters if filter_.operator == "addressed"}
    known = ["limit", "cursor", *(["order"] if len(orders) > 1 else []), *filters]

    async def page(request: Request) -> Response:
        house = house_of(request)
        reader = await house.access.reader(request)
        arguments: dict[str, Any] = dict(parameters(request, known))
        named = arguments.pop("order", default)
        if named not in orders:
            raise HTTPException(422, f"order is one of {', '.join(orders)}.")
        order = orders[named]
        arguments["limit"] = whole_number(arguments.pop("limit", str(PAGE)), "limit", LARGEST_PAGE)
        cursor = arguments.pop("cursor", None)
        if cursor is not None:
            arguments["after"] = _decode(order, cursor)
        for name in filters.intersection(arguments):
            if len(arguments[name]) > LONGEST_VALUE:
                raise HTTPException(422, f"{name} has at most {LONGEST_VALUE} characters.")
        if reader.user is not None:
            arguments |= {name: str(reader.user) for name in addressed}
        given = frozenset(filters.intersection(arguments))
        for filter_ in resource.filters:
            if filter_.name in given and filter_.column in resource.personal and not reader.personal:
                # Otherwise what is masked could be found out letter by letter.
                raise HTTPException(403, f"{filter_.name} needs a key with the scope personal.")
        if resource.parent:
            arguments[resource.parent_key] = request.path_params[resource.parent_key]
        columns = tuple(column.name for column in await house.columns.of(resource.relation))
        query = page_query(resource, columns, order, given, cursor is not None, reader.personal)
        answer = await house.answer(request, reader, resource.relations, query, arguments)
        if answer is None:
            raise _missing()
        if resource.about_people:
            key = arguments.get(resource.parent_key)
            house.audit.note(reader, resource.name, UUID(key) if key else None)
        return answer

    return page


def _item(resource: Resource) -> Handler:
    async def item(request: Request) -> Response:
        house = house_of(request)
        reader = await house.access.reader(request)
        parameters(request, ())
        key = request.path_params["key"]
        columns = tuple(column.name for column in await house.columns.of(resource.relation))
        query = item_query(resource, columns, reader.personal)
        answer = await house.answer(request, reader, resource.relations, query, {"key": key})
        if answer is None:
            raise _missing()
        if resource.about_people:
            house.audit.note(reader, resource.name, UUID(key))
        return answer

    return item


def _missing() -> HTTPException:
    """The same words for a row of another clinic and for one that nobody has."""
    return HTTPException(404, "This clinic has no such row.")


def _decode(order: Order, cursor: str) -> dict[str, Any]:
    """The order columns of the last row of the page before. Raises HTTPException 422 for anything else."""
    try:
        after = json.loads(base64.b64decode(cursor + "=" * (-len(cursor) % 4), b"-_", validate=True))
    except (binascii.Error, ValueError, RecursionError) as error:
        raise HTTPException(422, "cursor is not one of this API's.") from error
    if not isinstance(after, dict) or set(after) != {name for name, _ in order.columns}:
        raise HTTPException(422, "cursor is not one of this list's: it holds for one list and one order.")
    if not all(isinstance(value, str | int | float) and not isinstance(value, bool) for value in after.values()):
        raise HTTPException(422, "cursor is not one of this list's: it holds for one list and one order.")
    return after
