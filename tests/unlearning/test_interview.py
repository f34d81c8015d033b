"""The interview says what the recorded run says, asked anew: the witnesses of an audit and those of the bench."""

from __future__ import annotations

import json

import pytest

from core.engine.errors import LabError
from core.engine.settings import FIRST_VIEWS


def recorded(view: str, table: str) -> tuple[dict, list[list]]:
    """The config of a first view and the rows of one of its tables."""
    lines = map(json.loads, (FIRST_VIEWS / view / "events.jsonl").read_text(encoding="utf-8").splitlines())
    rows = [line["rows"] for line in lines if line["kind"] == "table" and line["name"] == table][-1]
    return json.loads((FIRST_VIEWS / view / "run.json").read_text(encoding="utf-8"))["config"], rows


def test_one_way_of_asking_gives_the_answers_of_the_run(warm_engine):
    config, cells = recorded("unlearning-auditor", "cells")
    said = warm_engine.probe("unlearning/interview", config | {"way": "choice", "unlearned": config["model"]})
    assert [one["name"] for one in said["witnesses"]] == ["Original", "After forgetting", "Never knew"]
    original, stand_in, never = said["witnesses"]
    rows = [row for row in cells if row[1] == "choice"]
    assert [original["texts"][row[0]] for row in rows] == [row[6] for row in rows]
    assert [never["texts"][row[0]] for row in rows] == [row[8] for row in rows]
    assert stand_in["texts"] == original["texts"]  # the model that is named is the one that is asked
    assert sum(original["found"]) > 25 > 15 > sum(never["found"]) > 0


def test_what_a_run_does_not_have_is_a_sentence(warm_engine):
    config, _ = recorded("unlearning-auditor", "cells")
    for asked, words in (({"way": "cloze"}, "none of the ways"), ({"number": 30}, "30 questions")):
        with pytest.raises(LabError, match=words):
            warm_engine.probe("unlearning/interview", config | asked)
    bench, _ = recorded("soft-token-bench", "targets")
    for asked, words in (({"what": "string"}, "whole bench"), ({"number": 10}, "10 questions")):
        with pytest.raises(LabError, match=words):
            warm_engine.probe("unlearning/witnesses", bench | asked)


def test_an_attack_alone_takes_as_many_steps_as_in_the_run(warm_engine):
    config, targets = recorded("soft-token-bench", "targets")
    said = {how: warm_engine.probe("unlearning/witnesses", config | {"how": how, "number": 3}) for how in ("asked", "true", "false")}
    for how, words in (("true", "true answer"), ("false", "false answer")):
        for one in said[how]["witnesses"]:
            for row in targets:
                if row[:2] == [f"{one['name']}: {words}", said[how]["question"]]:
                    assert (one["steps"], one["said"], one["hit"]) == (row[5], row[3], row[4] == "yes")
    assert said["true"]["wanted"] != said["false"]["wanted"] and not said["asked"]["wanted"]
    assert [one["hit"] for one in said["asked"]["witnesses"]] == [True, False, False]  # who forgot, and who never knew
