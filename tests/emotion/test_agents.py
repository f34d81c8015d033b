"""The agents: what is harmful is undone, no gate is broken, nothing goes round for ever, and checkpoints give back what went in."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from core.emotion.control import random_edit
from core.emotion.graph import Agents, node
from core.emotion.judge import PROTOTYPES, judge_cues
from core.emotion.knowledge import whitelist
from core.emotion.mikels import EMOTIONS, WHEEL, distance
from core.emotion.planner import Plan
from core.emotion.tools import Step, apply_all


def lines(agents: Agents, **given) -> list[dict]:
    return [line for _, update in agents.run(**given) for line in update.get("log", ())]


def test_a_planted_harmful_step_is_undone_and_the_picture_before_it_stands(agents):
    made = agents(harm=Step("confetti", strength=1.0))
    told = lines(made)
    at = next(i for i, line in enumerate(told) if line["node"] == "judge" and line["step"]["tool"] == "confetti")
    assert not told[at]["kept"]
    before = next((line["picture"] for line in reversed(told[:at]) if line.get("kept")), made.store.put(made.critic.source))
    assert told[at]["current"] == before
    result = made.state()["results"][0]
    assert "confetti" not in {step["tool"] for step in result["steps"]}
    again = apply_all(made.critic.source, [Step(**step) for step in result["steps"]])
    assert again.tobytes() == made.store.get(result["picture"]).tobytes()


def test_every_result_keeps_its_gate_and_its_tree_and_an_equal_run_says_the_same(agents):
    told, results = [], []
    for _ in range(2):
        made = agents("fear", gate=0.8)
        told.append(json.dumps(lines(made)))
        results.append(made.state()["results"])
    assert told[0] == told[1] and results[0] == results[1]
    allowed = whitelist("fear")
    for result in results[0]:
        assert result["score"]["likeness"] >= 0.8 and result["score"]["passes"]
        assert all((step["tool"], 1 if step["strength"] > 0 else -1) in allowed for step in result["steps"])


def test_a_critic_that_never_agrees_ends_within_the_rounds(agents):
    made = agents(rounds=2)
    told = lines(made, strictness=50.0)
    judged = [line for line in told if line["node"] == "judge"]
    assert told[-1]["node"] == "finalize" and not told[-1]["reached"] and 0 < len(told) < made.limit
    assert sum(line["action"] == "plan" for line in judged) <= 1
    assert len(list(made._graph.get_state_history({"configurable": {"thread_id": "main"}}))) < made.limit + 3


def test_without_a_plan_the_agents_still_speak_a_last_word(agents):
    made = agents(think=lambda agents, state: [])
    made.search.restricted, made.search.tabu = True, frozenset(tool for tool, _ in whitelist("sadness"))
    told = lines(made)
    assert [line["node"] for line in told] == ["perceive", "retrieve", "plan", "finalize"]
    assert "leave the picture as it is" in told[-1]["text"]


def test_going_back_to_a_verdict_with_a_stricter_critic_repeats_what_was_before_it(agents):
    made = agents()
    first = [line for line in lines(made) if line["node"] == "judge"]
    other = [line for _, update in made.branch(2, 2.0) for line in update.get("log", ())]
    assert other[0]["node"] == "judge" and other[0]["judged"] == 2 and other[0]["step"] == first[1]["step"]
    assert len([line for line in other if line["node"] == "judge"]) > len(first) - 1
    assert any(not line["kept"] for line in other if line["node"] == "judge")


def test_what_a_checkpoint_would_change_is_caught_at_the_edge_of_the_node():
    for wrong in ({"tabu": ("fog",)}, {"nonsense": 1}, {"best": {1: 2}}):
        with pytest.raises(TypeError, match="does not have|would change"):
            node(lambda self, state, wrong=wrong: wrong)(None, {})
    with pytest.raises(TypeError):
        node(lambda self, state: {"score": {"q": np.float32(1)}})(None, {})
    assert node(lambda self, state: {"tabu": ["fog"]})(None, {}) == {"tabu": ["fog"]}


def test_three_results_differ(agents):
    made = agents("excitement", picture=2, count=3)
    lines(made)
    tools = [{step["tool"] for step in result["steps"]} for result in made.state()["results"]]
    assert len(tools) >= 2 and len({frozenset(one) for one in tools}) == len(tools)


def test_a_branch_whose_planner_finds_nothing_more_keeps_what_it_has_and_the_next_one_is_tried(agents):
    made = agents("excitement", picture=2, count=2, rounds=2)
    steps = [Step(tool, strength=0.6) for tool in ("saturation", "contrast")]
    made.think = lambda agents, state: [Plan((step,), (step.tool,), made.critic.first, step.tool) for step in steps]
    made._local_plans = lambda state, again: []
    made.reached = lambda score, strictness: False
    told = lines(made)
    results = made.state()["results"]
    assert sum("no further edit" in line["text"] for line in told) == 2
    assert [result["steps"][0]["tool"] for result in results] == ["saturation", "contrast"]
    assert "Target not reached" in told[-1]["text"]


def test_a_random_edit_changes_the_picture_as_much(photographs):
    for seed in range(3):
        steps, picture, likeness = random_edit(photographs[0], 0.85, 2, np.random.default_rng(seed))
        assert likeness == pytest.approx(0.85, abs=0.03) and (picture != photographs[0]).any() and steps


def test_the_first_judge_finds_each_emotion_where_its_light_and_colour_are():
    zero = dict.fromkeys({cue for want in PROTOTYPES.values() for cue in want}, 0.0)
    for name in EMOTIONS:
        q = judge_cues(zero | PROTOTYPES[name])
        assert q.sum() == pytest.approx(1) and EMOTIONS[int(q.argmax())] == name


def test_the_wheel_counts_steps_and_polarity():
    assert distance("fear", "fear") == 0 and distance("fear", "sadness") == 1 and distance("awe", "sadness") == 2
    assert sorted(WHEEL) == sorted(EMOTIONS)


def test_a_gate_holds_outside_a_mask(agents, photographs):
    made = agents()
    mask = np.zeros(photographs[0].shape[:2])
    mask[:80] = 1
    made.critic = dataclasses.replace(made.critic, mask=mask)
    inside = apply_all(photographs[0], [Step("night", strength=0.9)], mask)
    assert made.critic.judge(inside).passes
    assert not made.critic.judge(apply_all(photographs[0], [Step("night", strength=0.9)])).passes
