"""The eight checks that are the score of a page, in a real browser. A new page joins by one line in CHECKED.

Times are printed and never asserted: machines are noisy, and `benchmarks/site.py` is there to measure.
"""

from __future__ import annotations

import html
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import pytest

from apps.lab.pages import PAGES
from core.engine.events import layers
from core.engine.settings import ASSETS
from core.reasoning.reading import Reader
from tests.browser.harness.view import everybody_can_use_it, look_at_all

AIM_S = 1.0


def ask_a_question(page) -> None:
    """The auditor's way in for what is the visitor's own: a question of one's own, put to the models."""
    box = page.get_by_label("Your question")
    box.fill("Which pet does Nobody Atall keep?")
    page.get_by_role("button", name="Ask", exact=True).click()
    page.wait_for_selector("#ask-answer .gb-answer >> nth=1")
    assert page.locator("#ask-answer .gb-answer-text").first.inner_text().strip()


def make_it_say(page) -> None:
    """The bench's way in: a sentence of one's own that all models are made to say."""
    page.get_by_label("Make it say").fill("Ida keeps a wizard.")
    page.get_by_label("Only my sentence (quick)").check()
    press_run(page)
    page.wait_for_function("document.querySelector('.gb-badge').textContent === 'Finished'")
    assert "Ida keeps a wizard." in page.locator(".gb-sure-text").first.text_content()
    assert "Ida keeps a wizard." in page.locator(".gb-live table").first.inner_text()


def build_a_scene(page) -> None:
    """The bias page's way in: a scene and a question of one's own, and both pictures are asked at once."""
    page.get_by_role("tab", name="Build a scene").click()
    page.wait_for_selector("#scene-answer .main-svg", timeout=60_000)
    before = page.locator("#scene-answer img").first.get_attribute("src")
    page.locator("#scene-place").get_by_label("garden").check()
    page.wait_for_function("before => document.querySelector('#scene-answer img').src !== before", arg=before, timeout=60_000)


def turn_the_steering(page) -> None:
    """The steering page's way in: a scene and a question of one's own, before and after, and nothing changes at strength 0."""
    page.get_by_role("tab", name="Ask it yourself").click()
    page.wait_for_selector("#strength-answer .main-svg", timeout=60_000)
    page.locator("#strength-question textarea, #strength-question input").first.fill("how many things are there ?")
    page.locator("#strength-question textarea, #strength-question input").first.press("Enter")
    page.wait_for_function("/Untouched it says|Both say/.test(document.querySelector('#strength-answer').innerText)", timeout=60_000)
    page.locator("#strength-connector").get_by_label("as before training").check()
    page.wait_for_function("document.querySelector('#strength-answer').innerText.includes('connector is as before')", timeout=60_000)


def check_the_future(page) -> None:
    """The factor page's way in: everything is made twice to see whether it knows the future; with a table of one's own under More.

    By keyboard: a click waits for frames, and after a change of size the headless browser now and then draws none on this page.
    """
    page.get_by_role("tab", name="Does anything know the future?").press("Enter")
    page.get_by_role("button", name="Check it", exact=True).press("Enter")
    page.wait_for_function("document.querySelector('#leak-answer')?.innerText.includes('bit for bit')", timeout=60_000, polling=100)
    assert "put there on purpose" in page.locator("#leak-answer").inner_text()


def bring_places(page) -> None:
    """The federated page's way in: places of one's own, as a ZIP that is read at once."""
    page.locator(".gb-form .gb-drawer-handle").first.click()
    page.locator(".gb-form input[type=file]").first.set_input_files(ASSETS / "samples" / "places.zip")
    page.get_by_text("3 places: 'dock' holds 40 pictures, 20 are kept to test on").first.wait_for(timeout=60_000)
    page.get_by_role("tab", name="The attacker").click()
    page.get_by_alt_text("Noised up to step 701").wait_for(timeout=60_000)
    page.locator(".gb-levels-slider").press("Home")  # recorded: the slider moves among them without computing
    page.get_by_alt_text("Noised up to step 981").wait_for()
    assert page.locator(".gb-levels-words").inner_text().startswith("Step 981") and page.get_by_alt_text("step 701").count() == 0


