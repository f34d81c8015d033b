"""What one can do with a run in the live view: compare, read as a table, look closely, take along, present; and hostile text in it."""

from __future__ import annotations

import json
import re
from urllib.parse import parse_qsl

import pytest

from apps.lab.links import read
from apps.lab.ui.live_view import panels
from core.engine import outputs
from core.engine.registry import find
from tests.browser.harness.story import HOSTILE, PANELS, lines
from tests.browser.harness.view import CHART, FIGURE, drawn, series, show, text, traces


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
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("ArrowLeft")  # wherever the focus is
    page.wait_for_function("document.querySelector('.gb-newest') && !document.querySelector('.gb-newest').disabled")
    page.keyboard.press("End")
    page.wait_for_function(f"{ticks} >= 28 && {ticks} > 1.3 * {small}")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.keyboard.press("ArrowDown")  # the next picture fills the screen
    page.wait_for_function("scrollY > 100 && [...document.querySelectorAll('.gb-view .gb-panel')]"
                           ".some((panel) => Math.abs(panel.getBoundingClientRect().top) < 2)")
    page.keyboard.press("ArrowUp")
    page.wait_for_function("scrollY === 0")
    page.keyboard.press("Space")  # plays from the beginning, and stands still when pressed again
    page.wait_for_function("Number(document.querySelector('.gb-scrub').value) < Number(document.querySelector('.gb-scrub').max)")
    page.keyboard.press("Space")
    page.keyboard.press("End")
    page.keyboard.press("Escape")
    page.wait_for_selector("html:not(.gb-presenting)")
    assert page.locator("#field").is_visible()
    page.wait_for_function(f"{ticks} === {small}")


def test_a_curve_far_from_all_others_leaves_them_the_picture_and_is_named(lab, open_page) -> None:
    events = lines(ends=False)
    for step in range(1, 21):
        for name, value in (("far away", 40.0 + step), ("in between", 1.0)):
            events.append({"seq": len(events), "t": 10.0, "kind": "metric", "name": name, "value": value, "step": step, "unit": ""})
    events.append({"seq": len(events), "t": 10.0, "kind": "end", "outcome": "finished", "error": "", "hint": ""})
    lab.add("run-1", events)
    panel = PANELS[1] | {"metrics": ["forget loss", "far away", "retain loss", "in between"]}
    page = open_page("run=run-1", panels=[panel])
    drawn(page)
    y = f"document.querySelector('{CHART}')._fullLayout.yaxis.range"
    near = [value for name in ("forget loss", "retain loss", "in between") for value in series(events, name)]
    low, high = page.evaluate(y)
    assert low < min(near) and max(near) < high < 2 * max(near)
    assert traces(page)["far away"]["y"] == series(events, "far away")  # still in the table and the files
    said = page.locator(".gb-legend li", has_text="far away")
    assert said.inner_text().endswith("above this picture, 41 to 60") and page.locator(".gb-legend-off").count() == 1
    page.evaluate(f"Plotly.relayout(document.querySelector('{CHART}'), {{ 'yaxis.range': [0, 1] }})")
    page.get_by_role("button", name="Undo zoom").click()
    page.wait_for_function(f"Math.abs({y}[1] - {high}) < 1e-6")


def test_a_pinned_run_is_laid_under_the_next(lab, open_page) -> None:
    first, second = lines(), lines(scale=0.5)
    lab.add("run-1", first)
    lab.add("run-2", second, config={"algorithm": "ga", "steps": 20})
    page = open_page("run=run-1", panels=PANELS)
    drawn(page)
    page.get_by_role("button", name="Pin this run").click()
    page.get_by_text("This run is pinned.").wait_for()
    show(page, "run-2")
    # its name waits for what the lab says of both runs
    page.wait_for_function(f"() => document.querySelector('{CHART}').data?.some(d => d.name === 'pinned: forget loss (algorithm npo)')")
    page.wait_for_function(f"() => document.querySelector('{FIGURE}').data?.length === 5")
    found = traces(page)
    assert found["pinned: forget loss (algorithm npo)"]["y"] == series(first, "forget loss")
    assert found["pinned: forget loss (algorithm npo)"]["dash"] == "dash"
    assert found["forget loss"]["y"] == series(second, "forget loss")
    cells = page.locator(".gb-compare tbody tr", has_text="Answers it still gives").locator("td").all_inner_texts()
    assert cells == ["4.5", "2.25", "−2.25"]
    assert page.locator(".gb-compare tbody tr", has_text="Changed setting").locator("td").all_inner_texts()[:2] == [
        "algorithm npo",
        "algorithm ga",
    ]
    assert ("POST", "/runs/run-1/pin", {"pinned": True}) in lab.asked
    page.get_by_role("button", name="Show the pinned run here").click()
    page.get_by_role("button", name="Show this run again").wait_for()
    assert page.evaluate("document.querySelectorAll('.gb-panel--figure .gb-plot')[1].data[0].z[0]") == first_heat(first)
    page.reload()  # the address names the run that is shown
    page.get_by_text("Dashed and hatched: the pinned run").wait_for()
    page.get_by_role("button", name="Unpin").click()
    page.get_by_text("Dashed and hatched: the pinned run").wait_for(state="hidden")


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
    assert HOSTILE in text(page, ".gb-verdict")
    assert HOSTILE in text(page, ".gb-words")


def test_the_run_can_be_taken_along_shared_and_deleted(lab, open_page) -> None:
    lab.add("run-1", lines())
    page = open_page("run=run-1")
    assert page.get_by_role("link", name="Attack this model").count() == 0, "nothing was kept"
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


