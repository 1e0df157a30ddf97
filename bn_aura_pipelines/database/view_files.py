"""Reads `dbt_like_views/`: one `select` a file, its name and folder are the relation's name, a header says the rest.

A line of description; `materialized: view | table`; `key:`, `owner:`, `index:`, `test:`; `replaces:`, the condition on
the rows that a build replaces where it is not all of them; `refresh: COLUMN by RELATION`, see `refreshing`; `group:`,
where the UI shows it if not with its folder; and a line per column, which becomes the column's comment. sqlglot reads
from the SQL what a view depends on. Building is done in `views`.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import cached_property, lru_cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from psycopg import sql

from bn_aura_pipelines.errors import UserError
from bn_aura_pipelines.settings import PROJECT_ROOT

VIEWS = PROJECT_ROOT / "dbt_like_views"
DIRECTIVES = {"materialized", "key", "owner", "index", "test", "kinds", "replaces", "refresh", "group"}
HEADER_ENTRY = re.compile(r"^-- (?P<name>[a-z_0-9]+): (?P<value>.*)$")


class ViewError(UserError):
    """A file of dbt_like_views cannot be read or built."""


@dataclass(frozen=True)
class View:
    """One file: its relation, its header and its `select`."""

    schema: str
    name: str
    path: Path
    description: str
    directives: tuple[tuple[str, str], ...]
    columns: tuple[tuple[str, str], ...]
    query: str

    @property
    def relation(self) -> str:
        return f"{self.schema}.{self.name}"

    @property
    def identifier(self) -> sql.Identifier:
        return sql.Identifier(self.schema, self.name)

    def values(self, directive: str) -> list[str]:
        """Every value of a directive that may stand several times (`index`, `test`)."""
        return [value for name, value in self.directives if name == directive]

    def value(self, directive: str, default: str = "") -> str:
        return next(iter(self.values(directive)), default)

    @property
    def materialized(self) -> str:
        return self.value("materialized", "view")

    @property
    def key(self) -> list[str]:
        return [part.strip() for part in self.value("key").split(",") if part.strip()]

    @cached_property
    def refresh(self) -> tuple[str, str] | None:
        """The column by whose values the table is refreshed, and the relation that holds their versions."""
        column, _, relation = self.value("refresh").partition(" by ")
        return (column, relation) if relation else None

    @property
    def owner(self) -> str:
        return self.value("owner", "data")

    @cached_property
    def dependencies(self) -> frozenset[str]:
        """`schema.name` of every relation that the query reads or the table refreshes by. Raises ViewError on a syntax
        error."""
        return _dependencies(self) | ({self.refresh[1]} if self.refresh else set())

    @property
    def definition_hash(self) -> str:
        return hashlib.sha256(repr((self.query, self.directives, self.columns)).encode()).hexdigest()


@lru_cache(maxsize=8)
def load_views(folder: Path = VIEWS) -> tuple[View, ...]:
    """Every view below `folder`, dependencies first. Raises ViewError naming file and line."""
    views = {view.relation: view for view in map(_read, sorted(folder.glob("*/*.sql")))}
    graph = {name: view.dependencies & views.keys() for name, view in views.items()}
    try:
        order = list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        circle = " -> ".join(str(views[name].path.relative_to(folder)) for name in error.args[1])
        raise ViewError(f"The views depend on each other in a circle: {circle}.") from error
    return tuple(views[name] for name in order)


def get_view(relation: str) -> View:
    """The view of that `schema.name`."""
    return next(view for view in load_views() if view.relation == relation)


def _read(path: Path) -> View:
    lines = path.read_text("utf-8").splitlines()
    body = next((number for number, line in enumerate(lines) if not line.startswith("--")), len(lines))
    entries: list[tuple[str, str]] = []
    for line in lines[:body]:
        match = HEADER_ENTRY.match(line)
        if match:
            entries.append((match["name"], match["value"].strip()))
        else:  # the description, or the next line of the entry above
            name, text = entries.pop() if entries else ("", "")
            entries.append((name, f"{text} {line.removeprefix('--').strip()}".strip()))
    description = next((text for name, text in entries if not name), "")
    directives = [entry for entry in entries if entry[0] in DIRECTIVES]
    columns = [entry for entry in entries if entry[0] and entry[0] not in DIRECTIVES]
    view = View(
        schema=f"aura_{path.parent.name}",
        name=path.stem,
        path=path,
        description=description,
        directives=tuple(directives),
        columns=tuple(columns),
        # The header keeps its place as blank lines, so that an error's line is the file's line.
        query="\n" * body + "\n".join(lines[body:]).rstrip().rstrip(";"),
    )
    if view.materialized not in ("view", "table"):
        raise ViewError(f"{path}: materialized is view or table, not {view.materialized!r}.")
    if view.materialized == "table" and not view.key:
        raise ViewError(f"{path}: a table needs a line `-- key: columns`.")
    if view.value("refresh") and (not view.refresh or view.refresh[0] not in view.key):
        raise ViewError(f"{path}: write `-- refresh: COLUMN by SCHEMA.RELATION` with a column of the key.")
    return view


def _dependencies(view: View) -> frozenset[str]:
    import sqlglot
    from sqlglot import exp
    from sqlglot.errors import ParseError

    try:
        tree = sqlglot.parse_one(view.query, read="postgres")
    except ParseError as error:
        first = error.errors[0]
        raise ViewError(f"{view.path}:{first['line']}: {first['description']}") from error
    return frozenset(f"{table.db}.{table.name}" for table in tree.find_all(exp.Table) if table.db)