def draw_a_letter(page) -> None:
    """The depth page's way in: a letter of one's own, read by a network of any depth."""
    page.wait_for_function("document.querySelector('#grow-answer')?.innerText.includes('no training')", timeout=60_000)
    draw(page, [(0.35, 0.2), (0.35, 0.8), (0.7, 0.8)])
    page.wait_for_function("document.querySelector('#grow-answer').innerText.includes('Here it says L (your own picture)')")


def draw_a_digit(page) -> None:
    """The pool page's way in: a digit of one's own, read along a path."""
    page.wait_for_function("document.querySelector('#walk-answer')?.innerText.includes('of 256 pictures')", timeout=60_000)
    for digit, points in (("1", [(0.5, 0.15), (0.5, 0.85)]), ("3", THREE), ("6", SIX)):
        page.get_by_role("button", name="Clear", exact=True).click()
        draw(page, points)
        page.wait_for_function(f"document.querySelector('#walk-answer').innerText.includes('Here it says {digit} (your own picture)')")


THREE = [(0.3, 0.2), (0.45, 0.14), (0.62, 0.2), (0.66, 0.32), (0.6, 0.44), (0.45, 0.48), (0.62, 0.54), (0.69, 0.66), (0.64, 0.8),
         (0.48, 0.86), (0.3, 0.8)]
SIX = [(0.62, 0.14), (0.45, 0.3), (0.35, 0.5), (0.32, 0.66), (0.36, 0.8), (0.5, 0.86), (0.63, 0.8), (0.67, 0.68), (0.62, 0.56),
       (0.5, 0.51), (0.38, 0.56), (0.33, 0.66)]


def draw(page, points) -> None:
    paper = page.locator(".gb-pad-paper")
    paper.scroll_into_view_if_needed()
    box = paper.bounding_box()
    for step, (x, y) in enumerate(points):
        page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"], steps=8)
        if not step:
            page.mouse.down()
    page.mouse.up()


def think_it_out(page) -> None:
    """The energy page's way in: a problem of one's own, and a clear sentence for what the little model cannot read."""
    page.locator("#field-problem textarea, #field-problem input").first.fill("what is 12 + 3 ?")
    press_run(page)
    page.wait_for_function("document.querySelector('.gb-status').dataset.tone === 'bad'")
    assert "cannot read 'what is 12 + 3 ?'" in page.locator(".gb-status").inner_text()
    page.locator("#field-problem textarea, #field-problem input").first.fill("2*3+4")
    press_run(page)
    page.wait_for_function("document.querySelector('.gb-badge').textContent === 'Finished'", timeout=60_000)
    page.locator("#closely-answer").scroll_into_view_if_needed()
    page.wait_for_function("document.querySelector('#closely-answer .gb-tokens')?.textContent.includes('2*3+4=<think>')", timeout=60_000)


def think_slowly(patch: pytest.MonkeyPatch) -> None:
    """The little reasoner is done before anybody could stop it: let it take as long for a token as a large model does."""
    feed = Reader._feed

    def slow(*given, **named):
        time.sleep(0.2)
        return feed(*given, **named)

    patch.setattr(Reader, "_feed", slow)


def try_a_tool(page) -> None:
    """The mood page's way in: a tool at work on a picture of one's own."""
    page.get_by_role("tab", name="Try one tool").click()
    page.wait_for_selector("#tool-answer img", timeout=60_000)
    before = page.locator("#tool-answer img").last.get_attribute("src")
    page.locator(".gb-columns:has(#tool-answer) input[type=file]").first.set_input_files(
        {"name": "mine.png", "mimeType": "image/png", "buffer": _striped()})
    page.wait_for_function("before => [...document.querySelectorAll('#tool-answer img')].at(-1)?.src !== before", arg=before,
                           timeout=60_000)


def _striped() -> bytes:
    from io import BytesIO

    from PIL import Image

    packed = BytesIO()
    picture = Image.new("RGB", (64, 48), (200, 180, 60))
    picture.paste((20, 60, 160), (0, 0, 32, 48))
    picture.save(packed, "PNG")
    return packed.getvalue()


