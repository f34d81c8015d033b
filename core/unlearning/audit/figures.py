"""Pictures of the audit and of one answer from the inside: numbers in, Plotly figure out; nothing else.

Those that are drawn again after every part of a run are written as the plain JSON that Plotly's Python objects would make of them, which
took a tenth of the audit to check; a test gives them to those objects.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from core.plots import BLUE, BROWN, GREY, PALE, RED, SAND
from core.unlearning.audit.actpert import WHERE, Cell
from core.unlearning.figures import COLOURS, NAMES, Estimate
from core.unlearning.metrics import ENOUGH

ARMS = {"unlearned": NAMES["unlearned"], "random": "Random direction", "reference": NAMES["reference"], "original": NAMES["original"]}
ARM_COLOURS = COLOURS | {"random": BROWN}
STATES = ("key not given", "given, but the model that never knew gives it too", "key given")
SHORT = ("no", "yes, maybe luck", "yes")
ANY = "any way"
RATIO_BINS = 20
SHADES = [[0.0, "rgba(0,114,178,0.04)"], [1.0, "rgba(0,114,178,0.75)"]]


def next_tokens(top: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The likeliest first tokens, best on top; `top`: {token, probability}, best first."""
    names = [f"{i}. {guess['token']!r}" for i, guess in enumerate(top, 1)]
    values = [guess["probability"] for guess in top]
    figure = go.Figure(go.Bar(y=names, x=values, orientation="h", marker_color=BLUE, text=[f"{value:.1%}" for value in values],
                              textposition="auto", hovertemplate="%{y}: %{x:.4f}<extra></extra>"))
    figure.update_layout(xaxis={"title": {"text": "probability"}, "range": [0, 1]},
                         yaxis={"autorange": "reversed", "type": "category"}, height=300, template=None)
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
    # said to be categories, or Plotly would take a token such as "1. ' '" for a number
    figure.update_layout(xaxis={"title": {"text": "the answer, token by token"}, "side": "top", "type": "category"},
                         yaxis={"autorange": True, "type": "category"}, height=360, template=None)
    return figure.to_plotly_json()


def attention(tokens: Sequence[str], weights: Sequence[Sequence[float]]) -> dict[str, Any]:
    """Where each layer looks before the first word of the answer: weights (layers, tokens), each row sums to 1; tokens as the model reads
    them."""
    columns, rows = [f"{i}. {token!r}" for i, token in enumerate(tokens, 1)], [f"layer {i}" for i in range(1, len(weights) + 1)]
    figure = go.Figure(go.Heatmap(x=columns, y=rows, z=[list(row) for row in weights], zmin=0, colorscale=SHADES, xgap=1, ygap=1,
                                  hovertemplate="%{y} looks at %{x}: %{z:.1%}<extra></extra>",
                                  colorbar={"title": {"text": "attention"}, "tickformat": ".0%", "thickness": 12}))
    figure.update_layout(xaxis={"title": {"text": "what it has read"}, "type": "category", "tickangle": -60},
                         yaxis={"type": "category"}, height=360, template=None)
    return figure.to_plotly_json()


def matrix(found: Mapping[str, Mapping[str, Sequence[bool | None]]], questions: Sequence[str], ways: Mapping[str, str],
           names: Mapping[str, str] = NAMES) -> dict[str, Any]:
    """The heat map question x way of asking, one panel per model: 0 key not given, 1 given but also by `reference`, 2 given.

    found: by model and way of asking, per question whether the key was given; None or absent where it was not asked (yet).
    questions: a short label each.  ways: id -> title, in order. The last column is any way at all. `customdata` of a cell is
    [number of the question, id of the way ("" for any)].
    """
    columns, shown = [*ways.values(), ANY], [who for who in NAMES if who in found]
    lucky = found.get("reference", {})
    labels = [f"{i}. {label}" for i, label in enumerate(questions, start=1)]
    traces: list[dict[str, Any]] = []
    layout: dict[str, Any] = {}
    for place, who in enumerate(shown):
        rows = [_states(i, who, found[who], lucky, ways) for i in range(len(questions))]
        traces.append({
            "type": "heatmap", "name": names[who], "z": rows, "x": columns, "y": labels, "zmin": 0, "zmax": 2, "xaxis": f"x{_nth(place)}",
            "yaxis": "y", "xgap": 2, "ygap": 1, "showscale": False,
            "colorscale": [[0, PALE], [0.33, PALE], [0.33, SAND], [0.67, SAND], [0.67, RED], [1, RED]],
            "customdata": [[[i, way] for way in (*ways, "")] for i in range(len(questions))],
            "text": [["" if state is None else SHORT[state] for state in row] for row in rows],
            "hovertemplate": "%{y}<br>%{x}: %{text}<extra>" + names[who] + "</extra>"})
        layout[f"xaxis{_nth(place)}"] = {"domain": _domain(place, len(shown)), "side": "top", "tickangle": -60,
                                         "title": {"text": names[who]}, "type": "category"}
    for state, colour in zip(STATES, (PALE, SAND, RED), strict=True):
        traces.append({"type": "scatter", "name": state, "x": [None], "y": [None], "mode": "markers",
                       "marker": {"symbol": "square", "size": 12, "color": colour}})
    return {"data": traces, "layout": layout | {
        "yaxis": {"autorange": "reversed", "type": "category", "automargin": True}, "height": 190 + 17 * len(questions),
        "legend": {"orientation": "h", "y": -0.02, "yanchor": "top", "x": 0}, "margin": {"t": 150}, "template": {}}}


