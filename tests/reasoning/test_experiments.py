"""The two experiments and two probes from end to end, on an untrained reasoner and on the shipped ones."""

from __future__ import annotations

import functools
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
from core.reasoning.energy import energy
from core.reasoning.evaluation import nothing_to_sort
from core.reasoning.generations import Corruption, Generations, Thought, batches, corrupt_all, think_through
from core.reasoning.reading import Reader
from core.reasoning.spec import SCORE_NAMES, VARIANT_NAMES, RocConfig
from core.reasoning.storing import packed, unpacked

AGES = ("reasoner-50", "reasoner-70", "reasoner-85")


def generations(chains, count: int = 15, split: str = "scored", kind: str = "numbers") -> Generations:
    return Generations(thoughts_of(chains, count, split, kind))


@functools.cache
def thoughts_of(chains, count: int, split: str, kind: str) -> tuple[Thought, ...]:
    model, form = chains
    thoughts: list[Thought] = []
    for _ in think_through(model, form, draw_problems(count, kind, torch.Generator().manual_seed(0), split=split), thoughts):
        pass
    return tuple(thoughts)


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
    assert energies[-1]["value"] == result["metrics"]["final energy"]
    again, _ = run(engine, "reasoning/trace", {"model": f"path/{folder}", "problem": "3+4*2-5"})
    assert {k: again[k] for k in ("config", "metrics", "verdict")} == {k: result[k] for k in ("config", "metrics", "verdict")}


def figure_of(events: list[dict], name: str) -> dict:
    return [e["figure"] for e in events if e["kind"] == "figure" and e["name"] == name][-1]


def test_without_a_yardstick_tokens_have_their_points_in_the_plane_of_the_path(engine, folder, chains):
    model, _ = chains
    _, events = run(engine, "reasoning/trace", {"model": f"path/{folder}", "problem": "3+4*2-5"})
    answer = engine.probe("reasoning/energy", {"model": f"path/{folder}", "problem": "3+4*2-5"})
    thinking = [i for i, role in enumerate(answer["roles"]) if role == "think"]
    with torch.no_grad():
        ids = torch.tensor([chains[1].tokenizer.convert_tokens_to_ids(answer["tokens"])])
        hidden = torch.stack([state[0, thinking] for state in model(input_ids=ids, output_hidden_states=True).hidden_states[:-1]])
    for drawn in (figure_of(events, "path"), answer["figures"]["path"]):
        tips, path = (next(t for t in drawn["data"] if t["name"].startswith(name)) for name in ("end of the path", "this reasoning"))
        assert len(tips["x"]) == len(thinking)
        # the last tip is the end of the path itself
        assert (tips["x"][-1], tips["y"][-1]) == pytest.approx((path["x"][-1], path["y"][-1]), abs=1e-3)
        known = torch.tensor([path["x"][:-1], path["y"][:-1]]).T
        states = hidden.mean(1)
        spread = [(known[i] - known[j]).norm() <= (states[i] - states[j]).norm() + 1e-3 for i in range(6) for j in range(6)]
        assert all(spread), "a projection makes nothing longer"


def test_the_verdict_speaks_of_the_energy_that_was_chosen(engine):
    result, _ = run(engine, "reasoning/trace", {"variant": "R3_bending"})
    metrics, evidence = result["metrics"], result["verdict"]["evidence"]
    assert metrics["percentile energy"] == metrics["percentile R3 think"] == evidence["percentile of the energy"]
    assert abs(metrics["percentile R3 think"] - metrics["percentile R2 think"]) > 20
    assert f"above that of {metrics['percentile R3 think']:.0f} %" in result["verdict"]["text"]


@pytest.mark.parametrize(("config", "named"), [
    ({"variant": "R5_entropy_potential"}, " (momentum part alone)"),
    ({"variant": "R1_additive_norm", "embedding": False}, " (usual states)"),
    ({"last_state": "final_norm", "tags": True}, " (usual states)"),
    ({}, ""),
])
def test_the_last_energy_is_that_of_the_whole_and_parts_say_what_they_leave_out(engine, config, named):
    result, events = run(engine, "reasoning/trace", config)
    energies = [e["value"] for e in events if e["kind"] == "metric" and e["name"] == "energy"]
    answer = engine.probe("reasoning/energy", config)
    assert energies[-1] == result["metrics"]["final energy"] == pytest.approx(answer["energy"], rel=1e-5)
    assert (energies[-2] == pytest.approx(energies[-1], rel=1e-4)) is (not named)
    for chain in (figure_of(events, "chain"), answer["figures"]["chain"]):
        lines = {trace["name"]: trace["y"] for trace in chain["data"]}
        assert f"energy so far{named}" in lines and f"energy of each step{named}" in lines
        assert lines.get("energy of the whole, as chosen", [None])[-1] == (pytest.approx(energies[-1], rel=1e-5) if named else None)
        assert chain["layout"]["yaxis2"]["tickvals"] == [0, 0.5, 1]
    columns = next(e["columns"] for e in events if e["kind"] == "table" and e["name"] == "steps")
    assert f"energy{named}" in columns


