"""The pool as a board: one row of blocks per model; what is pressed is the path.

    board = BlockBoard()
    board.select(walk, ...)          # in `walk`: way_of(event) -> (last small block, first large block), -1 for none
    ... return standing(6, 2, 3)
"""

from __future__ import annotations

from typing import Any

import gradio as gr

from apps.lab.ui.scripts import SCRIPTS
from core.engine.errors import LabError

MOST = 16

_MOUNT = """
import(new URL(props.scripts + "block_board.js", document.baseURI)).then(({ mountBoard }) => {
  const board = mountBoard(element.querySelector(".gb-board"), { onWay: (way) => trigger("select", way) });
  const show = () => board.show(props.value);
  watch("value", show);
  show();
});
"""


class BlockBoard(gr.HTML):
    """Its value is what `standing` gives. Event: `select` with the path that was pressed."""

    def __init__(self, *, value: dict[str, Any] | None = None, **options: Any) -> None:
        super().__init__(value=value, html_template='<div class="gb-board"></div>', js_on_load=_MOUNT, apply_default_css=False,
                         scripts=SCRIPTS, **options)

    def get_block_name(self) -> str:
        return "html"

    def api_info(self) -> dict[str, Any]:
        return {"type": "object"}


def standing(blocks: int, last_small: int, first_large: int) -> dict[str, Any]:
    """The path that is lit: small blocks up to `last_small`, large ones from `first_large`, counted from 0; -1 for none of a model."""
    return {"blocks": blocks, "small": last_small, "large": first_large}


def way_of(event: gr.EventData) -> tuple[int, int]:
    """(last small block, first large block) of a press. Raises LabError for anything that did not come from the board."""
    data = event._data if isinstance(event._data, dict) else {}
    way = (data.get("small"), data.get("large"))
    if not all(type(place) is int and -1 <= place < MOST for place in way):
        raise LabError("That is not a path.", "Press blocks on the board.")
    return way
