"""Pictures of one answer from the inside: numbers in, Plotly figure out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

BLUE = "#0072B2"
SHADES = [[0.0, "rgba(0,114,178,0.04)"], [1.0, "rgba(0,114,178,0.75)"]]


def next_tokens(top: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The likeliest first tokens, best on top; `top`: {token, probability}, best first."""
    names = [f"{i}. {guess['token']!r}" for i, guess in enumerate(top, 1)]
    values = [guess["probability"] for guess in top]
    figure = go.Figure(go.Bar(y=names, x=values, orientation="h", marker_color=BLUE, text=[f"{value:.1%}" for value in values],
                              textposition="auto", hovertemplate="%{y}: %{x:.4f}<extra></extra>"))
    figure.update_layout(xaxis={"title": {"text": "probability"}, "range": [0, 1]}, yaxis={"autorange": "reversed"}, height=300,
                         template=None)
    return figure.to_plotly_json()


def lens(said: Sequence[str], depths: Sequence[Sequence[Mapping[str, Any]]], settled: Sequence[Sequence[float]]) -> dict[str, Any]:
    """The logit lens: what each layer would say (written), shaded by how likely it finds what was really said.

    depths and settled: (layers + 1) x tokens; row 0 is before any layer.
    """
    columns = [f"{i}. {token!r}" for i, token in enumerate(said, 1)]
    rows = ["before any"] + [f"layer {i}" for i in range(1, len(depths))]
    words = [[guess["token"] for guess in row] for row in depths]
    hover = [[f"{rows[i]} would say {guess['token']!r} ({guess['probability']:.1%});<br>finds {said[j]!r} {settled[i][j]:.1%} likely"
              for j, guess in enumerate(row)] for i, row in enumerate(depths)]
    figure = go.Figure(go.Heatmap(x=columns, y=rows, z=settled, zmin=0, zmax=1, colorscale=SHADES, text=words, texttemplate="%{text}",
                                  customdata=hover, hovertemplate="%{customdata}<extra></extra>", xgap=2, ygap=2,
                                  colorbar={"title": {"text": "probability of<br>what was said"}, "tickformat": ".0%", "thickness": 12}))
    figure.update_layout(xaxis={"title": {"text": "the answer, token by token"}, "side": "top"}, yaxis={"autorange": True}, height=360,
                         template=None)
    return figure.to_plotly_json()