def _nth(place: int) -> str:
    """What Plotly puts behind "xaxis" for the axis of the panel with this number, from 0."""
    return str(place + 1) if place else ""


def _domain(place: int, panels: int) -> list[float]:
    """Where a panel stands among all that share the width."""
    return [place / panels + (0.012 if place else 0), (place + 1) / panels]


def _states(question: int, who: str, found: Mapping[str, Sequence[bool | None]], lucky: Mapping[str, Sequence[bool | None]],
            ways: Mapping[str, str]) -> list[int | None]:
    """One row of one panel. A way counts as luck when the model that never knew gives the key when asked so."""
    def state(hit: bool | None, luck: bool) -> int | None:
        return None if hit is None else (1 if luck else 2) if hit else 0

    def at(answers: Mapping[str, Sequence[bool | None]], way: str) -> bool | None:
        return answers[way][question] if way in answers else None

    row = [state(at(found, way), bool(at(lucky, way))) for way in ways]
    known = [at(found, way) for way in ways if at(found, way) is not None]
    return [*row, state(any(known) if known else None, any(bool(at(lucky, way)) for way in ways))]


def ways_of_asking(ways: Sequence[str], shares: Mapping[str, Sequence[Estimate]], chance: Sequence[float],
                   names: Mapping[str, str] = NAMES) -> dict[str, Any]:
    """Share of facts given in every way of asking, by model, with 95 % intervals and the mark of blind guessing."""
    figure = go.Figure()
    for who, estimates in shares.items():
        figure.add_bar(
            name=names[who], y=list(ways), x=[value for value, _, _ in estimates], orientation="h", marker={"color": COLOURS[who]},
            error_x={"type": "data", "symmetric": False, "array": [high - value for value, _, high in estimates],
                     "arrayminus": [value - low for value, low, _ in estimates], "color": GREY, "thickness": 1.5},
            customdata=[[low, high] for _, low, high in estimates],
            hovertemplate="%{y}: %{x:.0%} (95 % interval %{customdata[0]:.0%} to %{customdata[1]:.0%})<extra>" + names[who] + "</extra>")
    if any(chance):
        figure.add_scatter(name="Blind guessing", y=[way for way, c in zip(ways, chance, strict=True) if c], x=[c for c in chance if c],
                           mode="markers", marker={"symbol": "line-ns", "size": 34, "line": {"width": 2, "color": GREY}},
                           hovertemplate="Blind guessing: %{x:.0%}<extra></extra>")
    figure.update_layout(barmode="group", height=130 + 58 * len(ways), legend=LEGEND, template=None,
                         xaxis={"title": {"text": "answers with the key fact"}, "range": [0, 1.04], "tickformat": ".0%"},
                         yaxis={"autorange": "reversed", "automargin": True})
    return figure.to_plotly_json()


LEGEND = {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0}


def truth_ratios(ratios: Mapping[str, Sequence[float]], quality: float | None, names: Mapping[str, str] = NAMES,
                 too_few: int = 0) -> dict[str, Any]:
    """Histograms of log10 truth ratio: left of 0 the model prefers the truth, right of 0 an invention.

    quality: the p-value of the Kolmogorov-Smirnov test between unlearned and reference; None writes none.
    too_few: how many questions there are, where the test cannot be done with them; else 0.
    """
    logs = {who: [max(-4.0, min(4.0, math.log10(r))) if r > 0 else -4.0 for r in values] for who, values in ratios.items()}
    low, high = min(map(min, logs.values())), max(map(max, logs.values()))
    width = max(high - low, 0.1) / RATIO_BINS
    bins = {"start": low - width / 2, "end": high + width, "size": width}
    figure = go.Figure()
    for who, values in logs.items():
        figure.add_histogram(name=names[who], x=values, xbins=bins, marker={"color": COLOURS[who]},
                             opacity=0.6, hovertemplate="log10 R in %{x}: %{y} questions<extra>" + names[who] + "</extra>")
    note = "" if quality is None else f"forget quality (KS test, never knew against after forgetting): p = {quality:.2g}"
    if too_few:
        note = f"{too_few} questions: too few for the KS test ({ENOUGH} needed)"
    figure.update_layout(barmode="overlay", legend=LEGEND, template=None,
                         xaxis={"title": {"text": "log10 truth ratio: truth likelier ← 0 → invention likelier"}},
                         yaxis={"title": {"text": "questions"}},
                         annotations=[{"text": note, "xref": "paper", "yref": "paper", "x": 1, "y": 1, "xanchor": "right",
                                       "yanchor": "top", "showarrow": False}] if note else [])
    return figure.to_plotly_json()


