"""Figures that no page of the lab has: several runs in one picture, and views over a sweep. Numbers in, Plotly JSON out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from core.engine.events import safe_labels
from core.plots import COLOURS, GREY

DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
SMALLEST, LARGEST = 340, 900
Curve = tuple[Sequence[int], Sequence[float | None]]


def overlay(runs: Mapping[str, Curve], unit: str = "", ends: tuple[float, float] | None = None) -> dict[str, Any]:
    """One metric of several runs over its steps: a line each. ends: of the x axis, so that it stands still while a replay goes on."""
    data = [{"type": "scatter", "mode": "lines" if len(steps) > 1 else "markers", "name": name, "x": list(steps), "y": list(values),
             "line": {"color": COLOURS[i % len(COLOURS)], "dash": DASHES[i % len(DASHES)], "width": 2},
             "marker": {"color": COLOURS[i % len(COLOURS)], "size": 8}}
            for i, (name, (steps, values)) in enumerate(runs.items())]
    x = {"title": {"text": "step"}} | ({"range": list(ends)} if ends else {})
    return safe_labels({"data": data, "layout": {"xaxis": x, "yaxis": {"title": {"text": unit}}, "showlegend": True}})


def lines(xs: Sequence[Any], groups: Mapping[str, Sequence[tuple[float, float, float] | None]], x: str, y: str) -> dict[str, Any]:
    """Means with intervals over the values of one setting, a line for each value of a second one; (mean, low, high) or None."""
    data = []
    for i, (name, points) in enumerate(groups.items()):
        found = [(place, point) for place, point in zip(xs, points, strict=True) if point]
        data.append({"type": "scatter", "mode": "lines+markers", "name": name, "x": [str(place) for place, _ in found],
                     "y": [point[0] for _, point in found],
                     "line": {"color": COLOURS[i % len(COLOURS)], "dash": DASHES[i % len(DASHES)]},
                     "error_y": {"type": "data", "symmetric": False, "array": [point[2] - point[0] for _, point in found],
                                 "arrayminus": [point[0] - point[1] for _, point in found], "color": GREY}})
    return safe_labels({"data": data, "layout": {"xaxis": {"title": {"text": x}, "type": "category"}, "yaxis": {"title": {"text": y}},
                                                 "showlegend": len(data) > 1}})


def heat(rows: Sequence[str], columns: Sequence[str], cells: Sequence[Sequence[float | None]], words: Sequence[Sequence[str]],
         x: str, y: str, cells_of: Sequence[Sequence[Any]] | None = None) -> dict[str, Any]:
    """A board of numbers with a word in every square; a pressed square tells its place."""
    data = [{"type": "heatmap", "x": [str(name) for name in columns], "y": [str(name) for name in rows], "z": [list(row) for row in cells],
             "text": [list(row) for row in words], "texttemplate": "%{text}", "hovertemplate": "%{y}, %{x}: %{text}<extra></extra>",
             "colorscale": [[0, "#EAF1F7"], [0.5, "#A9CFE6"], [1, "#1A76AD"]], "showscale": False, "customdata": cells_of,
             "xgap": 2, "ygap": 2}]
    return safe_labels({"data": data, "layout": {"xaxis": {"title": {"text": x}, "type": "category"},
                                                 "yaxis": {"title": {"text": y}, "type": "category", "autorange": "reversed"}}})


def bars(names: Sequence[str], shares: Sequence[float], x: str) -> dict[str, Any]:
    """Shares of a whole, one bar each."""
    data = [{"type": "bar", "orientation": "h", "x": [100 * share for share in shares], "y": list(names), "marker": {"color": COLOURS[0]},
             "text": [f"{100 * share:.0f} %" for share in shares], "textposition": "auto"}]
    return safe_labels({"data": data, "layout": {"xaxis": {"title": {"text": x}, "range": [0, 100]}, "yaxis": {"autorange": "reversed"}}})


def across(xs: Sequence[str], ys: Sequence[float | None], x: str, y: str, as_bars: bool) -> dict[str, Any]:
    """One column of an answer over another."""
    look = {"type": "bar"} if as_bars else {"type": "scatter", "mode": "markers"}
    data = [look | {"x": list(xs), "y": list(ys), "marker": {"color": COLOURS[0]}}]
    return safe_labels({"data": data, "layout": {"xaxis": {"title": {"text": x}, "type": "category"}, "yaxis": {"title": {"text": y}}}})


def height(figure: Mapping[str, Any]) -> int:
    """Pixels for a recorded figure: room for every name beside it, two lines each."""
    names = {str(name) for trace in figure.get("data", ()) if isinstance(trace, Mapping) and isinstance(trace.get("y"), list)
             for name in trace["y"] if isinstance(name, str)}
    return min(LARGEST, max(SMALLEST, 120 + 38 * len(names)))
