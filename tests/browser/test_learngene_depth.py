"""Drag the depth, draw a letter, bring a picture, ask for nonsense: what only this page has."""

from __future__ import annotations

import re

import pytest
from PIL import Image, ImageDraw

from tests.learngene.brought import header_only, shapes, zipped

PAGE = "learngene-depth"


def opened(visitor, **options):
    page = visitor(**options).open(PAGE)
    page.wait_for_function("/layers?, no training/.test(document.querySelector('#grow-answer')?.innerText)")
    return page


def said(page, words: str) -> None:
    page.wait_for_function(f"document.querySelector('#grow-answer').innerText.includes({words!r})")


def shares(page) -> float:
    return float(re.search(r"right in ([\d.]+)%", page.locator("#grow-answer").inner_text())[1])


def to_depth(page, depth: int) -> None:
    """Moves the slider with the keyboard, as a drag does: no button is pressed."""
    slider = page.locator("#grow-depth input[type=range]")
    slider.focus()
    now = int(slider.input_value())
    for _ in range(abs(depth - now)):
        page.keyboard.press("ArrowRight" if depth > now else "ArrowLeft")
    said(page, "1 layer," if depth == 1 else f"{depth} layers,")


def draw(page, points: list[tuple[float, float]]) -> None:
    paper = page.locator(".gb-pad-paper")
    paper.scroll_into_view_if_needed()
    box = paper.bounding_box()
    places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in points]
    page.mouse.move(*places[0])
    page.mouse.down()
    for place in places[1:]:
        page.mouse.move(*place, steps=8)
    page.mouse.up()


def test_dragging_makes_and_measures_each_depth_without_a_button(visitor, lab_engine):
    page = opened(visitor)
    for depth in (9, 1, 16):
        to_depth(page, depth)
        made = lab_engine.probe("learngene/expand", {"depth": depth})
        assert shares(page) == pytest.approx(100 * made["right"], abs=0.06)
        assert f"{made['parameters']:,}" in page.locator("#grow-answer").inner_text()
    assert "deeper than anything" in page.locator("#grow-answer").inner_text()
    number = page.locator("#grow-depth input[type=number]")
    for typed, shown in (("1000", "16 layers,"), ("0", "1 layer,")):
        number.fill(typed)
        number.press("Tab")
        said(page, shown)
    tried = page.evaluate("document.querySelector('#grow-answer .js-plotly-plot').data[0].x")
    assert {1, 8, 9, 16} <= set(tried)
    page.get_by_role("button", name="Try all 16").click()
    page.wait_for_function("document.querySelector('#grow-answer .js-plotly-plot').data[0].x.length === 16")
    assert page.evaluate("document.querySelector('#grow-answer .js-plotly-plot').data[0].error_y.array.length") == 16


def test_a_letter_drawn_or_brought_is_read_and_what_is_none_gets_a_sentence(visitor, tmp_path):
    page = opened(visitor)
    page.wait_for_selector("#grow-answer .main-svg")
    page.wait_for_timeout(800)
    assert page.evaluate("scrollY") == 0  # the page opens at its top
    page.locator(".gb-pad-paper").click()  # a click without a stroke, and a dot, do no harm
    said(page, "your own picture")
    page.get_by_role("button", name="Clear", exact=True).click()
    page.wait_for_function("!document.querySelector('#grow-answer').innerText.includes('your own picture')")
    draw(page, [(0.35, 0.2), (0.35, 0.8), (0.7, 0.8)])
    said(page, "Here it says L (your own picture)")
    to_depth(page, 7)
    said(page, "your own picture")

    picture = Image.new("L", (200, 200), 255)
    ImageDraw.Draw(picture).line([(60, 40), (60, 160), (140, 160)], fill=0, width=18)
    picture.save(tmp_path / "letter.png")
    brought = page.locator("#grow-own-bring input[type=file], .gb-try input[type=file]").first
    page.get_by_role("button", name="Clear", exact=True).click()
    page.wait_for_function("!document.querySelector('#grow-answer').innerText.includes('your own picture')")
    brought.set_input_files(tmp_path / "letter.png")
    said(page, "your own picture")
    (tmp_path / "text.png").write_text("not a picture")
    frames = [Image.new("L", (20, 20), shade) for shade in (0, 120, 255)]
    frames[0].save(tmp_path / "moving.gif", save_all=True, append_images=frames[1:])
    (tmp_path / "huge.png").write_bytes(header_only(30_000, 30_000))
    for name, words in (("text.png", "text.png is not a picture"), ("moving.gif", "is animated"), ("huge.png", "is far too large")):
        brought.set_input_files(tmp_path / name)
        said(page, words)

    page.locator(".gb-try").get_by_text("More", exact=True).click()
    box = page.locator("#grow-learngene input")
    box.fill("embedded/<b>nobody")
    box.press("Enter")
    page.wait_for_function("/nobody/.test(document.querySelector('#grow-answer .gb-notice')?.innerText)")
    assert page.locator("#grow-answer b").count() == 0
    assert "Traceback" not in page.locator("#grow-answer").inner_text()


def test_own_pictures_are_checked_trained_on_and_put_on_the_slider(visitor, tmp_path):
    page = opened(visitor)
    page.get_by_role("tab", name="Make a learngene").click()
    page.locator("#put-on").click()
    said(page, "You have made no learngene on this page yet.")
    file = page.locator("input[type=file][accept='.zip']").last
    page.wait_for_timeout(500)  # the tab has built all its controls
    file.set_input_files(zipped(tmp_path / "one.zip", shapes(3, ("bar",))))
    page.get_by_text("one class only").first.wait_for(timeout=60_000)
    file.set_input_files(zipped(tmp_path / "three.zip", shapes(6)))
    page.get_by_text("3 classes: 'bar', 'box', 'dot'. 12 pictures to learn from").first.wait_for(timeout=60_000)
    page.get_by_role("tabpanel").get_by_text(re.compile("^More( settings)?$")).last.click()
    for field, value in (("epochs", "0"), ("teach", "1")):
        number = page.locator(f"#train-{field} input[type=number]")
        number.fill(value)
        number.press("Tab")
    page.locator("#train-run").click()
    page.get_by_text("After this little training").first.wait_for(timeout=120_000)
    page.locator("#put-on").click()
    said(page, "of 6 pictures")
    page.wait_for_function("[...document.querySelectorAll('#grow-answer .js-plotly-plot')]"
                           ".some((plot) => plot.data[0].y?.toSorted().join() === 'bar,box,dot')")
    page.get_by_text(re.compile("^More( settings)?$")).first.click()
    ours = {name: page.locator(f"#field-{name} input").first.input_value() for name in ("learngene", "ancestor", "source_pictures")}
    assert re.fullmatch(r"run/.+/learngene", ours["learngene"]) and re.fullmatch(r"run/.+/ancestor", ours["ancestor"])
    assert ours["source_pictures"] == "three.zip"  # so that Run lets it race
