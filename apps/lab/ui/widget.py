"""The base of the parts of a page that we draw ourselves: a value, a script that shows it, and what a reader makes of it.

    class DrawPad(Widget):
        module = "draw_pad.js"

The script gives `mount(place, {...options, say, tell}) -> { show(value) }`. `say(value)` makes what a reader did the value of the part and
fires its event `input`; `tell(name)` fires another event. Neither carries data: where an event has to wait, Gradio sends it later with
the *data* of the one before it, but with the *values* of now. What is said in values is not lost. (Desks do not even wait on Gradio's
"always_last", which now and then forgets the event that waits: static/asker.js asks one question at a time.)
"""

from __future__ import annotations

from typing import Any, ClassVar

import gradio as gr

from apps.lab.ui.scripts import SCRIPTS
from core.engine.events import safe_labels, to_plain

_MOUNT = """
const place = element.firstElementChild;
import(new URL(props.scripts + props.module, document.baseURI)).then(async ({ mount }) => {
  const say = (value) => {
    props.value = value;
    trigger("input", {});
  };
  const part = await mount(place, { ...props, say, tell: (name, data = {}) => trigger(name, data) });
  watch("value", () => part.show(props.value));
  part.show(props.value);
});
"""


class Drawn(gr.HTML):
    """A part that Gradio shows as it shows HTML, without a frame of its own; its value is plain data or None."""

    def __init__(self, **options: Any) -> None:
        super().__init__(apply_default_css=False, **options)

    def get_block_name(self) -> str:
        return "html"

    def api_info(self) -> dict[str, Any]:
        return {"type": "object"}


class Widget(Drawn):
    """Its value is plain data or None; `options` beside Gradio's own go to the script."""

    module: ClassVar[str] = ""
    place: ClassVar[str] = "gb-widget"
    tells: ClassVar[tuple[str, ...]] = ()  # further events; Gradio finds them by looking for their names in the script

    def __init__(self, *, value: Any = None, **options: Any) -> None:
        # Gradio builds a component anew, with all its options, for every update.
        script = _MOUNT + "".join(f'// "{name}"\n' for name in self.tells)
        fixed = {"html_template": f'<div class="{self.place}"></div>', "js_on_load": script, "scripts": SCRIPTS,
                 "module": self.module}
        super().__init__(value=value, **(options | fixed))

    def postprocess(self, value: Any) -> Any:
        """As the browser gets it: no label of a figure in it can hold a link."""
        return None if value is None else _figures_made_safe(to_plain(value))


def _figures_made_safe(value: Any) -> Any:
    if isinstance(value, dict):
        if "data" in value and "layout" in value:
            return safe_labels(value)
        return {key: _figures_made_safe(item) for key, item in value.items()}
    return [_figures_made_safe(item) for item in value] if isinstance(value, list) else value
