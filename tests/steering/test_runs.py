"""One quick race, a comparison of two rows, and both probes."""

from __future__ import annotations

import shutil

import pytest
import torch
from PIL import Image

from core.engine.errors import LabError
from core.engine.outputs import find as declared
from core.engine.registry import find
from core.scenes.render import render
from core.steering.anymodel import _inputs, _question
from core.steering.attention import read
from core.steering.showing import scene_of
from core.steering.spec import COMPARE, TRAIN, LookConfig
from tests.bias.conftest import SEEING, reading_tokenizer, seeing_model

QUICK = {"steps": 2, "batch": 4, "pictures": 50, "questions": 20}


@pytest.fixture(scope="module")
def raced(warm_engine):
    run = warm_engine.start("steering/train", QUICK | {"positions": "first_last", "rival": "ia3"}, visitor="tests")
    assert warm_engine.wait(run.id)["outcome"] == "finished"
    return run.id, warm_engine.result(run.id)


def test_the_race_counts_both_ways_and_says_only_what_is_declared(warm_engine, raced):
    run, result = raced
    found = result["metrics"]
    assert (found["inside steered"], found["total steered"], found["inside rival"]) == (2310, 2310 + 61_824, 5376)
    events = warm_engine.records.events(run)
    assert all(declared(TRAIN.outputs, e["kind"], e["name"]) for e in events if "name" in e)
    assert {e["name"] for e in events if e["kind"] == "figure"} == {"columns", "lmar", "share", "patches"}
    assert found["words steered"] == found["words base"]
    assert len(result["verdict"]["headline"].split()) <= 25 and "95 %" in result["verdict"]["text"]


def test_two_seeds_differ_and_the_same_seed_does_not(warm_engine, raced):
    config = QUICK | {"positions": "first_last", "rival": "ia3"}
    again = warm_engine.start("steering/train", config, visitor="tests", fresh=True)
    warm_engine.wait(again.id)
    assert warm_engine.result(again.id)["metrics"] == raced[1]["metrics"]


def test_a_comparison_has_every_row_and_the_untouched_model(warm_engine):
    config = QUICK | {"methods": ["connector", "mores-frozen"], "choose": True, "steps": 3}
    run = warm_engine.start("steering/compare", config, visitor="tests")
    assert warm_engine.wait(run.id)["outcome"] == "finished"
    result = warm_engine.result(run.id)
    assert result["metrics"]["connector inside"] == 0 and result["metrics"]["mores-frozen total"] == 2310
    assert result["metrics"]["base total"] == 0 and result["metrics"]["mores-frozen rate"] in (5e-4, 2e-3, 1e-2)
    assert all(declared(COMPARE.outputs, e["kind"], e["name"]) for e in warm_engine.records.events(run.id) if "name" in e)


def test_a_steering_that_was_taken_along_is_loaded_from_its_folder(warm_engine, raced, tmp_path):
    kept = f"run/{raced[0]}/steering"
    shutil.copytree(warm_engine.models.folder(kept), tmp_path / "mine")
    here, there = (warm_engine.probe("steering/strength", {"steering": ref}) for ref in (kept, f"path/{tmp_path / 'mine'}"))
    assert here["moved"] == there["moved"] > 0 and "2,310 numbers" in there["aside"]


def test_the_slider_at_nought_and_words_alone_change_nothing(warm_engine, raced):
    steering = f"run/{raced[0]}/steering"
    ask = {"steering": steering, "connector": "before"}
    still = warm_engine.probe("steering/strength", ask | {"strength": 0})
    assert still["moved"] == 0 and still["before"] == still["after"]
    words = {"question": "what colour has a ball ?", "shown": False}
    assert warm_engine.probe("steering/strength", ask | words | {"strength": 3})["moved"] == 0
    trained = warm_engine.probe("steering/strength", {"steering": steering, "strength": 0})
    assert trained["moved"] > 0, "the connector has a switch of its own"
    assert warm_engine.probe("steering/strength", {"strength": 1})["moved"] > 0, "the one that comes with the lab"


def test_a_look_reads_attention_and_words(warm_engine):
    seen = warm_engine.probe("steering/look", {"question": "How many things are there ?"})
    assert len(seen["lmar"]) == 6 and len(seen["words"]) == 7 and {"answers", "lmar", "patches"} == set(seen["figures"])


