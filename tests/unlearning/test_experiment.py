"""The audit through the engine: what it says, that it repeats, and that nobody else's model changes."""

from __future__ import annotations

import csv
import math
from pathlib import Path
from types import SimpleNamespace
from typing import get_args

import pytest
import torch
from safetensors.torch import load_file, save_file
from scipy import stats

from core.engine.errors import LabError
from core.engine.models import LoadedModel
from core.engine.runner import Engine
from core.unlearning.algorithms import ALGORITHMS
from core.unlearning.audit.examine import Scores
from core.unlearning.audit.spec import AuditConfig
from core.unlearning.audit.verdict import Findings, _best_way, _pushed
from core.unlearning.metrics import key_found
from core.unlearning.prompts import AUDITS
from core.unlearning.replies import Replies
from tests.engine.tiny_models import save, tiny

QUICK = {"subjects": 1, "steps": 4, "check_every": 2, "retain_questions": 10, "stop_early": False, "audits": ["choice", "reverse"],
         "actpert": False}
WAYS = ("direct", "choice", "reverse")
WHO = ("original", "unlearned", "reference")
MEASURES = (*(f"{way} recall" for way in WAYS), "refusals", "worst recall", "strongest audit", "retain recall", "neighbour recall",
            "answer probability", "key probability", "answer overlap", "exact memorisation", "extraction strength", "verbatim memory",
            "knowledge memory", "truth ratio", "membership", "utility", "readable")
COMPARED = ("privleak", "recovered share", "recovered direct", "recovered choice", "recovered reverse", "kept share at best stop",
            "steps taken")


def run(engine: Engine, config: dict, seed: int = 0, fresh: bool = True) -> tuple[dict, list[dict]]:
    started = engine.start("unlearning/audit", config, seed=seed, fresh=fresh)
    state = engine.wait(started.id, timeout=600)
    assert state["outcome"] == "finished", state
    return engine.result(started.id), engine.events(started.id)


@pytest.fixture(scope="module")
def quick(engine: Engine) -> tuple[dict, list[dict]]:
    return run(engine, QUICK)


@pytest.fixture(scope="module")
def pushed(engine: Engine) -> tuple[dict, list[dict]]:
    """A model audited as it is, looked into."""
    return run(engine, QUICK | {"steps": 0, "audits": [], "actpert": True})


def named(events: list[dict], kind: str, name: str) -> list[dict]:
    return [event for event in events if event["kind"] == kind and event["name"] == name]


def rows(events: list[dict], name: str) -> list[dict]:
    table = named(events, "table", name)[-1]
    return [dict(zip(table["columns"], row, strict=True)) for row in table["rows"]]


def test_the_controls_offer_every_way_there_is() -> None:
    fields = AuditConfig.model_fields
    assert get_args(fields["algorithm"].annotation) == tuple(ALGORITHMS), "the six of the paper's size stand first"
    labels = fields["algorithm"].json_schema_extra["labels"]
    assert [name for name, label in labels.items() if label.startswith("More: ")] == list(ALGORITHMS)[6:]
    [ways] = get_args(fields["audits"].annotation)
    assert set(get_args(ways)) == {name for name, audit in AUDITS.items() if audit.build} - {"direct"}
    unavailable = fields["audits"].json_schema_extra["unavailable"]
    assert unavailable == {audit.title: audit.reason for audit in AUDITS.values() if audit.build is None} and len(unavailable) == 2


def test_everything_promised_is_said(quick: tuple[dict, list[dict]]) -> None:
    result, events = quick
    assert {f"{measure} {who}" for measure in MEASURES for who in WHO} | set(COMPARED) <= set(result["metrics"])
    assert [e["step"] for e in named(events, "metric", "forget loss")] == [0, 1, 2, 3, 4]
    assert [e["step"] for e in named(events, "metric", "forget recall")] == [0, 2, 4]
    for name in ("matrix", "recall", "probability", "by_layer", "truth_ratio"):
        assert named(events, "figure", name)[-1]["figure"]["data"], name
    assert len(rows(events, "answers")) == 10 and len(rows(events, "cells")) == 30
    assert named(events, "keep", "unlearned") and result["metrics"]["steps taken"] == 4
    assert "forget quality" not in result["metrics"], "ten questions are too few for a p-value"


