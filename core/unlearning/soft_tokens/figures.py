"""Numbers in, Plotly figures out; nothing else. Colours stand for the same model as everywhere in unlearning, dashes for what it says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from core.plots import BLUE, BROWN, GREY, ORANGE, PINK, plain
from core.unlearning.figures import Estimate
from core.unlearning.soft_tokens.spec import COLOURS, DASHES, WHO, Who

# Opaque, or the colour of the numbers on them would be chosen wrongly; with a jump at the half, where neither black nor white can be read.
SHADES = [[0.0, "#EAF1F7"], [0.49, "#A9CFE6"], [0.5, "#1A76AD"], [1.0, "#005A8C"]]


def controls(bars: Sequence[tuple[str, str, Estimate]], asked: Mapping[str, float]) -> dict[str, Any]:
    """Every cell as a bar with its interval: `bars` holds (label, who, estimate); `asked`: label -> share answered when asked plainly."""
    labels = [label for label, _, _ in bars]
    figure = go.Figure()
    for who, colour in COLOURS.items():
        mine = [(label, estimate) for label, owner, estimate in bars if owner == who]
        if not mine:
            continue
        figure.add_bar(
            name=WHO[who], orientation="h", y=[label for label, _ in mine], x=[value for _, (value, _, _) in mine],
            marker={"color": colour},
            error_x={"type": "data", "symmetric": False, "array": [high - value for _, (value, _, high) in mine],
                     "arrayminus": [value - low for _, (value, low, _) in mine], "color": GREY, "thickness": 1.5},
            customdata=[[low, high] for _, (_, low, high) in mine],
            hovertemplate="%{x:.0%} (95 % interval %{customdata[0]:.0%} to %{customdata[1]:.0%})<extra>" + WHO[who] + "</extra>")
    if asked:
        figure.add_scatter(name="Just asked, no attack", y=list(asked), x=list(asked.values()), mode="markers",
                           marker={"symbol": "line-ns", "size": 20, "line": {"width": 3, "color": GREY}},
                           hovertemplate="just asked: %{x:.0%}<extra></extra>")
    return plain(figure, barmode="overlay", margin={"l": 118, "r": 16, "t": 16, "b": 48},
                  yaxis={"categoryorder": "array", "categoryarray": labels[::-1], "tickfont": {"size": 12}},
                  xaxis={"title": {"text": "texts that came out"}, "range": [0, 1.04], "tickformat": ".0%"})


def losses(series: Sequence[tuple[Who, str, Sequence[int], Sequence[float]]]) -> dict[str, Any]:
    """One thin line per text: (who, what it is made to say, steps, losses); a line ends where its attack succeeded.

    The legend names the models only; what a line stands for is its name and its dash. Lines of one kind are one trace with gaps.
    """
    figure, kinds = go.Figure(), {}
    for who, text, steps, values in series:
        x, y = kinds.setdefault((who, text), ([], []))
        x += [*steps, None]
        y += [*(round(value, 4) for value in values), None]
    for who in dict.fromkeys(who for who, _ in kinds):
        figure.add_scatter(name=WHO[who], legendgroup=who, x=[None], y=[None], mode="lines", meta="extent", line={"color": COLOURS[who]})
    for (who, text), (x, y) in kinds.items():
        name, line = f"{WHO[who]}: {text}", {"color": COLOURS[who], "width": 1.2, "dash": DASHES[text]}
        figure.add_scatter(name=name, legendgroup=who, showlegend=False, x=x, y=y, mode="lines", line=line, opacity=0.75,
                           hovertemplate="step %{x}: %{y:.2f}<extra>" + name + "</extra>")
    return plain(figure, xaxis={"title": {"text": "attack step"}},
                  yaxis={"title": {"text": "loss (nats per token)"}, "rangemode": "tozero"})


def path(words: Sequence[Sequence[float]], tracks: Sequence[Sequence[Sequence[float]]], names: Sequence[str], share: tuple[float, float],
         shown: float) -> dict[str, Any]:
    """The plane of ordinary words (grey) and the way of every soft token across it.

    words: (n, 2).  tracks: k x moments x 2.  share: of the words' variance on each axis.  shown: of the soft tokens' own way.
    """
    figure = go.Figure()
    figure.add_scatter(name="Ordinary words", x=[p[0] for p in words], y=[p[1] for p in words], mode="markers",
                       marker={"color": GREY, "size": 3, "opacity": 0.35}, hoverinfo="skip")
    for i, track in enumerate(tracks):
        last = [0] * (len(track) - 1) + [9]
        figure.add_scatter(name="Soft tokens", legendgroup="soft", showlegend=i == 0, x=[p[0] for p in track], y=[p[1] for p in track],
                           mode="lines+markers", line={"color": PINK, "width": 1.2}, marker={"size": last, "color": PINK},
                           hovertemplate=f"soft token {i + 1}, near {names[i]!r}<extra></extra>")
    first, second = share
    return plain(figure, xaxis={"title": {"text": f"first direction ({first:.0%} of the words' variance)"}, "zeroline": False},
                  yaxis={"title": {"text": f"second direction ({second:.0%})"}, "zeroline": False},
                  annotations=[{"text": f"{shown:.0%} of the soft tokens' way is seen here", "xref": "paper", "yref": "paper",
                                "x": 1, "y": 0.01, "xanchor": "right", "yanchor": "bottom", "showarrow": False,
                                "font": {"size": 11, "color": GREY}}])


def layers(attacked: Mapping[str, Sequence[float]], ordinary: Mapping[str, Sequence[float]]) -> dict[str, Any]:
    """Cosine similarity to the plain prompt after each layer: under attack (lines), and when another question is asked (dotted)."""
    figure = go.Figure()
    symbols = {"original": "circle", "unlearned": "diamond", "reference": "square"}
    for who, values in attacked.items():
        figure.add_scatter(name=f"{WHO[who]}, attacked", x=list(range(len(values))), y=list(values), mode="lines+markers",
                           line={"color": COLOURS[who]}, marker={"symbol": symbols.get(who, "x"), "size": 8},
                           hovertemplate="after %{x} layers: %{y:.2f}<extra>" + WHO[who] + ", attacked</extra>")
    for who, values in ordinary.items():
        figure.add_scatter(name=f"{WHO[who]}, another question", x=list(range(len(values))), y=list(values), mode="lines",
                           line={"color": COLOURS[who], "dash": "dot", "width": 1.5},
                           hovertemplate="after %{x} layers: %{y:.2f}<extra>" + WHO[who] + ", another question</extra>")
    lowest = min((value for line in (*attacked.values(), *ordinary.values()) for value in line), default=0.0)
    return plain(figure, xaxis={"title": {"text": "layers passed"}, "dtick": 1},
                  yaxis={"title": {"text": "likeness to the plain question (cosine)"}, "range": [min(0.0, lowest) - 0.04, 1.04]})


def surface(lengths: Sequence[int], ks: Sequence[int], shares: Sequence[Sequence[float]], right: Sequence[Sequence[float]], each: int,
            unit: str) -> dict[str, Any]:
    """Success by length of the text and number of soft tokens; shares and right: len(ks) x len(lengths)."""
    hover = [[f"{k} soft tokens, {length} {unit}: {round(share * each)} of {each} texts came out,<br>{part:.0%} of their tokens right"
              for length, share, part in zip(lengths, row, parts, strict=True)] for k, row, parts in zip(ks, shares, right, strict=True)]
    words = [[f"{part:.0%}" for part in parts] for parts in right]
    figure = go.Figure(go.Heatmap(x=[str(length) for length in lengths], y=[str(k) for k in ks], z=[list(row) for row in shares],
                                  zmin=0, zmax=1, colorscale=SHADES, text=words, texttemplate="%{text}", customdata=hover,
                                  hovertemplate="%{customdata}<extra></extra>", xgap=2, ygap=2, showscale=False))
    return plain(figure, xaxis={"title": {"text": f"length of the random text ({unit})"}, "type": "category", "showgrid": False},
                  yaxis={"title": {"text": "soft tokens"}, "type": "category", "showgrid": False})


def alone(bars: Mapping[int, Mapping[str, Estimate]]) -> dict[str, Any]:
    """Share of texts that came out by number of soft tokens (k -> cell -> estimate), one bar each for true, false and made-up answers."""
    figure, said = go.Figure(), {"A": ("True answer", BLUE), "P": ("False answer", ORANGE), "N": ("About what does not exist", BROWN)}
    for cell, (name, colour) in said.items():
        mine = {k: cells[cell] for k, cells in bars.items() if cell in cells}
        figure.add_bar(
            name=name, x=[f"{k} soft token{'s' if k > 1 else ''}" for k in mine], y=[value for value, _, _ in mine.values()],
            marker={"color": colour},
            error_y={"type": "data", "symmetric": False, "array": [high - value for value, _, high in mine.values()],
                     "arrayminus": [value - low for value, low, _ in mine.values()], "color": GREY, "thickness": 1.5},
            customdata=[[low, high] for _, low, high in mine.values()],
            hovertemplate="%{x}: %{y:.0%} (95 % interval %{customdata[0]:.0%} to %{customdata[1]:.0%})<extra>" + name + "</extra>")
    return plain(figure, barmode="group", xaxis={"type": "category"},
                 yaxis={"title": {"text": "texts that came out"}, "range": [0, 1.04], "tickformat": ".0%"})
