"""The page of paper 03: pointing at tokens, the gamma slider, a changed digit, the ROC lab and its links."""

from __future__ import annotations

import pytest

from apps.lab.pages.cot_energy.page import NAMES
from apps.lab.ui.lesson import read_lesson
from core.reasoning.spec import SCORE_NAMES

ROUTE = "cot-energy"


@pytest.fixture
def desk(visitor):
    """The page with the recorded output laid out token by token."""
    page = visitor().open(ROUTE)
    page.wait_for_selector("#closely-answer")
    page.locator("#closely-answer").scroll_into_view_if_needed()
    page.wait_for_function("document.querySelectorAll('#closely-answer .gb-token').length > 10", timeout=60_000)
    page.wait_for_function("document.querySelectorAll('#closely-answer .main-svg').length > 3", timeout=60_000)
    return page


def chosen(page) -> int:
    return page.evaluate("[...document.querySelectorAll('#closely-answer .gb-token')].findIndex((t) => t.hasAttribute('data-lit'))")


def lit(page, token: int) -> None:
    """Waits until path, map and layer table show this token."""
    page.wait_for_function(
        """(token) => {
          const [path, , heat, , lens] = document.querySelectorAll('#closely-answer .js-plotly-plot');
          const column = heat.layout.shapes.at(-1);
          return path.data.at(-1).meta === 'lit' && Math.round((column.x0 + column.x1) / 2) === token
            && lens?.clientWidth && lens.data[0].z.length === 9;
        }""", arg=token)


def choose(page, value: str) -> None:
    page.locator("#changed-value input").click()
    page.get_by_role("option", name=value, exact=True).click()


def test_a_token_lights_every_figure_a_point_its_token_and_a_changed_digit_is_scored_at_once(desk, lab_engine):
    tokens = desk.locator("#closely-answer .gb-token").all_inner_texts()
    token = tokens.index("<think>") + 3
    whole = desk.evaluate("document.querySelectorAll('#closely-answer .js-plotly-plot')[1].data[0].y")
    desk.locator("#closely-answer .gb-token").nth(token).hover()
    lit(desk, token)
    answer = lab_engine.probe("reasoning/energy", {"token": token})
    own = desk.evaluate("document.querySelectorAll('#closely-answer .js-plotly-plot')[1].data[0].y")
    assert own == pytest.approx(answer["figures"]["profile"]["data"][0]["y"]) and own != whole
    words = desk.evaluate("document.querySelectorAll('#closely-answer .js-plotly-plot')[4].data[0].text.at(-1)")
    assert [word.replace("&lt;", "<") for word in words] == [repr(text) for text, _ in answer["top"][-1]]

    start = tokens.index("<think>") + 1
    chain = desk.locator("#closely-answer .js-plotly-plot").nth(3)
    chain.scroll_into_view_if_needed()
    x, y = chain.evaluate(
        """(plot) => {
          const { left, top } = plot.getBoundingClientRect(), { xaxis, yaxis } = plot._fullLayout;
          return [left + xaxis._offset + xaxis.l2p(5), top + yaxis._offset + yaxis.l2p(plot.data[0].y[5])];
        }""")
    desk.mouse.move(x - 30, y)
    desk.mouse.move(x, y, steps=4)
    desk.wait_for_function("(at) => document.querySelectorAll('#closely-answer .gb-token')[at].hasAttribute('data-lit')", arg=start + 5)
    lit(desk, start + 5)
    assert chosen(desk) == start + 5
    desk.get_by_role("button", name="Look at the reasoning as a whole").click()
    desk.wait_for_function("document.querySelectorAll('#closely-answer .js-plotly-plot')[4].clientWidth === 0")
    assert chosen(desk) == -1

    answer = lab_engine.probe("reasoning/corrupt", {"step": 1, "value": "5"})
    choose(desk, "5")
    desk.wait_for_function("(after) => document.querySelector('#changed-answer').innerText.includes(after)", arg=answer["after"])
    said = desk.locator("#changed-answer").inner_text()
    assert answer["before"] in said and f"{answer['energy_after']:.3g}" in said
    # the least sure token stands before the last step, which therefore cannot change it
    steps = desk.locator("#closely-answer .gb-panel--table tbody button")
    steps.last.click()
    count = steps.count()
    desk.wait_for_function("(step) => document.querySelector('#changed-step input[type=number]').value === step", arg=str(count))
    choose(desk, "3")
    desk.wait_for_function("/Lowest certainty.*no change/.test(document.querySelector('#changed-answer').innerText)")

    expected = lab_engine.probe("reasoning/energy", {"gamma": 0.0})["energy"]
    box = desk.locator("#closely-gamma input[type=number]")
    box.fill("0")
    box.blur()
    desk.wait_for_function(
        "(wanted) => Math.abs(Number(document.querySelector('#closely-answer .gb-tile-value').textContent) - wanted) < 0.006", arg=expected)