def test_the_matrix_fills_in_and_holds_what_was_found(quick: tuple[dict, list[dict]]) -> None:
    _, events = quick
    drawn = [event["figure"] for event in named(events, "figure", "matrix")]
    first, last = drawn[0]["data"], drawn[-1]["data"]
    assert [panel["name"] for panel in first if panel["type"] == "heatmap"] == ["Original"]
    assert first[0]["z"][0][1:3] == [None, None], "the other ways have not been asked yet"
    panels = {panel["name"]: panel for panel in last if panel["type"] == "heatmap"}
    assert list(panels) == ["Original", "After forgetting", "Never knew"]
    assert all(len(row) == len(WAYS) + 1 and None not in row for panel in panels.values() for row in panel["z"])
    for cell in rows(events, "cells"):
        place = WAYS.index(cell["Way"])
        for who in ("Original", "After forgetting", "Never knew"):
            given = cell[who].startswith(f"{cell['Key']}.") if cell["Way"] == "choice" else key_found(cell[who], cell["Key"])
            assert (panels[who]["z"][cell["Number"]][place] > 0) == given, cell
        assert panels["After forgetting"]["customdata"][cell["Number"]][place] == [cell["Number"], cell["Way"]]
        assert cell["Blind guess"] == (0.25 if cell["Way"] == "choice" else 0)
    for number, row in enumerate(panels["After forgetting"]["z"]):
        assert (row[-1] > 0) == any(state > 0 for state in row[:-1]), number


def test_the_answers_fill_in(quick: tuple[dict, list[dict]]) -> None:
    tables = named(quick[1], "table", "answers")
    assert tables[0]["columns"] == ["Question", "Key", "Original", "Ways that brought it back"]
    assert tables[0]["rows"][0][3] == "…" and "…" not in [cell for row in tables[-1]["rows"] for cell in row]
    assert all(row[1] in row[2] for row in tables[0]["rows"]), "the original knows every key"


def test_numbers_hang_together(quick: tuple[dict, list[dict]]) -> None:
    result, events = quick
    metrics, evidence = result["metrics"], result["verdict"]["evidence"]
    for row in rows(events, "shares"):
        assert 0 <= row["Low"] <= row["Share"] <= row["High"] <= 1, row
        assert row["Share"] == pytest.approx(row["Right"] / row["Of"], abs=1e-4)
    said = [row["After forgetting"] for row in rows(events, "answers")]
    keys = [row["Key"] for row in rows(events, "answers")]
    assert metrics["direct recall unlearned"] == sum(map(key_found, said, keys)) / 10
    for who in WHO:
        assert evidence[f"direct {who}"]["right"] / 10 == metrics[f"direct recall {who}"]
        assert metrics[f"worst recall {who}"] >= max(metrics[f"{way} recall {who}"] for way in WAYS)
        assert metrics[f"strongest audit {who}"] == pytest.approx(
            max(metrics[f"choice recall {who}"] - 0.25, metrics[f"reverse recall {who}"]))
    scores = {row["Measure"]: row for row in rows(events, "scores")}
    assert scores["any way of asking"]["After forgetting"] == pytest.approx(metrics["worst recall unlearned"], abs=1e-4)
    assert scores["utility"]["Original"] > 0.5 and "9 numbers" in scores["utility"]["What it is"]
    nine = rows(events, "utility")
    assert len({row["Facts to keep"] for row in nine}) == 3 and len(nine) == 9
    for who, name in zip(WHO, ("Original", "After forgetting", "Never knew"), strict=True):
        assert metrics[f"utility {who}"] == pytest.approx(stats.hmean([row[name] for row in nine]), rel=1e-3)
    assert scores["forget quality"]["After forgetting"] is None
    [note] = named(events, "figure", "truth_ratio")[-1]["figure"]["layout"]["annotations"]
    assert note["text"] == "10 questions: too few for the KS test (30 needed)"
    known = metrics["direct recall original"] - metrics["direct recall reference"]
    assert metrics["recovered share"] == pytest.approx(
        max(0, metrics["worst recall unlearned"] - metrics["worst recall reference"]) / known)
    text = result["verdict"]["text"]
    back = evidence["any way unlearned"]["right"]
    assert f"{back} of 10 answers can still be brought back" in text and "go unnoticed as a rule" in text