def shift_map(tokens: Sequence[str], shaken: Sequence[bool], size: Sequence[Sequence[float]]) -> dict[str, Any]:
    """How far shaking the name moves the thoughts: length of delta by layer (from 1, upwards) and token; size (layers, tokens)."""
    columns = [f"{i}. {token!r}" + (" ◆" if own else "") for i, (token, own) in enumerate(zip(tokens, shaken, strict=True), start=1)]
    rows = [f"layer {i}" for i in range(1, len(size) + 1)]
    figure = go.Figure(go.Heatmap(x=columns, y=rows, z=[list(row) for row in size], colorscale=SHADES, zmin=0, xgap=1, ygap=1,
                                  customdata=[[{"place": i, "layer": layer + 1} for i in range(len(tokens))] for layer in range(len(size))],
                                  hovertemplate="%{y}, %{x}: moved by %{z:.3g}<extra></extra>",
                                  colorbar={"title": {"text": "moved by"}, "thickness": 12}))
    figure.update_layout(xaxis={"title": {"text": "◆ shaken tokens: the name"}, "type": "category", "tickangle": -60},
                         yaxis={"type": "category"}, height=300, template=None)
    return figure.to_plotly_json()


def push_grid(tried: Mapping[str, Mapping[Cell, float]], arms: Mapping[str, str] = ARMS) -> dict[str, Any]:
    """Share of calibration questions whose key comes, by place of the push (rows) and strength (columns), one panel per arm."""
    traces: list[dict[str, Any]] = []
    layout: dict[str, Any] = {}
    shown = [who for who in ARMS if who in tried]
    for place, who in enumerate(shown):
        cells = tried[who]
        strengths = sorted({cell.alpha for cell in cells})
        places = sorted({(cell.mode, cell.layer) for cell in cells})
        traces.append({
            "type": "heatmap", "name": arms[who], "x": [f"{alpha:+g}" for alpha in strengths],
            "y": [f"layer {layer}, {WHERE[mode]}" for mode, layer in places],
            "z": [[cells.get(Cell(layer, mode, alpha)) for alpha in strengths] for mode, layer in places], "zmin": 0, "zmax": 1,
            "colorscale": SHADES, "texttemplate": "%{z:.0%}", "xaxis": f"x{_nth(place)}", "yaxis": "y", "xgap": 2, "ygap": 2,
            "showscale": False, "hovertemplate": "%{y}, strength %{x}: %{z:.0%}<extra>" + arms[who] + "</extra>"})
        layout[f"xaxis{_nth(place)}"] = {"domain": _domain(place, len(shown)), "title": {"text": f"{arms[who]}: strength"},
                                         "type": "category"}
    return {"data": traces, "layout": layout | {
        "yaxis": {"autorange": "reversed", "type": "category", "automargin": True}, "height": 340, "template": {}}}


def pushed(plain: Mapping[str, Estimate], best: Mapping[str, Estimate], arms: Mapping[str, str] = ARMS) -> dict[str, Any]:
    """Held-out questions answered without a push and with the best one, by arm, with intervals; random directions beside them."""
    figure = go.Figure()
    shown = [who for who in ARMS if who in best]
    for name, values, pattern in (("asked plainly", plain, "/"), ("with the best push", best, "")):
        bars = [(who, values[who]) for who in shown if who in values]
        figure.add_bar(
            name=name, x=[arms[who] for who, _ in bars], y=[value for _, (value, _, _) in bars],
            marker={"color": [ARM_COLOURS[who] for who, _ in bars], "pattern": {"shape": pattern}},
            error_y={"type": "data", "symmetric": False, "array": [high - value for _, (value, _, high) in bars],
                     "arrayminus": [value - low for _, (value, low, _) in bars], "color": GREY, "thickness": 1.5},
            customdata=[[low, high] for _, (_, low, high) in bars],
            hovertemplate=name + ": %{y:.0%} (95 % interval %{customdata[0]:.0%} to %{customdata[1]:.0%})<extra>%{x}</extra>")
    figure.update_layout(barmode="group", legend=LEGEND, template=None,
                         yaxis={"title": {"text": "answers with the key fact"}, "range": [0, 1.04], "tickformat": ".0%"})
    return figure.to_plotly_json()
