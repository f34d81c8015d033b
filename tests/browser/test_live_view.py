"""The live view alone, in a real Chromium, against a stand-in for the lab that hands out events when the test says so."""

from __future__ import annotations

import json
import re
from urllib.parse import urlparse

import pytest

from tests.browser.harness.server import FakeLab
from tests.browser.harness.story import HOSTILE, PANELS, lines

CHART = ".gb-panel--chart .gb-plot"
FIGURE = ".gb-panel--figure .gb-plot"


@pytest.fixture(scope="module")
def served(browser):
    """One lab and one browser profile for the file, so that the drawing library is read from the network once."""
    with FakeLab() as running:
        context = browser.new_context(permissions=["clipboard-read", "clipboard-write"])
        context.set_default_timeout(20_000)
        yield running, context
        context.close()


@pytest.fixture
def lab(served):
    running, context = served
    yield running
    running.reset()
    for page in context.pages:
        page.evaluate("localStorage.clear()")
        page.close()


@pytest.fixture
def open_page(served, lab):
    """Opens the page of the harness; afterwards no script may have failed and nothing may have left this machine."""
    errors, outside = [], []

    def watch_request(request) -> None:
        address = urlparse(request.url)
        if address.scheme not in ("data", "blob") and address.netloc != urlparse(lab.url).netloc:
            outside.append(request.url)

    def open_it(query: str = "", width: int = 1280, panels: list[dict] = PANELS[:2]):
        lab.panels = panels
        page = served[1].new_page()
        page.set_viewport_size({"width": width, "height": 900})
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("request", watch_request)
        page.goto(f"{lab.url}?{query}")
        page.wait_for_function("window.ready")
        return page

    yield open_it
    assert errors == []
    assert outside == []


def drawn(page, selector: str = CHART) -> None:
    page.wait_for_selector(f"{selector} .main-svg")


def traces(page, selector: str = CHART) -> dict:
    """The traces of a drawn chart by name, as {"x": [...], "y": [...], "dash": ...}."""
    found = page.evaluate(
        "s => document.querySelector(s).data.filter(d => d.meta !== 'extent')"
        ".map(d => ({name: d.name, x: Array.from(d.x), y: Array.from(d.y), dash: d.line?.dash}))", selector)
    return {trace.pop("name"): trace for trace in found}


def has_points(page, count: int, name: str = "forget loss") -> None:
    page.wait_for_function(f"() => document.querySelector('{CHART}')?.data?.find(d => d.name === '{name}')?.x.length === {count}")


def series(events: list[dict], name: str) -> list[float]:
    return [event["value"] for event in events if event["kind"] == "metric" and event["name"] == name]


def show(page, run: str, **more) -> None:
    page.evaluate("value => window.view.show(value)", {"run": run, "recorded": False, "error": "", "hint": "", "nonce": 2} | more)


def text(page, selector: str) -> str:
    return page.locator(selector).first.inner_text()


def test_a_recorded_run_is_shown_whole(lab, open_page) -> None:
    events = lines()
    lab.add("run-1", events, first_view=True)
    page = open_page("run=run-1", panels=PANELS)
    drawn(page)
    drawn(page, FIGURE)
    assert text(page, ".gb-badge") == "Recorded run"
    assert text(page, ".gb-verdict").startswith("The answers are gone from the output")
    assert page.get_by_role("button", name="Stop").count() == 0
    assert traces(page)["forget loss"]["y"] == series(events, "forget loss")
    assert text(page, ".gb-tile-value") == "4.5"
    assert page.locator(".gb-panel--table tbody tr").count() == 8
    assert text(page, ".gb-words") == "I am not sure who that is.\nPerhaps a writer?"
    page.wait_for_function("document.querySelector('.gb-picture').naturalWidth === 48")
    assert page.locator(".gb-picture").get_attribute("alt") == "a small blue square"
    assert page.evaluate("window.ends") == []


