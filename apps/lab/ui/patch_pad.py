"""A picture cut into squares, of which some are painted: its value is what a field for patches takes, "1-8, 12".

    grid = {"grid": 8}                        # in a text field's json_schema_extra: the control is this one (ui/controls.py)
"""

from __future__ import annotations

from typing import Any

from apps.lab.ui.widget import Widget


class PatchPad(Widget):
    """Its value: numbers and ranges of the painted squares, counted line by line from 1; "" where none is.

    Painted with a pen or a finger, or with arrow keys and the space bar. Event: `input`, when the pen is lifted or a key was pressed.
    """

    module = "patch_pad.js"
    place = "gb-patches"

    def __init__(self, label: str = "", *, value: Any = "", side: int = 8, under: str = "", info: str = "", **options: Any) -> None:
        super().__init__(value=value, **({"aria": label, "side": side, "under": under, "info": info} | options))
