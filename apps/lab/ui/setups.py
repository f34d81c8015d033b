"""Links that set the controls of a page, for what is worth trying next.

    setups.cards(page, [("Starve it", "With a single soft token ...", {"tokens": 1})])      # HTML
    setups.address(page, {"steps": 0})                                                     # "unlearning-auditor?steps=0"
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from markupsafe import escape

from apps.lab import links
from apps.lab.pages import Page
from core.engine.registry import find

Setup = tuple[str, str, dict[str, Any]]


def address(page: Page, settings: dict[str, Any]) -> str:
    """Where the page stands with these settings of its first experiment. Raises LabError for settings that it does not have."""
    return links.link(page.route, find(page.experiments[0]).validate(settings)).lstrip("/")


def cards(page: Page, setups: Sequence[Setup]) -> str:
    """One card for each (title, words, settings)."""
    made = "".join(f'<div class="gb-answer"><h3>{escape(title)}</h3><p>{escape(words)}</p>'
                   f'<p><a href="{escape(address(page, settings))}">Set the controls</a>, then press Run.</p></div>'
                   for title, words, settings in setups)
    return f'<div class="gb-answers-row">{made}</div>'
