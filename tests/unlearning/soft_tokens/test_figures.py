"""Figures of the bench: lines with gaps between texts, numbers that can be read on their squares, one colour for each model."""

from __future__ import annotations

import re

import numpy as np
import pytest

from apps.lab.ui.scripts import STATIC
from core.engine.outputs import each
from core.unlearning.soft_tokens import figures
from core.unlearning.soft_tokens.cells import CELLS
from core.unlearning.soft_tokens.spec import COLOURS, DASHES, FALSE, OUTPUTS, TRUE, WHO

READABLE = 4.5  # contrast of small text


def test_texts_of_one_kind_are_one_trace_with_gaps() -> None:
    figure = figures.losses([("unlearned", TRUE, [0, 5], [3.0, 1.0]), ("unlearned", TRUE, [0, 5, 10], [4.0, 2.0, 0.5]),
                             ("unlearned", FALSE, [0], [5.0])])
    true, false = [trace for trace in figure["data"] if trace.get("meta") != "extent"]
    assert list(true["x"]) == [0, 5, None, 0, 5, 10, None] and list(true["y"]) == [3.0, 1.0, None, 4.0, 2.0, 0.5, None]
    assert (true["name"], false["name"]) == ("Made to forget: true answer", "Made to forget: false answer")
    assert true["line"]["color"] == false["line"]["color"] and true["line"]["dash"] != false["line"]["dash"]


def test_a_model_has_one_colour_and_one_name_in_all_charts_and_figures() -> None:
    drawn = [one for one in each(OUTPUTS) if one.look == "line"]
    assert len(drawn) == 16
    for one in drawn:
        who = next(who for who, name in WHO.items() if one.title.startswith(name))
        assert one.colour == COLOURS[who]
    named = {cell.name: cell for cell in CELLS.values()}
    for one in drawn:
        kind, _, name = one.name.partition(" ")
        if name in named:
            assert one.title == named[name].title and one.dash == DASHES[named[name].text], "dashes tell texts apart"
        else:
            assert one.name == f"loss sentence, {one.title.lower()}"
    layers = figures.layers({who: [1.0, 0.5] for who in COLOURS}, {"original": [1.0, 0.9]})
    assert {trace["line"]["color"] for trace in layers["data"]} == set(COLOURS.values())


@pytest.mark.parametrize("dark", [False, True])
def test_numbers_on_the_map_of_lengths_can_be_read(dark: bool) -> None:
    figure = figures.surface([4, 8], [1, 16], [[0.0, 0.0], [1.0, 0.5]], [[0.1, 0.2], [1.0, 0.9]], 2, "pieces of words")
    assert not figure["layout"]["xaxis"]["showgrid"] and not figure["layout"]["yaxis"]["showgrid"]
    stops, colours = zip(*figure["data"][0]["colorscale"], strict=True)
    parts = list(zip(*(rgb(partner(colour) if dark else colour) for colour in colours), strict=True))
    for share in (0.0, 0.25, 1 / 3, 0.5, 2 / 3, 0.75, 1.0):
        square = [float(np.interp(share, stops, part)) for part in parts]
        assert contrast(square, ink(square)) >= READABLE, share


def partner(colour: str) -> str:
    """What the page makes of a colour in the dark."""
    script = (STATIC / "plot.js").read_text()
    light, dark = ([shade for row in re.findall(rf"{name}: \[(.*?)\]", script) for shade in re.findall(r'"(#\w{6})"', row)]
                   for name in ("light", "dark"))
    return dict(zip(light, dark, strict=True))[colour]


def rgb(colour: str) -> list[float]:
    assert re.fullmatch("#[0-9A-F]{6}", colour), "Plotly takes a shade one can see through for its opaque self"
    return [int(colour[i:i + 2], 16) for i in (1, 3, 5)]


def ink(square: list[float]) -> list[float]:
    """The colour of text that Plotly chooses: white or #444."""
    return [255.0] * 3 if sum(part * weight for part, weight in zip(square, (0.299, 0.587, 0.114), strict=True)) < 128 else [68.0] * 3


def contrast(one: list[float], other: list[float]) -> float:
    def light(colour: list[float]) -> float:
        parts = [c / 255 / 12.92 if c / 255 <= 0.03928 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in colour]
        return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]

    high, low = sorted((light(one), light(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)
