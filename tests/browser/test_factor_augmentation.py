"""Drag the strength, and what a refused table says: what only this page has."""

from __future__ import annotations


def said(page, words: str) -> None:
    page.wait_for_function(f"document.querySelector('#edit-answer')?.innerText.includes({words!r})")


def test_the_star_follows_the_strength_and_a_wrong_factor_gets_a_sentence(visitor, lab_engine):
    one = visitor()
    page = one.open("factor-augmentation")
    page.get_by_role("tab", name="Drag the strength").click()
    made = lab_engine.probe("factors/edit", {})
    said(page, f"{made['r2']:.2f}")
    number = page.locator("#edit-strength input[type=number]")
    for strength, words in ((0, "Nothing was changed, to the last digit"), (100, "Hardly anything is changed")):
        number.fill(str(strength))
        number.press("Tab")
        said(page, words)
        page.wait_for_function(
            "strength => [...document.querySelectorAll('#edit-answer .js-plotly-plot')].some("
            "(plot) => plot.data.some((one) => one.name === 'here' && one.x[0] === strength))", arg=strength)
    names = page.evaluate("[...document.querySelectorAll('#edit-answer .js-plotly-plot')]"
                          ".flatMap((plot) => plot.data.map((one) => one.name))")
    assert {"real", "edited", "noise of equal size", "theory, independent numbers"} <= set(names)
