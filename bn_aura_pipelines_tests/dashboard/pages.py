"""The dashboard's views, and how a test reads a page."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from typing import Any

VIEWS = {
    "now": "/",
    "triggers": "/triggers",
    "trust": "/trust",
    "customers": "/customers",
    "customer": "{customer}",
    "timeline": "{customer}/timeline",
    "insights": "{customer}/insights",
    "network": "{customer}/network",
    "funnel": "/sales",
    "leads": "/sales/leads",
    "lead": "{lead}",
    "map": "/sales/map",
    "cohorts": "/sales/cohorts",
    "staff": "/sales/staff",
    "voice": "/voice",
}
"""Every view by name; a customer's and a lead's need one."""


def first_link(page: str, list_: str) -> str:
    """The address, below /dashboard, of the first row of a list."""
    found = re.search(rf'href="/dashboard({list_}/[0-9a-f-]{{36}})"', page)
    assert found, "the list is empty"
    return found[1]


class Tables(HTMLParser):
    """The figures' tables of a page: rows of values by column."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tables: dict[str, list[dict[str, Any]]] = {}
        self._name: str | None = None
        self._columns: list[str] = []
        self._row: list[Any] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "table":
            self._name, self._columns = given.get("data-figure"), []
            if self._name:
                self.tables[self._name] = []
        elif tag == "th" and given.get("data-column"):
            self._columns.append(given["data-column"] or "")
        elif tag == "tr":
            self._row = []
        elif tag == "td" and "data-value" in given:
            self._row.append(json.loads(given["data-value"] or "null"))

    def handle_endtag(self, tag: str) -> None:
        if tag == "tr" and self._name and self._row:
            self.tables[self._name].append(dict(zip(self._columns, self._row, strict=True)))
        elif tag == "table":
            self._name = None
