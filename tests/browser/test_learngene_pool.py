"""Press blocks, try all paths, set a budget, choose a start: what only this page has."""

from __future__ import annotations

PAGE = "learngene-pool"


def opened(visitor, **options):
    page = visitor(**options).open(PAGE)
    page.wait_for_function("document.querySelector('#walk-answer')?.innerText.includes('of 256 pictures')")
    return page


def said(page, words: str) -> None:
    page.wait_for_function(f"document.querySelector('#walk-answer').innerText.includes({words!r})")


def block(page, model: str, number: int):
    return page.locator(f"#walk-answer .gb-block--{model}").nth(number - 1)


def test_a_pressed_path_is_measured_and_timed_then_all_and_what_a_budget_allows(visitor, lab_engine):
    page = opened(visitor)
    block(page, "small", 5).click()
    made = lab_engine.probe("learngene/path", {"last_small": 4, "first_large": 3})
    said(page, f"{made['right']:.1%} of 256 pictures")
    said(page, f"{made['parameters']:,}")
    page.wait_for_function("/\\d ms for 64/.test(document.querySelector('#walk-answer').innerText)")
    assert [block(page, "small", i).get_attribute("aria-pressed") for i in (5, 6)] == ["true", "false"]
    for cost, x in (("numbers inside", [made["parameters"]]), ("time", None)):  # of the two paths walked only this one was timed
        page.locator("#walk-cost").get_by_label(cost).click()
        shown = cost.replace("time", "milliseconds")
        page.wait_for_function(f"document.querySelector('#walk-answer .gb-panel--figure').innerText.includes('{shown}')")
        spots = page.evaluate("document.querySelector('#walk-answer .js-plotly-plot').data[0]")
        assert "5 → 4" in spots["text"] and (x is None and len(spots["x"]) == 1 or set(x or []) <= set(spots["x"]))
    page.locator("#walk-cost").get_by_label("multiply-adds").click()
    page.get_by_role("button", name="Try all paths").click()
    page.wait_for_function("document.querySelector('#walk-answer .js-plotly-plot').data[0].x.length === 16")
    rivals = page.evaluate("document.querySelector('#walk-answer .js-plotly-plot').data.find((one) => one.name === 'each trained alone')")
    assert len(rivals["x"]) == 5 and min(rivals["y"]) > 90
    number = page.locator("#walk-budget input[type=number]")
    number.fill("0.2")
    number.press("Tab")
    said(page, "No network of this pool is that cheap.")
    number.fill("2")
    number.press("Tab")
    said(page, "of 256 pictures")


def test_the_two_models_alone_and_a_pair_that_was_never_trained(visitor, lab_engine):
    page, asked = opened(visitor), []
    page.wait_for_function("/\\d ms for 64/.test(document.querySelector('#walk-answer').innerText)")
    pressed = '"by":"input"'
    page.route("**/gradio_api/**", lambda one: asked.append(one) if pressed in (one.request.post_data or "") else one.fallback())
    block(page, "small", 5).click()  # its answer comes after the refusal that follows, and must not take it away
    page.locator(".gb-try").get_by_text("More", exact=True).click()
    page.locator("#walk-newest").click()
    said(page, "You have made no pool on this page yet.")
    for route in asked:
        route.continue_()
    page.unroute_all()
    said(page, f"{lab_engine.probe('learngene/path', {'last_small': 4, 'first_large': 3})['parameters']:,}")
    said(page, "You have made no pool on this page yet.")
    page.get_by_role("button", name="Large model alone", exact=True).click()
    said(page, "The large model alone is right")
    said(page, "there is no stitch")
    page.get_by_role("button", name="Small model alone", exact=True).click()
    said(page, "The small model alone is right")
    block(page, "large", 1).click()
    said(page, "No stitch was trained for this pair of blocks")


def test_a_random_stitch_breaks_the_path(visitor, lab_engine):
    page = opened(visitor)
    page.locator("#walk-init input").click()
    page.get_by_role("option", name="random").click()
    made = lab_engine.probe("learngene/path", {"init": "random"})
    said(page, f"{made['right']:.1%} of 256 pictures")
    assert made["right"] < 0.5 < lab_engine.probe("learngene/path", {})["right"]
