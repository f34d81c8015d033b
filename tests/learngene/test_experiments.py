"""The experiments and probes of both papers, run by the engine on models of four layers and the task with 96 pictures."""

from __future__ import annotations

import json
import math

import pytest

from core.engine.claims import claims
from core.engine.errors import LabError
from core.engine.registry import find
from core.engine.runner import Engine
from core.learngene.depth.rivals import RIVALS
from core.learngene.pool.stitches import INITS
from tests.learngene.brought import deit
from tests.learngene.listened import listened, names

NAMES = ["learngene/depths", "learngene/train", "learngene/finetune", "learngene/pool", "learngene/stitch", "learngene/inits"]
PROBES = ["learngene/expand", "learngene/storage", "learngene/linearity", "learngene/path", "learngene/alone",
          "learngene/pictures"]


@pytest.fixture
def train(refs):
    return {"task": "symbols", "ancestor": refs["ancestor"], "depth": 4, "epochs": 2}


def test_training_says_what_its_docstring_promises_and_keeps_a_learngene(engine, train):
    result, said = listened(engine, "learngene/train", train)
    assert result["outcome"] == "finished" and said["progress"][0]["step"] == 0
    wanted = {f"zero-shot {d}" for d in range(1, 17)} | {f"one-less {d}" for d in (2, 3, 4)} | {"loss auxiliary", "accuracy auxiliary"}
    assert wanted | {"ancestor accuracy", "auxiliary accuracy", "flat accuracy"} <= set(result["metrics"])
    assert {"training", "by_depth", "linearity", "positions", "storage"} == names(said["figure"]) and {"by_depth"} == names(said["table"])
    assert result["metrics"]["zero-shot 4"] == result["metrics"]["auxiliary accuracy"]
    assert all(0 <= value <= 1 for name, value in result["metrics"].items() if name.startswith("zero-shot"))
    kept = engine.probe("learngene/expand", {"learngene": f"run/{result['run_id']}/learngene", "ancestor": train["ancestor"],
                                             "task": "symbols", "depth": 6})
    assert kept["extrapolated"] and kept["depth"] == 6


def test_a_run_that_is_spared_a_training_has_the_same_numbers(engine, refs, train, made):
    for name, config in (("learngene/train", train),
                         ("learngene/pool", {"task": "symbols", "ancestor": refs["wide"], "epochs": 2, "small_width": 24, "blocks": 3})):
        first, second = (listened(engine, name, config, fresh=True)[0] for _ in range(2))
        assert len(first["metrics"]) > 3 and first["metrics"] == second["metrics"]
    assert first["metrics"] == made[0]["metrics"]


def test_a_deit_may_be_the_ancestor(engine, tmp_path):
    deit().save_pretrained(tmp_path)
    result, _ = listened(engine, "learngene/train", {"task": "symbols", "ancestor": f"path/{tmp_path}", "depth": 2, "epochs": 1})
    assert result["outcome"] == "finished" and result["metrics"]["loss auxiliary"] > 0
    assert len(engine.probe("learngene/linearity", {"model": f"path/{tmp_path}"})["rows"]) == 6


def test_same_seed_same_numbers_another_seed_others(engine, train):
    first, _ = listened(engine, "learngene/train", train)
    again, _ = listened(Engine(engine.settings), "learngene/train", train, fresh=True)  # nothing cached there
    other, _ = listened(engine, "learngene/train", train, seed=1)
    assert (first["metrics"], first["verdict"]) == (again["metrics"], again["verdict"])
    assert first["metrics"]["loss auxiliary"] != other["metrics"]["loss auxiliary"]


def test_flat_training_gives_nothing_to_flatten(engine, train):
    result, _ = listened(engine, "learngene/train", train | {"flat": True})
    assert result["metrics"]["flat accuracy"] == result["metrics"]["auxiliary accuracy"]


