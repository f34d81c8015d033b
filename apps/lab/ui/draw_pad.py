"""A square to draw on, with the picture that the network gets beside it.

    pad = DrawPad("Draw a letter here")
    pad.select(read, ...)                 # in `read`: ink_of(event) -> array (64, 64) of bytes
    ... return drawn_as(rows)             # rows: 16 x 16 numbers, -1 paper to 1 ink
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gradio as gr

from apps.lab.ui.scripts import SCRIPTS
from core.engine.errors import LabError

SIDE = 64  # what the browser sends: static/draw_pad.js has the same number

_MOUNT = """
import(new URL(props.scripts + "draw_pad.js", document.baseURI)).then(({ mountPad }) => {
  const pad = mountPad(element.querySelector(".gb-pad"), { label: props.aria, onInk: (ink) => trigger("select", { ink }) });
  const show = () => pad.show(props.value);
  watch("value", show);
  show();
});
"""


class DrawPad(gr.HTML):
    """Its value is what `drawn_as` gives, or None. Event: `select`, when the pen is lifted.

    Its trigger_mode must not be "always_last": Gradio drops the data of an event that has to wait.
    """

    def __init__(self, label: str, *, value: dict[str, Any] | None = None, **options: Any) -> None:
        super().__init__(value=value, html_template='<div class="gb-pad"></div>', js_on_load=_MOUNT, apply_default_css=False,
                         scripts=SCRIPTS, aria=label, **options)

    def get_block_name(self) -> str:
        return "html"

    def api_info(self) -> dict[str, Any]:
        return {"type": "object"}


def drawn_as(rows: Sequence[Sequence[float]], *, own: bool) -> dict[str, Any]:
    """The picture as the network gets it. `own`: drawn here, so the strokes stay."""
    return {"rows": [[round(float(value), 3) for value in row] for row in rows], "own": own}


def ink_of(event: gr.EventData) -> Any:
    """What was drawn, as bytes (64, 64), 255 for ink. Raises LabError for anything that did not come from the pad."""
    import numpy as np

    ink = event._data.get("ink") if isinstance(event._data, dict) else None
    if not isinstance(ink, list) or len(ink) != SIDE**2 or not all(type(value) is int and 0 <= value <= 255 for value in ink):
        raise LabError("That is not a drawing.", "Draw on the square, with the mouse or a finger.")
    return np.array(ink, dtype=np.uint8).reshape(SIDE, SIDE)
