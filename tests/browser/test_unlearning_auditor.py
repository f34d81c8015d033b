"""What is the auditor's own: the matrix that one presses, one question from the inside, one's own questions and model."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.engine.runner import Engine
from tests.browser.harness.view import look_at_all

AUDITOR = "unlearning-auditor"
HOSTILE = '<img src=x onerror="document.title=1">'
MATRIX = ".gb-panel--matrix"


@pytest.fixture(scope="module")
def lab_engine(engine_with_models: Engine) -> Engine:
    return engine_with_models


@pytest.fixture(scope="module")
def lab_address(address_with_models: str) -> str:
    return address_with_models


def opened(visitor, query: str = "", **size):
    page = visitor(**size).open(f"{AUDITOR}?{query}" if query else AUDITOR)
    page.wait_for_function("/^(done|recorded)$/.test(document.querySelector('.gb-status')?.dataset.tone || '')"
                           " && document.querySelector('.gb-live .main-svg')")
    return page


def bring(page, file: Path) -> None:
    page.locator("#way label").nth(1).click()
    page.locator("#field-questions-bring").wait_for()
    page.locator(".gb-controls input[type=file]").first.set_input_files(file)


def run_to_its_end(page) -> str:
    """Presses Run and waits; what the head of the view says then, in all of its layers."""
    page.get_by_role("button", name="Run", exact=True).click()
    page.wait_for_function("!document.querySelector('[data-run]').dataset.run.startsWith('first-')"
                           " && /^(done|bad)$/.test(document.querySelector('.gb-status').dataset.tone)")
    page.evaluate("for (const layer of document.querySelectorAll('.gb-layer')) layer.open = true")
    return page.locator(".gb-status").first.inner_text()


def last(engine: Engine, run: str, name: str) -> dict:
    return [event for event in engine.events(run) if event.get("name") == name][-1]


def press_cell(page, model: int, question: int, way: int) -> None:
    """A real click in the middle of a cell, the axes' own arithmetic telling where that is."""
    page.locator(f"{MATRIX} .gb-plot").scroll_into_view_if_needed()
    page.evaluate(f"document.querySelector('{MATRIX}').scrollIntoView({{ block: 'start' }})")
    x, y = page.evaluate(f"""() => {{
        const plot = document.querySelector('{MATRIX} .js-plotly-plot'), box = plot.getBoundingClientRect();
        const across = plot._fullLayout['xaxis{model + 1 if model else ""}'], down = plot._fullLayout.yaxis;
        return [box.x + across._offset + across.c2p({question}), box.y + down._offset + down.c2p({way})]; }}""")
    page.mouse.move(x - 1, y - 1)
    page.mouse.click(x, y)


def asked_anew(page) -> None:
    page.wait_for_function(f"/^Asked just now/.test(document.querySelector('{MATRIX} .gb-asking-told').textContent)")


def filled(page) -> list[int]:
    """How many cells of each map are known."""
    return page.evaluate(f"document.querySelector('{MATRIX} .js-plotly-plot').data.filter((trace) => trace.z)"
                         ".map((trace) => trace.z.slice(0, -1).flat().filter((state) => state !== null).length)")


def test_covered_answers_come_back_cell_by_cell_and_all_at_once(visitor, lab_engine):
    page = opened(visitor)
    box = page.locator(MATRIX)
    whole = filled(page)
    box.get_by_role("button", name="Cover the answers").click()
    page.wait_for_function(f"document.querySelector('{MATRIX} .js-plotly-plot').data[0].z.flat().every((state) => state === null)")
    box.locator(".gb-interview button").first.click()
    asked_anew(page)
    page.wait_for_function(f"document.querySelector('{MATRIX} .js-plotly-plot').data[0].z.flat().some((state) => state !== null)")
    assert filled(page) == [1, 1, 1]
    box.get_by_role("button", name="Ask all").click()
    page.wait_for_function(f"document.querySelector('{MATRIX} .gb-asking-told').textContent.includes('As in the run.')")
    page.wait_for_function(f"!document.querySelector('{MATRIX} .js-plotly-plot').data[0].z.flat().includes(null)")
    assert filled(page) == whole
    box.get_by_role("button", name="Show all answers").click()


