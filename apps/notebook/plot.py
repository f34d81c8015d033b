"""A Plotly figure that is changed in place: the lab's own drawing, as a component of Streamlit.

    plot(figure, name="Surprise at the wanted text", key="curves-loss")       # the zoom stays while the figure under this key changes

`st.plotly_chart` makes a new chart for every new figure, which forgets the zoom.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import streamlit as st

from apps.lab.ui.scripts import VERSION

_HTML = '<div class="gb-notebook-plot" role="img"></div>'
_CSS = """
.gb-notebook-plot { width: 100%; --gb-ink: var(--st-text-color); --gb-quiet: var(--st-text-color); --gb-line: var(--st-border-color);
  --gb-surface: var(--st-background-color); font-family: var(--st-font); color: var(--st-text-color) }
"""
_component = st.components.v2.component("glassbox_plot", html=_HTML, css=_CSS,
                                        js=(Path(__file__).parent / "plot.js").read_text(encoding="utf-8"), isolate_styles=False)


def plot(figure: dict[str, Any], *, name: str, key: str, height: int = 340) -> dict[str, Any] | None:
    """Draws figure JSON; gives the point that was pressed just now, {"series", "curve", "index", "x", "y", "custom", ...}, or None."""
    pressed = _component(key=key, data={"figure": figure, "name": name, "version": VERSION, "height": height},
                         on_point_change=lambda: None)
    return getattr(pressed, "point", None)
