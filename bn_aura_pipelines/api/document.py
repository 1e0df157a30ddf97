"""The OpenAPI document: parameters from `resources`, types and words of the fields from the database's columns."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from fastapi import FastAPI

from bn_aura_pipelines.api.columns import Column
from bn_aura_pipelines.api.problems import content
from bn_aura_pipelines.api.resources import RESOURCES, Resource

KINDS: dict[str, dict[str, Any]] = {
    "int": {"type": "integer", "format": "int32"},
    "numeric": {"type": "number"},
    "uuid": {"type": "string", "format": "uuid", "examples": ["5f0c2b7e-3c1a-4b0e-9d55-0a8f6f1f2c11"]},
    "text": {"type": "string", "maxLength": 200},
    "date": {"type": "string", "format": "date", "examples": ["2026-06-01"]},
    "timestamptz": {"type": "string", "format": "date-time", "examples": ["2026-06-01T09:30:00+07:00"]},
}
PROBLEMS = {
    401: "No key or token that holds",
    403: "The credential does not reach this far",
    404: "The clinic has no such row",
    409: "The table has not been built: the problem names the command",
    422: "A parameter that cannot be read",
    429: "Asked too often; Retry-After says when to come back",
    503: "The database is away; Retry-After says when to come back",
}
EXAMPLES = Path(__file__).with_name("examples.json")
"""A row of each relation of `aura_marts`, as the sample clinic had it: nobody's data."""
TAGS = {
    "customers": "What is known of each customer, what happened, and what to do next.",
    "leads": "Who is not a customer yet, and how likely it is.",
    "search": "Conversations, customers and leads by meaning, by spelling or both.",
    "analytics": "How the clinic does: funnel, cohorts, forecast, sales people, what customers say.",
    "triggers": "Which messages the rules asked for, what became of them, and whether they help.",
    "notifications": "News for the people of the clinic: as a list, and as they come.",
    "models": "Which models score, why they were chosen, and how right people found them.",
    "clinic": "The clinic, its people and the state of its data.",
    "service": "For those who run it.",
}
DESCRIPTION = """
Materialized results of the pipelines, read-only.

**Access**: `Authorization: Bearer` with a key of `bn-aura api-key create` or a Supabase token. It sees its own clinic
and nothing else; one of several clinics names it in `X-Clinic-Id`. Names, e-mails and phones are masked without the
scope `personal`.

**Pages**: a list answers with `items` and `next`. Ask again with `cursor` set to `next`; `null` was the last page.

**Freshness**: every answer says the moment that it is about (`as_of`), when it was built (`materialized_at`) and
whether that is too long ago (`stale`). Send its `ETag` back as `If-None-Match`: as long as nothing was built, the
answer is 304.

**Problems** are `application/problem+json` with a `code` that stays the same while words may change.
"""
ABOUT: dict[str, Any] = {
    "as_of": {**KINDS["timestamptz"], "description": "The moment that the figures are about."},
    "materialized_at": {**KINDS["timestamptz"], "description": "When the oldest table was built."},
    "stale": {"type": "boolean", "examples": [False], "description": "Whether that is longer ago than it should be."},
}


def page_document(resource: Resource) -> dict[str, Any]:
    """What one list takes and how it answers."""
    given: list[dict[str, Any]] = []
    if resource.parent:
        given.append(parameter(resource.parent_key, KINDS["uuid"], "Whose rows.", "path"))
    given.append(
        parameter("limit", {"type": "integer", "minimum": 1, "maximum": 200, "default": 50}, "Most rows of a page.")
    )
    given.append(parameter("cursor", {"type": "string", "maxLength": 500}, "`next` of the page before."))
    if len(resource.orders) > 1:
        names = [name for name, _ in resource.orders]
        given.append(parameter("order", {"type": "string", "enum": names, "default": names[0]}, "What comes first."))
    given += [parameter(filter_.name, KINDS[filter_.kind], _words(filter_.operator)) for filter_ in resource.filters]
    return {"parameters": [*given, CLINIC], "responses": responses(f"{_title(resource)}Page"), "security": SECURITY}


def item_document(resource: Resource) -> dict[str, Any]:
    """What one row takes and how it answers."""
    assert resource.item is not None
    given = parameter("key", KINDS[resource.item[1]], resource.item[0], "path")
    return {"parameters": [given, CLINIC], "responses": responses(f"{_title(resource)}Item"), "security": SECURITY}


def responses(schema: str, without: tuple[int, ...] = (), media_type: str = "application/json") -> dict[str, Any]:
    """A 200 of this schema, and every problem there may be."""
    found: dict[str, Any] = {
        "200": {
            "description": "As asked",
            "content": {media_type: {"schema": {"$ref": f"#/components/schemas/{schema}"}}},
        },
        "304": {"description": "As the client has it"},
    }
    found |= {str(status): _problem(status, words) for status, words in PROBLEMS.items()}
    return {status: answer for status, answer in found.items() if int(status) not in without}


def _problem(status: int, words: str) -> dict[str, Any]:
    example = content(status, words.partition("; ")[0] + ".")
    schema = {"$ref": "#/components/schemas/Problem"}
    return {"description": words, "content": {"application/problem+json": {"schema": schema, "example": example}}}


