"""Numbers in, Plotly figures out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from core.factors.spec import ARM_WORDS
from core.plots import BLUE, BROWN, GREEN, GREY, ORANGE, PINK, RED, plain

ARM_COLOURS = {"none": ORANGE, "augmented": BLUE, "duplicate": GREY, "jitter": BROWN, "shuffled": RED, "target_only": PINK, "pooled": GREEN}
REAL, EDITED = ORANGE, BLUE


def bars(
    ic: Mapping[str, Sequence[float]], rec: Mapping[str, Sequence[float]] | None, halves: Mapping[str, tuple[float, float]]
) -> dict[str, Any]:
    """Mean over seeds of IC, and of the planted signal found, with a dot for each seed.  halves: half a 95 % interval (IC, found)."""
    figure = go.Figure()
    sides = [("x", "y", ic, "IC on test days", 0)] + ([("x2", "y2", rec, "planted signal found", 1)] if rec else [])
    for x, y, values, _, side in sides:
        for arm, points in values.items():
            words = ARM_WORDS[arm]
            figure.add_bar(
                x=[words],
                y=[round(float(np.mean(points)), 4)],
                name=words,
                legendgroup=arm,
                showlegend=side == 0,
                xaxis=x,
                yaxis=y,
                marker={"color": ARM_COLOURS[arm], "opacity": 0.75},
                error_y={"type": "data", "array": [round(halves[arm][side], 4)], "thickness": 1.2},
            )
            figure.add_scatter(
                x=[words] * len(points),
                y=np.round(points, 4),
                mode="markers",
                name=f"{words}, seeds",
                legendgroup=arm,
                showlegend=False,
                xaxis=x,
                yaxis=y,
                marker={"color": ARM_COLOURS[arm], "size": 7, "line": {"width": 1, "color": "#fff"}},
            )
    if not rec:
        return plain(figure, yaxis={"title": {"text": "IC"}, "rangemode": "tozero"}, xaxis={"showticklabels": False})
    # words below each half: beside an axis they would lie over the other half on a phone, and above it under the legend
    split = {
        "xaxis": {"domain": [0, 0.43], "showticklabels": False, "title": {"text": "IC"}},
        "xaxis2": {"domain": [0.57, 1], "showticklabels": False, "anchor": "y2", "title": {"text": "signal found"}},
        "yaxis": {"rangemode": "tozero"},
        "yaxis2": {"anchor": "x2", "rangemode": "tozero"},
    }
    return plain(figure, **split)


def equity(
    curves: Mapping[str, tuple[np.ndarray, np.ndarray]], even: np.ndarray, low: np.ndarray, high: np.ndarray, dates: Sequence[str]
) -> dict[str, Any]:
    """Running sums in per cent, each (days,): before and after costs by kind, all shares alike, and a band of rankings by chance."""
    figure = go.Figure()
    x = list(dates)
    figure.add_scatter(x=x, y=_percent(high), mode="lines", line={"width": 0}, showlegend=False, hoverinfo="skip")
    figure.add_scatter(
        x=x,
        y=_percent(low),
        mode="lines",
        line={"width": 0},
        fill="tonexty",
        fillcolor="rgba(89,96,101,0.22)",
        name="20 rankings by chance",
        hoverinfo="skip",
    )
    figure.add_scatter(x=x, y=_percent(even), mode="lines", name="all shares alike", line={"color": GREEN, "width": 2, "dash": "dot"})
    for arm, (gross, net) in curves.items():
        words = ARM_WORDS[arm]
        figure.add_scatter(x=x, y=_percent(gross), mode="lines", name=words, legendgroup=arm, line={"color": ARM_COLOURS[arm], "width": 2})
        figure.add_scatter(
            x=x,
            y=_percent(net),
            mode="lines",
            name=f"{words}, after costs",
            legendgroup=arm,
            showlegend=False,
            line={"color": ARM_COLOURS[arm], "width": 1.5, "dash": "dash"},
        )
    return plain(figure, yaxis={"title": {"text": "sum, %"}})


def _percent(values: np.ndarray) -> list[float]:
    return np.round(100 * np.asarray(values, float), 2).tolist()


def excess(rows: Mapping[str, tuple[Sequence[float], Sequence[float], Sequence[float]]]) -> dict[str, Any]:
    """Annualised excess of each seed: before costs, after the cheaper and after the dearer ones."""
    figure = go.Figure()
    names = ["before costs", "after 5 and 15 basis points", "after 15 and 25"]
    for arm, parts in rows.items():
        figure.add_box(
            x=[name for name, part in zip(names, parts, strict=True) for _ in part],
            y=[round(100 * v, 2) for part in parts for v in part],
            name=ARM_WORDS[arm],
            marker={"color": ARM_COLOURS[arm]},
            boxpoints="all",
            pointpos=0,
            line={"width": 1},
        )
    figure.add_hline(y=0, line={"color": GREY, "dash": "dot"})
    return plain(figure, boxmode="group", yaxis={"title": {"text": "excess a year, %"}})


def pca(points: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Windows by kind, each (n, 2), seen from the same two directions."""
    figure = go.Figure()
    for name, colour, symbol in (("real", REAL, "circle"), ("noise of equal size", BROWN, "x"), ("edited", EDITED, "diamond")):
        if name in points:
            at = np.round(points[name], 2)
            figure.add_scatter(
                x=at[:, 0], y=at[:, 1], mode="markers", name=name, marker={"color": colour, "size": 6, "opacity": 0.55, "symbol": symbol}
            )
    return plain(figure, xaxis={"title": {"text": "first direction"}}, yaxis={"title": {"text": "second direction"}})


