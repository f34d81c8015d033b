"""Numbers in, Plotly figures out; race, comparison and probes share them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from core.plots import BLUE, BROWN, COLOURS, GREY, ORANGE, PINK, percent, plain
from core.stats import share_interval

WORDS = {"seen": "colours as in training", "unbiased": "all colours alike", "existence": "is there a ...?", "words": "told in words"}
TICKS = {"seen": "usual<br>colours", "unbiased": "colours<br>alike", "existence": "is it<br>there?", "words": "told in<br>words"}
WHO = {"base": GREY, "rival": ORANGE, "steered": BLUE}
GAP = 0.26
MARKS = ("circle", "square", "diamond", "cross", "x", "triangle-up", "triangle-down", "star", "hexagon", "pentagon", "bowtie", "hourglass")


def columns(shares: Mapping[str, Mapping[str, tuple[float, float | None, int]]], names: Mapping[str, str]) -> dict[str, Any]:
    """shares[who][column] = (share, share beside another picture or None, questions); names: who -> what the legend calls it."""
    figure = go.Figure()
    order = list(WORDS)
    for i, (who, row) in enumerate(shares.items()):
        at = [order.index(c) + GAP * (i - (len(names) - 1) / 2) for c in row]
        bounds = [share_interval(share, n) for share, _, n in row.values()]
        figure.add_bar(x=at, y=percent([share for share, *_ in row.values()]), width=GAP * 0.92, name=names[who],
                       marker={"color": WHO[who]}, hovertemplate="%{y} % right<extra></extra>",
                       error_y={"type": "data", "symmetric": False, "thickness": 1.2, "color": GREY,
                                "array": [round(100 * max(0, high - row[c][0]), 1) for c, (_, high) in zip(row, bounds, strict=True)],
                                "arrayminus": [round(100 * max(0, row[c][0] - low), 1) for c, (low, _) in zip(row, bounds, strict=True)]})
    marks = [(order.index(c) + GAP * (i - (len(names) - 1) / 2), row[c][1]) for i, row in enumerate(shares.values())
             for c in row if row[c][1] is not None]
    figure.add_scatter(x=[x for x, _ in marks], y=percent([y for _, y in marks]), mode="markers", name="beside another picture (control)",
                       marker={"symbol": "diamond", "size": 9, "color": BROWN, "line": {"width": 1, "color": "#ffffff"}},
                       hovertemplate="%{y} % beside another picture<extra></extra>")
    return plain(figure, yaxis={"range": [0, 104], "title": {"text": "right answers, %"}}, bargap=0,
                 xaxis={"tickvals": list(range(len(order))), "ticktext": list(TICKS.values()), "range": [-0.5, len(order) - 0.5]},
                 legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0})


def lmar(rows: Mapping[str, Sequence[float]], colours: Mapping[str, str] | None = None) -> dict[str, Any]:
    """One line per model over layers, on a log axis with the line at 1."""
    figure = go.Figure()
    for i, (name, values) in enumerate(rows.items()):
        figure.add_scatter(x=list(range(1, len(values) + 1)), y=[round(max(1e-4, v), 5) for v in values], name=name, mode="lines+markers",
                           line={"color": (colours or {}).get(name, COLOURS[i % len(COLOURS)]), "width": 2.5},
                           customdata=[{"layer": layer + 1} for layer in range(len(values))])
    figure.add_hline(y=1, line={"color": GREY, "dash": "dash"})
    return plain(figure, yaxis={"type": "log", "title": {"text": "attention per picture token / per word"}},
                 xaxis={"title": {"text": "layer"}, "dtick": 1})


def share(rows: Mapping[str, Sequence[float]], colours: Mapping[str, str] | None = None) -> dict[str, Any]:
    """rows[who]: per layer the share of all attention that falls on the picture; the rest is words."""
    figure = go.Figure()
    for i, (name, values) in enumerate(rows.items()):
        figure.add_bar(x=list(range(1, len(values) + 1)), y=percent(values), name=name,
                       marker={"color": (colours or {}).get(name, COLOURS[i % len(COLOURS)])})
    return plain(figure, barmode="group", yaxis={"range": [0, 100], "title": {"text": "of all attention, %"}},
                 xaxis={"title": {"text": "layer"}, "dtick": 1})


def patches(maps: Mapping[str, np.ndarray], steered: Sequence[int]) -> dict[str, Any]:
    """maps[who] (side, side): attention per patch, all on one scale, side by side; the steered patches are outlined."""
    from plotly.subplots import make_subplots

    side = len(next(iter(maps.values())))
    figure = make_subplots(rows=1, cols=len(maps), subplot_titles=list(maps), horizontal_spacing=0.06)
    most = max(1e-6, max(float(m.max()) for m in maps.values()))
    for i, m in enumerate(maps.values(), start=1):
        figure.add_trace(go.Heatmap(z=np.round(100 * m, 2), zmin=0, zmax=round(100 * most, 2), colorscale=[[0, "#ffffff"], [1, BLUE]],
                                    showscale=i == len(maps), colorbar={"title": {"text": "%"}},
                                    hovertemplate="patch %{text}: %{z} % of all attention<extra></extra>",
                                    text=[[str(r * side + c + 1) for c in range(side)] for r in range(side)]), 1, i)
        for patch in steered:
            r, c = divmod(patch, side)
            figure.add_shape(type="rect", x0=c - 0.46, x1=c + 0.46, y0=r - 0.46, y1=r + 0.46, row=1, col=i,
                             line={"color": PINK, "width": 1.2})
    axis = {"showticklabels": False, "showgrid": False, "zeroline": False, "constrain": "domain"}
    figure.update_xaxes(**axis)
    figure.update_yaxes(**axis, autorange="reversed", scaleanchor="x")
    for i in range(1, len(maps) + 1):
        figure.update_layout({f"yaxis{'' if i == 1 else i}": {"scaleanchor": f"x{'' if i == 1 else i}"}})
    return plain(figure, margin={"l": 10, "r": 10, "t": 30, "b": 10})


def against(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """rows: name, share, n, inside, total, recipe, run (optional): right answers against both counts on a log axis; 0 stands at 1.

    Each row has a mark of its own, full for the count inside and hollow with the connector; names stand in the legend, where none hides
    another.
    """
    figure = go.Figure()
    for i, row in enumerate(rows):
        low, high = share_interval(row["share"], row["n"])
        mark, right = MARKS[i % len(MARKS)], 100 * row["share"]
        for where, symbol in (("inside", mark), ("total", f"{mark}-open")):
            figure.add_scatter(
                x=[max(1, row[where])], y=[round(right, 1)], name=row["name"], legendgroup=str(i), showlegend=where == "inside",
                mode="markers", marker={"symbol": symbol, "size": 12, "color": _colour(row["recipe"]), "line": {"width": 2}},
                customdata=[{"run": row["run"]} if row.get("run") else {}],
                error_y={"type": "data", "symmetric": False, "thickness": 0.8, "color": GREY, "array": [round(100 * high - right, 1)],
                         "arrayminus": [round(right - 100 * low, 1)]},
                hovertemplate="%{fullData.name}: %{y} % with %{x:,} numbers<extra></extra>")
    return plain(figure, xaxis={"type": "log", "title": {"text": "numbers trained (1 stands for none)"}},
                 yaxis={"title": {"text": "right answers, %"}})


def _colour(recipe: str) -> str:
    return {"mores": BLUE, "loreft": PINK, "connector": BROWN, "base": GREY}.get(recipe, ORANGE)


def balance(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """rows: name, lmar, share, recipe: mean LMAR against right answers, one mark a method."""
    figure = go.Figure()
    for i, row in enumerate(rows):
        figure.add_scatter(x=[round(max(1e-4, row["lmar"]), 4)], y=percent([row["share"]]), name=row["name"], mode="markers",
                           marker={"symbol": MARKS[i % len(MARKS)], "size": 12, "color": _colour(row["recipe"])})
    figure.add_vline(x=1, line={"color": GREY, "dash": "dash"})
    return plain(figure, xaxis={"type": "log", "title": {"text": "mean LMAR (1: balanced)"}}, yaxis={"title": {"text": "right answers, %"}})


def seeing(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """rows: name, drop, recipe: what is lost beside another picture, in points."""
    figure = go.Figure(go.Bar(y=[row["name"] for row in rows], x=percent([row["drop"] for row in rows]), orientation="h",
                              marker={"color": [_colour(row["recipe"]) for row in rows]}))
    return plain(figure, xaxis={"title": {"text": "points lost beside another picture"}},
                 yaxis={"automargin": True, "autorange": "reversed"})


def bars(words: Sequence[str], rows: Mapping[str, Sequence[float]]) -> dict[str, Any]:
    """What the words get before and after, always on the same axis."""
    figure = go.Figure()
    for i, (name, p) in enumerate(rows.items()):
        figure.add_bar(x=list(words), y=percent(p), name=name, marker={"color": (GREY, BLUE, ORANGE)[i % 3]})
    return plain(figure, barmode="group", yaxis={"range": [0, 100], "title": {"text": "probability, %"}})
