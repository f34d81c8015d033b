"""Networks trained alone beside the paths of the stored pool."""

from __future__ import annotations

import re

import pytest

from core.engine.lab import Cache, Lab
from core.engine.settings import ASSETS
from core.learngene.data import read_task
from core.learngene.pool import rivals
from core.learngene.pool.paths import LARGE, SMALL, Way, all_paths, macs_of
from core.learngene.pool.rivals import WIDTHS, best_within
from tests.learngene.listened import listened

PATHS = {SMALL: (10, 0.5), Way(0, 1): (20, 0.9), Way(1, 1): (25, 0.9), LARGE: (40, 0.8)}


@pytest.mark.parametrize(("macs", "best"), [(9, None), (10, SMALL), (24, Way(0, 1)), (30, Way(0, 1)), (99, Way(0, 1))])
def test_the_best_path_costs_no_more_and_the_cheaper_of_two_equals_is_taken(macs, best):
    assert best_within(macs, PATHS) == (best and (best, PATHS[best][1]))


@pytest.fixture(scope="module")
def untrained(engine):
    """The stored pool of digits, measured as it begins."""
    return listened(engine, "learngene/stitch", {"epochs": 0})


def test_networks_trained_alone_are_drawn_between_the_two_ends_with_what_their_cards_say(engine, untrained):
    result, said = untrained
    pareto = next(event["figure"] for event in said["figure"] if event["name"] == "pareto")
    curve = next(trace for trace in pareto["data"] if trace["name"] == "each trained alone")
    small, large = (engine.models.load(f"embedded/learngene-instances-{half}").model.config for half in ("small", "large"))
    ends = [macs_of(way, small, large, 10) for way in (SMALL, LARGE)]
    assert curve["x"] == sorted(curve["x"]) and [curve["x"][0], curve["x"][-1]] == ends and len(curve["x"]) == len(WIDTHS)
    for width, drawn in zip(WIDTHS, curve["y"], strict=True):
        card = (ASSETS / "models" / f"learngene-alone-{width}" / "card.md").read_text(encoding="utf-8")
        promised = float(re.search(r"([\d.]+)% of all 594", card)[1])
        assert drawn == pytest.approx(100 * result["metrics"][f"alone {width}"], abs=0.06)
        assert drawn == pytest.approx(promised, abs=100 / 594 + 0.1)  # another machine may round one picture to the other side


def test_each_stands_beside_the_best_path_that_costs_no_more(untrained):
    result, said = untrained
    tables = {event["name"]: event["rows"] for event in said["table"]}
    names = {way.title: way.name for way in all_paths(6)}
    assert len(tables["alone"]) == len(WIDTHS)
    for row in tables["alone"]:
        assert row[7] == max(path[4] for path in tables["paths"] if path[2] <= row[2])
        assert result["metrics"][f"after {names[row[6]]}"] == row[7]
    gap = 100 * sum(row[7] - row[3] for row in tables["alone"]) / len(WIDTHS)
    assert f"{abs(gap):.1f} points {'ahead' if gap > 0 else 'behind'} on average" in result["verdict"]["text"]
    plain = sum(row[6] in ("small", "large") for row in tables["alone"])
    assert f"in {plain} of 5 cases it has no stitch" in result["verdict"]["text"]


def test_the_desk_gets_the_same_networks_on_the_pictures_shown(engine):
    answer = engine.probe("learngene/alone", {})
    assert [network["width"] for network in answer["networks"]] == list(WIDTHS) and answer["pictures"] == len(read_task("digits").shown[1])
    for network in answer["networks"]:
        card = (ASSETS / "models" / f"learngene-alone-{network['width']}" / "card.md").read_text(encoding="utf-8")
        assert f"{network['parameters']:,} numbers" in card
        assert 100 * network["right"] == pytest.approx(float(re.search(r"Right answers: ([\d.]+)%", card)[1]), abs=100 / 256 + 0.1)
    assert engine.probe("learngene/alone", {"task": "letters"})["networks"] == []


def test_one_that_is_not_there_is_named(engine, monkeypatch):
    monkeypatch.setattr(rivals, "WIDTHS", (36, 37))
    found, absent = rivals.alone(Lab(engine.models, Cache(), seed=0, threads=1), read_task("digits"))
    assert [rival.width for rival in found] == [36] and absent == ["learngene-alone-37"]
