"""First views: recorded runs that ship, and that say when they no longer show what the lab would compute."""

from __future__ import annotations

import dataclasses
import json
import re

import pytest

from core.engine import first_views, registry
from core.engine.errors import LabError
from core.engine.records import Records
from core.engine.report import html
from tests.engine.experiments_for_tests import count


@pytest.fixture
def shelf(tmp_path, engine):
    """A folder of first views that the engine's records read."""
    engine.records.shipped = tmp_path / "first_views"
    return engine.records.shipped


@pytest.fixture
def built(engine, shelf):
    first_views.build(engine, "a-page", "test/count", {"steps": 2}, seed=3, folder=shelf)
    return shelf / "a-page"


def test_a_first_view_is_a_recorded_run_that_everybody_may_see(engine, shelf, built):
    run = engine.state("first-a-page")
    assert first_views.pages(shelf) == ["a-page"]
    assert (run["outcome"], run["seed"], run["config"]["steps"], run["published"]) == ("finished", 3, 2, True)
    assert re.fullmatch(r"[0-9a-f]{40}\+?", run["commit"])
    assert engine.records.visible_to(engine.records.read("first-a-page"), "anybody")
    lines = list(engine.watch("first-a-page"))
    assert [line["kind"] for line in lines] == ["progress", "metric", "metric"] * 2 + ["verdict", "end"]
    assert engine.result("first-a-page")["metrics"] == engine.result(engine.records.list()[0]["id"])["metrics"]
    assert "Counted to 2" in html(engine.records, "first-a-page")


def test_a_first_view_says_nothing_of_who_built_it_and_where(built, tmp_path):
    text = "".join(file.read_text() for file in built.iterdir())
    for secret in ('"pid"', '"born"', "first-views", str(tmp_path)):
        assert secret not in text


def test_a_first_view_cannot_be_changed_or_deleted(engine, built):
    before = (built / "run.json").read_bytes()
    for change in (engine.delete, engine.pin, engine.records.publish, lambda run: engine.records.join(run, "ada")):
        with pytest.raises(LabError, match="comes with the lab"):
            change("first-a-page")
    assert (built / "run.json").read_bytes() == before and engine.cancel("first-a-page")["outcome"] == "finished"


def test_pictures_come_along_and_kept_models_stay_behind(engine, shelf, llama):
    first_views.build(engine, "pictures", "test/hostile", {}, folder=shelf)
    picture = next(line for line in engine.events("first-pictures") if line["kind"] == "picture")
    assert (shelf / "pictures" / picture["file"]).read_bytes()[:4] == b"\x89PNG"
    first_views.build(engine, "models", "test/train", {"model": llama, "steps": 1}, folder=shelf)
    keep = next(line for line in engine.events("first-models") if line["kind"] == "keep")
    assert keep["ref"] == "run/first-models/trained"
    assert sorted(f.name for f in (shelf / "models").iterdir()) == ["events.jsonl", "run.json"]
    with pytest.raises(LabError, match="No run kept a model"):
        engine.models.load(keep["ref"])


def test_building_again_replaces_and_a_failing_run_replaces_nothing(engine, shelf, built):
    before = {file.name: file.read_bytes() for file in built.iterdir()}
    with pytest.raises(LabError, match="could not be built: It went wrong on purpose"):
        first_views.build(engine, "a-page", "test/ending", {"how": "sentence"}, folder=shelf)
    assert {file.name: file.read_bytes() for file in built.iterdir()} == before
    first_views.build(engine, "a-page", "test/count", {"steps": 4}, folder=shelf)
    assert engine.state("first-a-page")["config"]["steps"] == 4 and [f.name for f in shelf.iterdir()] == ["a-page"]


@pytest.mark.parametrize("page", ["", "../up", "A-Page", "a/b", "a" * 80, ".hidden"])
def test_a_first_view_is_named_like_a_page(engine, shelf, page):
    with pytest.raises(LabError, match="not the name of a page"):
        first_views.build(engine, page, "test/count", {}, folder=shelf)


def test_only_a_finished_run_becomes_a_first_view(engine, shelf):
    run = engine.wait(engine.start("test/ending", {"how": "sentence"}).id, timeout=120)
    with pytest.raises(LabError, match="outcome 'failed'"):
        first_views.export(engine.records, run["id"], "a-page", shelf)
    assert first_views.pages(shelf) == []


def test_a_first_view_matches_until_something_changes(engine, shelf, built, monkeypatch):
    def check(**wanted):
        return first_views.check("a-page", engine.models, folder=shelf, **wanted)

    assert check() == [] == check(experiment="test/count", config={"steps": 2}, seed=3)
    assert "the page wants test/train" in check(experiment="test/train")[0]
    assert "not the one that the page wants" in check(config={"steps": 3})[0]
    assert "the page wants 4" in check(seed=4)[0]
    assert first_views.check("other", engine.models, folder=shelf) == ["other has no first view."]
    with monkeypatch.context() as patch:
        patch.setattr(count, "experiment", dataclasses.replace(count.experiment, revision=2))
        assert "revision 1" in check()[0]
    run = json.loads((built / "run.json").read_text())
    (built / "run.json").write_text(json.dumps(run | {"config": {"steps": 2}}))
    assert "lacks fields" in check()[0]
    (built / "run.json").write_text(json.dumps(run | {"config": run["config"] | {"old": 1}}))
    assert "no field called 'old'" in check()[0]
    (built / "run.json").write_text(json.dumps(run))
    (built / "events.jsonl").write_bytes((built / "events.jsonl").read_bytes()[:-20])
    assert check() == ["Its log is not complete."]


def test_a_first_view_of_another_version_of_the_model_is_found(engine, shelf, tmp_path):
    from tests.engine.tiny_models import save, tiny

    folder = save(tiny("llama"), tmp_path / "model")
    first_views.build(engine, "m", "test/train", {"model": f"path/{folder}", "steps": 1, "keep": False}, folder=shelf)
    assert first_views.check("m", engine.models, folder=shelf) == []
    save(tiny("llama", seed=1), folder)
    assert first_views.check("m", engine.models, folder=shelf) == [f"path/{folder} has changed since."]


def test_the_first_views_that_ship_match_what_the_lab_computes_today(engine):
    for page in first_views.pages():
        assert first_views.check(page, engine.models) == []
        run = Records(engine.settings.runs, first_views.FIRST_VIEWS).read(f"first-{page}")
        assert run["outcome"] == "finished" and run["commit"] and run["name"] in registry.EXPERIMENTS
