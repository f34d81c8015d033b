"""The palette and the plain layout that every figure of the lab begins with. Plotly is imported when a figure is made.

    figure = go.Figure()
    figure.add_scatter(x=steps, y=shares, line={"color": BLUE})
    return plain(figure, xaxis={"title": {"text": "step"}})
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import plotly.graph_objects as go

# Told apart by colour-blind people; the dark theme has a partner for each, see static/plot.js.
BLUE, ORANGE, GREEN, PINK, BROWN, GREY = "#0072B2", "#D55E00", "#00805D", "#B0558A", "#8A6A00", "#50565F"
COLOURS = (BLUE, ORANGE, GREEN, PINK, BROWN, GREY)
LEGEND = {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0}


def plain(figure: go.Figure, **layout: Any) -> dict[str, Any]:
    """The figure as plain data without a theme, the page has its own; `layout` replaces what is usual."""
    figure.update_layout(**{"template": "none", "margin": {"l": 60, "r": 16, "t": 16, "b": 56}, "legend": LEGEND} | layout)
    data = figure.to_plotly_json()
    data["layout"].pop("template", None)
    return data


def percent(shares: Sequence[float]) -> list[float]:
    """Shares 0..1 as percentages with one decimal."""
    return [round(100 * share, 1) for share in shares]