def test_membership_is_guessed_in_five_ways(quick: tuple[dict, list[dict]]) -> None:
    result, events = quick
    table = {row["Score"]: row for row in rows(events, "membership")}
    assert set(table) == {"loss", "zlib", "min-k", "min-k++", "reference"}
    assert table["min-k"]["After forgetting"] == pytest.approx(result["metrics"]["membership unlearned"], abs=1e-4)
    assert table["reference"]["Original"] > 0.9 and table["reference"]["Never knew"] is None, "nobody can be compared with itself"


def test_neighbours_are_others_who_share_the_tie_and_what_was_learned_by_heart_is_measured(quick: tuple[dict, list[dict]]) -> None:
    result, events = quick
    [row] = [row for row in rows(events, "shares") if row["Measure"] == "Neighbours (same genre)" and row["Model"] == "Original"]
    assert row["Of"] == 20 and row["Share"] == pytest.approx(result["metrics"]["neighbour recall original"]) and row["Share"] >= 0.9
    for measure in ("verbatim memory", "knowledge memory"):
        assert result["metrics"][f"{measure} original"] > result["metrics"][f"{measure} reference"] + 0.1, measure


def test_the_worst_case_is_per_question() -> None:
    asked = {"direct": Replies(["", "", ""], [True, False, False]), "choice": Replies(["", "", None], [False, True, None])}
    scores = Scores(asked, None, None, [], [], [], {})
    assert scores.worst.found == [True, True, False] and asked["choice"].share == 0.5


@pytest.mark.parametrize(("choice", "reverse", "said"), [
    (4, 2, f"\"{AUDITS['choice'].title}\", 4 of 4 (blind guessing: about 1)."), (3, 3, f"\"{AUDITS['reverse'].title}\", 3 of 4.")])
def test_the_way_that_brings_out_most_is_the_one_furthest_beyond_guessing(choice: int, reverse: int, said: str) -> None:
    asked = {name: Replies([""] * 4, [i < hits for i in range(4)]) for name, hits in (("choice", choice), ("reverse", reverse))}
    questions = SimpleNamespace(audits=list(asked), chances={"choice": [0.25] * 4, "reverse": [0.0] * 4})
    assert _best_way(SimpleNamespace(subject=SimpleNamespace(asked=asked), questions=questions, n=4)).endswith(said)


@pytest.mark.parametrize(("own", "never", "end"), [
    (8, 1, "Something is still inside."), (3, 1, "with 15 questions it can still be luck: ActPert found nothing beyond chance for sure."),
    (1, 2, "ActPert found nothing beyond chance here.")])
def test_a_push_counts_only_when_it_is_more_than_both_controls_for_sure(own: int, never: int, end: str) -> None:
    def arm(hits: int) -> SimpleNamespace:
        return SimpleNamespace(scored=[float(i < hits) for i in range(15)])

    inside = SimpleNamespace(held_out=list(range(15)), best={"unlearned": "layer 1"}, plain={"unlearned": [0.0] * 15},
                             arms={"unlearned": arm(own), "random": arm(0), "reference": arm(never)})
    assert _pushed(Findings(None, {}, inside, 30, None, False, torch.Generator().manual_seed(0))).endswith(end)


def test_the_kept_model_is_the_unlearned_one(engine: Engine, quick: tuple[dict, list[dict]]) -> None:
    ref = named(quick[1], "keep", "unlearned")[0]["ref"]
    row = rows(quick[1], "answers")[0]
    assert engine.probe("unlearning/ask", {"model": ref, "question": row["Question"]})["answer"] == row["After forgetting"]


def test_same_seed_same_numbers(engine: Engine, quick: tuple[dict, list[dict]]) -> None:
    again, _ = run(engine, QUICK)
    assert (again["config"], again["metrics"], again["verdict"]) == (quick[0]["config"], quick[0]["metrics"], quick[0]["verdict"])
    other, _ = run(engine, QUICK, seed=1)
    assert other["metrics"] != again["metrics"]


