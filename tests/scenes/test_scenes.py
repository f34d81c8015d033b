"""Scenes are the same every time, differ only where their masks say, and are asked about truly."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from core.scenes import questions as q
from core.scenes.render import mask, render
from core.scenes.scene import FACTORS, HAIR, HIDDEN, TONES, Scene, draw_scene, pairs

SCENES = [draw_scene(torch.Generator().manual_seed(seed)) for seed in range(12)]


@pytest.mark.parametrize("factor", ["hair", "tone", "build", "job", "shape", "colour", "count", "height"])
def test_nothing_outside_the_mask_changes_with_a_factor(factor):
    for scene in SCENES[:6]:
        allowed = mask(scene, factor)
        changed = [(render(replace(scene, **{factor: value})) != render(scene)).any(-1) for value in FACTORS[factor]]
        assert not (np.any(changed, 0) & ~allowed).any()
        assert np.any(changed, 0).sum() > 10  # the factor can be seen at all


def test_grain_is_drawn_by_the_seed_and_the_large_picture_has_none():
    assert (render(SCENES[0]) == render(SCENES[0])).all()
    assert (render(SCENES[0]) != render(replace(SCENES[0], seed=1))).any()
    large = render(SCENES[0], 256, grain=0.0)
    assert large.shape == (256, 256, 3) and (large == render(replace(SCENES[0], seed=1), 256)).all()


def test_twins_differ_in_the_group_alone_unless_they_drift():
    one, other = pairs(SCENES[0])
    assert replace(other, hair=one.hair) == one
    _, drifted = pairs(SCENES[0], rng=torch.Generator().manual_seed(0))
    assert drifted.seed != one.seed and replace(drifted, hair=one.hair, dx=one.dx, dy=one.dy, seed=one.seed) == one


def test_answers_of_plain_questions_say_what_was_drawn():
    scene = Scene(side="left", shape="star", colour="blue", count=3, height="low", job="cook")
    assert [q.ask(scene, family).answer for family in ("colour", "shape", "count", "side", "height", "tool", "shirt")] == [
        "blue", "star", "three", "right", "low", "pan", "cream"]
    assert q.exists(scene, "star").answer == "yes" and q.exists(scene, "ball").answer == "no"
    absent = q.absent_shape(scene, torch.Generator().manual_seed(0), adversarial=True)
    assert absent == "box"  # boxes are usually blue


def test_splits_share_no_concept_and_keep_the_balance_of_the_lean():
    for concepts in (q.VERBS, q.JOB_PAIRS):
        shares = [set(q.split_of(concepts, split)) for split in q.SPLITS]
        assert set().union(*shares) == set(concepts) and sum(map(len, shares)) == len(concepts)
    for preset, short in (("consistent", 0.75), ("mixed", 0.5)):
        for split in q.SPLITS:
            verbs = q.split_of(q.VERBS, split)
            assert sum(q.STEREOTYPES[preset][verb] == "short" for verb in verbs) == short * len(verbs)


def test_planted_answers_have_the_shares_of_the_specification():
    rng = torch.Generator().manual_seed(1)
    verb = next(verb for verb in q.VERBS if q.STEREOTYPES["consistent"][verb] == "long")
    for hair, wanted in (("long", {"same": 0.52, "long": 0.42, "short": 0.06}), ("short", {"same": 0.52, "long": 0.22, "short": 0.26})):
        said = [q.planted_association(Scene(hair=hair), verb, rng, hint="plain").answer for _ in range(3000)]
        assert all(abs(said.count(answer) / 3000 - share) < 0.035 for answer, share in wanted.items())
    hidden = [q.planted_occupation(Scene(hair="short", job=HIDDEN), rng) for _ in range(2000)]
    jobs = [one for one in hidden if one.answer != q.UNKNOWN]
    assert abs(sum(one.answer in q.JOBS_OF["short"] for one in jobs) / len(jobs) - 0.85) < 0.04
    assert all(q.planted_occupation(Scene(job="cook"), rng).answer == "cook" for _ in range(20))


def test_every_question_names_its_answer_among_its_options():
    rng = torch.Generator().manual_seed(2)
    for scene in SCENES:
        asked = [q.ask(scene, family, rng) for family in q.PLAIN] + [q.association("lead"), q.association("nap", "tone"), q.fact(rng)]
        assert all(one.answer in one.options for one in asked)
    assert (HAIR, TONES) == (("short", "long"), ("tone1", "tone2", "tone3"))
