"""The site as visitors meet it: home, links, two people at once, wrong input, the lesson, narrow and dark, and axe."""

from __future__ import annotations

import re
import time

import pytest

from apps.lab.pages import PAGES, programs
from tests.browser.harness.view import everybody_can_use_it

BUILT = [page.route for page in PAGES if page.built]
AUDITOR = "unlearning-auditor"
SHORT = "subjects=1&actpert=false&audits=[]"  # a run that is over soon
HOSTILE = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script> \u0000\u202e"

def settled(page, tone: str = "done|recorded") -> None:
    page.wait_for_function(f"/^({tone})$/.test(document.querySelector('.gb-status')?.dataset.tone || '')")


def press_run(page) -> None:
    page.get_by_role("button", name="Run", exact=True).click()


def finished(page) -> None:
    page.wait_for_function("document.querySelector('.gb-badge').textContent === 'Finished'")


def run_of(page) -> str:
    return page.evaluate("document.querySelector('[data-run]').dataset.run")


def test_home_has_ten_questions_and_only_built_ones_can_be_opened(visitor):
    page = visitor().open()
    page.wait_for_selector(".gb-card")
    assert page.locator(".gb-card").count() == len(PAGES) == 10
    assert page.locator("a.gb-card").count() == len(BUILT)
    assert page.locator(".gb-card--planned").count() == 10 - len(BUILT)
    assert page.get_by_text("not built yet").count() == 10 - len(BUILT)
    page.wait_for_selector(".gb-shop-item")
    assert page.locator(".gb-shop-item").count() == 3 and page.get_by_role("button", name="Get it: 93 MB").count() == 1
    page.locator("a.gb-card").first.click()
    page.wait_for_selector(".gb-question")
    assert page.url.endswith(BUILT[0])


def test_a_run_started_by_keyboard_is_its_visitors_alone_until_it_is_published(visitor):
    owner, other = visitor(), visitor()
    page = owner.open(f"{AUDITOR}?steps=0&{SHORT}&seed=21")
    settled(page)
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement?.innerText?.trim()") == "Run":
            break
    page.keyboard.press("Enter")
    finished(page)
    run = run_of(page)
    mine = owner.open()
    mine.wait_for_selector(".gb-runs a")
    link = mine.locator(".gb-runs a").first.get_attribute("href")
    assert "seed=21" in link and run in link
    mine.close()  # a tab behind another may stand still
    theirs = other.open()
    theirs.wait_for_selector(".gb-recent")
    assert theirs.locator(".gb-runs").count() == 0
    theirs.close()
    closed = other.open(f"{AUDITOR}?run={run}")
    closed.wait_for_selector(".gb-notice:not([hidden])")
    assert "somebody else" in closed.locator(".gb-notice:visible").inner_text()
    page.get_by_role("button", name="Let others open this link").click()
    page.wait_for_function(f"fetch('lab/runs/{run}').then((a) => a.json()).then((r) => r.published)")
    closed.reload()
    settled(closed)
    assert run_of(closed) == run


@pytest.mark.parametrize("route", ["", programs.ROUTE])
def test_everybody_can_use_it_light_dark_and_on_a_phone(visitor, route):
    """The pages of the papers are looked at in test_eight_checks.py."""
    page = visitor().open(route)
    page.wait_for_selector({"": ".gb-recent", programs.ROUTE: ".gb-bar"}[route])
    everybody_can_use_it(page)


@pytest.mark.parametrize(("query", "words"), [  # more of them in tests/lab/test_links.py
    ("stepz=3", "stepz"), ("model=path/etc", "switched off"), ("run=%3Cscript%3E", "no such run"),
    ("steps=%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E", "steps"),
])
def test_a_wrong_link_says_what_is_wrong_and_shows_the_first_view(visitor, query, words):
    one = visitor()
    page = one.open(f"{AUDITOR}?{query}")
    if query.startswith("model"):
        settled(page)
        press_run(page)
    page.wait_for_selector(".gb-notice:not([hidden])")
    said = page.locator(".gb-notice:visible").first.inner_text()
    assert words in said and "Traceback" not in said
    settled(page)
    assert run_of(page) == f"first-{AUDITOR}"


