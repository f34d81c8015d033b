"""The experiment, its repetition and its probes, on the embedded second judge; and what visitors may bring."""

from __future__ import annotations

import base64
import json
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from core.emotion import pictures
from core.emotion.pictures import photograph
from core.emotion.region import region_of
from core.emotion.second_judge import ENOUGH, SecondJudge
from core.emotion.tools import apply_all, steps_of, stretched
from core.engine.errors import LabError

QUICK = {"chances": 2, "harm": True, "what_if": "stricter"}


def finished(engine, name, config, **more):
    run = engine.start(name, config, **more)
    state = engine.wait(run.id)
    assert state["outcome"] == "finished", state
    return run.id


@pytest.fixture(scope="module")
def run(warm_engine):
    return finished(warm_engine, "emotion/edit", QUICK)


def picture_of(engine, run_id, name) -> Image.Image:
    line = [line for line in engine.events(run_id) if line["kind"] == "picture" and line["name"] == name][-1]
    return Image.open(engine.records.folder(run_id) / line["file"])


def test_a_run_tells_everything_that_it_declares_and_an_equal_one_the_same(warm_engine, run):
    result = warm_engine.result(run)
    names = {(line["kind"], line.get("name")) for line in warm_engine.events(run)}
    wanted = {("picture", "before"), ("picture", "now"), ("picture", "step 1"), ("picture", "chance"), ("picture", "other"),
              ("figure", "tree"), ("figure", "wheel"), ("figure", "judges"), ("figure", "cues"), ("table", "talk"),
              ("table", "other talk"), ("text", "recipe")}
    assert wanted <= names
    assert len(result["verdict"]["headline"].split()) <= 25 and "95 %" in result["verdict"]["text"]
    assert result["metrics"]["outside"] == 0 and result["metrics"]["gate kept"] == 1
    again = warm_engine.result(finished(warm_engine, "emotion/edit", QUICK, fresh=True))
    assert again["metrics"] == result["metrics"] and again["verdict"] == result["verdict"]


def test_the_result_carries_its_settings_and_its_recipe_repeats_it(warm_engine, run, tmp_path):
    recipe = next(line["text"] for line in warm_engine.events(run) if line["kind"] == "text" and line["name"] == "recipe")
    result = picture_of(warm_engine, run, "result")
    assert json.loads(result.text["glassbox"]) == json.loads(recipe)
    by_hand = apply_all(photograph("cat"), steps_of(json.loads(recipe)["steps"]))
    assert (np.asarray(result) == by_hand).all()
    file = tmp_path / "recipe.json"
    file.write_text(recipe)
    repeated = finished(warm_engine, "emotion/repeat", {"recipe": f"path/{file}"})
    assert (np.asarray(picture_of(warm_engine, repeated, "full")) == by_hand).all()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"steps": 3}', '{"steps": [{"tool": "rm -rf", "strength": 1}]}', "[" * 9999])
def test_what_is_no_recipe_is_refused_in_a_sentence(text, warm_engine, tmp_path):
    file = tmp_path / "recipe.json"
    file.write_text(text)
    run = warm_engine.start("emotion/repeat", {"recipe": f"path/{file}"}, fresh=True)
    state = warm_engine.wait(run.id)
    assert state["outcome"] == "failed" and ("no recipe" in state["error"] or "cannot be done" in state["error"])


def test_strength_0_gives_the_picture_back_bit_by_bit(warm_engine):
    run = finished(warm_engine, "emotion/edit", {"intensity": 0, "chances": 2})
    assert (np.asarray(picture_of(warm_engine, run, "result")) == photograph("cat")).all()
    assert "untouched" in warm_engine.result(run)["verdict"]["headline"]


def test_the_second_judge_is_measured_and_a_weak_one_switches_the_badge_off(warm_engine):
    from core.engine.lab import Cache, Lab

    second = SecondJudge.of(Lab(warm_engine.models, Cache(), seed=0, threads=1))
    assert second.facts["n"] >= 1000 and second.facts["accuracy"] > 0.125 and second.facts["interval"][0] < second.facts["accuracy"]
    assert (second.why_not == "") == (second.facts["accuracy"] >= ENOUGH)
    assert "only 40%" in SecondJudge(second.model, second.facts | {"accuracy": 0.4}).why_not
    assert "no second opinion" in SecondJudge(second.model, second.facts | {"accuracy": 0.7, "agreement": 0.9}).why_not
    assert "Nobody has measured" in SecondJudge(second.model, {}).why_not
    with pytest.raises(LabError, match="eight emotions"):
        SecondJudge.of(Lab(warm_engine.models, Cache(), seed=0, threads=1), "embedded/learngene-digits-ancestor")


