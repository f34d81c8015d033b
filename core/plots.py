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

BLUE, ORANGE, GREEN, BROWN, RED, GREY, PINK = "#0072B2", "#D55E00", "#6B9F7F", "#473006", "#B3261E", "#596065", "#B0558A"
# What a colour says on every page. All seven are told apart with each of three kinds of colour blindness, in the light and, as the
# partners that static/plot.js gives them, in the dark (tests/test_plots.py).
MEANINGS = {
    BLUE: "the original, or what the paper proposes",
    ORANGE: "the changed model, or what is compared with blue",
    GREEN: "clean: the model that never knew, sound reasoning",
    BROWN: "the rival explanation: a control, luck, random weights",
    RED: "a leak, or wrong",
    GREY: "neutral: chance, intervals, marks",
    PINK: "what you point at, or follow",
}
COLOURS = (BLUE, ORANGE, GREEN, BROWN, GREY, PINK)  # of series that follow each other
PALE, SAND = "#E4E7EA", "#E6AB02"  # squares of a map: nothing there, and something that may be luck
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
