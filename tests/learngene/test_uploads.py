"""A visitor's pictures through every experiment and probe of both papers, on models of four layers."""

from __future__ import annotations

import os

import pytest

from core.engine.errors import LabError
from core.engine.runner import Engine
from core.learngene import collection
from tests.learngene.brought import SHAPES, deit, shapes, zipped


def run(engine: Engine, name: str, config: dict, **options) -> tuple[dict, set[str]]:
    """The result, and the names of what was kept."""
    handle = engine.start(name, config, **options)
    engine.wait(handle.id, timeout=120)
    result = engine.result(handle.id)
    assert result["outcome"] == "finished", result["error"]
    return result, {event["name"] for event in engine.events(handle.id) if event["kind"] == "keep"}


@pytest.fixture(autouse=True)
def short_passes(monkeypatch):
    """One step per pass: as many pictures as were brought."""
    monkeypatch.setattr(collection, "PER_EPOCH", 1)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> str:
    return f"path/{zipped(tmp_path_factory.mktemp('brought') / 'shapes.zip', shapes(30))}"


def test_the_reader_says_what_is_in_a_file(engine, pictures):
    found = engine.probe("learngene/pictures", {"pictures": pictures})
    assert found["classes"] == dict.fromkeys(SHAPES, 10) and (found["learned"], found["tested"]) == (60, 30)
    assert found["says"].startswith("3 classes: 'bar', 'box', 'dot'. 60 pictures to learn from, 30 kept")
    with pytest.raises(LabError, match="No pictures"):
        engine.probe("learngene/pictures", {})


def test_a_file_that_has_changed_is_read_anew(engine, tmp_path):
    file = zipped(tmp_path / "x.zip", shapes(3))
    assert engine.probe("learngene/pictures", {"pictures": f"path/{file}"})["learned"] == 6
    zipped(file, shapes(6))
    os.utime(file, (1, 1))
    assert engine.probe("learngene/pictures", {"pictures": f"path/{file}"})["learned"] == 12


def test_a_learngene_of_own_pictures_is_made_grown_and_surveyed(engine, folders, pictures):
    config = {"pictures": pictures, "ancestor": f"path/{folders['ancestor']}", "depth": 3, "epochs": 2, "teach": 60}
    result, kept = run(engine, "learngene/train", config)
    assert kept == {"learngene", "ancestor"} and result["metrics"]["ancestor accuracy"] > 0.5  # it learned bars, boxes and dots
    made = {"learngene": f"run/{result['run_id']}/learngene", "ancestor": f"run/{result['run_id']}/ancestor", "pictures": pictures}
    grown = engine.probe("learngene/expand", made | {"depth": 3, "picture": 29})
    assert grown["pictures"] == 30 and grown["right"] == pytest.approx(result["metrics"]["zero-shot 3"]) and grown["truth"] in SHAPES
    assert grown["ancestor_right"] == pytest.approx(result["metrics"]["ancestor accuracy"])
    with pytest.raises(LabError, match="numbered 0 to 29"):
        engine.probe("learngene/expand", made | {"picture": 30})
    with pytest.raises(LabError, match="not taught these 37"):
        engine.probe("learngene/expand", made | {"pictures": ""})
    survey, _ = run(engine, "learngene/depths", made)
    assert survey["metrics"]["zero-shot 3"] == result["metrics"]["zero-shot 3"]
    again, _ = run(engine, "learngene/train", config, fresh=True)
    elsewhere, _ = run(Engine(engine.settings), "learngene/train", config, fresh=True)  # nothing cached there
    assert result["metrics"] == again["metrics"] == elsewhere["metrics"]


def test_a_descendant_learns_own_pictures_unpacked_or_not(engine, folders, pictures, tmp_path):
    import zipfile

    with zipfile.ZipFile(pictures.removeprefix("path/")) as archive:
        archive.extractall(tmp_path)
    config = {"learngene": f"path/{folders['learngene']}", "ancestor": f"path/{folders['ancestor']}", "source": "symbols", "depth": 3,
              "epochs": 2, "scratch_epochs": 2}
    packed, _ = run(engine, "learngene/finetune", config | {"pictures": pictures})
    folder, _ = run(engine, "learngene/finetune", config | {"pictures": f"path/{tmp_path}"})
    assert packed["metrics"] == folder["metrics"] and "30 pictures" in packed["verdict"]["text"]
    assert engine.models.load(f"run/{packed['run_id']}/inherited").model.config.id2label == dict(enumerate(SHAPES))


@pytest.fixture
def brought(engine, folders, pictures) -> dict:
    """A learngene of own pictures and its ancestor, as the source of something later."""
    result, _ = run(engine, "learngene/train", {"pictures": pictures, "ancestor": f"path/{folders['ancestor']}", "depth": 3, "epochs": 2,
                                                "teach": 60})
    return {"learngene": f"run/{result['run_id']}/learngene", "ancestor": f"run/{result['run_id']}/ancestor", "source_pictures": pictures}


