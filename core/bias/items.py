"""What is asked, as data that pictures and words share: items with options, the splits that keep them apart, and the scenes' own items.

    sets = scene_items("test", pairs=150, rng=lab.rng("test"))      # T1, T2 and plain questions of that split
    rows = [row for item in sets for row in item.rows()]            # one prompt per cyclic order of the options

Splits share neither scenario nor concept: `assert_apart` checks it wherever something chosen on one is scored on another.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch

from core.scenes import questions as q
from core.scenes.scene import HAIR, HIDDEN, TOOLS, Scene, draw_scene, drifted, pick

Split = Literal["calibration", "dev", "test"]
Family = Literal["association", "occupation", "drift", "control"]
SCENARIOS = 100  # shared out 40, 20, 40, as the concepts are


@dataclass(frozen=True)
class Item:
    """One question about one picture (or none), with everything that scoring it needs.

    options: as the answer's words; the groups first, the fair one last where there is one.  gold: index of the right answer, -1: none.
    fair: index of the fair answer or -1.  shown: index of the group in the picture or -1.  lean: index of the stereotyped group or -1.
    pair: equal for counterfactual twins.  scenario, concept: what the splits keep apart.  picture: what is shown, if anything is.
    """

    family: str
    text: str
    options: tuple[str, ...]
    gold: int
    fair: int
    scenario: str
    concept: str
    shown: int = -1
    lean: int = -1
    pair: int = -1
    wording: int = 0
    picture: Scene | str | None = None
    choose: bool = True  # whether the options stand in the prompt, where their order matters

    def orders(self, every: bool = True) -> list[tuple[int, ...]]:
        """All cyclic orders of the options as they stand in the prompt (methods/02 section 3), or the first alone."""
        count = len(self.options)
        if not (self.choose and every):
            return [tuple(range(count))]
        return [tuple((i + shift) % count for i in range(count)) for shift in range(count)]


def scenarios(split: Split) -> list[Scene]:
    """The scenes of this split, without group: 40, 20 and 40. The same in every run, so that no two splits can ever meet."""
    rng = torch.Generator().manual_seed(2_000_003)
    every = tuple(draw_scene(rng, prior=0.0, hidden=0.3) for _ in range(SCENARIOS))
    return list(q.split_of(every, split))


def association_items(
    split: Split,
    pairs: int,
    rng: torch.Generator,
    *,
    axis: str = "hair",
    preset: q.Preset = "consistent",
    wordings: Sequence[int] = (0,),
    hint: str = "plain",
    drift: bool = False,
    twins: str = "group",
) -> list[Item]:
    """T1: `pairs` pairs of pictures that differ in the group alone (`twins="group"`) or in drift alone (`twins="drift"`)."""
    groups, scenes, verbs = q.AXES[axis], scenarios(split), q.split_of(q.CONCEPTS[axis], split)
    start, items = int(torch.randint(len(scenes) * len(verbs), (1,), generator=rng)), []
    for number in range(pairs):
        i = (number + start) % len(scenes)
        verb, scene, extremes = verbs[((number + start) // len(scenes) + i) % len(verbs)], scenes[i], (0, len(groups) - 1)
        drawn = [replace(scene, **{axis: groups[g]}) for g in extremes]
        if twins == "drift":
            drawn = [drawn[number % 2], drifted(drawn[number % 2], rng)]
        elif drift:
            drawn[1] = drifted(drawn[1], rng)
        for wording in wordings:
            question = q.association(verb, axis, wording, hint)
            for picture in drawn:
                items.append(
                    Item(
                        "association" if twins == "group" else "drift",
                        question.text,
                        question.options,
                        len(groups),
                        len(groups),
                        f"{split}-{i}",
                        verb,
                        groups.index(getattr(picture, axis)),
                        groups.index(q.STEREOTYPES[preset][verb]),
                        pair=number,
                        wording=wording,
                        picture=picture,
                    )
                )
    return items


def occupation_items(split: Split, pairs: int, *, wordings: Sequence[int] = (0,), hint: str = "plain") -> list[Item]:
    """T2: pairs of pictures with the trade hidden; the two jobs are the groups, so every metric applies unchanged."""
    scenes, jobs = scenarios(split), q.split_of(q.JOB_PAIRS, split)
    items = []
    for number in range(pairs):
        i = number % len(scenes)
        pair = jobs[(number // len(scenes) + i) % len(jobs)]
        for wording in wordings:
            question = q.occupation(pair, wording, hint=hint)
            for g, hair in enumerate(HAIR):
                items.append(
                    Item(
                        "occupation",
                        question.text,
                        question.options,
                        2,
                        2,
                        f"{split}-{i}",
                        "/".join(pair),
                        g,
                        g,
                        pair=number,
                        wording=wording,
                        picture=replace(scenes[i], hair=hair, job=HIDDEN),
                    )
                )
    return items


def control_items(split: Split, each: int, rng: torch.Generator) -> list[Item]:
    """Plain questions with a true answer, `each` of every kind, and as many visible trades, where abstaining is wrong."""
    scenes = scenarios(split)
    items = []
    for number in range(each):
        scene = drifted(scenes[number % len(scenes)], rng)
        scene = replace(scene, hair=pick(HAIR, rng), job=pick(tuple(TOOLS), rng))
        for family in q.CONTROLS:
            question = q.ask(scene, family)
            items.append(
                Item(
                    f"control {family}",
                    question.text,
                    question.options,
                    question.options.index(question.answer),
                    -1,
                    f"{split}-{number % len(scenes)}",
                    family,
                    picture=scene,
                    choose=False,
                )
            )
        own = 0 if scene.job in q.JOBS_OF["short"] else 1
        other = pick(q.JOBS_OF["long" if own == 0 else "short"], rng)
        pair = (scene.job, other) if own == 0 else (other, scene.job)
        question = q.occupation(pair)
        items.append(Item("control job", question.text, question.options, own, 2, f"{split}-{number % len(scenes)}", "job", picture=scene))
    return items


def split_hash(items: Sequence[Item]) -> str:
    """16 hex digits over the scenarios, concepts and questions of a split: which items directions were measured on."""
    said = sorted({(item.scenario, item.concept, item.text) for item in items})
    return hashlib.sha256(repr(said).encode()).hexdigest()[:16]


def assert_apart(*sets: Sequence[Item]) -> None:
    """No scenario and no concept of a bias question occurs in two of these sets; plain questions share kinds, never pictures."""
    for i, one in enumerate(sets):
        for other in sets[i + 1 :]:
            assert not {item.scenario for item in one} & {item.scenario for item in other}, "a scenario stands in two splits"
            concepts = [{item.concept for item in items if not item.family.startswith("control")} for items in (one, other)]
            assert not concepts[0] & concepts[1], "a concept stands in two splits"