def test_a_good_run_works_after_a_refused_one(visitor):
    page = visitor().open(f"{AUDITOR}?steps=0&{SHORT}&model=embedded/nobody")
    settled(page)
    press_run(page)
    page.wait_for_selector(".gb-notice:not([hidden])")
    said = page.locator(".gb-notice:visible").first.inner_text()
    assert "nobody" in said and "Traceback" not in said
    assert run_of(page) == f"first-{AUDITOR}"
    page.get_by_role("button", name="Back to defaults").click()
    page.locator(".gb-form .gb-drawer-handle").click()
    page.get_by_label("Look inside (ActPert)").uncheck()
    page.locator("#field-steps input[type=number]").fill("0")
    page.locator("#field-steps input[type=number]").press("Tab")
    press_run(page)
    finished(page)
    assert page.locator(".gb-notice:visible").count() == 0


def test_two_visitors_press_run_together_and_share_one_run(visitor, lab_engine):
    pages = [visitor().open(f"{AUDITOR}?steps=3&{SHORT}&seed=31") for _ in range(2)]
    for page in pages:
        settled(page)
    for page in pages:
        press_run(page)
    for page in pages:
        page.wait_for_function("!document.querySelector('[data-run]').dataset.run.startsWith('first-')")
        settled(page)
    assert run_of(pages[0]) == run_of(pages[1])
    assert len(lab_engine.records.read(run_of(pages[0]))["visitors"]) == 2


def test_a_closed_browser_does_not_stop_its_run_and_a_new_tab_finds_it(visitor, lab_engine):
    one = visitor()
    page = one.open(f"{AUDITOR}?steps=6&{SHORT}&seed=41")
    settled(page)
    press_run(page)
    page.wait_for_function("!document.querySelector('[data-run]').dataset.run.startsWith('first-')")  # a slow browser may see only its end
    run = run_of(page)
    page.close()
    assert lab_engine.wait(run, timeout=120)["outcome"] == "finished"
    again = one.open(f"{AUDITOR}?run={run}")
    settled(again)
    assert run_of(again) == run and len(again.locator(".gb-verdict").inner_text()) > 20


def test_a_reload_in_the_middle_loses_no_event(visitor, lab_engine):
    one = visitor()
    page = one.open(f"{AUDITOR}?steps=25&{SHORT}&seed=51&stop_early=false")
    settled(page)
    press_run(page)
    page.wait_for_function("Number(document.querySelector('[data-events]').dataset.events) > 3")
    run = run_of(page)
    page.goto(f"{one.address}{AUDITOR}?run={run}")
    page.wait_for_function("document.querySelector('[data-run]')?.dataset.run !== ''")
    lab_engine.wait(run, timeout=120)
    settled(page)
    assert int(page.evaluate("document.querySelector('[data-events]').dataset.events")) == len(lab_engine.events(run))


def test_any_question_gets_an_answer_or_a_sentence(visitor):
    page = visitor().open(AUDITOR)
    settled(page)
    page.locator("#ask-answer").scroll_into_view_if_needed()
    page.wait_for_selector("#ask-answer .gb-answer >> nth=1")
    title, box = page.title(), page.get_by_label("Your question")
    for question in ("", HOSTILE, "Ω" * 390, "= 1+1 \" onfocus=alert(1)", "why " * 2500):
        box.fill(question)
        with page.expect_response("**/gradio_api/run/predict**"):
            page.get_by_role("button", name="Ask", exact=True).click()
        page.wait_for_function("(empty) => document.querySelector('#ask-answer').innerText.includes('no question') === empty",
                               arg=not question)
        said = page.locator("#ask-answer").inner_text()
        assert "Traceback" not in said and ("no question" in said) == (not question)
        assert page.locator("#ask-answer img, #ask-answer script").count() == 0
        assert page.title() == title
    assert len(box.input_value()) <= 400 or "400" in said


