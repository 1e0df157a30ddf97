"""The dashboard as people use it: in Chromium, by eye, by keyboard, without scripts, and while things happen."""

from __future__ import annotations

import itertools

import pytest
import sqlalchemy
from playwright.sync_api import Browser, Page, expect

from bn_aura_pipelines.database.connections import Database
from bn_aura_pipelines_tests.dashboard.conftest import SIAM, THONGLOR, key_of
from bn_aura_pipelines_tests.dashboard.pages import VIEWS
from bn_aura_pipelines_tests.dashboard.walking import Look, addresses, signed_in_page, walk

TOAST_MS = 5_000
GONE_MS = 30_000
NOTIFY = """
    insert into aura_marts.notifications (
        clinic_id, event_id, type, subject_type, subject_id, title_en, title_th, message_en, message_th, priority
    )
    select id, gen_random_uuid(), 'hot_lead', 'lead', gen_random_uuid(), 'A hot lead', 'ลีดร้อน', :text, :text, 1
    from public.clinics where clinic_code = :clinic
"""


@pytest.fixture(scope="module")
def key(shown: Database) -> str:
    return key_of(shown, SIAM, "personal")


def test_no_view_has_a_grave_fault_sticks_out_or_is_complained_about(address: str, key: str, browser: Browser) -> None:
    """Each view in one of the ways; `bn-aura bench dashboard` looks at every view in every way."""
    ways = itertools.cycle([("en", 1440, "light"), ("th", 390, "dark"), ("th", 768, "light"), ("en", 390, "dark")])
    with signed_in_page(browser, address, key) as page:
        seen = walk(page, [Look(view, *way) for view, way in zip(VIEWS, ways, strict=False)])
    assert [fault for one in seen for fault in one.faults] == []


def test_everything_can_be_reached_by_keyboard(address: str, key: str, browser: Browser) -> None:
    context = browser.new_context(base_url=address)
    page = context.new_page()
    page.goto("/dashboard/sales")
    page.keyboard.type(key)  # the field has the focus
    page.keyboard.press("Enter")
    expect(page.locator(".tabs")).to_be_visible()  # the page to sign in has the same address
    page.wait_for_function("() => document.readyState === 'complete'")
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    press_until(page, ".tabs a[href$='/staff']")
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text("Staff performance")
    expect(page.locator("main")).to_be_focused()
    press_until(page, ".def")
    page.keyboard.press("Enter")
    expect(page.locator("[popover]:popover-open")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("[popover]:popover-open")).to_have_count(0)
    press_until(page, ".rows summary")
    page.keyboard.press("Enter")
    expect(page.locator("table[data-figure='staff']")).to_be_visible()
    press_until(page, ".menu summary")
    page.keyboard.press("Enter")
    press_until(page, ".menu button[value='th']")
    page.keyboard.press("Enter")
    expect(page.locator("html")).to_have_attribute("lang", "th")
    expect(page.locator("h1")).to_have_text("ผลงานพนักงาน")
    context.close()


def press_until(page: Page, selector: str, most: int = 120) -> None:
    """Tab until an element of this kind has the focus; past the end of the page it goes on at its start."""
    for _ in range(most):
        page.keyboard.press("Tab")
        if page.evaluate("(selector) => document.activeElement?.matches(selector)", selector):
            return
    raise AssertionError(f"{selector} cannot be reached by keyboard")


def test_without_scripts_the_tables_and_further_pages_are_there(address: str, key: str, browser: Browser) -> None:
    with signed_in_page(browser, address, key, java_script_enabled=False) as page:
        for view, path in addresses(page).items():
            page.goto(f"/dashboard{path}")
            for table in page.locator("details.rows").all():
                table.locator("summary").click()
                expect(table.locator("table")).to_be_visible()
                assert table.locator("tbody tr").count() > 0, view
        page.goto("/dashboard/customers")
        first = page.locator("a.who").first.get_attribute("href")
        page.click("[data-more]")
        assert page.locator("a.who").first.get_attribute("href") != first
        page.locator(".menu summary").click()
        page.click("button[value='dark']")
        expect(page.locator("html")).to_have_attribute("data-theme", "dark")