@pytest.mark.parametrize("rival", ["none", *sorted(set(RIVALS) - {"scratch"})])
def test_every_rival_starts_somewhere_and_learns(engine, refs, rival):
    config = {"learngene": refs["learngene"], "ancestor": refs["ancestor"], "source": "symbols", "task": "symbols", "depth": 3,
              "epochs": 2, "scratch_epochs": 2, "pretrain_epochs": 1, "rival": rival}
    result, said = listened(engine, "learngene/finetune", config)
    racers = {"inherited", "scratch"} | ({rival} - {"none"})
    assert result["outcome"] == "finished" and {f"end {name}" for name in racers} <= set(result["metrics"])
    assert len(said["table"][-1]["rows"]) == len(racers) and {"training", "epochs"} == names(said["figure"])
    last = [event for event in said["figure"] if event["name"] == "training"][-1]["figure"]
    assert {trace["name"] for trace in last["data"]} == racers


def test_an_ancestor_learns_new_classes_before_it_teaches_a_rival(engine, refs, monkeypatch):
    from core.learngene.depth import experiments

    monkeypatch.setattr(experiments, "TEACH", 1)
    config = {"learngene": refs["learngene"], "ancestor": refs["ancestor"], "source": "symbols", "task": "digits", "depth": 2, "epochs": 1,
              "scratch_epochs": 1}
    raced, said = listened(engine, "learngene/finetune", config | {"rival": "distilled"})
    alone, _ = listened(engine, "learngene/finetune", config)
    assert raced["outcome"] == "finished" and {"inherited", "ancestor"} == names(said["keep"])
    assert "accuracy ancestor" in raced["metrics"] and raced["metrics"]["end inherited"] == alone["metrics"]["end inherited"]


@pytest.mark.parametrize(("name", "config"), [
    ("learngene/train", {"ancestor": "ancestor", "depth": 2}), ("learngene/pool", {"ancestor": "wide", "blocks": 3, "small_width": 12})])
def test_an_ancestor_learns_classes_of_the_lab_that_are_new_to_it_and_is_kept(engine, refs, name, config):
    asked = config | {"ancestor": refs[config["ancestor"]], "task": "digits", "epochs": 0, "teach": 1}
    result, said = listened(engine, name, asked)
    assert result["outcome"] == "finished" and "ancestor" in names(said["keep"])
    assert result["metrics"]["loss ancestor"] > 0
    kept = engine.models.load(f"run/{result['run_id']}/ancestor").model.config
    assert [kept.id2label[i] for i in range(10)] == list("0123456789")


def test_the_passes_of_a_learngene_are_counted_where_they_are_written_down(engine, refs, train):
    made, _ = listened(engine, "learngene/train", train)
    ours = engine.probe("learngene/storage", {"learngene": f"run/{made['run_id']}/learngene", "depths": [2, 4], "each": 5, "scratch": 9})
    assert (ours["auxiliary"], ours["epochs_inherited"], ours["epochs_scratch"]) == (2, 12, 18)
    silent = engine.probe("learngene/storage", {"learngene": refs["learngene"], "depths": [2, 4], "each": 5})
    assert silent["auxiliary"] is None and silent["epochs_inherited"] == 10
    assert "left out" in silent["figures"]["epochs"]["data"][0]["name"]
    assert engine.probe("learngene/storage", {})["auxiliary"] == 100  # as the card of the stored one says


def test_descendant_starts_as_the_learngene_answers_and_gets_a_new_head_for_another_task(engine, refs):
    base = {"learngene": refs["learngene"], "ancestor": refs["ancestor"], "source": "symbols", "depth": 3, "epochs": 1, "scratch_epochs": 1}
    same, _ = listened(engine, "learngene/finetune", base | {"task": "symbols"})
    other, _ = listened(engine, "learngene/finetune", base | {"task": "digits"})
    assert other["outcome"] == "finished" and "594 pictures" in other["verdict"]["text"] and "600 pictures" in same["verdict"]["text"]
    kept = engine.models.load(f"run/{other['run_id']}/inherited").model
    assert (kept.config.num_labels, kept.config.num_hidden_layers) == (10, 3)


