"""A run in the live view, in a real Chromium: streamed, replayed, stopped, lost and found again.

A stand-in for the lab hands out events when the test says so.
"""

from __future__ import annotations

import pytest

from tests.browser.harness.story import HOSTILE, PANELS, lines
from tests.browser.harness.view import CHART, FIGURE, drawn, has_points, series, show, text, traces


def test_a_recorded_run_is_shown_whole(lab, open_page) -> None:
    events = lines()
    lab.add("run-1", events, first_view=True)
    page = open_page("run=run-1", panels=PANELS)
    drawn(page)
    drawn(page, FIGURE)
    assert text(page, ".gb-badge") == "Recorded run"
    assert text(page, ".gb-verdict").startswith("The answers are gone from the output")
    assert page.get_by_role("button", name="Stop").count() == 0
    assert page.locator(".gb-panel--empty").count() == 0
    assert traces(page)["forget loss"]["y"] == series(events, "forget loss")
    assert text(page, ".gb-tile-value") == "4.5"
    assert page.locator(".gb-panel--table tbody tr").count() == 8
    assert text(page, ".gb-words") == "I am not sure who that is.\nPerhaps a writer?"
    page.wait_for_function("document.querySelector('.gb-picture').naturalWidth === 48")
    assert page.locator(".gb-picture").get_attribute("alt") == "a small blue square"
    assert page.evaluate("window.ends") == []


def test_a_live_run_streams_and_its_end_is_told_once(lab, open_page) -> None:
    events = lines(steps=100)
    run = lab.add("run-1", events, released=3)
    page = open_page("run=run-1")
    has_points(page, 1)
    assert text(page, ".gb-badge") == "Live"
    assert "step 1 of 100" in text(page, ".gb-status-line")
    page.evaluate(f"""() => {{ window.drawings = 0; window.since = performance.now();
        document.querySelector('{CHART}').on('plotly_afterplot', () => window.drawings++); }}""")
    for _ in range(90):
        run.release(3)
        page.wait_for_timeout(15)
    has_points(page, len(series(events[:273], "forget loss")))
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
    page.wait_for_function("window.ends.length")  # told when also the run's own description has come
    assert page.evaluate("window.ends") == [{"run": "run-1", "outcome": "finished"}]
    show(page, "run-1", recorded=True)
    page.wait_for_selector(".gb-status[data-tone=recorded]")
    assert text(page, ".gb-badge") == "Recorded run"


def test_the_picture_takes_its_time_while_the_lab_is_long_done(lab, open_page) -> None:
    events = lines()
    lab.add("run-1", events)
    page = open_page("run=run-1&pace=10")
    page.wait_for_function("document.querySelector('.gb-badge').textContent === 'Live, slowed down'")
    has_points(page, 1)
    assert "is being worked out" in text(page, ".gb-verdict")
    page.wait_for_function("Number(document.querySelector('.gb-scrub').value) > 0.3")  # it moves by itself
    assert page.evaluate("Number(document.querySelector('.gb-scrub').max)") > 100
    page.get_by_role("button", name="To the end").click()
    has_points(page, 20)
    assert text(page, ".gb-badge") == "Finished"
    assert text(page, ".gb-verdict").startswith("The answers are gone")


def test_a_run_that_was_run_before_replays_from_zero_says_so_and_offers_to_compute_again(lab, open_page) -> None:
    lab.add("run-1", lines(seconds=30.0))
    page = open_page("")
    show(page, "run-1", recorded=True, pressed=True)
    page.wait_for_function("document.querySelector('.gb-badge').textContent === 'Replaying'")
    # the day is known once the lab has told of the run
    page.wait_for_function("document.querySelector('.gb-when').textContent === 'computed earlier, on 24 November 2026, replaying'")
    assert float(page.locator(".gb-scrub").input_value()) < 15
    page.wait_for_function("Number(document.querySelector('.gb-scrub').value) > 1")
    assert page.get_by_label("Replay speed").input_value() == "2", "half a minute is shown in a quarter"
    page.get_by_role("button", name="Compute again").click()
    page.wait_for_function("window.agains.length")
    assert page.evaluate("window.agains") == [{"run": "run-1"}]
    assert page.evaluate("location.search") == "?run=run-1"


def test_a_page_that_is_closed_or_shows_another_run_says_that_it_left_the_first(lab, open_page) -> None:
    lab.add("run-1", lines(), released=9)
    lab.add("run-2", lines(), released=9)
    page = open_page("run=run-1")
    has_points(page, 3)
    show(page, "run-2")
    page.wait_for_selector(".gb-live[data-run=run-2]")
    page.goto(f"{lab.url}panels.json")
    left = [path.partition("?")[0] for method, path, _ in lab.asked if method == "POST"]
    assert left == ["/runs/run-1/leave", "/runs/run-2/leave"]
    named = {path.rpartition("page=")[2] for _, path, _ in lab.asked if "/events?" in path or "/leave?" in path}
    assert len(named) == 2, "each view has a name of its own and keeps it"


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
        slider.evaluate(
            "(element, value) => { element.value = value; element.dispatchEvent(new Event('input', {bubbles: true})); }", str(moment)
        )
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
    lab.add("run-1", lines(seconds=16.0))
    page = open_page("run=run-1")
    drawn(page)
    page.get_by_role("button", name="Play from the start").click()
    # in one look: a slow browser would be past the end in the next
    page.wait_for_function("""() => {
        const at = Number(document.querySelector('.gb-scrub').value), pause = document.querySelector('.gb-replay [aria-label=Pause]');
        if (!pause || at <= 0 || at >= 15) return false;
        pause.click();
        return true;
    }""")
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
    page.evaluate(f"() => {{ window.node = document.querySelector('{CHART}'); }}")
    page.evaluate("() => Plotly.relayout(window.node, {'xaxis.range[0]': 2, 'xaxis.range[1]': 5})")
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
    page.get_by_role("button", name="Stop", exact=True).first.click()
    assert page.get_by_role("button", name="Stopping …").first.is_disabled()
    page.wait_for_timeout(1200)
    assert page.get_by_role("button", name="Stopping …").first.is_disabled()
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
    page.get_by_role("button", name="Stop", exact=True).first.click()
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
    assert text(page, ".gb-headline") == "The disk is full."
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


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_phone_shows_all_of_it_and_every_control_has_a_name(lab, open_page, theme: str) -> None:
    lab.add("run-1", lines())
    page = open_page(f"run=run-1&theme={theme}", width=390, panels=PANELS)
    drawn(page, FIGURE)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    nameless = page.evaluate("""() => [...document.querySelectorAll('.gb-view button, .gb-view select, .gb-view input, .gb-view a')]
        .filter(e => e.offsetParent && !(e.getAttribute('aria-label') || e.innerText?.trim())).map(e => e.outerHTML)""")
    assert nameless == []