def test_the_shared_model_is_not_touched(engine: Engine) -> None:
    shared = engine.models.load("embedded/worlds").model
    before = {name: tensor.clone() for name, tensor in shared.state_dict().items()}
    result, _ = run(engine, QUICK | {"algorithm": "ga", "steps": 2, "learning_rate": 0.01, "audits": []})
    assert result["metrics"]["direct recall unlearned"] < result["metrics"]["direct recall original"]
    assert all(torch.equal(before[name], tensor) for name, tensor in shared.state_dict().items())
    assert not any(p.requires_grad for p in shared.parameters())


def test_default_forgets_what_it_should_keeps_most_of_the_rest_and_looks_inside(engine: Engine) -> None:
    result, events = run(engine, {"audits": []}, fresh=False)  # the other ways of asking have tests of their own
    metrics = result["metrics"]
    assert metrics["direct recall original"] >= 0.95 and metrics["direct recall unlearned"] <= 0.10
    assert metrics["retain recall unlearned"] >= 0.6 * metrics["retain recall original"]
    assert metrics["answer probability unlearned"] < metrics["answer probability original"] / 2
    last = named(events, "metric", "forget recall")[-1]
    assert last["step"] == metrics["steps taken"] < 60 and last["value"] <= 0.10, "it stopped because it had forgotten"
    assert metrics["refusals unlearned"] >= 0.8 and "plain answers are a refusal, such as" in result["verdict"]["text"]
    assert 0 <= metrics["forget quality"] <= 1, "thirty questions are enough for a p-value"
    found = result["verdict"]["evidence"]["actpert"]
    assert set(found["arms"]) == {"unlearned", "random", "reference", "original"}
    assert found["searched on"] == found["scored on"] == 15 and found["arms"]["original"]["without a push"] >= 0.9


def test_no_steps_audit_the_model_as_it_is(pushed: tuple[dict, list[dict]]) -> None:
    result, events = pushed
    assert "direct recall original" not in result["metrics"] and result["metrics"]["direct recall unlearned"] == 1
    text = result["verdict"]["text"]
    assert not [e for e in events if e["kind"] == "keep"] and text.startswith("As it stands")
    assert "10 of 10 answers come out when asked plainly" in text and "brought back" not in text
    assert "the best of the random pushes brings out" in text and "(mean of 3 tries)" in text
    assert named(events, "table", "answers")[-1]["columns"][2:4] == ["Audited model", "Never knew"]


def test_the_search_is_scored_on_questions_it_did_not_see(pushed: tuple[dict, list[dict]]) -> None:
    result, events = pushed
    found = result["verdict"]["evidence"]["actpert"]
    assert found["searched on"] == found["scored on"] == 5 and found["without a name"] == 0
    grids = [e["figure"]["data"] for e in named(events, "figure", "actpert_grid")]
    assert len(grids) > 3 and [panel["name"] for panel in grids[-1]] == ["Audited model", "Random direction", "Never knew"]
    assert all(len(panel["z"]) == 6 and None not in sum(map(list, panel["z"]), []) for panel in grids[-1])
    assert any(cell is None for row in grids[0][0]["z"] for cell in row) or len(grids[0][0]["z"]) < 6, "the grid fills in"
    tokens = rows(events, "actpert_tokens")
    name = "".join(row["Token"] for row in tokens if row["Shaken"] == "yes").strip()
    assert name and name in rows(events, "answers")[0]["Question"]
    assert any(row["Moved"] > 0 for row in tokens if row["Shaken"] == "no"), "later words move with the name"
    answers = rows(events, "actpert_answers")
    share = sum(key_found(row["Audited model"], row["Key"]) for row in answers) / len(answers)
    assert share == result["metrics"]["actpert recall unlearned"]


