"""Trainings side by side: they take turns, and nobody's numbers depend on who else runs."""

from __future__ import annotations

import pytest
import torch

from core.engine.events import Metric
from core.engine.steps import Pacer
from core.learngene.data import SYMBOLS, read_task
from core.learngene.metrics import accuracy
from core.learngene.pool import experiments
from core.learngene.pool.stitches import INITS
from core.learngene.running import Teller, race
from core.learngene.training import Recipe, fit, supervised
from core.learngene.vit import logits, new_model
from tests.learngene.listened import listened


def _steps(seed: int, epochs: int):
    """A small network and the steps of its training."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = new_model(2, 24, 3, SYMBOLS)

    def scores_of(pixels):
        return logits(model, pixels)

    return model, fit(model.named_parameters(), supervised(scores_of), read_task("symbols"), Recipe(epochs, 1e-3),
                      torch.Generator().manual_seed(seed)), scores_of


def test_a_race_gives_what_each_training_gives_alone():
    runners = {f"runner {seed}": _steps(seed, epochs) for seed, epochs in ((0, 2), (1, 3))}
    shown = read_task("symbols").shown
    said = list(race([(steps, Teller(name, Pacer(10), lambda scores_of=scores_of: accuracy(scores_of, *shown)))
                      for name, (_, steps, scores_of) in runners.items()]))
    for seed, epochs in ((0, 2), (1, 3)):
        model, steps, _ = _steps(seed, epochs)
        losses = [step.loss for step in steps]
        each = len(losses) // epochs
        per_epoch = [sum(losses[i:i + each]) / each for i in range(0, len(losses), each)]
        told = [event.value for event in said if isinstance(event, Metric) and event.name == f"loss runner {seed}"]
        assert told == per_epoch
        assert all(torch.equal(one, other) for one, other in zip(model.parameters(), runners[f"runner {seed}"][0].parameters(),
                                                                  strict=True))


@pytest.fixture
def base(refs):
    return {"learngene": refs["learngene"], "ancestor": refs["ancestor"], "source": "symbols", "task": "symbols", "depth": 3, "epochs": 2,
            "scratch_epochs": 3}


def _accuracies(said) -> list[tuple[str, int]]:
    return [(event["name"].removeprefix("accuracy "), event["step"]) for event in said["metric"] if event["name"].startswith("accuracy ")]


def test_inherited_and_scratch_take_turns_so_that_both_curves_grow_together(engine, base):
    _, said = listened(engine, "learngene/finetune", base)
    assert _accuracies(said) == [("inherited", 1), ("scratch", 1), ("inherited", 2), ("scratch", 2), ("scratch", 3)]
    drawn = [[len(curve["x"]) for curve in event["figure"]["data"]] for event in said["figure"] if event["name"] == "training"]
    assert drawn == [[2, 1], [2, 2], [3, 2], [3, 3], [3, 4]]


def test_nobody_in_a_race_depends_on_the_others(engine, base):
    plain, _ = listened(engine, "learngene/finetune", base)
    longer, _ = listened(engine, "learngene/finetune", base | {"scratch_epochs": 1})
    crowded, _ = listened(engine, "learngene/finetune", base | {"rival": "every_other"})
    for name in ("loss inherited", "end inherited"):
        assert plain["metrics"][name] == longer["metrics"][name] == crowded["metrics"][name]
    assert plain["metrics"]["loss scratch"] == crowded["metrics"]["loss scratch"] != longer["metrics"]["loss scratch"]


def test_both_models_of_a_pool_grow_together(engine, made):
    assert _accuracies(made[1]) == [("small", 1), ("large", 1), ("small", 2), ("large", 2)]


def test_starts_race_and_each_gives_what_it_gives_alone(engine, made, monkeypatch):
    two = {name: INITS[name] for name in ("random", "least_squares")}  # quicker than all five
    monkeypatch.setattr(experiments, "INITS", two)
    pool = made[2] | {"task": "symbols", "epochs": 1}
    together, said = listened(engine, "learngene/inits", pool)
    assert _accuracies(said) == [(name, 1) for name in two]
    alone, _ = listened(engine, "learngene/stitch", pool | {"init": "least_squares"})
    assert alone["metrics"]["stitched after"] == together["metrics"]["after least_squares"]
    assert alone["metrics"]["loss pool"] == together["metrics"]["loss least_squares"]