def test_the_probes_answer(warm_engine):
    tried = warm_engine.probe("emotion/tool", {"tool": "exposure", "strength": -0.5})
    assert tried["moved"]["brightness"] < -0.3 and tried["likeness"] < 1 and tried["images"]["after"] != tried["images"]["before"]
    nothing = warm_engine.probe("emotion/tool", {"tool": "fog", "strength": -0.5})
    assert nothing["likeness"] == pytest.approx(1) and nothing["says"] == "Nothing changes."
    read = warm_engine.probe("emotion/read", {"picture": "rocket"})
    assert sum(read["first"].values()) == pytest.approx(1) and sum(read["second"].values()) == pytest.approx(1)
    with pytest.raises(LabError, match="Nothing is marked"):
        warm_engine.probe("emotion/tool", {"tool": "remove"})
    with pytest.raises(LabError, match="no edit would be allowed"):
        warm_engine.probe("emotion/tool", {"part": "painted"})


def test_a_marked_part_is_edited_and_the_rest_stays_as_it_was(warm_engine):
    left = warm_engine.probe("emotion/tool", {"tool": "exposure", "strength": -0.8, "part": "painted", "region": "0 0 50 100"})
    before, after = (np.asarray(Image.open(BytesIO(base64.b64decode(left["images"][name].split(",")[1])))) for name in ("before", "after"))
    middle = before.shape[1] // 2
    assert (before[:, int(1.15 * middle) :] == after[:, int(1.15 * middle) :]).all()
    assert after[:, : int(0.85 * middle)].mean() < before[:, : int(0.85 * middle)].mean() - 20


def test_parts_are_guessed_and_a_poor_guess_is_not_used():
    assert 0.2 < pictures.sky(photograph("rocket")).mean() < 0.95
    assert 0.02 < pictures.subject(pictures.small(photograph("coffee"))).mean() < 0.8


def saved(folder, name, picture, **more):
    picture.save(folder / name, **more)
    return f"path/{folder / name}"


def test_pictures_of_all_kinds_are_read_as_they_are_seen(warm_engine, tmp_path):
    base = Image.fromarray(photograph("coffee"))
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x8825] = {1: "N", 2: (1.0, 2.0, 3.0)}
    kinds = {
        "turned.jpg": (base, {"exif": exif}, (400, 600)), "cmyk.jpg": (base.convert("CMYK"), {}, (600, 400)),
        "deep.png": (Image.fromarray((np.arange(64 * 48).reshape(48, 64) * 20).astype(np.uint16)), {}, (64, 48)),
        "palette.png": (base.convert("P"), {}, (600, 400)), "grey.png": (base.convert("L"), {}, (600, 400))}
    for name, (picture, more, size) in kinds.items():
        found = warm_engine.probe("emotion/brought", {"own": saved(tmp_path, name, picture, **more)})
        image = Image.open(BytesIO(base64.b64decode(found["images"]["seen"].split(",")[1])))
        assert (image.width > image.height) == (size[0] > size[1]), name
    clear = Image.new("RGBA", (64, 64), (255, 0, 0, 0))
    found = warm_engine.probe("emotion/tool", {"own": saved(tmp_path, "clear.png", clear), "tool": "exposure", "strength": 0})
    image = Image.open(BytesIO(base64.b64decode(found["images"]["before"].split(",")[1])))
    assert image.getpixel((5, 5)) == (255, 255, 255)


def test_what_is_no_still_picture_is_refused_in_a_sentence(warm_engine, tmp_path):
    frames = [Image.new("RGB", (32, 32), colour) for colour in ("red", "blue")]
    frames[0].save(tmp_path / "moving.gif", save_all=True, append_images=frames[1:])
    (tmp_path / "notes.png").write_text("hello")
    (tmp_path / "cut.jpg").write_bytes(_jpeg()[:400])
    bomb = Image.new("1", (30_000, 30_000))
    bomb.save(tmp_path / "bomb.png")
    Image.new("RGB", (4, 300)).save(tmp_path / "thin.png")
    said = {"moving.gif": "animated", "notes.png": "not a picture", "cut.jpg": "not a picture", "bomb.png": "million pixels|far too large",
            "thin.png": "4 x 300"}
    for name, words in said.items():
        with pytest.raises(LabError, match=words):
            warm_engine.probe("emotion/brought", {"own": f"path/{tmp_path / name}"})


def _jpeg() -> bytes:
    packed = BytesIO()
    Image.fromarray(photograph("cat")).save(packed, "JPEG")
    return packed.getvalue()


def test_what_came_after_a_verdict_is_taken_back(warm_engine):
    run = finished(warm_engine, "emotion/edit", {"chances": 2, "undo_to": 1, "part": "painted", "region": "0 0 60 100"})
    events = warm_engine.events(run)
    recipe = json.loads((warm_engine.records.folder(run) / "recipe.json").read_text())
    assert len([line for line in events if line["kind"] == "picture" and line["name"].startswith("step ")]) >= 2
    assert len(recipe["steps"]) == 1
    result = np.asarray(picture_of(warm_engine, run, "result"))
    mask = stretched(region_of("0 0 60 100"), result.shape[:2])
    assert (result == apply_all(photograph("cat"), steps_of(recipe["steps"]), mask)).all() and (result != photograph("cat")).any()
    repeated = finished(warm_engine, "emotion/repeat", {"recipe": f"path/{warm_engine.records.folder(run) / 'recipe.json'}"})
    assert (np.asarray(picture_of(warm_engine, repeated, "full")) == result).all()