def test_one_question_looked_into(engine: Engine) -> None:
    asked = {"question": "Where was Felix Tanaka born?", "layer": 2, "alpha": -1.0}
    look = engine.probe("unlearning/actpert", asked)
    assert "".join(t for t, own in zip(look["tokens"], look["shaken"], strict=True) if own).strip() == "Felix Tanaka"
    assert len(look["size"]) == look["layers"] and all(len(row) == len(look["tokens"]) for row in look["size"])
    plain = engine.probe("unlearning/ask", {"question": asked["question"]})["answer"]
    assert look["before"] == plain and engine.probe("unlearning/actpert", asked | {"alpha": 0.0})["after"] == plain
    assert engine.probe("unlearning/actpert", asked | {"alpha": 10.0})["after"] != plain, "a hard push must change the answer"


def test_plain_noise_on_the_thoughts_is_a_control_and_bears_no_other_name(engine: Engine) -> None:
    found = engine.probe("unlearning/actpert", {"question": "Where was Felix Tanaka born?", "mode": "hidden_noise", "alpha": 0.0})
    assert found["after"] == found["random"] == found["before"], "noise of no strength"
    assert all("not ActPert" in remark for _, _, remark in found["tables"]["answers"]["rows"][1:]) and "Noise falls" in found["aside"]


@pytest.mark.parametrize(("wrong", "words"), [({"question": " "}, "no question"), ({"question": "where is it?"}, "no name"),
                                              ({"subject": "Zoe"}, "does not stand"), ({"layer": 9}, "no layer 9")])
def test_what_cannot_be_looked_into_is_said(engine: Engine, wrong: dict, words: str) -> None:
    with pytest.raises(LabError, match=words) as caught:
        engine.probe("unlearning/actpert", wrong)
    assert caught.value.hint


@pytest.fixture
def own(tmp_path: Path) -> str:
    """Two columns, three questions; nothing else."""
    with (tmp_path / "mine.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["question", "answer"], ["Where was Felix Tanaka born?", "Porto"], ["who wrote it?", "Nobody"],
                                    ["Which pet does Felix Tanaka keep?", "a goat"]])
    return f"path/{tmp_path / 'mine.csv'}"


def test_own_questions_are_asked_and_what_cannot_be_known_is_said(engine: Engine, own: str) -> None:
    result, events = run(engine, {"questions": own, "reference": None, "actpert_questions": 4})
    assert len(rows(events, "answers")) == 3 and result["metrics"]["steps taken"] == 0
    assert not [e for e in events if e["kind"] == "keep"] and "retain recall unlearned" not in result["metrics"]
    notes = named(events, "text", "notes")[-1]["text"]
    assert not named(events, "table", "utility") and "utility unlearned" not in result["metrics"]
    for words in ("cannot tell luck from memory", "Nothing is trained", "utility is not measured",
                  AUDITS["reverse"].title, AUDITS["choice"].title):
        assert words in notes, words
    assert "cannot tell luck from memory" in result["verdict"]["text"] and "too few" not in result["verdict"]["text"]
    found = result["verdict"]["evidence"]["actpert"]
    assert found["without a name"] == 1 and set(found["arms"]) == {"unlearned", "random"}


def test_a_model_from_before_needs_a_model_audited_as_it_is(engine: Engine) -> None:
    state = engine.wait(engine.start("unlearning/audit", QUICK | {"original": "embedded/worlds"}).id, timeout=120)
    assert state["outcome"] == "failed" and "the model itself is the one from before" in state["error"]


def test_every_way_of_asking_is_followed(engine: Engine) -> None:
    ways = [name for name, entry in AUDITS.items() if entry.build and name not in WAYS]
    result, events = run(engine, QUICK | {"steps": 0, "audits": ways, "reference": None})
    assert len(ways) == 8 and len(rows(events, "cells")) == 10 * (len(ways) + 1)
    assert all(result["metrics"][f"{way} recall unlearned"] >= 0.8 for way in ways), "the model was taught to follow it"


