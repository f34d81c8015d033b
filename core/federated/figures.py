"""Pictures of paper 07: numbers in, Plotly figures and contact sheets out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from core.engine.settings import ASSETS
from core.federated.spec import COLOURS, METHODS
from core.plots import BLUE, BROWN, GREEN, GREY, ORANGE, RED, percent, plain

TILE, GAP, BAND, TITLE, LONGEST = 64, 14, 34, 138, 12
WORDS = (128, 134, 142)  # readable on light and on dark ground
SYMBOLS = ("circle", "square", "diamond", "cross", "triangle-up", "star")
COLUMNS = ("never leaves", "is sent", "is painted")


def as_image(pixels: Tensor) -> Image.Image:
    """A picture (3, 32, 32) in -1..1, enlarged."""
    array = ((pixels.clamp(-1, 1) + 1) * 127.5).round().byte().permute(1, 2, 0).numpy()
    return Image.fromarray(array).resize((TILE, TILE), Image.Resampling.NEAREST)


def latent_image(latent: Tensor) -> Image.Image:
    """A latent (4, 8, 8) as colours: its first three channels, two deviations to each side of grey."""
    array = ((latent[:3].float() / 4 + 0.5).clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy()
    return Image.fromarray(array).resize((TILE, TILE), Image.Resampling.NEAREST)


def sheet(rows: Mapping[str, Sequence[Sequence[Image.Image]]], columns: Sequence[str], each: int) -> Image.Image:
    """Rows of pictures with their names on the left, in as many groups as there are `columns`; a group that is empty yet stays blank."""
    font = ImageFont.truetype(str(ASSETS / "fonts" / "Cabin-Regular.otf"), 24)  # read on a phone at less than half that
    width = TITLE + len(columns) * (each * TILE + GAP)
    page = Image.new("RGBA", (width, BAND + len(rows) * (TILE + 4)))
    pen = ImageDraw.Draw(page)
    for i, words in enumerate(columns):
        pen.text((TITLE + i * (each * TILE + GAP), 2), words, fill=WORDS, font=font)
    for y, (name, groups) in enumerate(rows.items()):
        top = BAND + y * (TILE + 4)
        pen.text((0, top + TILE // 2 - 15), name if len(name) <= LONGEST else name[: LONGEST - 1] + "…", fill=WORDS, font=font)
        for i, group in enumerate(groups):
            for x, picture in enumerate(group[:each]):
                page.paste(picture, (TITLE + i * (each * TILE + GAP) + x * TILE, top))
    return page


Bounds = tuple[float, float]


def accuracy(found: Mapping[str, Sequence[float]], bounds: Mapping[str, Sequence[Bounds]], start: float,
             places: Sequence[str]) -> dict[str, Any]:
    """Means as bars, a dot per place beside one another, all with intervals; the start as a line.

    found: method -> share right at each place.  bounds: method -> interval at each place and, last, of the mean."""
    figure = go.Figure()
    names = [METHODS[method] for method in found]
    for method, shares in found.items():  # a trace each, so that every bar has a name
        mean = float(np.mean(shares))
        figure.add_bar(x=[METHODS[method]], y=percent([mean]), name=METHODS[method], marker_color=COLOURS[method], showlegend=False,
                       width=0.8, offset=-0.4,  # behind the dots, which share the width among them
                       text=[f"{100 * mean:.0f} %"], textposition="inside", insidetextanchor="start",
                       error_y=_bars([mean], [bounds[method][-1]]) | {"thickness": 3})
    for i, place in enumerate(places):
        there = [shares[i] for shares in found.values()]
        figure.add_scatter(x=names, y=percent(there), mode="markers", name=place, offsetgroup=str(i),
                           marker={"color": GREY, "size": 9, "symbol": SYMBOLS[i % len(SYMBOLS)]},
                           error_y=_bars(there, [bounds[method][i] for method in found]) | {"thickness": 1, "width": 0})
    figure.add_hline(y=100 * start, line={"color": GREY, "dash": "dot"})
    return plain(figure, yaxis={"title": {"text": "right of new pictures, %"}, "range": [0, 100]}, barmode="overlay",
                 scattermode="group")


def read_at(names: Sequence[str], shares: Sequence[float], bounds: Sequence[Bounds],
            lines: Mapping[str, float]) -> dict[str, Any]:
    """What is read rightly at each place, with intervals. `lines`: words -> share, dotted across."""
    figure = go.Figure(go.Bar(x=list(names), y=percent(shares), marker_color=BLUE, showlegend=False, textposition="inside",
                              text=[f"{100 * share:.0f} %" for share in shares], insidetextanchor="start", error_y=_bars(shares, bounds)))
    for (words, share), colour in zip(lines.items(), (GREEN, GREY), strict=False):
        figure.add_scatter(x=list(names), y=percent([share] * len(names)), mode="lines", name=words, line={"color": colour, "dash": "dot"})
    return plain(figure, yaxis={"title": {"text": "right of new pictures, %"}, "range": [0, 104]})


def _bars(shares: Sequence[float], bounds: Sequence[Bounds]) -> dict[str, Any]:
    """Thin lines from the lower to the upper end of each interval, in per cent."""
    above = [max(0.0, high - share) for share, (_, high) in zip(shares, bounds, strict=True)]
    below = [max(0.0, share - low) for share, (low, _) in zip(shares, bounds, strict=True)]
    return {"type": "data", "symmetric": False, "array": percent(above), "arrayminus": percent(below), "color": GREY, "thickness": 1.5}


def sizes(bytes_of: Mapping[str, float]) -> dict[str, Any]:
    """What has to be sent, on a logarithmic axis; the first one is the method's."""
    figure = go.Figure(go.Bar(y=list(bytes_of), x=list(bytes_of.values()), orientation="h", text=[said(size) for size in bytes_of.values()],
                              marker_color=[BLUE, *[BROWN] * (len(bytes_of) - 1)], textposition="auto"))
    return plain(figure, xaxis={"type": "log", "title": {"text": "bytes"}}, yaxis={"autorange": "reversed", "automargin": True},
                 showlegend=False)


