"""One quick round and one quick attack on the embedded painter, read by many tests."""

from __future__ import annotations

import json

import pytest
import torch

from core.engine.events import layers
from core.engine.settings import ASSETS
from core.engine.weights import check_manifest
from core.federated.classifier import read_classifier
from core.federated.painter import load_painter
from core.federated.places import shared_out
from core.federated.spec import STARTS
from core.zoo.painter.build import recognised

QUICK = {"shots": 2, "steps": 5, "tuning": 4, "learning": 10, "tests": 20}


@pytest.fixture(scope="module")
def round_(warm_engine):
    run = warm_engine.start("federated/run", QUICK)
    assert warm_engine.wait(run.id)["outcome"] == "finished"
    return warm_engine.result(run.id)


def test_the_painter_that_comes_with_the_lab_paints_what_it_is_told():
    folder = ASSETS / "models" / "painter"
    check_manifest(folder)
    assert recognised(load_painter(folder), read_classifier(folder, "reader"), "neon", 20) >= 0.8


def test_a_round_says_what_everybody_reads_sends_and_tells(round_):
    said = round_["metrics"]
    for method in ("central", "fedbip", "prompts", "fedavg"):
        assert 0 <= said[f"accuracy {method}"] <= 1
    assert said["leak clean"] > 0.9 > said["leak latents"]  # who sends pictures as they are is found
    assert said["bytes concept"] < said["bytes fedbip"]
    assert len(layers(round_["verdict"])["headline"].split()) <= 25
    assert "coin tossing" in round_["verdict"]["text"] and "private" not in json.dumps(round_["verdict"]).lower()


def test_uneven_shares_are_whole_and_leave_nobody_with_nothing():
    for tilt in (0.5, 0.01):
        counts = torch.tensor(shared_out(4, 8, tilt, torch.Generator().manual_seed(0)))
        assert counts.sum(0).tolist() == [32] * 10 and (counts.max(1).values >= 2).all()
    assert shared_out(4, 3, 0, torch.Generator()) == [[3] * 10] * 4


def test_the_same_round_gives_the_same_numbers_and_the_attack_speaks(round_, warm_engine):
    again = warm_engine.start("federated/run", QUICK, fresh=True)
    attacked = warm_engine.start("federated/attack", QUICK)
    assert [warm_engine.wait(one.id)["outcome"] for one in (again, attacked)] == ["finished"] * 2
    assert warm_engine.result(again.id)["metrics"] == round_["metrics"]
    metrics = warm_engine.result(attacked.id)["metrics"]
    figures = {line["name"]: line["figure"] for line in warm_engine.events(attacked.id) if line["kind"] == "figure"}
    assert {"accuracy 981", "leak 981", "accuracy 701", "leak 701", "leak clean"} <= set(metrics) and metrics["leak"] == metrics["leak 701"]
    for level in STARTS:  # what the slider moves among: at every depth each place, each attack, and what it sees
        right, told = (figures[f"{name} {level}"]["data"] for name in ("right", "told"))
        assert len(right[0]["x"]) == 5 and right[0]["y"][-1] == pytest.approx(100 * metrics[f"accuracy {level}"], abs=0.06)
        assert told[0]["x"][4] == pytest.approx(metrics[f"leak {level}"]) and len(told[0]["y"]) == 6


def test_probes_show_a_picture_on_its_way_and_a_painting(warm_engine):
    left = warm_engine.probe("federated/latent", {"t_start": 981, "mix": False})
    assert left["t_start"] == 981 and left["left"] == pytest.approx(0.076, abs=1e-3)
    assert set(left["images"]) == {"real", "partner", "sent", "decoded"}
    even, uneven = (warm_engine.probe("federated/shares", {"uneven": by, "shots": 4}) for by in (0, 10))
    assert even["counts"] == [[4] * 10] * 4 and uneven["alpha"] == pytest.approx(0.01)
    assert [sum(place) for place in zip(*uneven["counts"], strict=True)] == [16] * 10 and 0 in uneven["counts"][0]
    painted = warm_engine.probe("federated/paint", {"place": "night", "steps": 5})
    assert painted["digit"] == 7 and 0 <= painted["chance"] <= 1
