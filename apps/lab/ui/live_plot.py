"""A chart for the answer of a probe: `Plotly.react` on a node that stays, so zoom stays too."""

from __future__ import annotations

from typing import Any

import gradio as gr

from apps.lab.ui.scripts import SCRIPTS
from core.engine.events import safe_labels, to_plain

_MOUNT = """
const place = element.querySelector(".gb-plot");
import(new URL(props.scripts + "live_plot.js", document.baseURI)).then(({ mountPlot }) => {
  const plot = mountPlot(place, { label: props.aria, onPoint: (payload) => trigger("select", payload) });
  const show = () => plot.show(props.value);
  watch("value", show);
  show();
});
"""


class LivePlot(gr.HTML):
    """Its value is a Plotly figure as JSON or None. Event: `select` with the clicked point."""

    def __init__(self, label: str, *, height: int = 320, value: dict[str, Any] | None = None, **options: Any) -> None:
        # `options` are Gradio's own: it builds a component anew, with all of them, for every update.
        super().__init__(value=value, html_template='<div class="gb-plot" style="--gb-height: ${height}px"></div>', js_on_load=_MOUNT,
                         apply_default_css=False, scripts=SCRIPTS, aria=label, height=height, **options)

    def get_block_name(self) -> str:
        return "html"

    def postprocess(self, value: dict[str, Any] | None) -> dict[str, Any] | None:
        return safe_labels(to_plain(value)) if value else None

    def api_info(self) -> dict[str, Any]:
        return {"type": "object"}
