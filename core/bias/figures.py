"""Numbers in, Plotly figures out; pictures and words share them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from core.plots import BLUE, COLOURS, GREEN, GREY, ORANGE, PINK, percent, plain

MARKS = ("circle", "square", "diamond", "cross", "x", "triangle-up", "triangle-down", "star", "hexagon", "pentagon", "bowtie", "hourglass")
UNREADABLE = 0.1  # mass below which the lens reads nothing


def layers(
    fair: Sequence[float],
    phi: Sequence[float],
    mass: Sequence[float],
    *,
    marks: Sequence[str] | None = None,
    has_fair: bool = True,
    rival: Sequence[float] | None = None,
    names: tuple[str, str] = ("fairness F", "with the edit"),
) -> dict[str, Any]:
    """F_l, p_l(fair) and where the lens reads nothing; `rival`: F_l of a model, an edit or a picture to compare with; `names` of both."""
    ticks = list(marks) if marks else [str(i) for i in range(len(fair))]
    figure = go.Figure()
    for i, share in enumerate(mass):
        if share < UNREADABLE:
            figure.add_vrect(x0=i - 0.5, x1=i + 0.5, fillcolor=GREY, opacity=0.18, line_width=0)
    at = list(range(len(fair)))
    figure.add_scatter(
        x=at,
        y=np.round(fair, 4),
        name=names[0],
        line={"color": BLUE, "width": 3},
        mode="lines+markers",
        customdata=[{"layer": max(1, i)} for i in at],
    )
    if rival is not None:
        figure.add_scatter(x=at, y=np.round(rival, 4), name=names[1], line={"color": GREEN, "width": 3}, mode="lines+markers")
    if has_fair:
        figure.add_scatter(x=at, y=np.round(phi, 4), name="fair answer", line={"color": ORANGE, "dash": "dash"}, mode="lines+markers")
    figure.add_scatter(x=at, y=np.round(mass, 4), name="all options together", line={"color": GREY, "dash": "dot"}, mode="lines")
    return plain(
        figure,
        xaxis={"tickvals": at, "ticktext": ticks, "title": {"text": "layer" if marks else "after layer (0: the start)"}},
        yaxis={"range": [0, 1.03], "title": {"text": "0 to 1"}},
    )


def options(names: Sequence[str], groups: Sequence[str], means: np.ndarray) -> dict[str, Any]:
    """means (groups, options): one bar per option and pictured group."""
    figure = go.Figure()
    for i, group in enumerate(groups):
        figure.add_bar(x=list(names), y=percent(means[i]), name=group, marker={"color": COLOURS[i]})
    return plain(
        figure, barmode="group", yaxis={"range": [0, 100], "title": {"text": "probability, %"}}, xaxis={"title": {"text": "answer"}}
    )


def wordings(rows: Sequence[Mapping[str, float]], names: Sequence[str]) -> dict[str, Any]:
    """One dot per wording and measure; measures stand below each other, where their names have room on a phone."""
    figure = go.Figure()
    shown = {"fair_rate": "fair answers", "fairness": "F", "paradox": "paradox", "tv": "pictured group"}
    for i, (row, name) in enumerate(zip(rows, names, strict=True)):
        figure.add_scatter(
            x=[row[key] for key in shown],
            y=list(shown.values()),
            mode="markers",
            name=name,
            marker={"size": 11, "color": COLOURS[i % len(COLOURS)], "symbol": i},
        )
    return plain(figure, xaxis={"range": [-0.02, 1.03]}, yaxis={"automargin": True, "autorange": "reversed"})


def concepts(names: Sequence[str], gaps: Sequence[float], leans: Sequence[str]) -> dict[str, Any]:
    """Signed gap per concept, coloured by the group that training planted."""
    figure = go.Figure()
    for i, lean in enumerate(dict.fromkeys(leans)):
        own = [(n, g) for n, g, which in zip(names, gaps, leans, strict=True) if which == lean]
        figure.add_bar(
            y=[n for n, _ in own], x=[round(100 * g, 1) for _, g in own], orientation="h", name=lean, marker={"color": COLOURS[i]}
        )
    return plain(figure, xaxis={"title": {"text": "probability of the planted group minus the other, points"}}, yaxis={"automargin": True})


def residual_map(scores: np.ndarray, causal: np.ndarray | None, words: Sequence[Sequence[str]] | None = None) -> dict[str, Any]:
    """scores (layers, 2) of S2; a cross where S3 has the other sign. words: what both promote in each layer, told when pressed."""
    count = len(scores)
    most = max(1e-3, float(np.abs(scores).max()))
    said = [[f"{('attention', 'MLP')[k]} of layer {i + 1}<br>adds {scores[i, k]:+.3f} to F"
             + ("" if causal is None else f"<br>left out, F falls by {causal[i, k]:+.3f}")
             + ("" if words is None else f"<br>promotes {words[i][k]}") for i in range(count)] for k in (0, 1)]
    figure = go.Figure(
        go.Heatmap(
            z=np.round(scores.T, 4),
            x=[str(i + 1) for i in range(count)],
            y=["attention", "MLP"],
            zmin=-most,
            zmax=most,
            text=said,
            hoverinfo="text",
            colorscale=[[0, ORANGE], [0.5, "#f4f4f4"], [1, BLUE]],
            colorbar={"title": {"text": "F"}},
            customdata=[[{"layer": i + 1} for i in range(count)]] * 2,
        )
    )
    if causal is not None:
        other = [(i, k) for i in range(count) for k in (0, 1) if scores[i, k] * causal[i, k] < 0]
        figure.add_scatter(
            x=[str(i + 1) for i, _ in other],
            y=[("attention", "MLP")[k] for _, k in other],
            mode="markers",
            hoverinfo="skip",
            marker={"symbol": "x", "size": 13, "color": "#22262e", "line": {"width": 1.5, "color": "#ffffff"}},
            name="leaving it out says the opposite",
            showlegend=bool(other),
        )
    return plain(figure, xaxis={"title": {"text": "layer"}, "type": "category"}, yaxis={"automargin": True})


def share(opposite: Sequence[float]) -> dict[str, Any]:
    """Share of items per layer in which attention and MLP pull in opposite ways."""
    figure = go.Figure(go.Bar(x=[str(i + 1) for i in range(len(opposite))], y=percent(opposite), marker={"color": PINK}))
    for bound in (20, 80):
        figure.add_hline(y=bound, line={"color": GREY, "dash": "dot"})
    return plain(
        figure,
        yaxis={"range": [0, 100], "title": {"text": "opposite signs, % of questions"}},
        xaxis={"title": {"text": "layer"}, "type": "category"},
    )


MEASURES = {
    "fair_rate": "fair answers",
    "fairness": "F",
    "paradox": "paradox",
    "tv": "pictured group",
    "controls": "plain questions",
    "unknown": "jobs: 'unknown'",
    "names fairness": "F of names",
    "gap left": "gap that is left",
}


def before_after(rows: Mapping[str, Mapping[str, float]], intervals: Mapping[str, Mapping[str, tuple[float, float]]]) -> dict[str, Any]:
    """Lying bars of every way for the main measures, with intervals where they are known. Every name is one short line and the axis has
    no title, so that on a phone each stands beside its own bars."""
    figure, most = go.Figure(), 1.0
    for i, (name, row) in enumerate(rows.items()):
        keys = [key for key in MEASURES if np.isfinite(row.get(key, np.nan))]
        bars, most = intervals.get(name, {}), max([most, *(row[k] for k in keys)])
        error = {"type": "data", "symmetric": False, "thickness": 1.2,
                 "array": [round(max(0.0, bars.get(k, (0, row[k]))[1] - row[k]), 4) for k in keys],
                 "arrayminus": [round(max(0.0, row[k] - bars.get(k, (row[k], 0))[0]), 4) for k in keys]} if bars else None
        figure.add_bar(y=[MEASURES[k] for k in keys], x=[round(row[k], 4) for k in keys], name=name, orientation="h",
                       marker={"color": COLOURS[i % len(COLOURS)]}, error_x=error)
    return plain(figure, barmode="group", xaxis={"range": [0, round(1.08 * most, 3)]},
                 yaxis={"automargin": True, "autorange": "reversed"})


COSTS = {"controls": (100, "plain questions right, %"), "perplexity": (1, "perplexity of plain sentences")}


def trade(rows: Mapping[str, Mapping[str, float]], chosen: str, cost: str = "controls") -> dict[str, Any]:
    """F against what it costs, one point per way, each with its own mark; names stand in the legend, where none hides another."""
    factor, title = COSTS[cost]
    figure = go.Figure()
    for i, (name, row) in enumerate(rows.items()):
        figure.add_scatter(
            x=[round(factor * row[cost], 2)] if np.isfinite(row[cost]) else [],
            y=[round(row["fairness"], 4)] if np.isfinite(row[cost]) else [],
            mode="markers",
            name=name,
            marker={
                "size": 17 if name == chosen else 12,
                "symbol": MARKS[i % len(MARKS)],
                "color": BLUE if name == chosen else GREY if "null" in name else COLOURS[1 + i % 4],
                "line": {"width": 1, "color": "#ffffff"},
            },
        )
    return plain(figure, xaxis={"title": {"text": title}}, yaxis={"title": {"text": "fairness F"}})


def bars(names: Sequence[str], rows: Mapping[str, Sequence[float]]) -> dict[str, Any]:
    """What the options get, one colour per picture or moment; always on the same axis."""
    figure = go.Figure()
    for i, (who, p) in enumerate(rows.items()):
        figure.add_bar(
            x=list(names),
            y=percent(p),
            name=who,
            marker={"color": COLOURS[i % len(COLOURS)], "pattern": {"shape": "/" if who.startswith("before") else ""}},
        )
    return plain(figure, barmode="group", yaxis={"range": [0, 100], "title": {"text": "probability, %"}})


def pushes(scores: np.ndarray, layer: int) -> dict[str, Any]:
    """scores (layers, 2) of one scene; the opened layer is outlined."""
    figure = go.Figure()
    for k, name in enumerate(("attention", "MLP")):
        figure.add_bar(
            x=[str(i + 1) for i in range(len(scores))],
            y=np.round(scores[:, k], 4),
            name=name,
            marker={
                "color": (BLUE, ORANGE)[k],
                "line": {"width": [3 if i + 1 == layer else 0 for i in range(len(scores))], "color": PINK},
            },
            customdata=[{"layer": i + 1} for i in range(len(scores))],
        )
    return plain(figure, barmode="group", xaxis={"title": {"text": "layer"}, "type": "category"}, yaxis={"title": {"text": "added to F"}})
