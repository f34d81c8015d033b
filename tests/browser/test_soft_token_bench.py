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