def test_a_live_run_streams_and_its_end_is_told_once(lab, open_page) -> None:
    events = lines()
    run = lab.add("run-1", events, released=3)
    page = open_page("run=run-1")
    has_points(page, 1)
    assert text(page, ".gb-badge") == "Live"
    assert "step 1 of 20" in text(page, ".gb-status-line")
    page.evaluate(f"""() => {{ window.drawings = 0; window.since = performance.now();
        document.querySelector('{CHART}').on('plotly_afterplot', () => window.drawings++); }}""")
    for _ in range(40):
        run.release(1)
        page.wait_for_timeout(30)
    has_points(page, len(series(events[:43], "forget loss")))
    drawings, seconds = page.evaluate("[window.drawings, (performance.now() - window.since) / 1000]")
    assert 1 <= drawings <= 4 * seconds + 2
    run.release()
    page.wait_for_selector(".gb-status[data-tone=done]")
    assert text(page, ".gb-status-line").startswith("Finished in")
    page.wait_for_timeout(600)
    assert page.evaluate("window.ends") == [{"run": "run-1", "outcome": "finished"}]


def test_a_run_that_is_over_before_the_first_look_is_no_recording(lab, open_page) -> None:
    lab.add("run-1", lines())
    page = open_page("run=run-1")
    page.wait_for_selector(".gb-status[data-tone=done]")
    assert text(page, ".gb-badge") == "Finished"
    assert page.evaluate("window.ends") == [{"run": "run-1", "outcome": "finished"}]
    show(page, "run-1", recorded=True)
    page.wait_for_selector(".gb-status[data-tone=recorded]")
    assert text(page, ".gb-badge") == "Recorded run"


def test_a_lost_connection_loses_no_event(lab, open_page) -> None:
    events = lines()
    run = lab.add("run-1", events, released=6)
    page = open_page("run=run-1")
    has_points(page, 2)
    lab.down = True
    run.release(20)
    page.wait_for_selector(".gb-lost:not([hidden])")
    assert "Connection to the lab lost" in text(page, ".gb-lost")
    lab.down = False
    run.release()
    page.wait_for_selector(".gb-status[data-tone=done]")
    assert text(page, ".gb-lost") == "Connected again. Nothing was missed."
    has_points(page, 20)
    assert traces(page)["forget loss"]["y"] == series(events, "forget loss")


def test_a_reload_finds_the_run_again(lab, open_page) -> None:
    events = lines()
    run = lab.add("run-1", events, released=15)
    page = open_page("run=run-1")
    has_points(page, len(series(events[:15], "forget loss")))
    page.reload()
    has_points(page, len(series(events[:15], "forget loss")))
    run.release()
    has_points(page, 20)


def test_replay_shows_what_was_known_at_that_moment(lab, open_page) -> None:
    events = lines()
    lab.add("run-1", events)
    page = open_page("run=run-1")
    drawn(page)
    slider = page.get_by_role("slider", name="Moment of the run")
    for moment in (5.0, 8.3, 2.05):
        slider.evaluate("(element, value) => { element.value = value; element.dispatchEvent(new Event('input', {bubbles: true})); }", str(moment))
        known = [event for event in events if event["t"] <= float(slider.input_value())]
        has_points(page, len(series(known, "forget loss")))
        assert traces(page)["forget loss"]["y"] == series(known, "forget loss")
        step = [event["step"] for event in known if event["kind"] == "progress"][-1]
        assert f"step {step} of 20" in text(page, ".gb-status-line")
        assert "answer comes at the end" in text(page, ".gb-verdict")
    page.get_by_role("button", name="One step on").click()
    has_points(page, len(series(known, "forget loss")) + 1)
    page.get_by_role("button", name="To the end").click()
    has_points(page, 20)
    assert text(page, ".gb-verdict").startswith("The answers are gone")


