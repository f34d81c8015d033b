"""Numbers in, Plotly figures out (as plain dicts); nothing else.

Colours are colour-blind safe and stand for the same model everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from core.plots import BLUE, BROWN, GREEN, GREY, ORANGE, plain

COLOURS = {"original": BLUE, "unlearned": ORANGE, "reference": GREEN, "others": GREEN, "made up": BROWN}
NAMES = {"original": "Original", "unlearned": "After forgetting", "reference": "Never knew"}

Estimate = tuple[float, float, float]  # value, low, high


def _share_axis(title: str) -> dict[str, Any]:
    return {"title": {"text": title}, "range": [0, 1.04], "tickformat": ".0%"}


def grouped_bars(groups: Sequence[str], values: Mapping[str, Sequence[Estimate]], axis: str,
                 chance: Sequence[float] = (), names: Mapping[str, str] = NAMES) -> dict[str, Any]:
    """One group per entry of `groups`, one bar with its 95 % interval per model; `values[model]` has one estimate per group.

    chance: where blind guessing lies in each group, drawn as a mark.
    """
    figure = go.Figure()
    for model, estimates in values.items():
        figure.add_bar(
            name=names[model], x=list(groups), y=[value for value, _, _ in estimates], marker={"color": COLOURS[model]},
            error_y={"type": "data", "symmetric": False, "array": [high - value for value, _, high in estimates],
                     "arrayminus": [value - low for value, low, _ in estimates], "color": GREY, "thickness": 1.5},
            customdata=[[low, high] for _, low, high in estimates],
            hovertemplate="%{x}: %{y:.0%} (95 % interval %{customdata[0]:.0%} to %{customdata[1]:.0%})<extra>" + names[model] + "</extra>")
    if any(chance):
        figure.add_scatter(name="Blind guessing", x=list(groups), y=list(chance), mode="markers",
                           marker={"symbol": "line-ew", "size": 60, "line": {"width": 2, "color": GREY}},
                           hovertemplate="Blind guessing: %{y:.0%}<extra></extra>")
    figure.update_layout(barmode="group", yaxis=_share_axis(axis))
    return plain(figure)


def by_layer(shares: Mapping[str, Sequence[Estimate]], chance: float, names: Mapping[str, str] = NAMES) -> dict[str, Any]:
    """Share of facts whose right value outranks all others of its kind after 0, 1, ... layers, per model."""
    figure = go.Figure()
    symbols = {"original": "circle", "unlearned": "diamond", "reference": "square"}
    for model, estimates in shares.items():
        figure.add_scatter(
            name=names[model], x=list(range(len(estimates))), y=[value for value, _, _ in estimates], mode="lines+markers",
            line={"color": COLOURS[model]}, marker={"symbol": symbols[model], "size": 8},
            error_y={"type": "data", "symmetric": False, "array": [high - value for value, _, high in estimates],
                     "arrayminus": [value - low for value, low, _ in estimates], "thickness": 1},
            hovertemplate="after %{x} layers: %{y:.0%}<extra>" + names[model] + "</extra>")
    figure.add_hline(y=chance, line={"dash": "dot", "width": 1, "color": GREY})
    figure.update_layout(yaxis=_share_axis("right value readable"), xaxis={"title": {"text": "layers passed"}, "dtick": 1})
    return plain(figure)
