"""What a page asks for when it opens, and what it leaves until somebody gets there."""

from __future__ import annotations

import re

import pytest

from apps.lab.ui.scripts import SCRIPTS
from tests.browser.harness.view import look_at_all

AUDITOR = "unlearning-auditor"
A_MOMENT_MS = 700  # for a request that should not come: on a slow machine it may be missed, never made up
FULL = "document.querySelector('.gb-status')?.dataset.tone === 'recorded' && document.querySelectorAll('.gb-live .main-svg').length > 1"
NO_LIST = "!document.querySelector('[role=listbox]')"
FETCHED = """(part) => performance.getEntriesByType('resource').filter((one) => one.name.includes(part))
    .map((one) => [one.name.split('/').at(-1), one.transferSize])"""


@pytest.fixture
def asked(lab_engine, monkeypatch) -> list[tuple[str, str]]:
    """(probe, model) of every question put to the engine."""
    found, probe = [], lab_engine.probe

    def listening(name, config, **more):
        found.append((name, config.get("model")))
        return probe(name, config, **more)

    monkeypatch.setattr(lab_engine, "probe", listening)
    return found


def test_the_desks_ask_once_and_only_when_somebody_gets_there(visitor, asked):
    page = visitor().open(AUDITOR)
    page.wait_for_function(FULL)
    page.wait_for_timeout(A_MOMENT_MS)
    assert asked == []
    page.locator("#ask-answer").scroll_into_view_if_needed()
    page.wait_for_selector("#ask-answer .gb-answer >> nth=1")
    page.wait_for_timeout(A_MOMENT_MS)
    assert len(asked) == len(set(asked)) == page.locator("#ask-answer .gb-answer").count()
    page.get_by_role("tab", name="Look inside one question").click()  # asks nothing until somebody presses
    page.wait_for_selector("#inside-press")
    page.wait_for_timeout(A_MOMENT_MS)
    assert len(asked) == len(set(asked))


def test_the_desk_of_the_chain_looks_once_and_only_when_somebody_gets_there(visitor, asked):
    page = visitor().open("cot-energy")
    page.wait_for_function(FULL)
    page.wait_for_timeout(A_MOMENT_MS)
    assert asked == []
    page.locator("#closely-answer").scroll_into_view_if_needed()
    page.wait_for_selector("#changed-answer table")
    page.wait_for_timeout(A_MOMENT_MS)
    assert sorted(name for name, _ in asked) == ["reasoning/corrupt", "reasoning/energy"]


def test_a_page_asks_for_everything_at_once_and_a_second_look_fetches_nothing_again(visitor):
    one, logs = visitor(), []
    one.context.on("request", lambda request: logs.append(request.url) if "/events?" in request.url else None)
    page = one.open("soft-token-bench")
    page.wait_for_function(FULL)
    header = page.evaluate("fetch(location.href).then((answer) => answer.headers.get('link'))")
    far = "[...document.querySelectorAll('.gb-live .gb-plot')].filter((one) => one.getBoundingClientRect().top > 2 * innerHeight)"
    assert page.evaluate(f"{far}.length") > page.evaluate(f"{far}.filter((one) => one.querySelector('.main-svg')).length")
    look_at_all(page)  # and what stands far below is drawn when somebody comes near
    needed = {name for name, _ in page.evaluate(FETCHED, SCRIPTS) if name.endswith((".js", ".css"))}
    assert len(needed) > 10 and needed == set(re.findall(r"/([\w.-]+)>", header))
    assert len(logs) == 1  # the recorded run, which the page asked for before its scripts were there
    again = one.open(AUDITOR)
    again.wait_for_function(FULL)
    assert [name for name, size in again.evaluate(FETCHED, SCRIPTS) if size and name in needed] == []


def test_a_link_shows_nothing_before_its_settings_stand_in_the_controls(visitor):
    one, held, shown = visitor(), [], []
    one.context.route("**/gradio_api/run/predict**", lambda route: route.continue_() if shown else held.append(route))
    page = one.open(f"{AUDITOR}?steps=7")
    page.wait_for_selector(".gb-status")
    page.wait_for_timeout(A_MOMENT_MS)
    assert page.locator(".gb-status").get_attribute("data-tone") != "recorded" and held
    shown.append(True)
    for route in held:
        route.continue_()
    page.wait_for_function(FULL)
    assert page.locator("#field-steps input[type=number]").input_value() == "7"


def test_a_list_closes_behind_whoever_leaves_it_and_keeps_the_place_of_the_keyboard(visitor):
    page = visitor().open(AUDITOR)
    page.wait_for_function(FULL)
    for drawer in page.locator(".gb-form .gb-drawer-handle:visible").all():
        drawer.click()
    lists = page.locator(".gb-form input[role=combobox]:visible")
    assert lists.count() > 2
    for number in range(lists.count()):
        one = lists.nth(number)
        one.focus()
        page.wait_for_function("document.activeElement.ariaExpanded === 'true'")
        page.keyboard.press("Tab")  # to the next field, not into the list or nowhere
        page.wait_for_function(NO_LIST)
        page.wait_for_timeout(100)
        assert page.evaluate(f"({NO_LIST}) && document.activeElement !== document.body")
        one.focus()
        page.keyboard.press("ArrowDown")
        page.keyboard.press("Enter")
        page.wait_for_function(f"({NO_LIST}) && document.activeElement.role === 'combobox'")
    one.blur()
    one.focus()
    page.wait_for_function("document.activeElement.ariaExpanded === 'true'")
    page.locator(".gb-live .main-svg").first.dispatch_event("pointerdown")  # a picture takes no focus
    page.wait_for_function(NO_LIST)