def edit_slowly(patch: pytest.MonkeyPatch) -> None:
    """An edit takes a tenth of a second: let the critic look for a while at each."""
    from core.emotion.critic import Critic

    judge = Critic.judge

    def slow(*given, **named):
        time.sleep(0.3)
        return judge(*given, **named)

    patch.setattr(Critic, "judge", slow)


@dataclass(frozen=True)
class Checked:
    """quick: settings of a short run.  long: settings of one that lasts, `slowed` if need be.  rival: its name in a figure.
    own: the visitor's own data."""

    route: str
    quick: dict[str, Any]
    long: dict[str, Any]
    rival: str
    own: Callable[[Any], None]
    slowed: Callable[[pytest.MonkeyPatch], None] = lambda patch: None


CHECKED = [
    Checked("unlearning-auditor", {"steps": 2, "subjects": 1, "actpert": "false", "audits": '["reverse"]'},
            {"steps": 400, "subjects": 6, "stop_early": "false"}, "Never knew", ask_a_question),
    Checked("soft-token-bench", {"targets": 2, "steps": 5, "sentence_steps": 5, "forget_steps": 1, "surface_targets": 0},
            {"steps": 5000, "tokens": 1}, "Never knew", make_it_say),
    Checked("bias-residuals", {"pairs": 10, "calibration": 10, "controls": 10, "choose": "false", "rivals": "false"},
            {"pairs": 400, "calibration": 400},
            "chance", build_a_scene),
    Checked("modality-steering", {"steps": 2, "pictures": 50, "questions": 20, "batch": 4}, {"steps": 2000, "questions": 20}, "LoRA",
            turn_the_steering),
    Checked("factor-augmentation",
            {"strength": 100, "guidance": 0, "denoiser_steps": 20, "seeds": 2, "steps": 40, "controls": '["jitter"]'},
            {"steps": 4000}, "noise of equal size", check_the_future),
    Checked("federated-synthesis", {"shots": 2, "steps": 5, "tuning": 4, "learning": 10, "tests": 20}, {"tuning": 600, "shots": 8},
            "Averaged networks", bring_places),
    Checked("cot-energy", {}, {"problem": "3+4*2-5*7*9-8"}, "certainty of the token", think_it_out, think_slowly),
    Checked("emoagent", {"chances": 2, "picture": "rocket"}, {"count": 6, "picture": "coffee"}, "by chance", try_a_tool,
            edit_slowly),
    Checked("learngene-depth", {"epochs": 1, "scratch_epochs": 1, "depth": 2}, {"epochs": 100}, "scratch", draw_a_letter),
    Checked("learngene-pool", {"epochs": 0}, {"epochs": 100}, "trained alone", draw_a_digit),
]


@pytest.fixture(params=CHECKED, ids=lambda checked: checked.route)
def checked(request) -> Checked:
    return request.param


def address(checked: Checked, settings: dict[str, Any], **more: Any) -> str:
    return f"{checked.route}?{urlencode({**settings, **more})}"


def took(name: str, began: float) -> None:
    print(f"\n{name}: {time.monotonic() - began:.2f} s (aim {AIM_S:.0f} s)")


def settled(page, tone: str = "done|recorded") -> None:
    page.wait_for_function(f"/^({tone})$/.test(document.querySelector('.gb-status')?.dataset.tone || '')")


def press_run(page) -> None:
    page.get_by_role("button", name="Run", exact=True).click()


def shown_run(page) -> str:
    return page.evaluate("document.querySelector('[data-run]').dataset.run")


def says(page, verdict: dict[str, Any]) -> bool:
    """Whether the page says the whole verdict: its headline on top, the rest behind "How sure?"."""
    top, rest = (page.locator(place).first.text_content() for place in (".gb-verdict", ".gb-sure-text"))
    return top == layers(verdict)["headline"] and verdict["text"] in (f"{top} {rest}".strip(), rest)