def test_play_runs_from_the_start_to_the_end(lab, open_page) -> None:
    lab.add("run-1", lines(seconds=2.0))
    page = open_page("run=run-1")
    drawn(page)
    page.get_by_role("button", name="Play from the start").click()
    page.wait_for_function("document.querySelector('.gb-scrub').value < 1.5")
    page.get_by_role("button", name="Pause").click()
    stood = page.locator(".gb-scrub").input_value()
    page.wait_for_timeout(300)
    assert page.locator(".gb-scrub").input_value() == stood
    page.get_by_label("Replay speed").select_option("8")
    page.get_by_role("button", name="Play", exact=True).click()
    page.get_by_role("button", name="Play from the start").wait_for()
    has_points(page, 20)


def test_the_keyboard_moves_the_replay_but_not_out_of_a_field(lab, open_page) -> None:
    lab.add("run-1", lines())
    page = open_page("run=run-1")
    drawn(page)
    page.locator(".gb-view").focus()
    page.keyboard.press("Home")
    page.wait_for_function("document.querySelector('.gb-scrub').value == 0")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    has_points(page, 2)
    page.keyboard.press("ArrowLeft")
    has_points(page, 1)
    page.keyboard.press(" ")
    page.get_by_role("button", name="Pause").wait_for()
    page.keyboard.press("End")
    has_points(page, 20)
    page.locator("#field").focus()
    page.keyboard.type("f f")
    page.keyboard.press("Home")
    page.wait_for_timeout(200)
    assert page.locator("#field").input_value() == "f f"
    assert "gb-presenting" not in (page.locator("html").get_attribute("class") or "")
    assert float(page.locator(".gb-scrub").input_value()) == 10.0


def test_the_zoom_stays_while_points_arrive(lab, open_page) -> None:
    run = lab.add("run-1", lines(), released=20)
    page = open_page("run=run-1")
    drawn(page)
    page.evaluate(f"() => {{ window.node = document.querySelector('{CHART}'); return Plotly.relayout(window.node, {{'xaxis.range[0]': 2, 'xaxis.range[1]': 5}}); }}")
    page.get_by_role("button", name="Undo zoom").first.wait_for()
    run.release()
    has_points(page, 20)
    assert page.evaluate(f"document.querySelector('{CHART}') === window.node")
    assert page.evaluate("window.node._fullLayout.xaxis.range") == [2, 5]
    page.get_by_role("button", name="Undo zoom").first.click()
    page.wait_for_function("window.node._fullLayout.xaxis.range[1] >= 20")


def test_stop_answers_at_once_and_says_when_it_has(lab, open_page) -> None:
    run = lab.add("run-1", lines(), released=9)
    run.honours_cancel = False
    page = open_page("run=run-1")
    page.get_by_role("button", name="Stop", exact=True).click()
    assert page.get_by_role("button", name="Stopping …").is_disabled()
    page.wait_for_timeout(1200)
    assert page.get_by_role("button", name="Stopping …").is_disabled()
    assert run.cancelled
    run.end("cancelled")
    page.wait_for_selector(".gb-status[data-tone=warn]")
    assert text(page, ".gb-badge") == "Stopped"
    assert page.get_by_role("button", name="Stop").count() == 0
    assert page.evaluate("window.ends") == [{"run": "run-1", "outcome": "cancelled"}]


def test_stop_of_a_shared_run_leaves_it_to_the_others(lab, open_page) -> None:
    run = lab.add("run-1", lines(), released=9)
    run.honours_cancel, run.shared = False, True
    page = open_page("run=run-1")
    page.get_by_role("button", name="Stop", exact=True).click()
    page.get_by_text("Somebody else asked for the same run").wait_for()
    assert page.get_by_role("button", name="Stop").count() == 0
    run.release()
    page.wait_for_selector(".gb-status[data-tone=done]")
    assert page.get_by_text("Somebody else asked for the same run").count() == 0