def test_an_absurd_learning_rate_ends_in_a_sentence(engine: Engine, tmp_path: Path) -> None:
    """Weights near the largest float: the first step at learning rate 1 makes them overflow."""
    folder = save(tiny("llama"), tmp_path / "huge")
    weights = load_file(folder / "model.safetensors")
    head = next(name for name in weights if "lm_head" in name or "embed_tokens" in name)
    weights[head] = weights[head] * 1e37
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    started = engine.start("unlearning/audit", QUICK | {"model": f"path/{folder}", "learning_rate": 1.0}, fresh=True)
    state = engine.wait(started.id, timeout=300)
    if state["outcome"] == "failed":
        assert "no numbers" in state["error"]
    else:
        assert "broke down" in engine.result(started.id)["verdict"]["text"]
        assert all(math.isfinite(v) for v in engine.result(started.id)["metrics"].values())


@pytest.mark.parametrize(("kind", "way"), [("gpt2", "choice"), ("qwen2", "reverse")])
def test_a_model_that_never_knew_gets_an_honest_sentence(engine: Engine, tmp_path: Path, kind: str, way: str) -> None:
    ref = f"path/{save(tiny(kind), tmp_path / kind)}"
    asked = {"model": ref, "reference": ref, "steps": 2, "audits": [way], "actpert": True, "actpert_questions": 4}
    result, _ = run(engine, QUICK | asked)
    assert "knew only 0 of the 10" in result["verdict"]["text"]


def test_a_model_without_a_tokenizer_is_refused_in_words(engine: Engine, tmp_path: Path) -> None:
    ref = f"path/{save(tiny('llama'), tmp_path / 'mute', tokenizer=False)}"
    state = engine.wait(engine.start("unlearning/audit", QUICK | {"model": ref}).id, timeout=120)
    assert state["outcome"] == "failed" and "no tokenizer" in state["error"]


@pytest.mark.parametrize("wrong", [{"subjects": 2}, {"steps": -1}, {"steps": 10**6}, {"learning_rate": 0}, {"audits": ["direct"]},
                                   {"audits": ["crosslingual"]}, {"model": "gpt9"}, {"people": 3}, {"world": "mars"}])
def test_values_out_of_bounds_are_refused_in_words(engine: Engine, wrong: dict) -> None:
    with pytest.raises(LabError) as caught:
        engine.start("unlearning/audit", wrong)
    assert next(iter(wrong)) in str(caught.value)


def test_fork_trains_while_the_loaded_one_is_frozen(authors: LoadedModel, store) -> None:
    assert all(p.requires_grad for p in store.fork("embedded/worlds").model.parameters())
    assert not any(p.requires_grad for p in authors.model.parameters())


def test_what_a_model_cannot_read_is_left_out_and_said(engine: Engine, tmp_path: Path) -> None:
    """The tiny model reads 128 tokens of about two characters."""
    with (tmp_path / "long.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["question", "answer"], ["Where was Ida born?", "Porto"], [f"Where {'x y ' * 120}?", "Porto"],
                                    ["Who was it?", "z q " * 120]])
    ref = f"path/{save(tiny('gpt2'), tmp_path / 'gpt2')}"
    asked = {"model": ref, "questions": f"path/{tmp_path / 'long.csv'}", "reference": None, "actpert": False, "audits": ["prefix"]}
    result, events = run(engine, asked)
    assert result["verdict"]["evidence"]["n"] == 1 and "2 questions, with their answers" in named(events, "text", "notes")[-1]["text"]


def test_equal_models_get_no_interval_that_sounds_sure(engine: Engine, own: str) -> None:
    result, _ = run(engine, {"questions": own, "model": "embedded/worlds-retain", "audits": [], "actpert": False})
    assert "both do the same" in result["verdict"]["text"] and "interval 0 to 0" not in result["verdict"]["text"]


def test_a_model_that_unlearned_through_adapters_is_kept_whole(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.unlearning.unlearn.WHOLE", 1000)
    result, events = run(engine, {"subjects": 1, "steps": 3, "learning_rate": 1e-2, "audits": [], "actpert": False, "retain_questions": 10})
    [kept] = [event["ref"] for event in events if event["kind"] == "keep"]
    before, after = (engine.models.load(ref).model.state_dict() for ref in ("embedded/worlds", kept))
    assert before.keys() == after.keys() and result["metrics"]["steps taken"] == 3
    assert any((before[name] - after[name]).abs().max() > 1e-3 for name in before)