def describe(app: FastAPI, relations: dict[str, tuple[Column, ...]]) -> dict[str, Any]:
    """The whole document. Fields of a relation that does not stand yet are left open."""
    from fastapi.openapi.utils import get_openapi

    document = get_openapi(
        title=app.title,
        version=app.version,
        description=DESCRIPTION.strip(),
        routes=app.routes,
        tags=[{"name": name, "description": about} for name, about in TAGS.items()],
    )
    items = {"type": "array", "items": {"$ref": "#/components/schemas/Hit"}}
    hits = _object({**ABOUT, "items": items}, {"items"})
    schemas: dict[str, Any] = {"Problem": PROBLEM, "Hit": HIT, "Hits": hits, "Event": {"type": "string"}}
    for resource in RESOURCES:
        title = _title(resource)
        schemas[title] = _row(resource.relation, relations, {"clinic_id"})
        schemas[f"{title}Page"] = _object(
            {
                **ABOUT,
                "items": {"type": "array", "items": {"$ref": f"#/components/schemas/{title}"}},
                "next": {"type": ["string", "null"], "description": "Asks for the next page as `cursor`."},
            },
            {"items", "next"},
        )
        if resource.item:
            parts: dict[str, Any] = {}
            for part in resource.parts:
                row = _row(part.relation, relations, {"clinic_id", resource.item[0]})
                parts[part.name] = {"type": "array", "items": row}
            fields = {**ABOUT, "item": {"$ref": f"#/components/schemas/{title}"}, **parts}
            schemas[f"{title}Item"] = _object(fields, {"item", *parts})
    components = document.setdefault("components", {})
    components["schemas"] = {**components.get("schemas", {}), **schemas}
    components["securitySchemes"] = {
        "bearer": {"type": "http", "scheme": "bearer", "description": "A key of `bn-aura api-key create`, or a token."}
    }
    for path in document["paths"].values():
        for operation in path.values():
            # The framework's own idea of a wrong parameter; ours is a problem like the others.
            if "HTTPValidationError" in str(operation.get("responses", {}).get("422", "")):
                del operation["responses"]["422"]
    for name in ("HTTPValidationError", "ValidationError"):
        components["schemas"].pop(name, None)
    return document


@cache
def _examples() -> dict[str, dict[str, Any]]:
    return json.loads(EXAMPLES.read_text())


def _row(relation: str, relations: dict[str, tuple[Column, ...]], without: set[str]) -> dict[str, Any]:
    columns = relations.get(relation, ())
    fields = _object({column.name: column.schema for column in columns if column.name not in without}, set())
    example = _examples().get(relation.removeprefix("aura_marts."), {})
    return fields | {"examples": [{name: value for name, value in example.items() if name not in without}]}


def _object(properties: dict[str, Any], required: set[str]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, **({"required": sorted(required)} if required else {})}


def parameter(name: str, schema: dict[str, Any], about: str, place: str = "query") -> dict[str, Any]:
    """One parameter of an operation."""
    return {"name": name, "in": place, "required": place == "path", "schema": schema, "description": about}


def _words(operator: str) -> str:
    return {
        "=": "Exactly this.",
        ">=": "This or more.",
        "contains": "Contains this, in either case.",
        "addressed": "Addressed to this user or to everybody; with a user's token always that user.",
    }[operator]


def _title(resource: Resource) -> str:
    words = resource.name.replace(f"{{{resource.parent_key}}}", "").replace("/", "-").split("-")
    return "".join(word.capitalize() for word in words)


PROBLEM = _object(
    {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string", "description": "Stays the same while words may change.", "examples": ["not_found"]},
        "detail": {"type": "string"},
    },
    {"type", "title", "status", "code", "detail"},
)
HIT: dict[str, Any] = _object(
    {
        "entity": {"type": "string", "enum": ["conversation", "customer", "lead"]},
        "entity_id": {"type": "string", "format": "uuid"},
        "score": {"type": "number", "description": "What the hits are ordered by; comparable within one answer only."},
        "similarity": {"type": ["number", "null"], "description": "The cosine, where vectors were compared."},
        "semantic_rank": {"type": ["integer", "null"], "description": "Its place by meaning, from 1."},
        "lexical_rank": {"type": ["integer", "null"], "description": "Its place by spelling, from 1."},
        "snippet": {"type": "string", "description": "The part that fits best, redacted."},
    },
    {"entity", "entity_id", "score", "snippet"},
) | {
    "examples": [
        {
            "entity": "conversation",
            "entity_id": "3802fc4a-8cea-4f0a-b411-ab5aeff1fc0c",
            "score": 0.0325,
            "similarity": 0.71,
            "semantic_rank": 2,
            "lexical_rank": 1,
            "snippet": "Is the redness after the laser normal on the third day?",
        }
    ]
}
CLINIC: dict[str, Any] = {
    "name": "X-Clinic-Id",
    "in": "header",
    "required": False,
    "schema": {"type": "string", "format": "uuid"},
    "description": "Which clinic, for a credential that belongs to several.",
}
SECURITY = [{"bearer": []}]
