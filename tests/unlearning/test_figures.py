"""Figures hold exactly the numbers they were given."""

from __future__ import annotations

import json

import pytest

from core.engine.events import to_plain
from core.unlearning.figures import COLOURS, by_layer, grouped_bars

THREE = {"original": [(0.9, 0.8, 1.0), (0.5, 0.4, 0.7)], "unlearned": [(0.1, 0.0, 0.3), (0.2, 0.1, 0.4)],
         "reference": [(0.0, 0.0, 0.1), (0.3, 0.2, 0.5)]}


def test_bars_carry_values_intervals_and_their_model_s_colour() -> None:
    figure = grouped_bars(["plain", "trick"], THREE, "share", chance=[0.0, 0.25])
    bars = {trace["marker"]["color"]: trace for trace in figure["data"] if trace["type"] == "bar"}
    for model, estimates in THREE.items():
        bar = bars[COLOURS[model]]
        assert list(bar["x"]) == ["plain", "trick"] and list(bar["y"]) == [value for value, _, _ in estimates]
        assert list(bar["error_y"]["array"]) == pytest.approx([high - value for value, _, high in estimates])
        assert list(bar["error_y"]["arrayminus"]) == pytest.approx([value - low for value, low, _ in estimates])
    [chance] = [trace for trace in figure["data"] if trace["type"] == "scatter"]
    assert list(chance["y"]) == [0.0, 0.25]


def test_no_mark_of_chance_where_there_is_none() -> None:
    assert all(trace["type"] == "bar" for trace in grouped_bars(["plain", "trick"], THREE, "share", chance=[0.0, 0.0])["data"])


def test_layers_count_from_none_passed() -> None:
    figure = by_layer(THREE, 0.05)
    assert [list(trace["x"]) for trace in figure["data"]] == [[0, 1]] * 3
    assert figure["layout"]["shapes"][0]["y0"] == 0.05


@pytest.mark.parametrize("figure", [grouped_bars(["a", "b"], THREE, "share"), by_layer(THREE, 0.05)])
def test_figures_are_plain_data_without_title_or_template(figure: dict) -> None:
    json.dumps(to_plain(figure))
    assert not {"template", "title"} & set(figure["layout"])
    assert figure["layout"]["yaxis"]["title"]["text"]
