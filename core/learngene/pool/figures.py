"""Figures of the pool page: numbers in, Plotly figure out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go

from core.learngene.figures import RIGHT, drawn, line, plain
from core.learngene.pool.paths import front
from core.plots import BLUE, BROWN, COLOURS, GREY, ORANGE, PINK, percent


def board(blocks: int, shares: Mapping[tuple[int, int], float]) -> dict[str, Any]:
    """The pool as a board: last small block (across) and first large block (up); a cell is a network, its colour how often right."""
    cells = [[round(100 * shares[j, k], 1) if (j, k) in shares else None for j in range(blocks)] for k in range(blocks)]
    numbers = list(range(1, blocks + 1))
    figure = go.Figure(go.Heatmap(x=numbers, y=numbers, z=cells, zmin=0, zmax=100, colorscale=[[0, "#FFFFFF"], [1, BLUE]],
                                  colorbar={"title": RIGHT}, hoverongaps=False, xgap=2, ygap=2,
                                  hovertemplate="small blocks 1 to %{x}, large blocks from %{y}: %{z} %<extra></extra>"))
    return plain(figure, "last block of the small model", "first block of the large model",
                 xaxis={"tickvals": numbers}, yaxis={"tickvals": numbers})


@dataclass(frozen=True)
class Spot:
    """One network of a Pareto plot; `right` is a share, `ms` its time for one picture if it was measured.

    ends: of a path, (last small block, first large block), for whoever presses its point.
    """

    name: str
    parameters: int
    macs: int
    right: float
    ms: float | None = None
    ends: tuple[int, int] | None = None


COSTS = {"macs": "multiply-adds for one picture", "parameters": "numbers inside", "ms": "milliseconds for one picture"}


def pareto(paths: Sequence[Spot], alone: Sequence[Spot] = (), cost: str = "macs") -> dict[str, Any]:
    """Right answers against a cost of COSTS: every path as a point, stars are the two ends, the line is the front of the pool.

    alone: networks trained alone. What has no such cost is left out.
    """
    paths, alone = ([spot for spot in spots if getattr(spot, cost) is not None] for spots in (paths, alone))
    ends = [spot for spot in paths if spot.name in ("small", "large")]
    figure = go.Figure()
    _spots(figure, "through a stitch", [spot for spot in paths if spot not in ends], cost, marker={"color": BLUE, "size": 10})
    _spots(figure, "no stitch", ends, cost, marker={"color": ORANGE, "symbol": "star", "size": 10})
    if alone:
        _spots(figure, "each trained alone", sorted(alone, key=lambda spot: getattr(spot, cost)), cost, mode="lines+markers",
               line={"color": BROWN}, marker={"symbol": "diamond", "size": 10})
    best = [paths[i] for i in front([(getattr(spot, cost), spot.right) for spot in paths])]
    figure.add_trace(go.Scatter(x=[getattr(spot, cost) for spot in best], y=percent([spot.right for spot in best]), mode="lines",
                                name="best of the pool at its cost", line={"color": GREY, "dash": "dot"}, hoverinfo="skip"))
    return plain(figure, COSTS[cost], RIGHT)


def _spots(figure: go.Figure, name: str, spots: Sequence[Spot], cost: str, **look: Any) -> None:
    """Networks as points that say all about themselves when pointed at."""
    figure.add_trace(go.Scatter(**{
        "x": [getattr(spot, cost) for spot in spots], "y": percent([spot.right for spot in spots]), "name": name, "mode": "markers",
        "text": [spot.name for spot in spots], "customdata": [_facts(spot) for spot in spots],
        "hovertemplate": "%{text}: %{y} % right<br>%{customdata.parameters:,} numbers inside<br>%{customdata.macs:,} multiply-adds"
                         "<extra></extra>",
    } | look))


def _facts(spot: Spot) -> dict[str, int]:
    path = dict(zip(("last_small", "first_large"), spot.ends, strict=True)) if spot.ends else {}
    return {"parameters": spot.parameters, "macs": spot.macs} | path


def walked(paths: Sequence[Spot], alone: Sequence[Spot], cost: str, here: str) -> dict[str, Any]:
    """`pareto` of the paths tried so far, `here` ringed, with the axes drawn close around what there is."""
    made = pareto(paths, alone, cost)
    shown = [(getattr(spot, cost), spot.right) for spot in (*paths, *alone) if getattr(spot, cost) is not None]
    if not shown:
        return made
    made["layout"]["yaxis"] |= {"range": [max(0, 100 * min(right for _, right in shown) - 5), 101]}
    made["layout"]["xaxis"] |= {"range": [0, 1.1 * max(size for size, _ in shown)]}
    this = next(spot for spot in paths if spot.name == here)
    ring = {"type": "scatter", "mode": "markers", "name": "this path", "x": [getattr(this, cost)], "y": [round(100 * this.right, 1)],
            "text": [this.name], "marker": {"color": PINK, "size": 18, "symbol": "circle-open", "line": {"width": 3}}}
    return {"data": [*made["data"], ring], "layout": made["layout"]}


def storage(rows: Mapping[str, int]) -> dict[str, Any]:
    """Numbers to store, one bar per way to have all sizes at hand."""
    figure = go.Figure(go.Bar(x=list(rows.values()), y=list(rows), orientation="h", marker_color=BLUE,
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
