"""Numbers and words as the site writes them: one formatter for all pages."""

from __future__ import annotations

import math
from typing import Any

from markupsafe import escape

_HELD = {True: ("yes", "✓", "held here"), False: ("no", "✗", "did not hold here"), "undecided": ("undecided", "?", "undecided"),
         None: ("unmeasured", "–", "not measured")}


def number(value: Any) -> str:
    """Three significant digits, thousands apart; "–" for nothing."""
    if value is None or isinstance(value, float) and not math.isfinite(value):
        return "–"
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return str(value)
    if isinstance(value, int) or value.is_integer() and abs(value) < 1e6:
        return f"{int(value):,}"
    if abs(value) >= 1e6 or abs(value) < 1e-4:
        return f"{value:.2e}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def when(created: str) -> str:
    """2026-11-24T20:31:05.123+00:00 -> "24 Nov, 20:31 UTC"."""
    from datetime import datetime

    return f"{datetime.fromisoformat(created):%d %b, %H:%M UTC}".lstrip("0")


def notice(message: str, hint: str = "", *, kind: str = "bad") -> str:
    """A box that says what was wrong and what to do; kind is bad, info or good."""
    return (f'<div class="gb-notice gb-notice--{kind}" role="{"alert" if kind == "bad" else "status"}">'
            f"<p>{escape(message)}</p>" + (f"<p>{escape(hint)}</p>" if hint else "") + "</div>")


def held(value: Any) -> str:
    """Whether a claim held, as a symbol with words."""
    name, symbol, words = _HELD[value]
    return f'<span class="gb-held gb-held--{name}"><span aria-hidden="true">{symbol}</span> {words}</span>'


def term(word: str, meaning: str) -> str:
    """A word that explains itself when pointed at, touched or focused."""
    word, meaning = escape(word), escape(meaning)
    return f'<span class="gb-term" tabindex="0" role="note" aria-label="{word}: {meaning}" data-meaning="{meaning}">{word}</span>'
