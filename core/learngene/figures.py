"""What the figures of both pages share: colours, axes, and a scatter of sizes against accuracy. Numbers in, figure out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from core.plots import BLUE, COLOURS, LEGEND, percent

RIGHT = "right answers (%)"
MARGIN = {"l": 56, "r": 16, "t": 16, "b": 48}


def plain(figure: go.Figure, x: str, y: str, **layout: Any) -> dict[str, Any]:
    """Axis titles put on and everything as plain JSON, without a template."""
    figure.update_layout(template="none", margin=MARGIN, legend=LEGEND)
    figure.update_layout(**layout)
    figure.update_layout(xaxis_title=x, yaxis_title=y)
    given = figure.to_plotly_json()
    given["layout"].pop("template", None)
    return given


def drawn(traces: Sequence[dict[str, Any]], x: str, y: str, **layout: Any) -> dict[str, Any]:
    """The same as `plain` from traces written out: for what must be there while a slider moves, because building a figure
    with all its checks takes ten milliseconds. Tests put these through the checks."""
    axes = {"xaxis": layout.pop("xaxis", {}) | {"title": {"text": x}}, "yaxis": layout.pop("yaxis", {}) | {"title": {"text": y}}}
    return {"data": list(traces), "layout": {"margin": MARGIN, "legend": LEGEND} | axes | layout}


def line(figure: go.Figure, name: str, x: Sequence[float], shares: Sequence[float], colour: str, *, dash: str = "solid",
         markers: bool = True, intervals: Sequence[tuple[float, float]] | None = None) -> None:
    """One curve of right answers, with intervals as bars if given."""
    error = None
    if intervals is not None:
        error = {"type": "data", "symmetric": False, "array": percent([high - s for s, (_, high) in zip(shares, intervals, strict=True)]),
                 "arrayminus": percent([s - low for s, (low, _) in zip(shares, intervals, strict=True)]), "color": colour, "thickness": 1}
    figure.add_trace(go.Scatter(x=list(x), y=percent(shares), name=name, mode="lines+markers" if markers else "lines",
                                line={"color": colour, "dash": dash}, error_y=error))


def training(curves: dict[str, tuple[Sequence[int], Sequence[float]]]) -> dict[str, Any]:
    """Right answers after each epoch, one curve per network: name -> (epochs, shares)."""
    figure = go.Figure()
    for (name, (epochs, shares)), colour in zip(curves.items(), COLOURS, strict=False):
        line(figure, name, epochs, shares, colour)
    return plain(figure, "epochs of training (passes over the pictures)", RIGHT, yaxis_range=[0, 100])


def prediction(names: Sequence[str], shares: Sequence[float]) -> dict[str, Any]:
    """How sure the network is of its likeliest classes."""
    bars = {"type": "bar", "x": percent(shares), "y": list(names), "orientation": "h", "marker": {"color": BLUE}}
    return drawn([bars], "sure (%)", "class", xaxis={"range": [0, 100]}, yaxis={"type": "category", "autorange": "reversed"})