def said(size: float) -> str:
    """Bytes in words."""
    return f"{size / 1e6:.1f} MB" if size >= 1e6 else f"{size / 1e3:.1f} kB" if size >= 1e3 else f"{size:.0f} bytes"


def leak(found: Mapping[str, tuple[float, float, float]]) -> dict[str, Any]:
    """AUC of each attack with its interval; half is coin tossing. `found`: words -> (AUC, low, high)."""
    names, values = list(found), [value for value, _, _ in found.values()]
    colours = [RED if low > 0.5 else GREY for _, low, _ in found.values()]
    figure = go.Figure(go.Scatter(
        x=values, y=names, mode="markers", showlegend=False, marker={"size": 13, "color": colours},
        error_x={"type": "data", "symmetric": False, "array": [high - value for value, _, high in found.values()],
                 "arrayminus": [value - low for value, low, _ in found.values()], "color": GREY}))
    figure.add_vline(x=0.5, line={"color": GREY, "dash": "dot"})
    return plain(figure, xaxis={"range": [0.3, 1.02], "title": {"text": "AUC"}},
                 yaxis={"autorange": "reversed", "automargin": True})


def noise(values: Tensor) -> dict[str, Any]:
    """A histogram of everything that was sent (...), beside the normal distribution."""
    heights, edges = np.histogram(values.flatten().numpy(), bins=61, range=(-4, 4))
    heights = heights / max(1, heights.sum()) / (edges[1] - edges[0])
    middle = (edges[:-1] + edges[1:]) / 2
    figure = go.Figure(go.Bar(x=middle.round(3).tolist(), y=heights.round(4).tolist(), name="what is sent", marker_color=BLUE))
    figure.add_scatter(x=middle.round(3).tolist(), y=(np.exp(-(middle**2) / 2) / np.sqrt(2 * np.pi)).round(4).tolist(), name="pure noise",
                       mode="lines", line={"color": ORANGE, "width": 3})
    return plain(figure, xaxis={"title": {"text": "value"}}, yaxis={"title": {"text": "how often"}}, bargap=0)