def histogram(real: np.ndarray, edited: np.ndarray, noisy: np.ndarray, name: str) -> dict[str, Any]:
    """How the values of one factor are spread: how many lie in each quarter from -3 to 3, each int (25,)."""
    figure = go.Figure()
    middle = np.linspace(-3, 3, 25)
    for words, counts, colour, dash in (
        ("real", real, REAL, "solid"),
        ("edited", edited, EDITED, "solid"),
        ("noise of equal size", noisy, BROWN, "dot"),
    ):
        share = counts / max(1, counts.sum())
        figure.add_scatter(
            x=np.round(middle, 3),
            y=np.round(100 * share, 2),
            name=words,
            mode="lines",
            line={"color": colour, "shape": "hvh", "dash": dash},
            fill="tozeroy" if words == "real" else "none",
        )
    return plain(figure, xaxis={"title": {"text": f"{name}, scaled"}}, yaxis={"title": {"text": "% of values"}, "rangemode": "tozero"})


def curve(rows: Sequence[Mapping[str, float]], theory: Sequence[tuple[int, float]], at: tuple[int, float] | None = None) -> dict[str, Any]:
    """R2 against T' for each guidance, theory dashed, and where one stands."""
    figure = go.Figure()
    for guidance, colour in ((0, GREEN), (2, BLUE)):
        mine = sorted((row["strength"], row["r2"]) for row in rows if row["guidance"] == guidance or row["strength"] == 0)
        figure.add_scatter(
            x=[s for s, _ in mine],
            y=[round(v, 3) for _, v in mine],
            mode="lines+markers",
            name=f"guidance {guidance}",
            line={"color": colour},
        )
    figure.add_scatter(
        x=[s for s, _ in theory],
        y=[round(v, 3) for _, v in theory],
        mode="lines",
        name="theory, independent numbers",
        line={"color": GREY, "dash": "dash"},
    )
    if at:
        figure.add_scatter(
            x=[at[0]], y=[round(at[1], 3)], mode="markers", name="here", marker={"color": PINK, "size": 14, "symbol": "star"}
        )
    return plain(figure, xaxis={"title": {"text": "strength T'"}}, yaxis={"title": {"text": "R2 with the original"}})


def against(rows: Sequence[Mapping[str, float]], shown: Mapping[str, tuple[str, str]], title: str) -> dict[str, Any]:
    """Measures against T' with guidance 2 (full) and 0 (dashed).  shown: measure -> (words, colour)."""
    figure = go.Figure()
    for key, (words, colour) in shown.items():
        for guidance, dash in ((2, "solid"), (0, "dash")):
            mine = sorted((row["strength"], row[key]) for row in rows if row["guidance"] == guidance and row["strength"])
            figure.add_scatter(
                x=[s for s, _ in mine],
                y=[round(v, 3) for _, v in mine],
                mode="lines+markers",
                name=f"{words}, guidance {guidance}",
                line={"color": colour, "dash": dash},
            )
    return plain(figure, xaxis={"title": {"text": "strength T'"}}, yaxis={"title": {"text": title}})


def leaks(names: Sequence[str], shares: Sequence[float]) -> dict[str, Any]:
    """Share of the numbers that change when the future is cut away, for each thing."""
    figure = go.Figure(
        go.Bar(
            x=[round(100 * v, 2) for v in shares], y=list(names), orientation="h", marker={"color": [RED if v else GREEN for v in shares]}
        )
    )
    return plain(
        figure,
        xaxis={"title": {"text": "numbers that change when the future is taken away, %"}, "range": [0, 100]},
        yaxis={"automargin": True},
    )