def test_lists_load_on_while_scrolling(address: str, key: str, browser: Browser, shown: Database) -> None:
    with shown.begin() as connection:
        query = (
            "select count(*) from aura_marts.customer_360 join public.clinics on clinics.id = clinic_id"
            f" where clinic_code = '{SIAM}'"
        )
        total = connection.execute(sqlalchemy.text(query)).scalar_one()
    with signed_in_page(browser, address, key) as page:
        page.goto("/dashboard/customers")
        rows = page.locator("a.who")
        while page.locator("[data-more]").count():
            before = rows.count()
            page.evaluate("scrollTo(0, document.body.scrollHeight)")
            page.wait_for_function("(n) => document.querySelectorAll('a.who').length > n", arg=before)
            page.wait_for_function("() => !document.querySelector('.more[aria-busy=true]')")
        links = [link.get_attribute("href") for link in rows.all()]
        assert len(links) == len(set(links)) == total > 100


def test_news_becomes_a_toast_and_only_of_the_own_clinic(
    address: str, key: str, browser: Browser, shown: Database
) -> None:
    with signed_in_page(browser, address, key) as page:
        expect(page.locator("#present li")).to_have_count(1)  # the stream is open
        with shown.begin() as connection:
            for clinic, text in ((THONGLOR, "not ours"), (SIAM, "<b onclick=alert(1)>call</b> now")):
                connection.execute(sqlalchemy.text(NOTIFY), {"clinic": clinic, "text": text})
        toast = page.locator(".toast")
        expect(toast).to_have_count(1, timeout=TOAST_MS)
        expect(toast).to_contain_text("<b onclick=alert(1)>call</b> now")
        expect(page.locator("#news li")).to_have_count(1)
        page.get_by_role("button", name="Dismiss").click()
        expect(toast).to_have_count(0)
        page.reload()
        expect(page.locator("#news li")).to_contain_text("<b onclick=alert(1)>call</b> now")
        expect(page.locator(".toast")).to_have_count(0)


def test_two_people_see_each_other_until_one_leaves(address: str, key: str, browser: Browser, shown: Database) -> None:
    other_key = key_of(shown, SIAM)
    foreign = key_of(shown, THONGLOR)
    with signed_in_page(browser, address, key) as page, signed_in_page(browser, address, foreign) as stranger:
        expect(page.locator("#present li")).to_have_count(1)
        with signed_in_page(browser, address, other_key) as colleague:
            expect(page.locator("#present li")).to_have_count(2)
            expect(colleague.locator("#present li")).to_have_count(2)
        expect(page.locator("#present li")).to_have_count(1, timeout=GONE_MS)
        expect(stranger.locator("#present li")).to_have_count(1)


def test_the_last_view_stays_when_the_next_cannot_be_had(address: str, key: str, browser: Browser) -> None:
    with signed_in_page(browser, address, key) as page:
        page.goto("/dashboard/sales")
        rows = page.locator(".funnel tbody tr").count()
        page.route("**/dashboard/voice", lambda route: route.fulfill(status=503, body="away"))
        page.click(".rooms a[href$='/voice']")
        expect(page.locator("#notice")).to_contain_text("the last one stays")
        assert page.locator(".funnel tbody tr").count() == rows
        page.context.set_offline(True)
        page.click(".tabs a[href$='/cohorts']")
        expect(page.locator("#notice")).to_contain_text("the last one stays")
        assert page.url.endswith("/sales") and page.locator(".funnel tbody tr").count() == rows
        page.context.set_offline(False)
        page.click(".tabs a[href$='/cohorts']")
        expect(page.locator("h1")).to_have_text("Cohorts")
        page.go_back()
        expect(page.locator("h1")).to_have_text("Funnel and forecast")


def test_a_page_is_printed_without_its_controls(address: str, key: str, browser: Browser) -> None:
    with signed_in_page(browser, address, key) as page:
        page.goto("/dashboard/sales")
        page.emulate_media(media="print")
        expect(page.locator(".rooms")).to_be_hidden()
        expect(page.locator(".funnel")).to_be_visible()
