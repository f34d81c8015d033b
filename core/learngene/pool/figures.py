"""Figures of the pool page: numbers in, Plotly figure out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from core.learngene.figures import BLUE, COLOURS, GREEN, GREY, ORANGE, RIGHT, drawn, line, percent, plain


def board(blocks: int, shares: Mapping[tuple[int, int], float]) -> dict[str, Any]:
    """The pool as a board: last small block (across) and first large block (up); a cell is a network, its colour how often right."""
    cells = [[round(100 * shares[j, k], 1) if (j, k) in shares else None for j in range(blocks)] for k in range(blocks)]
    numbers = list(range(1, blocks + 1))
    figure = go.Figure(go.Heatmap(x=numbers, y=numbers, z=cells, zmin=0, zmax=100, colorscale=[[0, "#FFFFFF"], [1, BLUE]],
                                  colorbar={"title": RIGHT}, hoverongaps=False, xgap=2, ygap=2,
                                  hovertemplate="small blocks 1 to %{x}, large blocks from %{y}: %{z} %<extra></extra>"))
    return plain(figure, "last block of the small model", "first block of the large model",
                 xaxis={"tickvals": numbers}, yaxis={"tickvals": numbers})


def pareto(points: Sequence[tuple[str, float, float, bool]], cost: str,
           alone: Sequence[tuple[str, float, float]] = ()) -> dict[str, Any]:
    """Every path as a point (name, cost, share, on the front): stars are the two ends, the line is the front of the pool.

    alone: networks trained alone, as (name, cost, share), by rising cost.
    """
    figure = go.Figure()
    for name, symbol, colour, chosen in (("through a stitch", "circle", BLUE, False), ("no stitch", "star", ORANGE, True)):
        kept = [point for point in points if (point[0] in ("small", "large")) == chosen]
        figure.add_trace(go.Scatter(x=[point[1] for point in kept], y=percent([point[2] for point in kept]), mode="markers", name=name,
                                    text=[point[0] for point in kept], marker={"color": colour, "symbol": symbol, "size": 10},
                                    hovertemplate="path %{text}: %{y} % at %{x:,}<extra></extra>"))
    if alone:
        figure.add_trace(go.Scatter(x=[point[1] for point in alone], y=percent([point[2] for point in alone]), mode="lines+markers",
                                    name="each trained alone", text=[point[0] for point in alone], line={"color": GREEN},
                                    marker={"symbol": "diamond", "size": 10}, hovertemplate="%{text}: %{y} % at %{x:,}<extra></extra>"))
    best = sorted((point for point in points if point[3]), key=lambda point: point[1])
    figure.add_trace(go.Scatter(x=[point[1] for point in best], y=percent([point[2] for point in best]), mode="lines",
                                name="best of the pool at its cost", line={"color": GREY, "dash": "dot"}))
    return plain(figure, cost, RIGHT)


def storage(rows: Mapping[str, int]) -> dict[str, Any]:
    """Numbers to store, one bar per way to have all sizes at hand."""
    figure = go.Figure(go.Bar(x=list(rows.values()), y=list(rows), orientation="h", marker_color=GREEN,
                              text=[f"{value:,}" for value in rows.values()]))
    return plain(figure, "numbers to store", "", yaxis={"automargin": True, "autorange": "reversed"})


def similarity(before: float, after: float) -> dict[str, Any]:
    """How alike the small model's stream and the large model's own are, before and after the stitch (linear CKA, 0..1)."""
    bars = {"type": "bar", "x": ["before the stitch", "after the stitch"], "y": [round(before, 3), round(after, 3)],
            "marker": {"color": [ORANGE, BLUE]}}
    return drawn([bars], "", "likeness (CKA)", yaxis={"range": [0, 1]})


def inits(rows: Mapping[str, Sequence[tuple[int, float]]]) -> dict[str, Any]:
    """Mean accuracy of the stitched paths against epochs of training, one line per way to begin: name -> [(epochs, share)]."""
    figure = go.Figure()
    for (name, points), colour in zip(rows.items(), COLOURS, strict=False):
        line(figure, name.replace("_", " "), [epochs for epochs, _ in points], [share for _, share in points], colour)
    return plain(figure, "epochs of training (passes over the pictures)", "right answers, mean over stitched paths (%)",
                 yaxis_range=[0, 100])