@pytest.mark.parametrize("name, given, said", [
    ("steering/look", {"question": "what is the weather ?"}, "does not know the word 'weather'"),
    ("steering/look", {"question": " "}, "no question"),
    ("steering/look", {"layer": 7}, "has 6 layers"),
    ("steering/look", {"model": "embedded/worlds"}, "cannot use"),
    ("steering/strength", {"steering": "embedded/worlds"}, "not a steering"),
])
def test_bad_questions_get_a_sentence(warm_engine, name, given, said):
    with pytest.raises(LabError, match=said) as refused:
        warm_engine.probe(name, given)
    assert refused.value.hint


@pytest.mark.parametrize("given, said", [({"rank": 193}, "A rank of 193"), ({"positions": "painted"}, "No patch"),
                                         ({"positions": "painted", "painted": "x"}, "no number of a patch"),
                                         ({"model": "embedded/worlds"}, "cannot use")])
def test_a_race_that_cannot_be_run_says_why(warm_engine, given, said):
    run = warm_engine.start("steering/train", QUICK | given, visitor="tests")
    state = warm_engine.wait(run.id)
    assert state["outcome"] == "failed" and said in state["error"] and state["hint"]


def test_no_steps_and_unknown_rivals_are_refused_before_anything_runs():
    for given in ({"steps": 0}, {"rival": "magic"}, {"share": 0}):
        with pytest.raises(LabError):
            find("steering/train").validate(given)


def test_lmar_is_the_mean_of_ratios_by_hand():
    weights = torch.tensor([[0.1, 0.2, 0.2, 0.5], [0.4, 0.3, 0.2, 0.1]])  # two lines, keys: first, picture, picture, word
    image, text = torch.tensor([[0, 1, 1, 0]] * 2).bool(), torch.tensor([[0, 0, 0, 1]] * 2).bool()
    looks = read([weights], image, text, ~image)
    assert looks.lmar().item() == pytest.approx((0.2 / 0.5 + 0.25 / 0.1) / 2, rel=1e-5)
    assert looks.geometric().item() == pytest.approx((0.4 * 2.5) ** 0.5, rel=1e-4)
    assert looks.lmar_all().item() == pytest.approx((0.2 / 0.3 + 0.25 / 0.25) / 2, rel=1e-5)
    # S / (1 - S) x N_other / N_picture, per line (methods/06 section 3.3)
    share = looks.share[:, 0]
    assert torch.allclose(share / (1 - share) * 2 / 2, looks.image[:, 0] / looks.others[:, 0], atol=1e-6)
    with pytest.raises(LabError, match="no token of a picture"):
        read([weights], torch.zeros_like(image), text, ~image)


@pytest.mark.parametrize("label", SEEING)
def test_models_of_other_makes_show_their_attention_without_training(warm_engine, label, tmp_path):
    """LLaVA-1.5, Qwen2.5-VL and Qwen3-VL with random weights; LMAR against the maps that the library itself gives out."""
    seeing_model(label).save_pretrained(tmp_path / label)
    reading_tokenizer().save_pretrained(tmp_path / label)
    ref = f"path/{tmp_path / label}"
    seen = warm_engine.probe("steering/look", {"model": ref, "question": "where is it ?", "layer": 2})
    assert len(seen["lmar"]) == 3 and "patches" in seen["figures"]
    loaded = warm_engine.models.load(ref, attention="eager")
    inputs, image = _inputs(loaded, Image.fromarray(render(scene_of(LookConfig()), 336)), "where is it ?")
    with torch.no_grad():
        maps = loaded.model(**inputs, use_cache=False, output_attentions=True).attentions
    text = _question(inputs["input_ids"][0], image, loaded.tokenizer, "where is it ?")
    assert loaded.tokenizer.decode(inputs["input_ids"][0][text]) == "where is it ?"
    assert seen["lmar"] == pytest.approx([float(a[0, :, -1, image].mean() / (a[0, :, -1, text].mean() + 1e-8)) for a in maps], rel=1e-4)
    with pytest.raises(LabError, match="has 3 layers"):
        warm_engine.probe("steering/look", {"model": ref, "layer": 4})
