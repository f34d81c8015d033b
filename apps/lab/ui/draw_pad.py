"""A square to draw on: its value is what a field for a drawing takes.

    Desk(..., fields=("depth", "drawing"), widgets={"drawing": lambda: DrawPad("Draw a letter here")})
"""

from __future__ import annotations

from typing import Any

from apps.lab.ui.widget import Widget


class DrawPad(Widget):
    """Its value: 64 rows of 64 numbers, 0 paper to 255 ink, or None. Event: `input`, when the pen is lifted or the square is cleared."""

    module = "draw_pad.js"
    place = "gb-pad"

    def __init__(self, label: str = "", *, value: Any = None, **options: Any) -> None:
        super().__init__(value=value, **({"aria": label} | options))