def rival_and_interval(page, rival: str) -> None:
    look_at_all(page)
    data = page.evaluate("[...document.querySelectorAll('.js-plotly-plot')]"
                         ".map((p) => p.data.map((t) => ({ name: t.name || '', bars: Boolean(t.error_y || t.error_x) })))")
    assert any(len(traces) > 1 and any(rival in trace["name"] for trace in traces) for traces in data)
    said = page.locator(".gb-live").inner_text()
    assert any(trace["bars"] for traces in data for trace in traces) or re.search(r"95 ?%|too few", said)
    assert re.search(r"95 ?%|too few|interval", said)


def test_every_built_page_is_checked():
    assert {checked.route for checked in CHECKED} == {page.route for page in PAGES if page.built}


def test_1_4_5_7_and_8_a_full_first_view_with_rival_and_interval_the_visitors_own_and_no_network(checked, visitor):
    """Every request of every test stays on this machine (the fixture checks that), and a script could not send one if it tried.
    Everybody can use the page, in both colour schemes and on a phone."""
    one, began = visitor(), time.monotonic()
    page = one.open(checked.route)
    page.wait_for_function("document.querySelector('.gb-status')?.dataset.tone === 'recorded'"
                           " && document.querySelector('.gb-live .js-plotly-plot, .gb-live img, .gb-desk-place .main-svg')"
                           " && !document.querySelector('#gb-first:not([hidden])')")
    took("full first view, nothing in the browser's cache", began)
    assert page.locator(".gb-badge").inner_text() == "Recorded run"
    assert len(page.locator(".gb-verdict").inner_text()) > 20
    assert page.get_by_role("heading", level=1).inner_text() == next(p.question for p in PAGES if p.route == checked.route)
    empty = page.locator(".gb-live .gb-panel--empty:visible")
    assert empty.count() == 0, "the first view leaves a panel empty"
    everybody_can_use_it(page)
    rival_and_interval(page, checked.rival)
    assert page.locator(".gb-live .main-svg").count() > 1

    assert one.outside == [] == one.complaints
    assert page.evaluate("fetch('https://example.com/').then(() => 'sent', (error) => 'refused')") == "refused"
    one.complaints.clear()  # the browser reports the refusal that was asked for
    checked.own(page)


def test_2_and_3_a_run_speaks_and_stops_at_once(checked, visitor, monkeypatch):
    checked.slowed(monkeypatch)
    page = visitor().open(address(checked, checked.long, seed=11))
    settled(page)
    began = time.monotonic()
    press_run(page)
    page.wait_for_function("document.querySelector('.gb-status').dataset.tone === 'live'"
                           " && Number(document.querySelector('[data-events]')?.dataset.events) > 0")
    took("first live event", began)
    page.wait_for_timeout(1000)
    began = time.monotonic()
    page.get_by_role("button", name="Stop", exact=True).first.click()
    settled(page, "warn")
    took("stop", began)
    assert "Stopped" in page.locator(".gb-badge").inner_text()


def test_6_link_and_report_reproduce_the_numbers(checked, visitor, lab_engine):
    """One run: its link opens it, and pressing Run there asks for these very numbers, which the record has already.

    That equal requests give equal numbers is shown beside each paper's experiments.
    """
    one = visitor()
    page = one.open(address(checked, checked.quick, seed=3))
    settled(page)
    press_run(page)
    page.wait_for_function("document.querySelector('.gb-badge').textContent === 'Finished'")
    run = shown_run(page)
    there = lab_engine.result(run)
    verdict = there["verdict"]["text"]
    assert says(page, there["verdict"])

    report = html.unescape(page.evaluate(f"fetch('lab/runs/{run}/report.html').then((answer) => answer.text())"))
    assert verdict in report
    for value in there["metrics"].values():
        assert str(value) in report

    link = page.evaluate(f"fetch('lab/runs/{run}').then((answer) => answer.json()).then((run) => run.link)")
    page.goto(one.address + link.lstrip("/"))
    settled(page)
    assert shown_run(page) == run and says(page, there["verdict"])
    with page.expect_response("**/gradio_api/run/predict**"):
        press_run(page)
    settled(page)
    assert shown_run(page) == run
    asked = lab_engine.start(there["name"], there["config"], seed=there["seed"])
    assert (asked.id, asked.recorded) == (run, True)
