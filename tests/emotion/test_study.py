"""The blind test: which side is which is not told before the votes are counted, and the count is right."""

from __future__ import annotations

import json

import pytest

from core.emotion import study
from core.emotion.spec import MOST_PAIRS, PairConfig
from core.engine.errors import LabError
from core.engine.lab import Cache, Lab
from core.stats import wilson


def test_a_pair_is_the_same_each_time_and_does_not_say_which_is_which(warm_engine):
    lab = Lab(warm_engine.models, Cache(), seed=0, threads=1)
    made, again = (study.pair_of(lab, PairConfig(), 2) for _ in range(2))
    assert (made.planned == again.planned).all() and (made.chance == again.chance).all() and (made.planned != made.chance).any()
    shown = warm_engine.probe("emotion/pair", {"number": 2})
    left, right = shown["images"]["left"], shown["images"]["right"]
    assert left != right and shown["target"] in shown["says"]
    rest = json.dumps({name: value for name, value in shown.items() if name != "images"})
    assert "planned" not in rest and "chance" not in rest
    sides = [study.lot_of(number)[0] % 2 for number in range(1, MOST_PAIRS + 1)]
    assert 3 <= sum(sides) <= 9 and made.left == sides[1]


def test_votes_are_counted_for_whom_they_were_meant(warm_engine):
    right = {number: "L" if study.lot_of(number)[0] % 2 else "R" for number in (1, 2)}
    wrong = "L" if right[2] == "R" else "R"
    run = warm_engine.start("emotion/study", {"votes": f"1{right[1]} 2{wrong} 3="})
    assert warm_engine.wait(run.id)["outcome"] == "finished"
    result = warm_engine.result(run.id)
    found = {name: result["metrics"][name]["value"] if isinstance(result["metrics"][name], dict) else result["metrics"][name]
             for name in ("votes", "planned", "chance", "no difference")}
    assert found == {"votes": 3, "planned": 1, "chance": 1, "no difference": 1}
    assert result["verdict"]["evidence"]["95 % interval"] == pytest.approx(list(wilson(1, 2)))
    assert "1 of 2 pairs" in result["verdict"]["headline"]


def test_what_is_no_vote_is_refused_and_no_vote_at_all_is_said():
    assert study.votes_of("1L 2R 1=") == {1: "=", 2: "R"}
    for wrong in ("1X", "L1", "0L", f"{MOST_PAIRS + 1}R", "yes"):
        with pytest.raises(LabError, match="no votes"):
            study.votes_of(wrong)