def test_retraining_equals_the_training_of_the_same_seed(engine, refs, train, monkeypatch):
    """What `retrain` grows from is what learngene/train keeps, cached or not."""
    from core.learngene.depth import experiments

    monkeypatch.setattr(experiments, "AUXILIARY_EPOCHS", 2)
    result, _ = listened(engine, "learngene/train", train | {"epochs": 2}, seed=3)
    config = {"learngene": refs["learngene"], "ancestor": refs["ancestor"], "source": "symbols", "task": "symbols", "depth": 3,
              "epochs": 1, "scratch_epochs": 1, "retrain": True}
    cached, _ = listened(engine, "learngene/finetune", config, seed=3)
    anew, _ = listened(Engine(engine.settings), "learngene/finetune", config, seed=3, fresh=True)
    assert cached["metrics"]["start inherited"] == result["metrics"]["zero-shot 3"]
    assert cached["metrics"]["end scratch"] == anew["metrics"]["end scratch"]
    assert cached["metrics"]["end inherited"] == anew["metrics"]["end inherited"]


def test_slider_counts_what_is_there(engine, refs):
    config = {"learngene": refs["learngene"], "ancestor": refs["ancestor"], "task": "symbols"}
    answers = {depth: engine.probe("learngene/expand", config | {"depth": depth}) for depth in (1, 4, 5)}
    per_block = answers[5]["parameters"] - answers[4]["parameters"]
    assert answers[4]["parameters"] - answers[1]["parameters"] == 3 * per_block > 0
    assert answers[1]["stored_bytes"] == 2 * answers[1]["stored_parameters"]
    assert answers[5]["extrapolated"] and not answers[4]["extrapolated"]
    assert len(answers[5]["figures"]["attention"]["data"][0]["z"]) == 4 and len(answers[5]["coefficients"]) == 5
    assert sum(share for _, share in answers[4]["answers"]) <= 1.0001 and answers[4]["single_ms"] is None
    assert engine.probe("learngene/expand", config | {"depth": 2, "latency": True})["batch_ms"] > 0


def test_a_drawing_goes_in_and_a_class_comes_out(engine, refs):
    from core.learngene.data import read_task

    task = read_task("symbols")
    config = {"learngene": refs["learngene"], "ancestor": refs["ancestor"], "task": "symbols", "depth": 4}
    shown = engine.probe("learngene/expand", config | {"picture": 7})
    drawing = task.test_pixels[7, 0].tolist()
    drawn = engine.probe("learngene/expand", config | {"drawing": drawing})
    assert drawn["truth"] is None and shown["truth"] in task.classes
    assert [name for name, _ in drawn["answers"]] == [name for name, _ in shown["answers"]]
    with pytest.raises(LabError, match="16 rows"):
        engine.probe("learngene/expand", config | {"drawing": drawing[:-1]})


@pytest.mark.parametrize(("name", "field", "value", "said"), [
    ("learngene/expand", "depth", 0, "depth"), ("learngene/expand", "depth", 1000, "depth"),
    ("learngene/train", "epochs", -1, "epochs"), ("learngene/path", "last_small", 99, "last_small")])
def test_values_out_of_range_are_named(engine, name, field, value, said):
    with pytest.raises(LabError, match=said):
        (engine.probe if name in PROBES else engine.start)(name, {field: value})


def test_models_that_do_not_belong_together_are_refused(engine, refs, tmp_path):
    with pytest.raises(LabError, match="not taught"):
        engine.probe("learngene/expand", {"learngene": refs["learngene"], "ancestor": refs["ancestor"], "task": "letters"})
    with pytest.raises(LabError, match="not a learngene"):
        engine.probe("learngene/expand", {"learngene": refs["ancestor"], "ancestor": refs["ancestor"], "task": "symbols"})
    result, _ = listened(engine, "learngene/finetune", {"learngene": refs["learngene"], "ancestor": refs["wide"], "source": "symbols",
                                                    "task": "symbols", "depth": 3, "epochs": 1, "scratch_epochs": 1, "rival": "heuristic"})
    assert result["outcome"] == "failed" and "wide" in result["error"]