def test_waiting_says_the_place_and_the_time(lab, open_page) -> None:
    run = lab.add("run-1", lines(), released=0)
    run.place, run.estimate = 2, 40
    page = open_page("run=run-1")
    page.wait_for_selector(".gb-status[data-tone=wait]")
    page.get_by_text("You are 2nd in line, about 40 s.").wait_for()
    run.place = None
    run.release()
    page.wait_for_selector(".gb-status[data-tone=done]")


def test_a_failed_run_says_what_to_do(lab, open_page) -> None:
    run = lab.add("run-1", lines(), released=9)
    page = open_page("run=run-1")
    has_points(page, 3)
    run.end("failed", "The disk is full.", "Free some space and run again.")
    page.wait_for_selector(".gb-status[data-tone=bad]")
    assert "The disk is full." in text(page, ".gb-status-line")
    assert text(page, ".gb-status-hint") == "Free some space and run again."
    has_points(page, 3)


def test_an_error_of_the_page_keeps_the_run_that_is_shown(lab, open_page) -> None:
    lab.add("run-1", lines())
    page = open_page("run=run-1")
    drawn(page)
    show(page, "", error=f"No model of that name.{HOSTILE}", hint="Choose one from the list.")
    notice = page.get_by_role("alert")
    assert notice.inner_text().startswith("No model of that name.<img")
    assert "Choose one from the list." in notice.inner_text()
    has_points(page, 20)
    show(page, "run-1")
    page.wait_for_selector(".gb-notice", state="hidden")


def test_a_run_that_is_not_there_and_no_run_at_all(lab, open_page) -> None:
    page = open_page("run=nobody")
    page.get_by_text("There is no such run here, or it was deleted.").wait_for()
    page.evaluate("window.view.show(null)")
    page.get_by_text("Choose a setting and press Run.").wait_for()
    assert page.get_by_role("button", name="Play").is_disabled()


def test_presenter_mode_is_large_and_escape_leaves_it(lab, open_page) -> None:
    lab.add("run-1", lines())
    page = open_page("run=run-1")
    drawn(page)
    size = "parseFloat(getComputedStyle(document.querySelector('.gb-verdict')).fontSize)"
    ticks = f"parseFloat(getComputedStyle(document.querySelector('{CHART} .xtick text')).fontSize)"
    before, small = page.evaluate(size), page.evaluate(ticks)
    page.locator(".gb-view").focus()
    page.keyboard.press("f")
    page.wait_for_selector("html.gb-presenting")
    assert page.locator("#field").is_hidden()
    assert page.evaluate(size) > 1.3 * before
    page.wait_for_function(f"{ticks} > 1.3 * {small}")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.keyboard.press("Escape")
    page.wait_for_selector("html:not(.gb-presenting)")
    assert page.locator("#field").is_visible()
    page.wait_for_function(f"{ticks} === {small}")


def test_a_pinned_run_is_laid_under_the_next(lab, open_page) -> None:
    first, second = lines(), lines(scale=0.5)
    lab.add("run-1", first)
    lab.add("run-2", second, config={"algorithm": "ga", "steps": 20})
    page = open_page("run=run-1", panels=PANELS)
    drawn(page)
    page.get_by_role("button", name="Pin this run").click()
    page.get_by_text("This run is pinned.").wait_for()
    show(page, "run-2")
    page.wait_for_function(f"() => document.querySelector('{CHART}').data?.some(d => d.line?.dash === 'dash')")
    page.wait_for_function(f"() => document.querySelector('{FIGURE}').data?.length === 4")
    found = traces(page)
    assert found["pinned: forget loss (algorithm npo)"]["y"] == series(first, "forget loss")
    assert found["pinned: forget loss (algorithm npo)"]["dash"] == "dash"
    assert found["forget loss"]["y"] == series(second, "forget loss")
    cells = page.locator(".gb-compare tbody tr", has_text="Answers it still gives").locator("td").all_inner_texts()
    assert cells == ["4.5", "2.25", "−2.25"]
    assert page.locator(".gb-compare tbody tr", has_text="Changed setting").locator("td").all_inner_texts()[:2] == ["algorithm npo", "algorithm ga"]
    assert ("POST", "/runs/run-1/pin", {"pinned": True}) in lab.asked
    page.get_by_role("button", name="Show the pinned run here").click()
    page.get_by_role("button", name="Show this run again").wait_for()
    assert page.evaluate("document.querySelectorAll('.gb-panel--figure .gb-plot')[1].data[0].z[0]") == first_heat(first)
    page.reload()
    page.get_by_text("This run is pinned.").wait_for()
    page.get_by_role("button", name="Unpin").click()
    page.get_by_text("This run is pinned.").wait_for(state="hidden")


