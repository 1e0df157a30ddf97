"""The columns of the marts as the database has them: what is selected, and the types that the document shows."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from bn_aura_pipelines.api.connections import Connections

REMEMBERED_SECONDS = 30.0
JSON_TYPES: dict[str, dict[str, Any]] = {
    "uuid": {"type": "string", "format": "uuid", "examples": ["5f0c2b7e-3c1a-4b0e-9d55-0a8f6f1f2c11"]},
    "date": {"type": "string", "format": "date", "examples": ["2026-06-01"]},
    "timestamptz": {"type": "string", "format": "date-time", "examples": ["2026-06-01T09:30:00+07:00"]},
    "bool": {"type": "boolean"},
    "int2": {"type": "integer"},
    "int4": {"type": "integer"},
    "int8": {"type": "integer"},
    "float4": {"type": "number"},
    "float8": {"type": "number"},
    "numeric": {"type": "number"},
    "text": {"type": "string"},
}


class NotBuilt(Exception):
    """A relation does not stand yet; its name is the message."""


@dataclass(frozen=True)
class Column:
    """A column of a mart: its name, PostgreSQL type and comment."""

    name: str
    type: str
    about: str

    @property
    def schema(self) -> dict[str, Any]:
        """As JSON schema. Anything may be null: what is not known is not made up."""
        kind = dict(JSON_TYPES.get(self.type, {}))
        if "type" in kind:
            kind["type"] = [kind["type"], "null"]
        return {**kind, "description": self.about} if self.about else kind


class Columns:
    """Columns of every relation of `aura_marts`, read again every half minute or when they proved to be others.

    `known`: as they were when last asked for.
    """

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self.known: dict[str, tuple[Column, ...]] = {}
        self._until = 0.0

    def forget(self) -> None:
        """Ask the database the next time."""
        self._until = 0.0

    async def of(self, relation: str) -> tuple[Column, ...]:
        """Its columns in order. Raises NotBuilt."""
        found = (await self.all()).get(relation)
        if found is None:
            raise NotBuilt(relation)
        return found

    async def all(self) -> dict[str, tuple[Column, ...]]:
        """`schema.name` of each relation that stands, and its columns in order."""
        if time.monotonic() >= self._until:
            rows = await self._connections.fetch(
                "select c.oid::regclass::text as relation, a.attname, t.typname,"
                " coalesce(col_description(c.oid, a.attnum), '') as about"
                " from pg_class c join pg_attribute a on a.attrelid = c.oid join pg_type t on t.oid = a.atttypid"
                " where c.relnamespace = 'aura_marts'::regnamespace and c.relkind in ('r', 'p', 'v')"
                " and a.attnum > 0 and not a.attisdropped order by c.oid, a.attnum"
            )
            relations: dict[str, list[Column]] = {}
            for row in rows:
                column = Column(row["attname"], row["typname"], row["about"])
                relations.setdefault(row["relation"], []).append(column)
            self.known = {name: tuple(columns) for name, columns in relations.items()}
            self._until = time.monotonic() + REMEMBERED_SECONDS
        return self.known