def test_an_answer_that_comes_late_does_not_turn_the_figures_back(desk):
    first = desk.locator("#closely-answer .gb-token").all_inner_texts().index("<think>") + 3
    held = []

    def hold_the_first(route):
        if not held and f'"sets":{{"token":{first}}}' in route.request.post_data:
            held.append(route)
        else:
            route.continue_()

    desk.route("**/run/predict*", hold_the_first)
    desk.locator("#closely-answer .gb-token").nth(first).hover()
    while not held:
        desk.wait_for_timeout(50)
    desk.locator("#closely-answer .gb-token").nth(first + 1).hover()
    desk.wait_for_timeout(500)  # the second question waits for the first to be answered
    assert chosen(desk) == first + 1
    with desk.expect_response(lambda answer: answer.request == held[0].request):
        held[0].continue_()
    lit(desk, first + 1)
    assert chosen(desk) == first + 1


def test_every_score_has_its_name_explained():
    explained = {word for name, _ in NAMES for word in name.split(", ")}
    starts = {name.split(" think")[0].split(" answer")[0].split(" all")[0].split(" prompt")[0].split("-")[0] for name in SCORE_NAMES}
    readings = {f"R{i}" for i in range(6)}
    assert starts - readings == explained - {"think", "answer", "all", "R0 to R5"}


def test_the_roc_lab_opens_with_a_thousand_outputs_and_its_runs_have_links(visitor, lab_engine):
    page = visitor().open(f"{ROUTE}?of=reasoning%2Froc&gamma=0.4&problems=60&corrupted=0")
    page.wait_for_selector("[role=tab][aria-selected=true]:has-text('ROC lab')")
    page.wait_for_function("document.querySelectorAll('.gb-sure-text')[1]?.textContent.includes('Of 1000 outputs')")
    assert page.locator("#roc-gamma input[type=number]").input_value() == "0.4"
    assert page.locator("#field-gamma input[type=number]").input_value() == "0.8"
    page.get_by_role("button", name="Test the scores").click()
    page.wait_for_function("document.querySelectorAll('.gb-badge')[1].textContent === 'Finished'")
    run = page.evaluate("document.querySelectorAll('[data-run]')[1].dataset.run")
    verdict = lab_engine.result(run)["verdict"]["text"]
    top, rest = (page.locator(place).nth(1).text_content() for place in (".gb-verdict", ".gb-sure-text"))
    assert verdict in (f"{top} {rest}".strip(), rest)
    link = page.evaluate(f"fetch('lab/runs/{run}').then((answer) => answer.json()).then((run) => run.link)")
    page.goto(page.url.split("?")[0].rsplit("/", 1)[0] + link)
    page.wait_for_function("(run) => document.querySelectorAll('[data-run]')[1]?.dataset.run === run", arg=run)


def test_a_view_whose_tab_opens_after_its_run_came_shows_it(visitor):
    one = visitor()
    held = []

    def hold_the_tab(route):
        answer = route.fetch()
        if '"selected":"roc"' in answer.text().replace(" ", ""):
            held.append((route, answer))
        else:
            route.fulfill(response=answer)

    one.context.route("**/run/predict*", hold_the_tab)
    page = one.open(f"{ROUTE}?of=reasoning%2Froc&run=first-cot-energy-roc")
    while not held:
        page.wait_for_timeout(100)
    page.wait_for_timeout(2_000)  # long enough for everything but the tab
    held[0][0].fulfill(response=held[0][1])
    page.wait_for_function("document.querySelectorAll('[data-run]')[1]?.dataset.run === 'first-cot-energy-roc'")


def test_the_lesson_tells_the_truth_about_its_two_outputs(lab_engine):
    problems = [step.settings["problem"] for step in read_lesson(ROUTE).steps if step.settings]
    sound, lucky = (lab_engine.probe("reasoning/energy", {"problem": problem}) for problem in problems[:2])
    assert (sound["label"], lucky["label"], len(sound["steps"])) == ("sound", "lucky", 6)
    assert lucky["steps"][0]["right"] is False
    assert lucky["percentiles"]["R2 think"] > sound["percentiles"]["R2 think"] + 20
