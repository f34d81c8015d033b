"""Figures of the depth page: numbers in, Plotly figure out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from core.learngene.figures import RIGHT, drawn, line, plain
from core.learngene.metrics import Linearity
from core.plots import BLUE, BROWN, COLOURS, GREY, ORANGE, PINK, percent
from core.stats import share_interval


def by_depth(curves: Mapping[str, Mapping[int, float]], *, n: int, ancestor: float | None = None,
             auxiliary_depth: int | None = None) -> dict[str, Any]:
    """Right answers against depth: curve name -> {depth: share}, each on `n` pictures, with 95 % intervals."""
    figure = go.Figure()
    for (name, points), colour in zip(curves.items(), COLOURS, strict=False):
        shares = list(points.values())
        line(figure, name, list(points), shares, colour, intervals=[share_interval(share, n) for share in shares])
    if ancestor is not None:
        figure.add_hline(y=round(100 * ancestor, 1), line={"color": GREY, "dash": "dot"}, annotation_text="ancestor")
    if auxiliary_depth is not None:
        figure.add_vline(x=auxiliary_depth, line={"color": GREY, "dash": "dot"}, annotation_text="depth it was trained at")
    return plain(figure, "depth (number of layers)", RIGHT, yaxis_range=[0, 100])


def tried(rights: Mapping[int, float], here: int, n: int, ancestor: float) -> dict[str, Any]:
    """Right answers against depth for the depths tried so far, `here` ringed; pressing a point sets the depth."""
    made = by_depth({"straight from the learngene": rights}, n=n, ancestor=ancestor)
    made["data"][0]["customdata"] = [{"depth": depth} for depth in rights]
    made["layout"]["xaxis"] |= {"range": [0.5, 16.5], "dtick": 1}
    ring = {"type": "scatter", "mode": "markers", "name": "here", "x": [here], "y": [round(100 * rights[here], 1)],
            "marker": {"color": PINK, "size": 13, "symbol": "circle-open", "line": {"width": 3}}}
    return {"data": [*made["data"], ring], "layout": made["layout"] | {"showlegend": False}}


def against(points: Mapping[str, Sequence[tuple[float, float]]], x: str) -> dict[str, Any]:
    """Right answers against another size (parameters, multiply-adds, milliseconds): name -> [(size, share)]."""
    figure = go.Figure()
    for (name, given), colour in zip(points.items(), COLOURS, strict=False):
        line(figure, name, [size for size, _ in given], [share for _, share in given], colour)
    return plain(figure, x, RIGHT, yaxis_range=[0, 100])


def coefficients(shares: Sequence[float]) -> dict[str, Any]:
    """How much of the slope each layer gets: a strip from 0 (first layer) towards 1."""
    layers = list(range(1, len(shares) + 1))
    strip = {"type": "heatmap", "x": layers, "y": [""], "z": [[round(share, 4) for share in shares]], "zmin": 0, "zmax": 1,
             "colorscale": [[0, "#FFFFFF"], [1, BLUE]], "showscale": False, "texttemplate": "%{z:.2f}" if len(shares) <= 8 else "",
             "hovertemplate": "layer %{x}: %{z:.3f}<extra></extra>"}
    return drawn([strip], "layer", "", height=140, xaxis={"dtick": 1, "showgrid": False}, yaxis={"showgrid": False})


def linearity(rows: Sequence[Linearity]) -> dict[str, Any]:
    """How much of each group of weights a straight line over the layers explains, with what shuffled layers give."""
    names = [row.group for row in rows]
    figure = go.Figure(go.Bar(x=names, y=percent([row.r2 for row in rows]), name="layers in their order", marker_color=BLUE))
    figure.add_trace(go.Scatter(x=names, y=percent([row.chance_mean for row in rows]), mode="markers", name="layers shuffled, mean",
                                marker={"color": ORANGE, "symbol": "line-ew-open", "size": 18}))
    figure.add_trace(go.Scatter(x=names, y=percent([row.chance_p95 for row in rows]), mode="markers",
                                name="layers shuffled, 95 of 100 are below", marker={"color": BROWN, "symbol": "line-ew-open", "size": 18}))
    return plain(figure, "group of weights", "explained by a line over the layers (%)")


def positions(rows: Sequence[Linearity]) -> dict[str, Any]:
    """First principal component of each group against the layer."""
    figure = go.Figure()
    for row, colour in zip(rows, COLOURS, strict=False):
        figure.add_trace(go.Scatter(x=list(range(1, len(row.scores) + 1)), y=[round(score, 4) for score in row.scores],
                                    mode="lines+markers", name=row.group, line={"color": colour}))
    return plain(figure, "layer", "first principal component of the weights")


def storage(learngene: int, separate: int, depths: Sequence[int]) -> dict[str, Any]:
    """Numbers to store: one learngene against one network per depth."""
    listed = ", ".join(map(str, depths))
    figure = go.Figure(go.Bar(x=["one learngene", f"networks of depth {listed}"], y=[learngene, separate],
                              marker_color=[BLUE, ORANGE], text=[f"{learngene:,}", f"{separate:,}"]))
    return plain(figure, "", "numbers to store")


def epochs(depths: Sequence[int], auxiliary: int | None, each: int, scratch: int) -> dict[str, Any]:
    """Total epochs for n depths: the auxiliary model's own cost counted if it is known, against training every depth from scratch."""
    count = list(range(1, len(depths) + 1))
    figure = go.Figure()
    name = f"learngene, its own {auxiliary} passes included" if auxiliary is not None else "learngene, its own training left out"
    figure.add_trace(go.Scatter(x=count, y=[(auxiliary or 0) + n * each for n in count], name=name, mode="lines+markers",
                                line={"color": BLUE}))
    figure.add_trace(go.Scatter(x=count, y=[n * scratch for n in count], name="each from scratch", mode="lines+markers",
                                line={"color": ORANGE}))
    return plain(figure, "how many depths are wanted", "epochs of training in all (passes)")


def attention(maps: Sequence[Sequence[Sequence[float]]]) -> dict[str, Any]:
    """Where each layer looks: one strip of small maps, first layer left. maps: (layers, side, side)."""
    side = len(maps[0])
    rows = [[value for layer in maps for value in [*layer[row], None]][:-1] for row in reversed(range(side))]
    ticks = [index * (side + 1) + (side - 1) / 2 for index in range(len(maps))]
    strip = {"type": "heatmap", "z": rows, "colorscale": [[0, "#FFFFFF"], [1, BLUE]],
             "showscale": False, "hoverongaps": False, "hovertemplate": "%{z:.3f}<extra></extra>"}
    return drawn([strip], "layer", "", height=180, xaxis={"tickvals": ticks, "ticktext": list(range(1, len(maps) + 1)),
                                                             "showgrid": False, "zeroline": False},
                 yaxis={"showticklabels": False, "scaleanchor": "x", "showgrid": False, "zeroline": False})
