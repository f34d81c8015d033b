"""Every figure is one that Plotly accepts, with the numbers given and the colours that the browser knows."""

from __future__ import annotations

import json
import re

import plotly.graph_objects as go
import pytest

from core.learngene import figures as shared
from core.learngene.depth import figures as depth
from core.learngene.metrics import Linearity
from core.learngene.pool import figures as pool
from core.plots import MEANINGS

ROWS = [Linearity("fc1", 0.4, 0.14, 0.2, (-1.0, 0.0, 0.5, 2.0), 0.5, 0.8), Linearity("fc2", 0.1, 0.14, 0.2, (0.0, 1.0, 0.5, 2.0), 0.4, 0.3)]
SPOTS = [pool.Spot("small", 5, 10, 0.5), pool.Spot("1 → 2", 4, 20, 0.8, ms=1.5), pool.Spot("2 → 2", 6, 30, 0.7)]
DRAWN = {
    "by_depth": lambda: depth.by_depth({"inherited": {1: 0.2, 2: 0.9}, "scratch": {2: 0.5}}, n=256, ancestor=0.95, auxiliary_depth=2),
    "against": lambda: depth.against({"inherited": [(10, 0.2), (20, 0.9)]}, "numbers"),
    "coefficients": lambda: depth.coefficients([0, 0.5]),
    "linearity": lambda: depth.linearity(ROWS),
    "positions": lambda: depth.positions(ROWS),
    "storage": lambda: depth.storage(100, 900, [4, 6]),
    "epochs": lambda: depth.epochs([4, 6, 8], 100, 5, 100),
    "attention": lambda: depth.attention([[[0.1, 0.2], [0.3, 0.4]], [[0.5, 0.6], [0.7, 0.8]]]),
    "prediction": lambda: shared.prediction(["7", "1"], [0.8, 0.1]),
    "training": lambda: shared.training({"inherited": ([0, 1], [0.1, 0.8])}),
    "board": lambda: pool.board(3, {(0, 0): 0.5, (0, 1): 0.75}),
    "pareto": lambda: pool.pareto(SPOTS),
    "pareto by time": lambda: pool.pareto(SPOTS, cost="ms"),
    "pool storage": lambda: pool.storage({"the pool": 10, "one by one": 50}),
    "similarity": lambda: pool.similarity(0.2, 0.9),
    "inits": lambda: pool.inits({"least_squares": [(0, 0.8), (2, 0.9)], "random": [(0, 0.1), (2, 0.3)]}),
}
COLOURS = {*MEANINGS, "#FFFFFF"}


@pytest.mark.parametrize("name", DRAWN)
def test_figure_is_valid_and_plain(name):
    figure = DRAWN[name]()
    go.Figure(figure)
    text = json.dumps(figure)
    assert "template" not in figure["layout"] and not figure["layout"].get("title")
    assert figure["data"] and set(re.findall(r"#[0-9A-Fa-f]{6}", text)) <= COLOURS
    assert "text" in figure["layout"]["xaxis"]["title"] and "text" in figure["layout"]["yaxis"]["title"]


def test_curves_carry_their_numbers_and_intervals():
    trace = DRAWN["by_depth"]()["data"][0]
    assert (trace["x"], trace["y"]) == ([1, 2], [20.0, 90.0])
    assert trace["error_y"]["array"][0] > 0 and trace["error_y"]["arrayminus"][1] > 0


def test_attention_strip_shows_the_first_row_on_top_and_a_gap_between_layers():
    assert DRAWN["attention"]()["data"][0]["z"] == [[0.3, 0.4, None, 0.7, 0.8], [0.1, 0.2, None, 0.5, 0.6]]


def test_total_epochs_count_the_auxiliary_model():
    inherited, scratch = DRAWN["epochs"]()["data"]
    assert inherited["y"] == [105, 110, 115] and scratch["y"] == [100, 200, 300]


def test_board_leaves_untrained_cells_empty_and_pareto_joins_the_front_only():
    assert DRAWN["board"]()["data"][0]["z"] == [[50.0, None, None], [75.0, None, None], [None] * 3]
    front = DRAWN["pareto"]()["data"][-1]
    assert (front["x"], front["y"]) == ([10, 20], [50.0, 80.0])


def test_pareto_says_all_about_a_path_whatever_it_is_drawn_against():
    stitched, ends, _ = DRAWN["pareto"]()["data"]
    assert (stitched["text"], stitched["x"], ends["x"]) == (["1 → 2", "2 → 2"], [20, 30], [10])
    assert stitched["customdata"][0] == {"parameters": 4, "macs": 20}
    by_size = pool.pareto(SPOTS, cost="parameters")
    assert by_size["data"][0]["x"] == [4, 6] and by_size["layout"]["xaxis"]["title"]["text"] == "numbers inside"
    assert DRAWN["pareto by time"]()["data"][0]["x"] == [1.5]  # the others were not timed