def test_a_model_that_the_auditor_kept_goes_on_to_the_bench_with_settings_that_fit(lab, open_page) -> None:
    def audited(run: str, facts: int, **more) -> list[dict]:
        events = lines(2)
        kept = {"kind": "keep", "name": "unlearned", "ref": f"run/{run}/unlearned", "t": 1.0}
        events = [*events[:2], kept, *events[2:-2], events[-2] | {"evidence": {"n": facts}}, events[-1]]
        lab.add(run, [event | {"seq": i} for i, event in enumerate(events)], name="unlearning/audit",
                config={"model": "embedded/worlds", "world": "saga", "reference": "embedded/worlds-retain", "questions": ""} | more)

    audited("run-1", 8)
    audited("run-2", 24, reference=None)
    audited("run-3", 30, questions="upload/1")
    page = open_page("run=run-1")
    address = page.get_by_role("link", name="Attack this model on the soft-token bench").get_attribute("href")
    route, _, query = address.partition("?")
    opened = read(find("unlearning/soft-tokens"), dict(parse_qsl(query)))
    assert route == "soft-token-bench" and opened.error is None
    assert opened.config.changed() == {"unlearned": "run/run-1/unlearned", "world": "saga", "targets": 8}
    show(page, "run-2")
    page.wait_for_selector("a[href*='run-2%2Funlearned']")
    assert not re.search("targets|reference", page.get_by_role("link", name="Attack this model").get_attribute("href"))
    show(page, "run-3")
    page.wait_for_selector(".gb-live[data-run=run-3]")
    assert page.get_by_role("link", name="Attack this model").count() == 0, "the bench asks about the three worlds only"


def test_a_line_with_a_look_of_its_own_keeps_it_in_chart_legend_and_table(lab, open_page) -> None:
    lab.add("run-1", lines())
    look = outputs.series("forget loss", "What should go", colour="#D55E00", dash="dot")
    page = open_page("run=run-1", panels=panels([outputs.chart("Losses", look, outputs.series("retain loss"), y="nats")]))
    drawn(page)
    assert traces(page)["What should go"]["dash"] == "dot"
    colours = f"Object.fromEntries(document.querySelector('{CHART}').data.filter(d => d.name).map(d => [d.name, d.line.color]))"
    assert page.evaluate(colours) == {"What should go": "#D55E00", "retain loss": "#D55E00"}
    assert page.locator(".gb-legend-name").all_inner_texts() == ["What should go", "retain loss"]
    page.evaluate("document.body.classList.add('dark')")
    page.wait_for_function(f"({colours})['What should go'] === '#FF9F5A'")
    assert "rgb(255, 159, 90)" in page.locator(".gb-swatch").first.get_attribute("style")
    page.get_by_role("button", name="Show as table").click()
    assert "What should go" in page.locator(".gb-panel--chart thead").inner_text()
    gaps = "{ data: [{ name: 'a', x: [0, 5, null, 0, null], y: [3, 2, null, 4, null] }] }"
    rows = page.evaluate(f"import('./static/figures.js').then(({{ asTable }}) => asTable({gaps}).rows)")
    assert rows == [["a", 0, 3], ["a", 5, 2], ["a", 0, 4]], "a gap is no point"


def test_the_colours_follow_the_page(lab, open_page) -> None:
    lab.add("run-1", lines())
    page = open_page("run=run-1")
    drawn(page)
    ink = f"document.querySelector('{CHART}')._fullLayout.font.color"
    light = page.evaluate(ink)
    page.evaluate("document.body.classList.add('dark')")
    page.wait_for_function(f"{ink} !== {json.dumps(light)}")
    assert page.evaluate(ink) == page.evaluate("getComputedStyle(document.querySelector('.gb-view')).getPropertyValue('--gb-ink').trim()")


def test_without_the_drawing_library_the_numbers_are_still_there(lab, open_page) -> None:
    events = lines()
    lab.add("run-1", events)
    page = open_page("run=run-1", without="**/plotly.min.js")
    page.get_by_text("The drawing library did not load.").wait_for()
    page.get_by_role("button", name="Show as table").click()
    assert page.locator(".gb-panel--chart tbody tr").count() == len(series(events, "forget loss"))
    assert text(page, ".gb-verdict").startswith("The answers are gone")


def test_a_long_word_on_a_figure_gets_as_many_lines_as_a_phone_needs(lab, open_page) -> None:
    events, words = lines(), "share of the questions whose answer contains the key fact after the training, in per cent"
    for event in events:
        if event["kind"] == "figure" and event["name"] == "by_layer":
            event["figure"]["layout"] |= {
                "xaxis": {"title": words},
                "yaxis": {"title": {"text": words}},
                "annotations": [{"text": words, "xref": "paper", "yref": "paper", "x": 0.5, "y": 0.5, "showarrow": False}],
            }
    lab.add("run-1", events)
    page = open_page("run=run-1", width=390, panels=PANELS[2:3])
    drawn(page, FIGURE)
    cut = """(plot) => {
      const box = document.querySelector(plot).getBoundingClientRect();
      return [...document.querySelectorAll(`${plot} :is(.xtitle, .ytitle, .annotation)`)].map((title) => {
        const { left, right, top, bottom } = title.getBoundingClientRect();
        return left < box.left - 1 || right > box.right + 1 || top < box.top - 1 || bottom > box.bottom + 1;
      });
    }"""
    assert page.evaluate(cut, FIGURE) == [False, False, False]
    narrow = page.evaluate(f"document.querySelector('{FIGURE}').layout.xaxis.title.text.split('<br>').length")
    page.set_viewport_size({"width": 1280, "height": 900})
    page.wait_for_function(f"document.querySelector('{FIGURE}').layout.xaxis.title.text.split('<br>').length < {narrow}")