def first_heat(events: list[dict]) -> list[float]:
    return next(event["figure"]["data"][0]["z"][0] for event in events if event["kind"] == "figure" and event["name"] == "map")


def test_every_figure_can_be_read_as_a_table_and_kept(lab, open_page) -> None:
    events = lines()
    table = next(event for event in events if event["kind"] == "table")
    table["rows"][0][2] = '=HYPERLINK("x"), he said'
    lab.add("run-1", events)
    page = open_page("run=run-1", panels=PANELS)
    drawn(page)
    chart = page.locator(".gb-panel--chart")
    chart.get_by_role("button", name="Show as table").click()
    rows = [row.split("\t") for row in chart.locator("tbody tr").all_inner_texts()]
    forget, retain = series(events, "forget loss"), series(events, "retain loss")[:20]
    assert [float(row[1]) for row in rows] == pytest.approx(forget, rel=5e-3)
    assert [float(row[2]) for row in rows] == pytest.approx(retain, rel=5e-3)
    chart.get_by_role("button", name="Copy CSV").click()
    chart.get_by_role("button", name="Copied").wait_for()
    lines_copied = page.evaluate("navigator.clipboard.readText()").replace("\r\n", "\n").strip().split("\n")
    assert lines_copied[0] == "step,forget loss,retain loss"
    assert [float(line.split(",")[1]) for line in lines_copied[1:]] == forget
    with page.expect_download() as download:
        page.locator(".gb-panel--table").get_by_role("button", name="Download CSV").click()
    kept = download.value.path().read_text(encoding="utf-8-sig")
    assert ""","'=HYPERLINK(""x""), he said",""" in kept
    with page.expect_download() as download:
        chart.get_by_role("button", name="Save picture").click()
    assert download.value.suggested_filename == "while-it-unlearns.png"
    assert download.value.path().read_bytes().startswith(b"\x89PNG")


def test_clicks_on_rows_tokens_and_points_reach_the_page(lab, open_page) -> None:
    lab.add("run-1", lines())
    page = open_page("run=run-1", panels=PANELS)
    drawn(page, FIGURE)
    page.get_by_role("button", name="Where was author 2 born?").click()
    token = page.locator(".gb-token").nth(0)
    token.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert "Ines" in text(page, ".gb-token-detail") and "0.45" in text(page, ".gb-token-detail")
    page.keyboard.press("Enter")
    page.locator(f"{FIGURE} .point path").nth(2).hover(force=True)
    page.locator(".hoverlayer .hovertext").first.wait_for()
    page.mouse.down()
    page.mouse.up()
    page.wait_for_function("window.points.length === 3")
    row, word, bar = page.evaluate("window.points")
    assert (row["panel"], row["row"], row["values"]["before"], row["run"]) == ("answers", 1, "Lisbon", "run-1")
    assert (word["panel"], word["index"], word["values"]["token"]) == ("question", 2, " Ines")
    assert (bar["panel"], bar["x"]) == ("by_layer", 3)