def test_evidence_shows_every_claim_with_its_threshold(visitor):
    from apps.lab.ui.evidence import aim
    from core.engine import claims

    page = visitor().open(AUDITOR)
    settled(page)
    page.get_by_role("tab", name="Evidence").click()
    table = page.get_by_role("region", name="Claims", exact=True)
    table.wait_for()
    assert table.locator("tbody tr").count() == len(claims.recorded("01"))
    for claim in claims.recorded("01"):
        assert aim(claim) in table.inner_text()
    assert page.get_by_role("region", name="Little model and real model").locator("tbody tr").count() > 1


def test_a_pressed_row_is_asked(visitor):
    page = visitor().open(AUDITOR)
    settled(page)
    page.locator(".gb-fold > summary").last.click()
    row = page.locator(".gb-live .gb-table button:visible").first
    row.scroll_into_view_if_needed()
    words = row.inner_text()
    row.click()
    page.wait_for_function(f"document.querySelector('#ask-question textarea, #ask-question input').value === {words!r}")


def test_the_lesson_asks_locks_counts_runs_and_only_then_explains(visitor):
    one, two = visitor(), visitor()
    explained = ".gb-lesson-explain:visible"
    for person, guess in ((one, 0), (two, 1)):
        page = person.open(AUDITOR)
        settled(page)
        page.get_by_role("tab", name="Lesson").click()
        run = page.get_by_role("button", name="Run it and see").locator("visible=true").first
        options = page.locator(".gb-lesson input[type=radio]:visible")
        options.nth(guess).wait_for()
        assert run.is_disabled()
        options.nth(guess).check()
        page.wait_for_selector(".gb-tally:visible")
        assert "Your guess is locked." in page.locator(".gb-lesson").inner_text() and options.first.is_disabled()
        assert page.locator(explained).count() == page.locator(".gb-tally--right").count() == 0
    counts = page.locator(".gb-tally:visible .gb-tally-count").all_inner_texts()
    assert sum(int(count) for count in counts) == 2
    run.click()
    page.wait_for_function("!document.querySelector('[data-run]').dataset.run.startsWith('first-')")
    settled(page)
    assert len(page.locator(".gb-verdict").inner_text()) > 20
    page.wait_for_selector(explained)
    assert page.locator(explained).count() == 1 and page.locator(".gb-tally--right:visible").count() >= 1


def test_the_worksheet_can_be_printed_and_holds_every_step(visitor):
    one = visitor()
    page = one.open(f"lab/worksheets/{AUDITOR}")
    assert page.locator("section").count() >= 5
    assert page.get_by_role("heading", level=1).inner_text() == "Did it really forget?"
    page.emulate_media(media="print")
    assert not page.locator("#print").is_visible()


def test_stop_leaves_no_half_written_record(visitor, lab_engine):
    page = visitor().open(f"{AUDITOR}?steps=2000&stop_early=false&seed=81")
    settled(page)
    press_run(page)
    page.wait_for_function("document.querySelector('.gb-status').dataset.tone === 'live'")
    run = run_of(page)
    page.get_by_role("button", name="Stop", exact=True).first.click()
    settled(page, "warn")
    deadline = time.monotonic() + 10
    while lab_engine.state(run)["outcome"] == "running" and time.monotonic() < deadline:
        time.sleep(0.05)
    assert lab_engine.state(run)["outcome"] == "cancelled"
    events = lab_engine.events(run)
    assert events[-1]["kind"] == "end" and [e["seq"] for e in events] == list(range(len(events)))
    assert re.search("Stopped", page.locator(".gb-badge").inner_text())
