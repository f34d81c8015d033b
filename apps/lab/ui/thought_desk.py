"""One output, token by token: a Gradio component around static/cot_energy.js. Pointing at a token lights it in every figure."""

from __future__ import annotations

from typing import Any

import gradio as gr

from apps.lab.ui.scripts import SCRIPTS
from core.engine.events import safe_labels, to_plain

_MOUNT = """
import(new URL(props.scripts + "cot_energy.js", document.baseURI)).then(({ mountDesk }) => {
  const desk = mountDesk(element.querySelector(".gb-thought-place"), { onToken: (token) => trigger("select", { token }) });
  watch("value", () => desk.show(props.value));
  desk.show(props.value);
});
"""


class ThoughtDesk(gr.HTML):
    """Its value: tokens, roles, chosen (a token or -1), wrong (first, last + 1), thinking (token numbers), parts (role -> words),
    top (per layer [[text, probability], ...]) and figures path, profile, heat, chain.

    Event: `select` ({"token"})."""

    def __init__(self, value: dict[str, Any] | None = None, **options: Any) -> None:
        super().__init__(value=value, html_template='<div class="gb-thought-place"></div>', js_on_load=_MOUNT, apply_default_css=False,
                         scripts=SCRIPTS, **options)

    def get_block_name(self) -> str:
        return "html"

    def postprocess(self, value: dict[str, Any] | None) -> dict[str, Any] | None:
        if not value:
            return None
        return {**value, "figures": {name: safe_labels(to_plain(figure)) for name, figure in value["figures"].items()}}

    def api_info(self) -> dict[str, Any]:
        return {"type": "object"}