def test_a_number_opens_with_its_formula(lab, open_page) -> None:
    lab.add("run-1", lines())
    page = open_page("run=run-1")
    page.wait_for_selector(".gb-status[data-tone=done]")
    page.get_by_role("button", name=re.compile("Answers it still gives")).click()
    dialog = page.get_by_role("dialog", name="Answers it still gives")
    assert "answers with the key / all questions" in dialog.inner_text()
    assert "4.5 %" in dialog.inner_text()
    page.keyboard.press("Escape")
    dialog.wait_for(state="detached")


def test_text_of_models_and_visitors_stays_text(lab, open_page) -> None:
    events = lines(hostile=True)
    lab.add("run-1", events, title=HOSTILE, config={"algorithm": HOSTILE, "steps": 20})
    lab.add("run-2", events, config={"algorithm": "npo", "steps": 20})
    page = open_page("run=run-1", panels=[panel | {"title": panel["title"] + HOSTILE} for panel in PANELS])
    drawn(page, FIGURE)
    page.get_by_role("button", name="Pin this run").click()
    show(page, "run-2")
    page.wait_for_selector(".gb-compare table")
    closed = page.get_by_role("button", name="Show as table")
    while closed.count():
        closed.first.click()
    page.get_by_text("Settings of this run").click()
    page.locator(".gb-tile").first.click()
    page.wait_for_timeout(500)
    assert page.evaluate("window.hacked") is None
    assert page.locator("script:not([type=module]):not([src$='plotly.min.js'])").count() == 0
    assert page.locator("img:not(.gb-picture)").count() == 0
    assert page.locator("[href*=evil], [*|href*=evil]").count() == 0
    assert text(page, ".gb-verdict").endswith(HOSTILE)
    assert HOSTILE in text(page, ".gb-words")


def test_the_run_can_be_taken_along_shared_and_deleted(lab, open_page) -> None:
    lab.add("run-1", lines())
    page = open_page("run=run-1")
    page.get_by_role("button", name="Copy link").click()
    page.get_by_role("button", name="Copied").wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == f"{lab.url}unlearning-auditor?algorithm=npo&run=run-1"
    assert page.get_by_role("link", name="Report").get_attribute("href") == "/runs/run-1/report.html"
    assert page.get_by_role("link", name="Data (JSON)").get_attribute("href") == "/runs/run-1/data.json"
    page.get_by_role("button", name="Let others open this link").click()
    page.get_by_role("button", name="Shared: stop sharing").wait_for()
    assert lab.runs["run-1"].info["published"] is True
    page.get_by_role("button", name="Delete this run").click()
    page.get_by_role("button", name="Keep it").click()
    assert "run-1" in lab.runs
    page.get_by_role("button", name="Delete this run").click()
    page.get_by_role("button", name="Delete it").click()
    page.get_by_text("That run is deleted.").wait_for()
    assert "run-1" not in lab.runs


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_phone_shows_all_of_it_and_every_control_has_a_name(lab, open_page, theme: str) -> None:
    lab.add("run-1", lines())
    page = open_page(f"run=run-1&theme={theme}", width=390, panels=PANELS)
    drawn(page, FIGURE)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    nameless = page.evaluate("""() => [...document.querySelectorAll('.gb-view button, .gb-view select, .gb-view input, .gb-view a')]
        .filter(e => e.offsetParent && !(e.getAttribute('aria-label') || e.innerText?.trim())).map(e => e.outerHTML)""")
    assert nameless == []


def test_the_colours_follow_the_page(lab, open_page) -> None:
    lab.add("run-1", lines())
    page = open_page("run=run-1")
    drawn(page)
    ink = f"document.querySelector('{CHART}')._fullLayout.font.color"
    light = page.evaluate(ink)
    page.evaluate("document.body.classList.add('dark')")
    page.wait_for_function(f"{ink} !== {json.dumps(light)}")
    assert page.evaluate(ink) == page.evaluate("getComputedStyle(document.querySelector('.gb-view')).getPropertyValue('--gb-ink').trim()")