def test_a_learngene_of_own_pictures_is_a_source(engine, pictures, brought):
    short = {"depth": 3, "epochs": 1, "scratch_epochs": 1, "pretrain_epochs": 1}
    other, _ = run(engine, "learngene/finetune", brought | short | {"task": "symbols"})
    assert engine.models.load(f"run/{other['run_id']}/inherited").model.config.num_labels == 12
    assert "600 pictures" in other["verdict"]["text"]
    same, _ = run(engine, "learngene/finetune", brought | short | {"pictures": pictures})
    ours = {"learngene": brought["learngene"], "ancestor": brought["ancestor"], "pictures": pictures}
    grown = engine.probe("learngene/expand", ours | {"depth": 3})
    assert same["metrics"]["start inherited"] == pytest.approx(grown["right"])  # it keeps its last layer
    for rival in ("distilled", "pretrained", "gradient"):  # they need the source's pictures or the ancestor's answers
        raced, _ = run(engine, "learngene/finetune", brought | short | {"pictures": pictures, "rival": rival})
        assert raced["metrics"]["end inherited"] == same["metrics"]["end inherited"] and f"end {rival}" in raced["metrics"]


@pytest.mark.parametrize(("change", "said"), [
    ({"source_pictures": ""}, "The learngene was not taught these 37 classes; what it knows is 'bar', 'box', 'dot'."),
    ({"ancestor": "embedded/learngene-letters-ancestor", "rival": "gradient"}, "The ancestor was not taught these 3 classes"),
    ({"learngene": "embedded/learngene-letters"}, "The learngene was not taught these 3 classes; what it knows is 'A', 'B',"),
    ({"ancestor": "embedded/learngene-letters-ancestor"}, None)])  # nobody asks it
def test_a_source_that_does_not_fit_is_named(engine, brought, change, said):
    handle = engine.start("learngene/finetune", brought | {"depth": 2, "epochs": 1, "scratch_epochs": 1} | change)
    assert (engine.wait(handle.id, timeout=60)["error"] or None) == said or said and said in engine.wait(handle.id)["error"]


def test_retraining_on_own_pictures_equals_the_training_of_the_same_seed(engine, pictures, brought, monkeypatch):
    from core.learngene.depth import experiments

    monkeypatch.setattr(experiments, "AUXILIARY_EPOCHS", 2)
    made, _ = run(engine, "learngene/train", {"pictures": pictures, "ancestor": brought["ancestor"], "depth": 3, "epochs": 2}, seed=3)
    again, _ = run(engine, "learngene/finetune", brought | {"pictures": pictures, "depth": 4, "epochs": 1, "scratch_epochs": 1,
                                                            "retrain": True}, seed=3)
    assert again["metrics"]["start inherited"] == made["metrics"]["zero-shot 4"]


def test_a_pool_of_own_pictures_is_made_stitched_and_walked(engine, folders, pictures):
    ancestor = f"path/{folders['wide']}"
    result, kept = run(engine, "learngene/pool", {"pictures": pictures, "ancestor": ancestor, "epochs": 1, "small_width": 24,
                                                  "blocks": 3, "teach": 3})
    assert kept == {"small", "large", "ancestor"}
    pool = {half: f"run/{result['run_id']}/{half}" for half in ("small", "large")}
    stitched, _ = run(engine, "learngene/stitch", pool | {"pictures": pictures, "ancestor": ancestor, "epochs": 1})
    walked = engine.probe("learngene/path", {half: f"run/{stitched['run_id']}/{half}" for half in pool} | {
        "pictures": pictures, "last_small": 1, "first_large": 1})
    assert walked["pictures"] == 30 and walked["right"] == pytest.approx(stitched["metrics"]["after 1-1"])
    assert {name for name, _ in walked["answers"]} == set(SHAPES)
    starts, _ = run(engine, "learngene/inits", pool | {"pictures": pictures, "epochs": 0})
    assert starts["metrics"]["before least_squares"] == stitched["metrics"]["stitched before"]
    with pytest.raises(LabError, match="not taught"):
        engine.probe("learngene/path", pool | {"task": "digits"})


def test_any_deit_of_the_right_shape_learns_own_pictures_and_passes_them_on(engine, pictures, tmp_path):
    deit().save_pretrained(tmp_path / "deit")
    result, kept = run(engine, "learngene/train", {"pictures": pictures, "ancestor": f"path/{tmp_path / 'deit'}", "depth": 2, "epochs": 1,
                                                   "teach": 2})
    assert "ancestor" in kept
    assert engine.models.load(f"run/{result['run_id']}/ancestor").model.config.model_type == "deit"


@pytest.mark.parametrize("shape", [{"image_size": 224, "patch_size": 16}, {"num_channels": 3}])
def test_an_ancestor_of_other_pictures_is_refused_before_it_learns(engine, pictures, tmp_path, shape):
    deit(num_hidden_layers=2, **shape).save_pretrained(tmp_path / "deit")
    handle = engine.start("learngene/train", {"pictures": pictures, "ancestor": f"path/{tmp_path / 'deit'}"})
    assert "takes pictures of" in engine.wait(handle.id, timeout=60)["error"]


@pytest.mark.parametrize("name", ["learngene/train", "learngene/finetune", "learngene/pool", "learngene/stitch", "learngene/inits",
                                  "learngene/depths"])
def test_bad_pictures_stop_every_experiment_with_a_sentence(engine, tmp_path, name):
    handle = engine.start(name, {"pictures": f"path/{zipped(tmp_path / 'x.zip', shapes(5, ('bar',)))}"})
    state = engine.wait(handle.id, timeout=60)
    assert state["outcome"] == "failed" and "one class only" in state["error"]
