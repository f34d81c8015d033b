"""Figures hold exactly the numbers they were given."""

from __future__ import annotations

import json
import math

import pytest

from core.engine.events import to_plain
from core.unlearning.audit import figures as audit
from core.unlearning.audit.actpert import Cell, grid
from core.unlearning.audit.results import _rounded
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


FOUND = {"original": {"direct": [True, True], "choice": [True, None]}, "unlearned": {"direct": [False, True]},
         "reference": {"direct": [False, True], "choice": [False, None]}}
WAYS = {"direct": "Direct question", "choice": "Multiple choice"}


def test_the_matrix_tells_memory_from_luck_and_unasked_from_no() -> None:
    figure = audit.matrix(FOUND, ["Ida, birthplace", "Ida, pet"], WAYS)
    panels = {panel["name"]: panel for panel in figure["data"] if panel["type"] == "heatmap"}
    assert list(panels) == ["Original", "After forgetting", "Never knew"]
    assert [list(row) for row in panels["Original"]["z"]] == [[2, 2, 2], [1, None, 1]]
    assert [list(row) for row in panels["After forgetting"]["z"]] == [[0, None, 0], [1, None, 1]], "the second may be luck"
    assert panels["After forgetting"]["customdata"][1] == [[1, "direct"], [1, "choice"], [1, ""]]
    assert list(panels["Original"]["x"]) == ["Direct question", "Multiple choice", "any way"]
    assert len({panel["xaxis"] for panel in panels.values()}) == 3 and {panel["yaxis"] for panel in panels.values()} == {"y"}


def test_without_a_reference_nothing_is_called_luck() -> None:
    found = {who: ways for who, ways in FOUND.items() if who != "reference"}
    states = [state for panel in audit.matrix(found, ["a", "b"], WAYS)["data"] if panel["type"] == "heatmap"
              for row in panel["z"] for state in row]
    assert set(states) == {0, 2, None}


def test_ways_of_asking_mark_blind_guessing_only_where_there_is_any() -> None:
    figure = audit.ways_of_asking(["plain", "choice"], THREE, [0.0, 0.25])
    [chance] = [trace for trace in figure["data"] if trace["type"] == "scatter"]
    assert list(chance["y"]) == ["choice"] and list(chance["x"]) == [0.25]
    bars = [trace for trace in figure["data"] if trace["type"] == "bar"]
    assert [list(bar["x"]) for bar in bars] == [[value for value, _, _ in estimates] for estimates in THREE.values()]


def test_truth_ratios_are_logarithms_kept_in_the_picture() -> None:
    figure = audit.truth_ratios({"unlearned": [0.01, 1.0, 10.0, 0.0, 1e9]}, 0.03)
    assert list(figure["data"][0]["x"]) == pytest.approx([-2, 0, 1, -4, 4])
    assert "p = 0.03" in figure["layout"]["annotations"][0]["text"]
    assert not audit.truth_ratios({"unlearned": [0.1]}, None)["layout"].get("annotations")


def test_the_grid_has_a_row_per_place_and_a_column_per_strength() -> None:
    tried = {cell: index / 10 for index, cell in enumerate(grid(4))}
    [panel] = audit.push_grid({"unlearned": tried})["data"]
    assert list(panel["x"]) == ["-3", "-1", "+1", "+3"] and len(panel["y"]) == 6
    for row, (mode, layer) in zip(panel["z"], sorted({(cell.mode, cell.layer) for cell in tried}), strict=True):
        assert list(row) == [tried[Cell(layer, mode, alpha)] for alpha in (-3.0, -1.0, 1.0, 3.0)]
    [half] = audit.push_grid({"unlearned": dict(list(tried.items())[:1])})["data"]
    assert half["z"] == [[0.0]] or [list(row) for row in half["z"]] == [[0.0]]


def test_pushes_stand_beside_what_comes_without() -> None:
    figure = audit.pushed({"unlearned": (0.1, 0.0, 0.2)}, {"unlearned": (0.4, 0.2, 0.6), "random": (0.1, 0.0, 0.3)})
    plain, best = figure["data"]
    assert list(plain["y"]) == [0.1] and list(best["y"]) == [0.4, 0.1]
    assert list(best["x"]) == ["After forgetting", "Random direction"] and list(best["error_y"]["array"]) == pytest.approx([0.2, 0.2])


def test_the_bins_of_the_truth_ratio_follow_the_data_and_too_few_questions_are_said() -> None:
    figure = audit.truth_ratios({"original": [0.9, 1.0], "unlearned": [1.1, 1.2]}, None, too_few=24)
    bins = figure["data"][0]["xbins"]
    assert bins == figure["data"][1]["xbins"] and (bins["end"] - bins["start"]) / bins["size"] == pytest.approx(21.5)
    assert bins["start"] < math.log10(0.9) and bins["end"] > math.log10(1.2)
    assert figure["layout"]["annotations"][0]["text"] == "24 questions: too few for the KS test (30 needed)"


def test_a_tiny_p_value_is_not_nought() -> None:
    assert [_rounded(value) for value in (1.34e-6, 0.51239, 0.0, math.nan)] == [1.3e-6, 0.5124, 0.0, None]


def test_the_map_marks_the_shaken_tokens() -> None:
    figure = audit.shift_map(["Where", " Ida"], [False, True], [[0.0, 1.0], [0.2, 3.0]])
    assert "◆" not in figure["data"][0]["x"][0] and "◆" in figure["data"][0]["x"][1]
    assert [list(row) for row in figure["data"][0]["z"]] == [[0.0, 1.0], [0.2, 3.0]]
    assert list(figure["data"][0]["y"]) == ["layer 1", "layer 2"]


@pytest.mark.parametrize("figure", [audit.matrix(FOUND, ["a", "b"], WAYS), audit.push_grid({"unlearned": {Cell(1, "last", 1.0): 0.5}}),
                                    audit.shift_map(["a"], [True], [[1.0]]), audit.pushed({}, {"random": (0.1, 0.0, 0.3)}),
                                    audit.truth_ratios({"original": [0.5]}, None), audit.ways_of_asking(["a", "b"], THREE, [0.0, 0.0])])
def test_figures_of_the_audit_survive_json(figure: dict) -> None:
    assert json.loads(json.dumps(to_plain(figure)))["data"]
    assert not figure["layout"].get("title")