def test_every_depth_is_surveyed(engine, refs):
    config = {"learngene": refs["learngene"], "flat": refs["learngene"], "ancestor": refs["ancestor"], "task": "symbols"}
    result, said = listened(engine, "learngene/depths", config)
    assert result["outcome"] == "finished" and {f"zero-shot {d}" for d in range(1, 17)} <= set(result["metrics"])
    assert {"by_depth", "by_parameters", "by_macs", "storage", "epochs"} == names(said["figure"])
    assert len(said["table"][-1]["rows"]) == 16 and not any(name.startswith("scratch") for name in result["metrics"])


def test_letters_are_surveyed_beside_the_stored_rivals_and_an_absent_one_is_named(engine, monkeypatch):
    from core.learngene.depth import survey

    for name, value in (("RIVAL_EPOCHS", (7, 20)), ("RIVAL_DEPTHS", (4, 8)), ("DEEPEST", 8)):  # quicker, and 7 is not stored
        monkeypatch.setattr(survey, name, value)
    result, said = listened(engine, "learngene/depths", {})
    metrics = result["metrics"]
    assert result["outcome"] == "finished" and metrics["zero-shot 8"] > metrics["scratch 8 after 20"] > metrics["zero-shot 1"]
    assert "flat 8" in metrics and "scratch 4 after 7" not in metrics
    assert "learngene-letters-scratch-8-7" in result["verdict"]["text"] and "glassbox models build" in result["verdict"]["text"]
    assert {row[0] for row in said["table"][-1]["rows"]} == {"straight from the learngene", "all layers equal", "from scratch, 20 epochs"}
    won = sum(metrics[f"zero-shot {depth}"] > metrics[f"scratch {depth} after 20"] for depth in (4, 8))
    assert f"{won} of 2 beat" in result["verdict"]["text"]


def test_storage_card_counts_what_descendants_hold(engine, refs):
    config = {"learngene": refs["learngene"], "ancestor": refs["ancestor"], "task": "symbols"}
    grown = [engine.probe("learngene/expand", config | {"depth": depth})["parameters"] for depth in (3, 5)]
    card = engine.probe("learngene/storage", {"learngene": refs["learngene"], "depths": [5, 3, 3], "each": 5, "scratch": 100})
    assert card["separate"] == sum(grown) and card["ratio"] == pytest.approx(sum(grown) / card["learngene"])
    assert (card["epochs_inherited"], card["epochs_scratch"]) == (10, 200) and card["ratio_without_head"] > card["ratio"]
    with pytest.raises(LabError):
        engine.probe("learngene/storage", {"learngene": refs["learngene"], "depths": [0]})


def test_linearity_is_asked_of_any_classifier_with_four_layers(engine, refs):
    answer = engine.probe("learngene/linearity", {"model": refs["ancestor"]})
    assert len(answer["rows"]) == 6 and {"linearity", "positions"} == set(answer["figures"])
    with pytest.raises(LabError, match="four layers"):
        engine.probe("learngene/linearity", {"model": refs["learngene"]})


def test_pool_is_distilled_and_kept(made):
    result, said, _ = made
    assert result["outcome"] == "finished" and names(said["keep"]) == {"small", "large"}
    assert {"training", "storage"} == names(said["figure"])
    assert {"end small", "end large", "ancestor accuracy", "loss small", "accuracy large"} <= set(result["metrics"])