def test_a_pressed_cell_tells_what_was_asked_and_said_and_leads_inside(visitor, lab_engine):
    cells, answers = (last(lab_engine, f"first-{AUDITOR}", name) for name in ("cells", "answers"))
    way = next(row[1] for row in cells["rows"] if row[1] != "direct")
    row = next(row for row in cells["rows"] if (row[0], row[1]) == (2, way))
    question = answers["rows"][2][0]
    page = opened(visitor)
    press_cell(page, 0, 2, 1)
    asked, chosen = page.locator(f"{MATRIX} select").first, page.locator(f"{MATRIX} .gb-interview [aria-pressed=true]")
    page.wait_for_function("(select) => select.value === '2'", arg=asked.element_handle())
    cell = page.locator(f"{MATRIX} .gb-cell")
    assert chosen.get_attribute("value") == way
    assert f"The key fact is {row[5]}." in cell.inner_text()
    assert [text.strip() for text in page.locator(f"{MATRIX} .gb-witness .gb-answer-text").all_inner_texts()] == row[6:-2]
    cell.locator("summary").click()
    assert cell.locator("pre").inner_text().strip() == row[4].strip()

    asked_anew(page)
    assert "As in the run." in page.locator(f"{MATRIX} .gb-asking-told").inner_text()
    notes = page.locator(f"{MATRIX} .gb-witness-note").all_inner_texts()
    assert notes == ["just now", "from the record", "just now"]  # the model that forgot is not stored with the first view

    page.locator(f"{MATRIX} .gb-interview button").last.focus()  # the same without a mouse
    page.keyboard.press("Enter")
    chosen.filter(has_text="any way").wait_for()  # a picture is drawn anew a few times a second
    assert page.evaluate("document.activeElement.innerText") == "any way"
    listed = cell.locator(".gb-cell-ways li")
    listed.first.wait_for()
    assert listed.count() == len({row[1] for row in cells["rows"]})

    page.locator(MATRIX).get_by_role("button", name="Show as table").click()  # every block of it, in words
    blocks = [trace["text"] for trace in last(lab_engine, f"first-{AUDITOR}", "matrix")["figure"]["data"] if trace.get("z")]
    words = page.locator(f"{MATRIX} .gb-plot-table td").all_inner_texts()
    wide = 1 + len(blocks[0][0])  # the question and its cells; the model is the head of the row
    assert [words[i + 1:i + wide] for i in range(0, len(words), wide)] == [row for block in blocks for row in block]

    cell.get_by_role("button", name="Look inside this question").click()
    page.wait_for_selector("#inside-answer .gb-answer >> nth=2")
    page.wait_for_function("document.querySelector('.gb-tabs').getBoundingClientRect().top < innerHeight / 2")  # brought into sight
    assert page.locator("#inside-question textarea, #inside-question input").first.input_value() == question
    model = lab_engine.records.read(f"first-{AUDITOR}")["config"]["model"]
    look = lab_engine.probe("unlearning/actpert", {"model": model, "question": question})
    page.locator("#inside-answer").get_by_role("button", name="Before").click()
    said = page.locator("#inside-answer .gb-answer-text").all_inner_texts()
    assert said == [look[name] or "says nothing" for name in ("before", "after", "random")]
    tokens = page.locator("#inside-answer .gb-token")
    assert tokens.count() == len(look["tokens"])
    tokens.nth(look["shaken"].index(True)).hover()  # what belongs to it is framed in the map
    page.wait_for_function("document.querySelector('#inside-answer .js-plotly-plot')?.layout.shapes?.length === 1")


