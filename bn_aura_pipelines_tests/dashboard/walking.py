"""A walk through every view of the dashboard in a real browser: what axe finds, what the console says, what sticks out
at the side, how long it took, and a picture of each."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page

from bn_aura_pipelines_tests.dashboard.pages import VIEWS

HEIGHT = 900
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
GRAVE = ("serious", "critical")
# Pixels that the page, or a card that does not say so, can be moved sideways.
STICKS_OUT = """
Math.max(0, ...[document.documentElement, ...document.querySelectorAll(".card")].map(
  (one) => one.scrollWidth - one.clientWidth))
"""
# The largest paint and the layout shift of a page, as Lighthouse has them.
PAINT = """
new Promise((resolve) => {
  let shift = 0, paint = 0;
  const watch = (type, see) =>
    new PerformanceObserver((list) => list.getEntries().forEach(see)).observe({ type, buffered: true });
  watch("layout-shift", (one) => { if (!one.hadRecentInput) shift += one.value; });
  watch("largest-contentful-paint", (one) => { paint = one.startTime; });
  setTimeout(() => resolve([paint, shift]), 300);
})
"""


@dataclass(frozen=True)
class Look:
    """One view as somebody sees it."""

    view: str
    language: str
    width: int
    theme: str

    def __str__(self) -> str:
        return f"{self.view}-{self.language}-{self.width}-{self.theme}"


@dataclass
class Seen:
    """What a look found. `axe`: rules broken, with their impact and where; `sticks_out`: pixels beyond the side."""

    look: Look
    status: int
    axe: list[str] = field(default_factory=list)
    grave: list[str] = field(default_factory=list)
    console: list[str] = field(default_factory=list)
    sticks_out: int = 0

    @property
    def faults(self) -> list[str]:
        """What may not be."""
        wrong = [f"answered {self.status}"] if self.status != 200 else []
        wrong += [f"sticks out by {self.sticks_out} px"] if self.sticks_out > 0 else []
        return [f"{self.look}: {one}" for one in (*wrong, *self.grave, *self.console)]


@contextmanager
def signed_in_page(browser: Browser, address: str, key: str, **options: Any) -> Iterator[Page]:
    """A page of a new browser profile, signed in."""
    context = browser.new_context(base_url=address, **options)
    page = context.new_page()
    page.goto("/dashboard/sign-in")
    page.fill("#credential", key)
    page.press("#credential", "Enter")
    page.wait_for_url("**/dashboard/")
    yield page
    context.close()


def addresses(page: Page) -> dict[str, str]:
    """Every view's address, with the first customer and the first lead."""
    found = {}
    for name, list_ in (("customer", "/customers"), ("lead", "/sales/leads")):
        page.goto(f"/dashboard{list_}")
        found[name] = (page.locator("a.who").first.get_attribute("href") or "").removeprefix("/dashboard")
    return {name: path.format(**found) for name, path in VIEWS.items()}


def looks(languages: Sequence[str], widths: Sequence[int], themes: Sequence[str]) -> list[Look]:
    """Every view in every way."""
    return [
        Look(view, language, width, theme)
        for language, theme, width in itertools.product(languages, themes, widths)
        for view in VIEWS
    ]


def walk(page: Page, wanted: Sequence[Look], pictures: Path | None = None) -> list[Seen]:
    """Look at each, with axe, and take its picture where a folder is given."""
    paths = addresses(page)
    seen = []
    for look in wanted:
        dress(page.context, look.language, look.theme)
        page.set_viewport_size({"width": look.width, "height": HEIGHT})
        seen.append(_look(page, look, f"/dashboard{paths[look.view]}"))
        if pictures:
            page.screenshot(path=pictures / f"{look}.png", full_page=True)
    return seen


def dress(context: BrowserContext, language: str, theme: str) -> None:
    """What the person prefers."""
    host = (context.pages[0].url.partition("://")[2].partition("/")[0]).partition(":")[0]
    preferred = (("bna_language", language), ("bna_theme", theme))
    context.add_cookies([{"name": n, "value": v, "domain": host, "path": "/dashboard"} for n, v in preferred])


def _look(page: Page, look: Look, path: str) -> Seen:
    said: list[str] = []

    def listen(message: Any) -> None:
        if message.type in ("error", "warning"):
            said.append(message.text)

    page.on("console", listen)
    answer = page.goto(path)
    seen = Seen(look, answer.status if answer else 0)
    seen.sticks_out = page.evaluate(STICKS_OUT)
    for broken in Axe().run(page, options={"runOnly": RULES, "resultTypes": ["violations"]}).response["violations"]:
        where = "; ".join(" ".join(node["target"]) for node in broken["nodes"][:3])
        words = f"{broken['impact']}: {broken['id']} ({where})"
        (seen.grave if broken["impact"] in GRAVE else seen.axe).append(words)
    page.remove_listener("console", listen)
    seen.console = said
    return seen


def measure(page: Page, path: str) -> tuple[float, float, float, int]:
    """Milliseconds to the largest paint and to the load event, layout shift, and bytes over the wire, with an empty
    cache."""
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    session.send("Network.clearBrowserCache")
    size = 0

    def count(event: dict[str, Any]) -> None:
        nonlocal size
        size += int(event["encodedDataLength"])

    session.on("Network.loadingFinished", count)
    page.goto(path)
    paint, shift = page.evaluate(PAINT)
    loaded = page.evaluate("performance.getEntriesByType('navigation')[0].loadEventEnd")
    session.detach()
    return paint, loaded, shift, size