def test_stitching_measures_every_path_before_and_after(engine, folders, made):
    _, _, pool = made
    config = pool | {"task": "symbols", "ancestor": f"path/{folders['wide']}", "epochs": 2}
    result, said = listened(engine, "learngene/stitch", config)
    metrics = result["metrics"]
    ways = {name.removeprefix("after ") for name in metrics if name.startswith("after ")}
    assert len(ways) == 9 and {"small", "large", "0-0", "2-2"} <= ways and -1 <= metrics["rank correlation"] <= 1
    assert {"board", "pareto", "training", "storage"} == names(said["figure"]) and len(said["table"][-1]["rows"]) == 9
    assert names(said["table"]) == {"paths"} and "for digits only" in result["verdict"]["text"]  # nobody was trained alone on symbols
    stitched = [metrics[f"after {way}"] for way in ways if way not in ("small", "large")]
    assert metrics["stitched after"] == pytest.approx(math.fsum(stitched) / 7)
    answer = engine.probe("learngene/path", {half: f"run/{result['run_id']}/{half}" for half in ("small", "large")} | {
        "task": "symbols", "last_small": 1, "first_large": 2})
    row = next(row for row in said["table"][-1]["rows"] if row[0] == "2 → 3")
    assert (answer["path"], answer["shown"], answer["parameters"], answer["macs"]) == ("1-2", "2 → 3", row[1], row[2])
    assert 0 <= answer["cka_after"] <= 1.0001


def test_training_only_the_stitches_leaves_both_models_alone(engine, folders, made):
    result, _, pool = made
    config = pool | {"task": "symbols", "ancestor": f"path/{folders['wide']}", "epochs": 1, "train": "stitches"}
    answer, _ = listened(engine, "learngene/stitch", config)
    metrics = answer["metrics"]
    assert metrics["after small"] == metrics["before small"] == result["metrics"]["end small"]
    assert metrics["after large"] == metrics["before large"]
    assert any(metrics[f"after {i}-{i}"] != metrics[f"before {i}-{i}"] for i in range(3))


def test_five_ways_to_begin_are_compared(engine, made):
    result, said = listened(engine, "learngene/inits", made[2] | {"task": "symbols", "epochs": 0})
    assert {f"before {name}" for name in INITS} <= set(result["metrics"]) and {"inits"} == names(said["figure"])
    assert len(said["table"][-1]["rows"]) == 5


def test_path_probe_knows_free_stitches_and_ends(engine, made):
    base = made[2] | {"task": "symbols"}
    free = engine.probe("learngene/path", base | {"last_small": 0, "first_large": 2})
    alone = engine.probe("learngene/path", base | {"last_small": -1, "first_large": 0})
    assert not free["trained"] and alone["path"] == "large" and alone["cka_before"] is None
    anew = engine.probe("learngene/path", base | {"last_small": 2, "first_large": 2, "init": "least_squares"})
    assert anew["cka_after"] > anew["cka_before"]
    for wrong in ({"last_small": 9, "first_large": 2}, {"last_small": -1, "first_large": -1}):
        with pytest.raises(LabError):
            engine.probe("learngene/path", base | wrong)


def test_a_drawing_walks_a_path(engine, made):
    from core.learngene.data import read_task

    drawing = read_task("symbols").test_pixels[3, 0].tolist()
    config = made[2] | {"task": "symbols", "last_small": 1, "first_large": 1}
    drawn, shown = engine.probe("learngene/path", config | {"drawing": drawing}), engine.probe("learngene/path", config | {"picture": 3})
    assert drawn["truth"] is None and [name for name, _ in drawn["answers"]] == [name for name, _ in shown["answers"]]


def test_everything_is_registered_with_words_for_people():
    for name in NAMES + PROBES:
        found = find(name)
        assert found.kind == ("probe" if name in PROBES else "experiment") and found.families == ("vit",)
        assert all(info.description for info in found.config.model_fields.values())
    assert len(claims("09")) == 9 and len(claims("10")) == 10


@pytest.mark.parametrize("paper", ["09", "10"])
def test_claims_ask_for_configs_that_exist(paper):
    for claim in claims(paper):
        assert len(claim.seeds) >= 3
        for config in claim.configs:
            json.dumps(find(claim.experiment).validate(dict(config)).model_dump(mode="json"))