def features(spots: Tensor, places: Tensor, painted: Tensor, names: Sequence[str]) -> dict[str, Any]:
    """Pictures as dots: spots (n, 2), places (n,) by number, painted bool (n,). A place has a shape, a kind has a colour."""
    figure = go.Figure()
    for kind, words, colour in ((False, "real, never leaves", GREEN), (True, "painted by the server", BLUE)):
        some = painted == kind
        figure.add_scatter(x=spots[some, 0].round(decimals=3).tolist(), y=spots[some, 1].round(decimals=3).tolist(), mode="markers",
                           name=words, text=[names[i] for i in places[some].tolist()], hoverinfo="text+name",
                           marker={"color": colour, "size": 7, "opacity": 0.75,
                                   "symbol": [SYMBOLS[i % len(SYMBOLS)] for i in places[some].tolist()]})
    hidden = {"showticklabels": False, "zeroline": False}
    return plain(figure, xaxis=hidden | {"title": {"text": "first direction"}}, yaxis=hidden | {"title": {"text": "second direction"}})


def added(found: Mapping[str, tuple[float, float, float]]) -> dict[str, Any]:
    """What a place adds to the share right, with its interval; what spoils is red. `found`: place -> (mean, low, high)."""
    values = [value for value, _, _ in found.values()]
    colours = [BLUE if low > 0 else RED if high < 0 else GREY for _, low, high in found.values()]
    figure = go.Figure(go.Scatter(
        x=percent(values), y=list(found), mode="markers", showlegend=False, marker={"size": 13, "color": colours},
        error_x={"type": "data", "symmetric": False, "array": percent([high - value for value, _, high in found.values()]),
                 "arrayminus": percent([value - low for value, low, _ in found.values()]), "color": GREY}))
    figure.add_vline(x=0, line={"color": GREY, "dash": "dot"})
    return plain(figure, xaxis={"title": {"text": "better with it than without it, points"}},
                 yaxis={"autorange": "reversed", "automargin": True})


def holdings(counts: Mapping[str, Sequence[int]]) -> dict[str, Any]:
    """How many pictures of each digit a place has."""
    figure = go.Figure()
    for i, (place, numbers) in enumerate(counts.items()):
        figure.add_bar(x=[str(digit) for digit in range(len(numbers))], y=list(numbers), name=place,
                       marker_color=(BLUE, ORANGE, GREEN, BROWN)[i % 4])
    return plain(figure, barmode="stack", xaxis={"title": {"text": "digit"}, "type": "category"}, yaxis={"title": {"text": "pictures"}})


def trade(levels: Sequence[int], right: Sequence[float], told: Sequence[tuple[float, float, float]], clean: float) -> dict[str, Any]:
    """Accuracy and leak against the noise level, the deepest first. `told`: (AUC, low, high) of the matched filter."""
    x = [f"step {level}" for level in levels]
    figure = go.Figure(go.Scatter(x=x, y=percent(right), name="right of new pictures, %", mode="lines+markers",
                                  line={"color": BLUE, "width": 3}))
    figure.add_scatter(x=x, y=percent([value for value, _, _ in told]), name="members told from strangers, %", mode="lines+markers",
                       line={"color": RED, "width": 3, "dash": "dash"},
                       error_y={"type": "data", "symmetric": False, "array": percent([high - value for value, _, high in told]),
                                "arrayminus": percent([value - low for value, low, _ in told]), "color": GREY})
    for y, colour, words in ((100 * clean, RED, "if clean latents were sent"), (50, GREY, "coin tossing")):
        figure.add_hline(y=y, line={"color": colour, "dash": "dot"}, annotation={"text": words, "font": {"size": 12}})
    return plain(figure, yaxis={"range": [0, 104], "title": {"text": "per cent"}}, xaxis={"title": {"text": "pictures are noised up to"}})
