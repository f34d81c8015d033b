"""A mark on the page that tells when its place is looked at: what stands below the first screen is computed when somebody gets there.

    seen = Seen()                     # where the answer will stand
    seen.again_after(view.live.change, view.live.finish)
    seen.due(ask, inputs=..., outputs=...)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gradio as gr

_MOUNT = """
let due = true, near = false;
const tell = () => {
  if (!due || !near) return;
  due = false;
  trigger("due", {});
};
new IntersectionObserver(([entry]) => {
  near = entry.isIntersecting;
  tell();
}).observe(element.closest("[role=tabpanel]") ?? element);
watch("value", () => {
  due = true;
  tell();
});
"""


class Seen(gr.HTML):
    """Event: `due`, when the mark (in a tab: any part of the tab) is first in sight, and after each event of `again_after`, at once or
    when it is in sight again."""

    def __init__(self, *, value: float = 0, **options: Any) -> None:
        options.setdefault("elem_classes", "gb-seen")
        super().__init__(value=value, html_template="", js_on_load=_MOUNT, apply_default_css=False, **options)

    def get_block_name(self) -> str:
        return "html"

    def again_after(self, *events: Callable[..., Any]) -> None:
        """Each of `events` makes it due once more. The browser does that by itself, no request is sent."""
        for event in events:
            event(None, outputs=self, js="() => performance.now()", api_visibility="private", show_progress="hidden", queue=False)
