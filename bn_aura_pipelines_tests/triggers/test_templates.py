"""Every packaged template, as people see it: in both languages, on a phone and on a desk."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser

from bn_aura_pipelines.triggers.rendering import PACKAGED, check_template, render_letter, render_notice

SOURCES = {path.name.removesuffix(".jinja"): path.read_text("utf-8") for path in sorted(PACKAGED.glob("*.*.jinja"))}
TEMPLATES = {name: source for name, source in SOURCES.items() if not name.startswith("layout.")}
LETTERS = {name: source for name, source in TEMPLATES.items() if "block html" in source}
SEVERAL_LINES = "ก" * 60
LINK = "https://aura.example/unsubscribe/" + "A" * 64


def test_each_is_there_in_both_languages() -> None:
    names = {name.rsplit(".", 1)[0] for name in TEMPLATES}
    assert set(TEMPLATES) == {f"{name}.{language}" for name in names for language in ("th", "en")}
    assert len(names) == 7 and len(LETTERS) == 6


@pytest.mark.parametrize("name", TEMPLATES)
def test_each_passes_the_check_that_those_of_ones_own_must_pass(name: str) -> None:
    check_template(name, TEMPLATES[name], name in LETTERS)


@pytest.mark.parametrize("name", sorted(set(TEMPLATES) - set(LETTERS)))
def test_a_notice_fits_the_applications_columns(name: str) -> None:
    notice = render_notice(TEMPLATES[name], 87.4)
    assert 5 < len(notice.title) <= 200 and "87" in notice.message


@pytest.mark.parametrize("name", LETTERS)
def test_a_letter_is_readable_on_a_phone_and_on_a_desk(name: str, browser: Browser) -> None:
    language = name.rsplit(".", 1)[1]
    letter = render_letter(LETTERS[name], language, f"<i>{SEVERAL_LINES}", "Aura & Co", LINK)
    for width, height in ((360, 740), (1280, 800)):
        page = browser.new_page(viewport={"width": width, "height": height})
        page.set_content(letter.html)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        sizes = page.evaluate(
            "[...document.querySelectorAll('p, td')].map(e => parseFloat(getComputedStyle(e).fontSize))"
        )
        assert min(sizes) >= 13
        assert page.evaluate("document.documentElement.lang") == language
        assert page.locator("a").get_attribute("href") == LINK and page.locator("i").count() == 0
        assert f"<i>{SEVERAL_LINES}" in page.inner_text("body") and "Aura & Co" in page.inner_text("body")
        page.close()
