"""The pictures of the page, panels A to H of methods/03 section 6: numbers in, Plotly figure out, nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from core.plots import BLUE, BROWN, COLOURS, GREEN, GREY, ORANGE, PINK, RED

GROUP_COLOURS = {"right": GREEN, "wrong": RED, "sound": GREEN, "lucky": BROWN}
DASHES = ("solid", "dash")  # of the first and of the second round of these colours
LARGEST_HEAT = 256  # columns; longer texts are thinned out


def _figure(traces: Sequence[Any], **layout: Any) -> dict[str, Any]:
    margin = {"l": 60, "r": 20, "t": 20, "b": 50}
    made = go.Layout(**{"margin": margin, "legend": {"orientation": "h", "y": 1.12}, **layout})
    return {"data": [trace.to_plotly_json() for trace in traces], "layout": made.to_plotly_json()}


def path(places: Sequence[Sequence[float]], kinetic: Sequence[float], turns: Sequence[float], variance: Sequence[float],
         groups: Mapping[str, Mapping[str, Sequence]] | None = None, tips: Sequence[Sequence[float]] = (),
         words: Sequence[str] = (), at: Sequence[int] = (), chosen: int | None = None) -> dict[str, Any]:
    """A. The reasoning as a particle: places (layers + 1, 2), one arrow per layer, over the usual paths of right and wrong.

    kinetic (layers,), turns (layers - 1,) in degrees, written at their points. tips: where the path ended after each thinking token.
    at: the numbers of these tokens in the text. chosen: the tip looked at. Shown is what the paths and that tip need; some lie beyond.
    """
    places, traces = np.asarray(places), []
    for name, group in (groups or {}).items():
        mean, sd = np.asarray(group["mean"]), np.asarray(group["sd"])
        traces.append(go.Scatter(
            x=mean[:, 0], y=mean[:, 1], mode="lines+markers", name=f"usual path, {name} answers", opacity=0.6,
            line={"color": GROUP_COLOURS[name], "dash": "dot"}, marker={"size": 5},
            error_x={"array": sd[:, 0], "thickness": 0.7, "width": 0}, error_y={"array": sd[:, 1], "thickness": 0.7, "width": 0},
            hovertemplate="layer %{pointNumber}<extra>" + f"{name} answers, bars: one standard deviation</extra>"))
    if len(tips):
        ends = np.asarray(tips)
        traces.append(go.Scatter(
            x=ends[:, 0], y=ends[:, 1], mode="markers", name="end of the path after each token", text=list(words),
            customdata=[{"token": token} for token in (at or range(len(ends)))],
            marker={"size": 5, "color": PINK, "symbol": "circle-open"},
            hovertemplate="after %{text}<extra>token %{customdata.token}</extra>"))
    arriving = ["start", *(f"{value:.3g}" for value in kinetic)]
    turning = ["start", *(f"{value:.0f}°" for value in turns), "end"]
    hovers = [list(row) for row in zip(range(len(places)), arriving, turning, strict=True)]
    traces.append(go.Scatter(
        x=places[:, 0], y=places[:, 1], mode="lines+markers+text", name="this reasoning", line={"color": BLUE, "width": 2},
        marker={"size": [8, *[13] * (len(places) - 1)], "symbol": ["circle", *["arrow"] * (len(places) - 1)], "angleref": "previous",
                "color": [0.0, *map(float, kinetic)], "colorscale": [[0, BROWN], [1, BLUE]],
                "colorbar": {"title": {"text": "energy of the step", "side": "right"}, "thickness": 10}},
        text=turning, customdata=hovers,
        textposition=["bottom center", *["top center"] * (len(places) - 1)],
        hovertemplate="layer %{customdata[0]}<br>energy of the step: %{customdata[1]}<br>turn here: %{customdata[2]}<extra></extra>"))
    named = [f"direction {i + 1}, {100 * share:.0f} % of variance (state units)" for i, share in enumerate(variance)]
    seen = [places, *(np.asarray(g["mean"]) + side * np.asarray(g["sd"]) for g in (groups or {}).values() for side in (-1, 1))]
    if chosen is not None and len(tips):
        seen.append(np.asarray(tips)[chosen:chosen + 1])
    (left, low), (right, high) = np.concatenate(seen).min(0), np.concatenate(seen).max(0)
    return _figure(traces, xaxis={"title": {"text": named[0]}, "range": _padded(left, right)},
                   yaxis={"title": {"text": named[1]}, "range": _padded(low, high)})


def _padded(low: float, high: float) -> list[float]:
    """What to show of an axis, so that the far ends of the first tokens do not press the path flat."""
    room = 0.12 * (high - low) or 1.0
    return [float(low - room), float(high + room)]


def profile(kinetic: Sequence[float], bent: Sequence[float], *, what: str, first: int = 1) -> dict[str, Any]:
    """B. Energy per layer: kinetic (L,), gamma times curvature energy (L-1,), and what is left of the first after the second.

    what: energy of what, and minus what. first: the number of the first layer that counts.
    """
    layers = list(range(first, first + len(kinetic)))
    net = np.asarray(kinetic)[:-1] - np.asarray(bent)
    traces = [go.Bar(x=layers, y=list(kinetic), name="momentum energy", marker={"color": BLUE}),
              go.Bar(x=layers[:-1], y=list(bent), name="gamma x curvature energy", marker={"color": ORANGE}),
              go.Scatter(x=layers[:-1], y=net.tolist(), name="what is left", mode="lines+markers", line={"color": GREY})]
    return _figure(traces, barmode="group", xaxis={"title": {"text": "layer"}, "dtick": 1},
                   yaxis={"title": {"text": f"{what} (squared state units)"}})


def heat(values: Sequence[Sequence[float]], words: Sequence[str], roles: Sequence[str], *, what: str,
         wrong: tuple[int, int] | None = None) -> dict[str, Any]:
    """C. Layers over tokens: values (tokens, layers). The thinking is framed, the first wrong step (start, end) ringed."""
    grid = np.asarray(values, dtype=float).T
    kept = np.arange(len(words))
    if len(words) > LARGEST_HEAT:
        kept = np.unique(np.linspace(0, len(words) - 1, LARGEST_HEAT).round().astype(int))
    scale = [[0, "#FFFFFF"], [0.5, BLUE], [1, GREY]]
    cells = go.Heatmap(z=np.where(np.isnan(grid[:, kept]), None, grid[:, kept]).tolist(), x=list(range(len(kept))),
                       y=list(range(1, len(grid) + 1)), colorscale=scale,
                       colorbar={"title": {"text": what, "side": "right"}, "thickness": 10},
                       customdata=[[{"token": int(i), "word": words[i], "role": roles[i]} for i in kept]] * len(grid),
                       hovertemplate="%{customdata.word} (%{customdata.role}), layer %{y}: %{z:.3g}<extra>token %{customdata.token}"
                                     "</extra>")
    shapes = []
    thinking = [i for i, at in enumerate(kept) if roles[at] == "think"]
    for span, colour, width in ((thinking, BLUE, 2), (_inside(kept, wrong), RED, 3)):
        if span:
            shapes.append({"type": "rect", "x0": span[0] - 0.5, "x1": span[-1] + 0.5, "y0": 0.5, "y1": len(grid) + 0.5,
                           "line": {"color": colour, "width": width}})
    ticks = {"tickvals": list(range(len(kept))), "ticktext": [words[i] for i in kept]} if len(kept) <= 80 else {}
    return _figure([cells], shapes=shapes, xaxis={"title": {"text": "token"}, **ticks}, yaxis={"title": {"text": "layer"}, "dtick": 1})


def _inside(kept: np.ndarray, span: tuple[int, int] | None) -> list[int]:
    return [i for i, at in enumerate(kept) if span and span[0] <= at < span[1]]


def chain(words: Sequence[str], energies: Sequence[float], max_prob: Sequence[float], entropy: Sequence[float],
          steps: Sequence[tuple[int, float]] = (), wrong: tuple[int, int] | None = None, *, note: str = "",
          whole: float | None = None, tokens: Sequence[int] = ()) -> dict[str, Any]:
    """D. Along the chain: energy of the reasoning so far, energy of each step (last token, value), certainty per token.

    All of them count thinking tokens from 0; entropy in nats. note: how these energies differ from the energy of the `whole`.
    tokens: the numbers of these tokens in the text.
    """
    at = list(range(len(words)))
    labels = {"customdata": [{"token": token, "word": word} for token, word in zip(tokens or at, words, strict=True)]}
    tip = "%{customdata.word}: %{y:.3g}"
    traces = [go.Scatter(x=at, y=list(energies), name=f"energy so far{note}", line={"color": BLUE}, hovertemplate=tip, **labels),
              go.Scatter(x=at, y=list(max_prob), name="certainty of the token", line={"color": GREEN}, yaxis="y2", hovertemplate=tip,
                         **labels),
              go.Scatter(x=at, y=list(entropy), name="entropy of the choice", line={"color": GREY, "dash": "dot"}, yaxis="y2",
                         hovertemplate=tip, **labels)]
    if steps:
        traces.append(go.Scatter(x=[i for i, _ in steps], y=[value for _, value in steps], name=f"energy of each step{note}",
                                 mode="markers", marker={"color": PINK, "size": 9, "symbol": "diamond"}))
    if whole is not None:
        traces.append(go.Scatter(x=[len(words) - 1], y=[whole], name="energy of the whole, as chosen", mode="markers",
                                 marker={"color": BLUE, "size": 11, "symbol": "star"}))
    shapes = [{"type": "rect", "xref": "x", "yref": "paper", "x0": wrong[0] - 0.5, "x1": wrong[1] - 0.5, "y0": 0, "y1": 1,
               "fillcolor": RED, "opacity": 0.15, "line": {"width": 0}}] if wrong else []
    ticks = {"tickvals": at, "ticktext": list(words)} if len(words) <= 80 else {}
    return _figure(traces, shapes=shapes, xaxis={"title": {"text": "thinking token"}, **ticks},
                   yaxis={"title": {"text": "energy (squared state units)"}},
                   yaxis2={"title": {"text": "certainty (0 to 1), entropy (nats)"}, "overlaying": "y", "side": "right",
                           "rangemode": "tozero", "tickvals": [0, 0.5, 1]})


def next_words(guesses: Sequence[Sequence[tuple[str, float]]], written: str | None) -> dict[str, Any]:
    """What each layer would say next: guesses (layers + 1, rank) of (text, probability), from before any layer. Framed: `written`."""
    ranks = [f"{i}. guess" for i in range(1, len(guesses[0]) + 1)]
    layers = ["before any layer", *(f"layer {i}" for i in range(1, len(guesses)))]
    cells = go.Heatmap(x=ranks, y=layers, z=[[chance for _, chance in row] for row in guesses], zmin=0, zmax=1, showscale=False,
                       text=[[f"{word!r}" for word, _ in row] for row in guesses], texttemplate="%{text} %{z:.1%}", xgap=2, ygap=2,
                       colorscale=[[0, "rgba(0,114,178,0.04)"], [1, "rgba(0,114,178,0.6)"]],
                       hovertemplate="%{y}: %{text}, %{z:.2%}<extra></extra>")
    frames = [{"type": "rect", "x0": j - 0.47, "x1": j + 0.47, "y0": i - 0.47, "y1": i + 0.47, "line": {"color": PINK, "width": 2}}
              for i, row in enumerate(guesses) for j, (word, _) in enumerate(row) if word == written]
    return _figure([cells], shapes=frames, xaxis={"side": "top", "type": "category"}, yaxis={"type": "category"})


def scoreboard(percentiles: Mapping[str, float]) -> dict[str, Any]:
    """E. Every score of one output as a percentile of the calibration outputs; the middle is the usual."""
    names = [name for name, value in percentiles.items() if value == value][::-1]
    values = [percentiles[name] for name in names]
    bars = go.Bar(x=[value - 50 for value in values], y=names, base=50, orientation="h", customdata=values,
                  marker={"color": [BLUE if value >= 50 else ORANGE for value in values]},
                  hovertemplate="%{y}: surer than %{customdata:.0f} % of outputs<extra></extra>")
    return _figure([bars], margin={"l": 150, "r": 20, "t": 20, "b": 50}, height=max(300, 20 * len(names)),
                   xaxis={"title": {"text": "percentile (%)"}, "range": [0, 100]},
                   yaxis={"title": {"text": "score"}})


def roc(curves: Mapping[str, tuple[Sequence[float], Sequence[float]]], aurocs: Mapping[str, float], positive: str,
        negative: str) -> dict[str, Any]:
    """F. True over false positive rate, one line per score; the diagonal is a coin. positive, negative: what is sorted apart."""
    traces = [go.Scatter(x=[0, 1], y=[0, 1], mode="lines", name="a coin", line={"color": GREY, "dash": "dot"})]
    for i, (name, (false, true)) in enumerate(curves.items()):
        line = {"color": COLOURS[i % len(COLOURS)], "dash": DASHES[i // len(COLOURS) % len(DASHES)]}
        traces.append(go.Scatter(x=list(false), y=list(true), mode="lines", name=f"{name}: {aurocs[name]:.3f}", line=line))
    return _figure(traces, xaxis={"title": {"text": f"share of the {negative} let through"}, "range": [0, 1]},
                   yaxis={"title": {"text": f"share of the {positive} let through"}, "range": [0, 1]})


def aurocs(rows: Sequence[tuple[str, float, float, float, float]], positive: str) -> dict[str, Any]:
    """F. AUROC of every score with its 95 % interval (name, value, low, high) and, hollow, inside equal lengths."""
    names = [row[0] for row in rows][::-1]
    values, lows, highs, inside = (np.array([row[i] for row in rows][::-1], dtype=float) for i in range(1, 5))
    whole = go.Scatter(x=values.tolist(), y=names, mode="markers", name="all outputs, with 95 % interval",
                       marker={"color": BLUE, "size": 8},
                       error_x={"array": (highs - values).tolist(), "arrayminus": (values - lows).tolist(), "thickness": 1.2})
    equal = go.Scatter(x=inside.tolist(), y=names, mode="markers", name="among equally long problems",
                       marker={"color": ORANGE, "size": 7, "symbol": "circle-open"})
    line = {"type": "line", "x0": 0.5, "x1": 0.5, "yref": "paper", "y0": 0, "y1": 1, "line": {"color": GREY, "dash": "dot"}}
    return _figure([whole, equal], shapes=[line], height=max(320, 20 * len(names)), margin={"l": 150, "r": 20, "t": 20, "b": 50},
                   xaxis={"title": {"text": f"AUROC for {positive}"}}, yaxis={"title": {"text": "score"}})


def distributions(energies: Mapping[str, Sequence[float]], what: str) -> dict[str, Any]:
    """G. Energies of sound, lucky and wrong outputs as histograms over the same bins, each as a share of its kind."""
    known = [np.asarray(values) for values in energies.values() if len(values)]
    edges = np.histogram_bin_edges(np.concatenate(known), bins=30) if known else np.linspace(0, 1, 31)
    traces = [go.Scatter(x=edges.tolist(), y=[*(np.histogram(values, edges)[0] / max(1, len(values))).tolist(), 0.0],
                         name=f"{name} ({len(values)})", line={"shape": "hv", "color": GROUP_COLOURS[name]}, fill="tozeroy", opacity=0.6)
              for name, values in energies.items()]
    return _figure(traces, xaxis={"title": {"text": what}}, yaxis={"title": {"text": "share of the outputs of that kind"}})


def gamma_curves(gammas: Sequence[float], curves: Mapping[str, Sequence[float]], chosen: float, positive: str) -> dict[str, Any]:
    """G. AUROC over gamma, one line per variant."""
    traces = [go.Scatter(x=list(gammas), y=list(values), name=name, mode="lines", line={"color": colour})
              for (name, values), colour in zip(curves.items(), COLOURS, strict=False)]
    shapes = [{"type": "line", "x0": chosen, "x1": chosen, "yref": "paper", "y0": 0, "y1": 1, "line": {"color": GREY, "dash": "dot"}},
              {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": 0.5, "y1": 0.5, "line": {"color": GREY, "dash": "dot"}}]
    return _figure(traces, shapes=shapes, xaxis={"title": {"text": "gamma: weight of curvature"}},
                   yaxis={"title": {"text": f"AUROC for {positive}"}})


def layers(difference: Mapping[str, Sequence[float]]) -> dict[str, Any]:
    """B over many outputs: mean momentum energy per layer of each kind, minus the mean of all (raw profiles all look alike)."""
    traces = [go.Scatter(x=list(range(1, len(values) + 1)), y=list(values), name=name, line={"color": GROUP_COLOURS[name]})
              for name, values in difference.items()]
    return _figure(traces, xaxis={"title": {"text": "layer"}, "dtick": 1},
                   yaxis={"title": {"text": "momentum energy minus the mean (squared state units)"}})


def corrupted(shares: Mapping[str, tuple[float, float, float]], n: int) -> dict[str, Any]:
    """H. For each score: what share of n corrupted chains it notices, by a lower value than before, with its 95 % interval.

    Green: surely more than half of them. Orange: surely less. Grey: nobody can tell.
    """
    names = list(shares)[::-1]
    middles, lows, highs = (100 * np.array([shares[name][i] for name in names]) for i in range(3))
    colours = [GREEN if low > 50 else ORANGE if high < 50 else GREY for low, high in zip(lows, highs, strict=True)]
    bars = go.Bar(x=middles.tolist(), y=names, orientation="h", name="share of the chains", marker={"color": colours, "opacity": 0.6},
                  error_x={"array": (highs - middles).tolist(), "arrayminus": (middles - lows).tolist(), "thickness": 1.2})
    line = {"type": "line", "x0": 50, "x1": 50, "yref": "paper", "y0": 0, "y1": 1, "line": {"color": GREY, "dash": "dot"}}
    return _figure([bars], shapes=[line], margin={"l": 150, "r": 20, "t": 20, "b": 50},
                   xaxis={"title": {"text": f"chains scored lower (% of {n}), with 95 % interval"}, "range": [0, 100]},
                   yaxis={"title": {"text": "score"}})


def before_after(words: Sequence[str], before: Sequence[float], after: Sequence[float], changed: int) -> dict[str, Any]:
    """H. Probability of every written token before and after one of them was changed; `changed`: its place."""
    at, tip = list(range(len(words))), "%{customdata}: %{y:.3f}"
    traces = [go.Scatter(x=at, y=list(before), name="as it was", line={"color": GREEN}, customdata=list(words), hovertemplate=tip),
              go.Scatter(x=at, y=list(after), name="one value changed", line={"color": ORANGE}, customdata=list(words), hovertemplate=tip)]
    mark = {"type": "rect", "yref": "paper", "x0": changed - 0.5, "x1": changed + 0.5, "y0": 0, "y1": 1, "fillcolor": PINK, "opacity": 0.2,
            "line": {"width": 0}}
    return _figure(traces, shapes=[mark], xaxis={"title": {"text": "token"}, "tickvals": at, "ticktext": list(words)},
                   yaxis={"title": {"text": "probability of the written token"}, "range": [0, 1.02]})
