"""The two experiments and two probes from end to end, on an untrained reasoner and on the shipped ones."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from core.engine.errors import LabError
from core.engine.runner import Engine
from core.engine.settings import ASSETS, Settings
from core.reasoning.calibration import Calibration, calibrate, fit_temperature, plane, write
from core.reasoning.data import check, draw_problems
from core.reasoning.energy import VARIANT_NAMES, energy
from core.reasoning.generations import Corruption, Generations, batches, corrupt_all, think_through
from core.reasoning.metrics import SCORE_NAMES
from core.reasoning.reading import Reader
from core.reasoning.storing import packed, unpacked

AGES = ("reasoner-50", "reasoner-70", "reasoner-85")


def generations(chains, count: int = 15, split: str = "scored", kind: str = "numbers") -> Generations:
    model, form = chains
    thoughts = []
    for _ in think_through(model, form, draw_problems(count, kind, torch.Generator().manual_seed(0), split=split), thoughts):
        pass
    return Generations(thoughts)


def run(engine, name: str, config: dict, seed: int = 0) -> tuple[dict, list[dict]]:
    started = engine.start(name, config, seed=seed, fresh=True)
    state = engine.wait(started.id, timeout=300)
    assert state["outcome"] == "finished", state["error"]
    return engine.result(started.id), engine.events(started.id)


def test_batches_hold_problems_of_one_length_in_order():
    problems = draw_problems(23, "numbers", torch.Generator().manual_seed(0))
    groups = batches(problems, 4)
    assert [p for group in groups for p in group] == problems
    assert all(len({len(p.prompt) for p in group}) == 1 and len(group) <= 4 for group in groups)


def test_thoughts_carry_what_was_said_and_what_is_true(chains):
    found = generations(chains)
    for thought in found.thoughts:
        assert thought.check == check(thought.problem, thought.trace, thought.answer)
    assert set(found.table) == set(SCORE_NAMES) and all(len(values) == 15 for values in found.table.values())
    assert found.lengths.tolist() == sorted(found.lengths.tolist())


def test_energies_without_the_model_equal_those_scored_with_it(chains):
    found = generations(chains)
    for name, variant in (("R0 think", "R0_kinetic"), ("R2 think", "R2_kinetic_minus_curvature"), ("R3 think", "R3_bending"),
                          ("R5 think", "R5_entropy_potential")):
        np.testing.assert_allclose(found.energies(variant, 0.8), found.table[name], rtol=1e-4)
    assert not np.allclose(found.energies("R2_kinetic_minus_curvature", 0.1), found.table["R2 think"], rtol=1e-3)


def test_corrupting_changes_one_step_and_notices(chains):
    model, form = chains
    found = generations(chains)
    sound = []
    for thought in found.thoughts[:6]:  # an untrained model is never sound: put the true chain into its mouth
        text = f"{thought.problem.prompt}<think>{thought.problem.trace}</think>{thought.problem.answer}"
        ids = form.tokenizer(text).input_ids
        reading = Reader(model, form, chain=False).read(torch.tensor([ids]), thought.prompt_tokens).readings()[0]
        from core.reasoning.generations import thought_of
        sound.append(thought_of(reading, thought.problem, form))
    assert {thought.check.label for thought in sound} == {"sound"}
    changes: list[Corruption] = []
    for _ in corrupt_all(model, form, sound, torch.Generator().manual_seed(0), changes):
        pass
    assert len(changes) == 6
    for change, thought in zip(changes, sound, strict=True):
        assert change.before["R2 think"] == pytest.approx(thought.scores["R2 think"], rel=1e-3)
        assert change.before["PPL think"] != change.after["PPL think"]


def test_calibration_survives_the_file_and_belongs_to_its_weights(chains, tmp_path):
    found = generations(chains, 15, split="calibration")
    made = calibrate(found, "abc", 0.7)
    write(tmp_path, {"numbers": made})
    again = Calibration.read(tmp_path, "abc", "numbers")
    assert again.n == 15 and Calibration.read(tmp_path, "other", "numbers") is None and Calibration.read(tmp_path, "abc", "logic") is None
    median = float(np.nanmedian(found.table["R2 think"]))
    assert 40 < again.percentile("R2 think", median) < 60
    assert again.scale == pytest.approx(float(found.path.kinetic.nanmean()), rel=1e-4)


def test_scored_problems_cannot_become_a_yardstick(chains):
    with pytest.raises(AssertionError):
        calibrate(generations(chains, 5), "abc", 0.7)


def test_plane_is_that_of_scikit_learn():
    from sklearn.decomposition import PCA
    states = torch.randn(30, 5, 8, generator=torch.Generator().manual_seed(0)) * torch.arange(1, 9)
    centre, axes, variance = plane(states)
    peer = PCA(2).fit(states.flatten(0, 1).numpy())
    np.testing.assert_allclose(variance, peer.explained_variance_ratio_, rtol=1e-4)
    np.testing.assert_allclose(np.abs(axes.numpy()), np.abs(peer.components_), atol=1e-3)
    np.testing.assert_allclose(centre.numpy(), peer.mean_, atol=1e-5)


def test_fitted_temperature_is_the_likeliest_of_the_grid(chains):
    model, form = chains
    problems = draw_problems(10, "numbers", torch.Generator().manual_seed(0), split="calibration")
    assert fit_temperature(model, form, problems) > 1  # random weights are far too sure of themselves


def test_trace_tells_every_token_and_ends_with_a_verdict(engine, folder):
    result, events = run(engine, "reasoning/trace", {"model": f"path/{folder}", "problem": "3+4*2-5"})
    certainty = [e for e in events if e["kind"] == "metric" and e["name"] == "certainty"]
    energies = [e for e in events if e["kind"] == "metric" and e["name"] == "energy"]
    assert [e["step"] for e in certainty] == list(range(len(certainty))) and energies
    assert {e["name"] for e in events if e["kind"] == "figure"} == {"path", "profile", "heat", "chain"}
    first = next(e for e in events if e["kind"] == "figure")
    assert first["name"] == "path" and first["seq"] < certainty[-1]["seq"]  # drawn while tokens still arrive
    assert {e["name"] for e in events if e["kind"] == "table"} == {"scores", "steps"}
    assert result["verdict"]["evidence"]["expected"] == "9" and result["metrics"]["final energy"] == pytest.approx(
        result["metrics"]["score R2 think"])
    again, _ = run(engine, "reasoning/trace", {"model": f"path/{folder}", "problem": "3+4*2-5"})
    assert {k: again[k] for k in ("config", "metrics", "verdict")} == {k: result[k] for k in ("config", "metrics", "verdict")}


def test_gamma_moves_the_energy_without_the_model(engine, folder, monkeypatch):
    config = {"model": f"path/{folder}", "problem": "9*8-7+6"}
    first = engine.probe("reasoning/energy", config)
    monkeypatch.setattr(Reader, "generate", None)
    monkeypatch.setattr(Reader, "read", None)
    second = engine.probe("reasoning/energy", config | {"gamma": 0.0})
    kinetic, bent = np.array(first["kinetic"]), np.array(first["curvature_energy"])
    assert first["energy"] == pytest.approx(float((kinetic[:-1] - 0.8 * bent).mean()), rel=1e-4)
    assert second["energy"] == pytest.approx(float(kinetic[:-1].mean()), rel=1e-4)
    for variant in VARIANT_NAMES:
        assert math.isfinite(engine.probe("reasoning/energy", config | {"variant": variant})["energy"])


def test_a_chosen_token_shows_its_layers_and_what_they_would_say(engine, folder, chains):
    model, form = chains
    answer = engine.probe("reasoning/energy", {"model": f"path/{folder}", "problem": "9*8-7+6", "token": 12})
    ids = form.tokenizer.convert_tokens_to_ids
    text = torch.tensor([[ids(t) if len(t) == 1 or t.startswith("<") else 0 for t in answer["tokens"]]])[:, :13]
    with torch.no_grad():
        final = model(input_ids=text).logits[0, -1].softmax(-1)
    assert len(answer["top"]) == 7 and len(answer["top"][0]) == 5
    assert answer["top"][-1][0][1] == pytest.approx(float(final.max()), abs=1e-3)
    assert ids(answer["top"][-1][0][0]) == int(final.argmax())
    with pytest.raises(LabError):
        engine.probe("reasoning/energy", {"model": f"path/{folder}", "problem": "9*8-7+6", "token": 999})


def test_roc_reports_every_score_and_every_claim_finds_its_number(engine, folder):
    from core.reasoning.claims import CLAIMS
    result, events = run(engine, "reasoning/roc", {"model": f"path/{folder}", "problems": 50})
    assert {f"AUROC {name}" for name in ("energy", *SCORE_NAMES)} <= set(result["metrics"])
    assert result["metrics"]["largest disagreement"] < 1e-4
    assert {e["name"] for e in events if e["kind"] == "figure"} >= {"aurocs", "roc", "distributions", "gamma", "layers"}
    assert {e["name"] for e in events if e["kind"] == "table"} == {"scores", "against the baselines", "by length"}
    result["metrics"].setdefault("corrupted scored lower R2 think", 0.5)  # nothing sound to corrupt in random weights
    for claim in CLAIMS:
        assert isinstance(claim.measure([result]), float) and claim.seeds == (0, 1, 2, 3, 4)


def test_shuffled_labels_leave_nothing_to_sort(engine):
    config = {"model": "embedded/reasoner-50", "problems": 100, "corrupted": 0}
    plain, _ = run(engine, "reasoning/roc", config)
    shuffled, _ = run(engine, "reasoning/roc", config | {"shuffle": True})
    assert plain["metrics"]["AUROC energy"] == pytest.approx(plain["metrics"]["AUROC R2 think"])
    assert plain["metrics"]["AUROC MaxProb think"] > 0.6
    assert abs(shuffled["metrics"]["AUROC MaxProb think"] - 0.5) < 0.2  # three standard errors and more of 100 outputs
    assert shuffled["metrics"]["accuracy"] == plain["metrics"]["accuracy"]


def test_a_set_is_thought_through_once_for_all_processes(tmp_path, monkeypatch):
    config = {"model": "embedded/reasoner-50", "problems": 60, "corrupted": 10}
    settings = Settings(home=tmp_path, threads=1)
    first = Engine(settings)
    there, _ = run(first, "reasoning/roc", config)
    first.close()
    assert there["metrics"]["corrupted scored lower PPL think"] > 0.5

    monkeypatch.setattr(Reader, "generate", None)  # whoever thinks or rereads now fails
    monkeypatch.setattr(Reader, "read", None)
    second = Engine(settings)
    here, _ = run(second, "reasoning/roc", config)
    assert (here["metrics"], here["verdict"]) == (there["metrics"], there["verdict"])
    other, _ = run(second, "reasoning/roc", config | {"label": "sound", "variant": "R3_bending"})
    assert other["metrics"]["AUROC energy"] != here["metrics"]["AUROC energy"]
    second.close()

    third = Engine(settings)  # another seed is another set
    started = third.start("reasoning/roc", config, seed=1)
    assert third.wait(started.id, timeout=60)["outcome"] == "failed"
    third.close()


def test_what_is_packed_comes_back_with_its_gaps(chains):
    found = generations(chains, 10)
    found.thoughts[3] = replace(found.thoughts[3], states=None, entropy=None, truncated=True)
    again = unpacked(*packed(found), chains[1])
    assert again.thoughts[3].states is None and again.thoughts[3].entropy is None
    for one, other in zip(found.thoughts, again.thoughts, strict=True):
        for name in ("problem", "trace", "answer", "check", "truncated", "ids", "roles", "prompt_tokens"):
            assert getattr(one, name) == getattr(other, name)
    for name, values in found.table.items():
        np.testing.assert_array_equal(values, again.table[name])
    torch.testing.assert_close(again.states, found.states, rtol=0, atol=0, equal_nan=True)
    tensors, facts = packed(found)
    assert unpacked(tensors, facts | {"scores": ["an older score"]}, chains[1]) is None


def test_both_loops_give_signs_of_life_inside_a_batch(chains, monkeypatch):
    monkeypatch.setattr("core.reasoning.generations.NEWS_S", 0)
    model, form = chains
    thoughts: list = []
    problems = draw_problems(5, "numbers", torch.Generator().manual_seed(0))[:1]
    said = list(think_through(model, form, problems, thoughts))
    assert len(said) > len(thoughts[0].ids) - thoughts[0].prompt_tokens and said[-1] == 1


def test_stop_is_met_inside_a_batch_and_leaves_no_half_set(tmp_path, monkeypatch):
    monkeypatch.setattr("core.reasoning.generations.NEWS_S", 0)
    engine = Engine(Settings(home=tmp_path, threads=1))
    started = engine.start("reasoning/roc", {"model": "embedded/reasoner-50", "problems": 50})
    lines = engine.watch(started.id)
    thinking = (line for line in lines if line["kind"] == "progress" and line["note"] == "thinking")
    assert [next(thinking)["step"] for _ in range(4)] == [0, 0, 0, 0]  # inside the first batch of ten
    engine.cancel(started.id)
    rest = list(thinking)
    assert engine.wait(started.id, timeout=60)["outcome"] == "cancelled" and all(line["step"] < 50 for line in rest)
    assert not (tmp_path / "shelf").exists()
    engine.close()


def test_impossible_requests_get_sentences(engine, folder, tmp_path):
    from tests.reasoning.conftest import reasoner
    for config in ({"problem": "hello"}, {"problem": ""}, {"problem": "3+4*2-5*7+1-2*3"}):
        started = engine.start("reasoning/trace", {"model": f"path/{folder}"} | config)
        state = engine.wait(started.id, timeout=60)
        assert state["outcome"] == "failed" and state["hint"], config
    with pytest.raises(LabError):
        engine.start("reasoning/roc", {"model": f"path/{folder}", "problems": 5})
    model, tokenizer = reasoner("llama")
    model.save_pretrained(tmp_path / "free")
    tokenizer.save_pretrained(tmp_path / "free")
    started = engine.start("reasoning/roc", {"model": f"path/{tmp_path / 'free'}", "problems": 50, "label": "sound"})
    assert "free steps" in engine.wait(started.id, timeout=60)["error"]
    with pytest.raises(LabError):
        engine.probe("reasoning/corrupt", {"model": f"path/{tmp_path / 'free'}", "problem": "3+4"})


@pytest.mark.parametrize("name", AGES)
def test_shipped_reasoners_are_as_good_as_their_names(name, engine):
    loaded = engine.models.load(f"embedded/{name}")
    calibration = Calibration.read(ASSETS / "models" / name, loaded.fingerprint, "numbers")
    assert calibration is not None, "the yardstick belongs to other weights"
    from core.reasoning.prompts import Form
    found = generations((loaded.model, Form.of(loaded.tokenizer, loaded.model)), 100)
    accuracy, age = float(found.positive("correct").mean()), int(name[-2:]) / 100
    spread = 3 * math.sqrt(age * (1 - age) / 100)
    assert abs(accuracy - age) < 0.08 + spread
    assert abs(accuracy - calibration.accuracy) < 0.04 + spread
    assert json.loads((ASSETS / "models" / name / "calibration.json").read_text())["logic"]["n"] == 250
    logic = generations((loaded.model, Form.of(loaded.tokenizer, loaded.model)), 40, kind="logic")
    assert logic.positive("sound").mean() > 0.3, "logic was learned, not guessed"


def test_changing_a_digit_is_noticed_by_the_shipped_reasoner(engine):
    answer = engine.probe("reasoning/corrupt", {"model": "embedded/reasoner-85", "problem": "3+4*2-5", "step": 1, "value": "1"})
    assert answer["before"].startswith("3+4=") and answer["after"].startswith("3+4=1;")
    assert answer["scores_after"]["PPL think"] < answer["scores_before"]["PPL think"]
    assert answer["steps_after"][0]["right"] is False
    with pytest.raises(LabError):
        engine.probe("reasoning/corrupt", {"model": "embedded/reasoner-85", "problem": "3+4*2-5", "step": 9, "value": "1"})


def test_wrong_variant_needs_are_said(chains):
    found = generations(chains, 5)
    from core.reasoning.energy import path_of
    with pytest.raises(LabError):
        energy(path_of(found.states), "R5_entropy_potential")
