"""Templates to pages: what every page knows of its reader, its language and theme, and the definitions it shows."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import jinja2
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from bn_aura_pipelines.api.columns import Column
from bn_aura_pipelines.dashboard import drawing, formats
from bn_aura_pipelines.dashboard.asking import Answer, Asking
from bn_aura_pipelines.dashboard.cookies import LANGUAGE, THEME, cookies_of, name_of
from bn_aura_pipelines.dashboard.figures import BY_NAME

HERE = Path(__file__).resolve().parent
STATIC = HERE / "static"
LANGUAGES = ("en", "th")
THEMES = ("auto", "light", "dark")
MARTS = "aura_marts."
KEPT_SECONDS = 365 * 24 * 3600


@dataclass
class View:
    """One page for one reader. `definitions`: those that the page shows, by id: label, words and their language."""

    request: Request
    language: str
    theme: str
    asking: Asking | None = None
    clinic: str = ""
    name: str = ""
    people: dict[str, str] = field(default_factory=dict)
    columns: dict[str, tuple[Column, ...]] = field(default_factory=dict)
    definitions: dict[str, tuple[str, str, str]] = field(default_factory=dict)

    def t(self, text: str) -> str:
        """An English text in the language of the page."""
        return thai().get(text, text) if self.language == "th" else text

    def label(self, column: str) -> str:
        """A column's or value's short name."""
        return self.t(LABELS.get(column) or column.replace("_", " ").removesuffix(" thb").capitalize())

    def word(self, value: object) -> str:
        """A word that a mart holds, such as a stage, as people say it."""
        return NOTHING if value in (None, "") else self.label(str(value))

    def define(self, relation: str, column: str) -> str:
        """Show the definition of a column on this page: the id of its element, empty where the mart has none."""
        found = next((one.about for one in self.columns.get(relation, ()) if one.name == column), "")
        if not found:
            return ""
        name = f"def-{relation.removeprefix(MARTS)}-{column}"
        said = self.t(found)
        self.definitions[name] = (self.label(column), said, "en" if said == found else self.language)
        return name

    def both(self, row: dict[str, Any], column: str) -> str:
        """The column that a mart holds in both languages, in that of the page."""
        return row.get(f"{column}_{self.language}") or row.get(f"{column}_en") or ""

    def worded(self, values: Sequence[str]) -> list[tuple[str, str]]:
        """Values and how people say them: what one may choose from."""
        return [(value, self.word(value)) for value in values]

    def named(self, rows: Sequence[dict[str, Any]], column: str) -> list[tuple[str, str]]:
        """The same of a column's values."""
        return self.worded([row[column] for row in rows])

    def subject(self, row: dict[str, Any]) -> str:
        """The page about whom a decision or notification is."""
        rooms = {"customer": "/dashboard/customers/", "lead": "/dashboard/sales/leads/"}
        room, subject = rooms.get(row["subject_type"] or ""), row["subject_id"]
        return f"{room}{subject}" if room and subject else ""

    def person(self, user: str | None) -> str:
        """Somebody of the clinic's staff by id."""
        if user is None:
            return self.t("Nobody")
        name = self.people.get(user, "…")
        return f"{name}{user[-4:]}" if name.endswith("…") else name

    def link(self, path: str, **given: object) -> str:
        """An address of the dashboard with what is asked there."""
        asked = {name: value for name, value in given.items() if value not in (None, "")}
        return f"/dashboard{path}" + (f"?{urlencode(asked)}" if asked else "")

    def show(self, column: str, value: Any) -> str:
        """A value of a mart's column as people read it."""
        return formats.shown(column, value, self.language)

    @property
    def here(self) -> str:
        """This page's own address."""
        url = self.request.url
        return url.path + (f"?{url.query}" if url.query else "")

    @property
    def built(self) -> list[Answer]:
        """The answers on this page that have a date."""
        return [one for one in (self.asking.answers if self.asking else []) if one.as_of]

    @property
    def as_of(self) -> datetime | None:
        """The moment that the oldest part of the page is about."""
        return min((one.as_of for one in self.built if one.as_of), default=None)

    @property
    def stale(self) -> bool:
        return any(one.stale for one in self.built)


NOTHING = formats.NOTHING
LABELS: dict[str, str] = json.loads((HERE / "labels.json").read_text("utf-8"))


@lru_cache(maxsize=1)
def thai() -> dict[str, str]:
    """English texts in Thai."""
    return json.loads((HERE / "thai.json").read_text("utf-8"))


def public_view(request: Request) -> View:
    """A page for whoever it is: language and theme, and nobody's data."""
    cookies = cookies_of(request.scope)
    language = cookies.get(LANGUAGE)
    if language not in LANGUAGES:
        language = "th" if request.headers.get("accept-language", "").lower().startswith("th") else "en"
    theme = cookies.get(THEME)
    return View(request, language, theme if theme in THEMES else THEMES[0], name=name_of(request))


@lru_cache(maxsize=1)
def environment() -> jinja2.Environment:
    """The templates; everything is escaped, and a name that does not exist is an error."""
    loader = jinja2.FileSystemLoader(HERE / "templates")
    found = jinja2.Environment(
        loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    found.globals |= {"asset": _asset, "drawing": drawing, "figures": BY_NAME, "NOTHING": NOTHING}
    found.filters |= {"number": formats.number, "baht": formats.baht, "percent": formats.percent}
    return found


def render(view: View, template: str, code: int = 200, /, **context: object) -> HTMLResponse:
    """The page. Times, days and amounts are said in its language."""
    language = view.language
    said: dict[str, object] = {
        "view": view,
        "t": view.t,
        "language": language,
        "day": lambda value: formats.day(value, language),
        "month": lambda value: formats.month(value, language),
        "short_day": lambda value: formats.short_day(value, language),
        "moment": lambda value: formats.moment(value, language),
        "short_baht": lambda value: formats.short_baht(value, language),
    }
    page = environment().get_template(template).render(**said, **context)
    return HTMLResponse(page, code, headers={"Content-Language": language})


@lru_cache
def _asset(name: str) -> Markup:
    """The address of a file of ours, which changes when the file does."""
    mark = hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:10]
    return Markup(f"/dashboard/static/{name}?{mark}")


class PersistentFiles(StaticFiles):
    """Files whose address names their content: kept by browsers for good."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        answer = await super().get_response(path, scope)
        if answer.status_code == 200 and scope["query_string"]:
            answer.headers["Cache-Control"] = f"public, max-age={KEPT_SECONDS}, immutable"
        return answer