def test_folded_parts_open_full_and_a_phone_shows_one_map_with_every_way_named(visitor, lab_engine):
    page = opened(visitor, width=390, height=844, dark=True)
    ways = next(trace["x"] for trace in last(lab_engine, f"first-{AUDITOR}", "matrix")["figure"]["data"] if trace.get("z"))
    assert page.locator(f"{MATRIX} .yaxislayer-above text").all_text_contents() == ways
    assert 2 < page.locator(f"{MATRIX} .xaxislayer-above text").count() < 30  # people in short, or numbers with gaps
    whose = page.locator(MATRIX).get_by_label("Map of")
    assert whose.input_value() == "After forgetting"
    whose.select_option("Never knew")
    page.wait_for_function(f"""() => {{
        const {{ data, layout }} = document.querySelector('{MATRIX} .js-plotly-plot')
        return data.length === 1 && data[0].name === 'Never knew' && layout.xaxis.title.text === 'Never knew'
    }}""")
    for fold in page.locator(".gb-fold").all():
        fold.locator("> summary").click()
        assert fold.locator(".gb-panel--empty:visible").count() == 0
    look_at_all(page, ".gb-fold .gb-plot")
    assert page.evaluate("[...document.querySelectorAll('.gb-fold .gb-plot')].every((plot) => plot.querySelector('.main-svg'))")
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0


def test_a_wrong_file_is_refused_in_words_before_anybody_presses_run(visitor, tmp_path: Path):
    long = b"question,answer\n" + b"".join(b"Who is number %d?,It is %d.\n" % (i, i) for i in range(100_000))
    page = opened(visitor)
    for name, content, words in (("columns.csv", b"name,town\nIda,Porto\n", "no column 'question'"),
                                 ("binary.csv", bytes(range(256)) * 40, "not a text"), ("long.csv", long, "20,000 rows")):
        (tmp_path / name).write_bytes(content)
        bring(page, tmp_path / name)
        refused = page.locator(".gb-controls .gb-notice--bad").filter(has_text=words)
        refused.wait_for(timeout=60_000)
        assert "Traceback" not in refused.inner_text()


def test_own_questions_three_clicks_and_no_cell_is_more_than_text(visitor, lab_engine, tmp_path: Path):
    (tmp_path / "mine.csv").write_text(f"question,answer,key\nWho is {HOSTILE}?,It is Ida.,Ida\n"
                                       '"=HYPERLINK(""http://example.com"")",It is Ben.,Ben\nWho is left?,,\n', encoding="utf-8")
    page = opened(visitor, 'model=path/tiny&reference=null&audits=["prefix"]')
    title = page.title()
    bring(page, tmp_path / "mine.csv")
    page.wait_for_selector(".gb-controls .gb-notice--good")
    found = page.locator(".gb-controls .gb-notice--good").inner_text()
    assert "2 questions" in found and "Row 4" in found
    said = run_to_its_end(page)
    assert "As it stands, the model answers" in said and "No model that never knew was chosen" in said
    run = page.evaluate("document.querySelector('[data-run]').dataset.run")
    assert lab_engine.result(run)["metrics"]["steps taken"] == 0
    assert "Nothing is trained" in page.locator(".gb-panel--text").filter(has_text="What was left out").inner_text()
    page.locator(f"{MATRIX} .gb-cell-prompt summary").click()
    assert HOSTILE in page.locator(f"{MATRIX} .gb-cell pre").inner_text()
    page.locator(".gb-fold > summary").last.click()
    assert page.locator(".gb-live .gb-table").get_by_text("=HYPERLINK").first.is_visible()
    assert page.locator(".gb-live img, .gb-live script").count() == 0 and page.title() == title


def test_a_training_that_breaks_down_ends_in_a_sentence(visitor):
    page = opened(visitor, "model=path/huge&reference=null&audits=[]&actpert=false&subjects=1&steps=3&learning_rate=1&retain_questions=10")
    said = run_to_its_end(page)
    assert "broke down" in said or "no numbers" in said
    assert "NaN" not in page.locator(".gb-live").inner_text() and "Traceback" not in said


def test_nonsense_put_to_the_inside_gets_a_sentence(visitor):
    page = opened(visitor)
    page.get_by_role("tab", name="Look inside one question").click()
    for question, name, words in (("", "", "no question"), ("where is it", "", "no name"),
                                  ("Where was Felix Tanaka born?", "Nobody", "does not stand in the question")):
        page.locator("#inside-question textarea, #inside-question input").first.fill(question)
        page.locator("#inside-subject textarea, #inside-subject input").first.fill(name)
        page.get_by_role("button", name="Look inside", exact=True).click()
        page.locator("#inside-answer .gb-notice--error").filter(has_text=words).wait_for(timeout=60_000)
