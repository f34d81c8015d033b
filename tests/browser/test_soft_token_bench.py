"""What only this page has: larger runs one click away, and words that explain what is not run here."""

from __future__ import annotations

PAGE = "soft-token-bench"


def test_400_characters_are_one_click_away_on_a_phone_in_the_dark(visitor):
    page = visitor(width=390, dark=True).open(PAGE)
    page.wait_for_selector(".gb-verdict")
    page.get_by_role("tab", name="Go further").click()
    card = page.locator(".gb-answer", has_text="400 characters").first
    assert "billions of parameters" in card.inner_text()
    card.get_by_role("link", name="Set the controls").click()
    page.wait_for_url("**random_length=400**")  # that control stands under "More"
    page.wait_for_function("document.querySelector('#field-model input')?.value === 'hf/Qwen/Qwen2.5-0.5B'")
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0


def test_three_witnesses_answer_side_by_side_and_all_can_be_attacked(visitor):
    page = visitor().open(PAGE)
    told = ".gb-panel--witnesses .gb-asking-told"
    page.wait_for_function(f"/^Asked just now/.test(document.querySelector('{told}')?.textContent)")  # they open with an answer each
    said = page.locator(".gb-panel--witnesses .gb-answer-text")
    assert said.count() == 3 and len({text.strip() for text in said.all_inner_texts()}) == 3
    page.locator(".gb-panel--witnesses").get_by_role("button", name="Ask all").click()
    page.wait_for_selector(".gb-panel--witnesses .gb-panel-note:has-text('3 say a lie as readily')")
    squares = page.evaluate("[...document.querySelectorAll('.gb-panel--witnesses .gb-squares span')].map((one) => one.dataset.state)")
    assert squares == ["2", "1", "1", "0", "1", "1", "0", "1", "1"]  # who knows it; made to forget; never knew: asked, truth, lie
