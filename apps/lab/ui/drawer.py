"""A part of the page that one opens when one needs it.

    with Drawer("More"):
        ...

Its fields are on the page from the start. Those of a closed `gr.Accordion` are built when it is opened, and Gradio then sets
each of them to its first value once more: what was typed at once would be lost.
"""

from __future__ import annotations

from typing import Any

from apps.lab.ui.widget import Drawn

_MOUNT = """
const handle = element.querySelector(".gb-drawer-handle");
handle.addEventListener("click", () => {
  const open = element.toggleAttribute("data-open");
  handle.setAttribute("aria-expanded", String(open));
});
"""


class Drawer(Drawn):
    """Closed at first."""

    def __init__(self, title: str = "", **options: Any) -> None:
        options.setdefault("elem_classes", "gb-drawer")
        super().__init__(html_template='<button type="button" class="gb-drawer-handle" aria-expanded="false">${title}</button>@children',
                         js_on_load=_MOUNT, title=title, **options)