def test_the_layers_say_what_was_subtracted(engine):
    def bars(**config) -> tuple[str, list[int], list[float]]:
        figure = engine.probe("reasoning/energy", config)["figures"]["profile"]
        return figure["layout"]["yaxis"]["title"]["text"].split(" (")[0], figure["data"][0]["x"], figure["data"][0]["y"]

    whole, raw, token = bars(), bars(difference=False), bars(token=12)
    assert (whole[0], raw[0], token[0]) == ("energy minus the usual", "energy", "energy of this token")
    calibration = json.loads((ASSETS / "models/reasoner-70/calibration.json").read_text())["numbers"]
    np.testing.assert_allclose(np.array(raw[2]) - calibration["kinetic"], whole[2], atol=1e-5)
    assert token == bars(token=12, difference=False) and min(token[2]) > 0  # half a squared length
    for unusual in ({"embedding": False}, {"last_state": "final_norm"}, {"tags": True}):
        assert bars(**unusual) == bars(**unusual, difference=False) and bars(**unusual)[0] == "energy"
    assert bars(embedding=False)[1] == list(range(2, 9)) and bars(embedding=False)[2] == pytest.approx(raw[2][1:])


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
    tables = {e["name"]: e for e in events if e["kind"] == "table"}
    assert set(tables) == {"scores", "against the baselines", "by length"}
    coin = tables["scores"]["columns"].index("AUPR of a coin")
    assert tables["scores"]["rows"][0][coin] == result["metrics"]["accuracy"]
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
    there, events = run(first, "reasoning/roc", config)
    first.close()
    assert there["metrics"]["corrupted scored lower PPL think"] > 0.5
    assert there["metrics"]["corrupted scored lower energy"] == there["metrics"]["corrupted scored lower R2 think"]
    noticed = figure_of(events, "corrupted")
    bars = noticed["data"][0]
    assert "energy" in bars["y"] and "% of 10" in noticed["layout"]["xaxis"]["title"]["text"]
    ends = [middle + up for middle, up in zip(bars["x"], bars["error_x"]["array"], strict=True)]
    assert all(0 < end <= 100 for end in ends) and bars["x"][bars["y"].index("energy")] == pytest.approx(
        100 * there["metrics"]["corrupted scored lower energy"])

    monkeypatch.setattr(Reader, "generate", None)  # whoever thinks or rereads now fails
    monkeypatch.setattr(Reader, "read", None)
    second = Engine(settings)
    here, _ = run(second, "reasoning/roc", config)
    assert (here["metrics"], here["verdict"]) == (there["metrics"], there["verdict"])
    drawn = ["energy", "PPL think", "Late entropy"]
    other, events = run(second, "reasoning/roc", config | {"label": "sound", "variant": "R3_bending", "gamma": 0.2, "corrupted": 0,
                                                           "drawn": drawn, "equal_lengths": True})
    assert other["metrics"]["AUROC energy"] == other["metrics"]["AUROC R3 think"] != here["metrics"]["AUROC R3 think"]
    assert [trace["name"] for trace in figure_of(events, "roc")["data"]] == [
        "a coin", *(f"{name}: {other['metrics'][f'stratified {name}']:.3f}" for name in drawn)]
    assert "unsound outputs" in figure_of(events, "roc")["layout"]["xaxis"]["title"]["text"]
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
    last = engine.probe("reasoning/corrupt", {"step": 4, "value": "3"})  # its least sure token stands before the last step
    assert last["scores_before"]["MinProb think"] == last["scores_after"]["MinProb think"]
    one, other = (trace["y"] for trace in last["figures"]["before_after"]["data"])
    changed = next(i for i, (a, b) in enumerate(zip(one, other, strict=True)) if a != b)
    assert changed == 6 * 3 + 5 and last["energy_before"] != last["energy_after"]  # <think> and three steps and "?.?=" come before it
    with pytest.raises(LabError):
        engine.probe("reasoning/corrupt", {"model": "embedded/reasoner-85", "problem": "3+4*2-5", "step": 9, "value": "1"})


@pytest.mark.parametrize(("positive", "config", "said", "advice"), [
    (True, {"kind": "logic"}, "solves every logic problem", "reasoner-85, which gets many right by luck"),
    (False, {}, "solves no number problem", "reasoner-70, which is wrong about once in four times"),
    (False, {"label": "sound"}, "reasons soundly about no number problem", "reasoner-70, which is wrong about once in four times"),
])
def test_outputs_that_are_all_alike_are_said_to_be(positive, config, said, advice):
    sentence = f"This model {said}, so there is nothing to sort. Choose {advice}."
    assert nothing_to_sort(np.array([positive] * 3), RocConfig(**config)) == sentence


def test_wrong_variant_needs_are_said(chains):
    found = generations(chains, 5)
    from core.reasoning.energy import path_of
    with pytest.raises(LabError):
        energy(path_of(found.states), "R5_entropy_potential")
