"""The experiments of paper 04: agents change how a picture feels, two judges look, and chance is the rival.

emotion/edit       perceive, retrieve, plan, edit, judge; every node's words stream into the run
emotion/repeat     the recipe of a run, repeated at full size
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from core.emotion import pictures, results
from core.emotion.control import generator, random_steps
from core.emotion.critic import GATES, Critic
from core.emotion.graph import Agents
from core.emotion.knowledge import knowledge
from core.emotion.mikels import EMOTIONS
from core.emotion.planner import Plan, Search
from core.emotion.second_judge import SecondJudge
from core.emotion.spec import EditConfig, PartConfig, RepeatConfig
from core.emotion.store import ImageStore
from core.emotion.tools import TOOLS, Step, apply_all, steps_of, with_pipeline
from core.emotion.watch import Watch, results_of, safely
from core.engine.errors import LabError
from core.engine.events import Event, Metric, Picture, Progress
from core.engine.lab import Lab
from core.engine.settings import ASSETS
from core.engine.stopping import go_on

HARMFUL = {True: Step("grime", strength=1.0), False: Step("confetti", strength=1.0)}  # for pleasant targets, and for the others
LONGEST_RECIPE = 100_000
EXAMPLE = ASSETS / "samples" / "recipe.json"


def edit(config: EditConfig, lab: Lab) -> Iterator[Event]:
    """One picture, one target: plans, edits one by one, verdicts, results, and edits by chance that change as much."""
    yield Progress(0, 1, "looking at the picture")
    source = pictures.load(lab, config)
    mask = pictures.part_of(lab, config, source.pixels)
    critic = Critic(source.pixels, config.target, GATES[config.gate], mask=mask)
    shown = pictures.shown(source.pixels)
    yield Picture("before", shown, f"The picture as it was: like {critic.first.felt}")
    yield Picture("now", shown, "Nothing has been changed yet")
    if mask is not None:
        yield Picture("mask", pictures.masked(source.pixels, mask), "Red: edits are not allowed there")
    watch = Watch(config, critic, ImageStore(), SecondJudge.of(lab, config.judge))
    agents = agents_of(config, lab, critic, watch.store)
    yield from watch.opening()
    with painting(config.pipeline, lab) as kind:
        agents.learned = learned_step(kind, config, mask is not None)
        yield from _edited(config, lab, watch, agents)


def _edited(config: EditConfig, lab: Lab, watch: Watch, agents: Agents) -> Iterator[Event]:
    yield from watch.follow(safely(agents, agents.run(config.strictness)), agents)
    state = agents.state()
    if config.what_if != "no":
        yield from watch.other(agents, config)
    found = [watch.up_to(config.undo_to, agents)] if config.undo_to and watch.verdicts else results_of(state)
    yield from results.told(config, lab, watch, agents, found)


def agents_of(config: EditConfig, lab: Lab, critic: Critic, store: ImageStore) -> Agents:
    """The agents as a config wants them; chance comes from the run's own generators."""
    seed = int(np.random.default_rng(lab.seed).integers(10_000)) if lab.seed else 0
    search = Search(critic, config.intensity, config.tree, seed)
    pleasant = EMOTIONS.index(config.target) < 4
    agents = Agents(
        critic,
        search,
        store,
        config.rounds,
        config.count,
        config.critic,
        config.retriever,
        config.wish,
        HARMFUL[pleasant] if config.harm and config.intensity else None,
    )
    if config.leaves == "random":
        agents.think = _by_chance(lab, config)
    elif config.chat:
        from core.emotion.chat import thinker

        agents.think = thinker(config.chat, lab)
    return agents


@contextmanager
def painting(ref: str | None, lab: Lab) -> Iterator[str]:
    """Inside the block the learned tools have the pipeline of a reference; gives its kind, "" without one."""
    if ref is None:
        yield ""
        return
    from core.engine import pipelines

    kind, pipe = pipelines.load(lab.kept(ref))
    with with_pipeline(kind, pipe):
        yield kind


def learned_step(kind: str, config: EditConfig, marked: bool) -> Step | None:
    """What a diffusion model is asked for: the visitor's wish, else what this emotion most often shows. None where there is nothing."""
    if not kind or not config.intensity:
        return None
    if kind == "fill_in" and not marked:
        raise LabError("This diffusion model fills in a marked part, and nothing is marked.", "Paint over the picture under Where.")
    shows = max((one for one in knowledge() if one.emotion == config.target and one.needs == "gpu"), key=lambda one: one.weight)
    words = config.wish or (f"add {shows.phrase}" if kind == "instruct" else shows.phrase)
    strength = {"instruct": 0.8, "fill_in": 1.0, "repaint": 0.4}[kind]
    return Step(kind, strength=round(strength * config.intensity, 4), words=words)


def _by_chance(lab: Lab, config: EditConfig):
    rng = generator(lab, "leaves")

    def think(agents: Agents, state: Any) -> list[Plan]:
        plans = []
        for _ in range(config.count):
            steps = tuple(step.scaled(config.intensity) for step in random_steps(3, rng))
            score = agents.critic.judge(apply_all(agents.critic.small, steps))
            plans.append(Plan(steps, tuple("chance" for _ in steps), score, "tools by chance"))
        return plans

    return think


def repeat(config: RepeatConfig, lab: Lab) -> Iterator[Event]:
    """The steps of a recipe on the picture at full size, where the recipe allows; raises LabError for a recipe that is none."""
    yield Progress(0, 2, "reading")
    steps, where = recipe_of((lab.data(config.recipe) if config.recipe else EXAMPLE).read_bytes())
    source = pictures.load(lab, config, pictures.FULL)
    picture, part = source.pixels, where.model_copy(update={"mask": config.mask})
    if where.part == "painted" and not where.region and not config.mask:
        raise LabError("This recipe was made with a mask from a file.", "Bring the same mask under More.")
    mask = pictures.part_of(lab, part, picture)
    if any(TOOLS[step.tool].needs for step in steps):
        raise LabError("A diffusion model painted one step of this recipe.", "Run the edit again with that model: it is not in the recipe.")
    for done, step in enumerate(steps):
        go_on()
        yield Progress(1 + done, 1 + len(steps), step.what)
        picture = apply_all(picture, [step], mask)
    settings = {"part": where.part, "region": where.region, "steps": [step.plain() for step in steps]}
    yield Picture("full", pictures.with_settings(picture, settings), ", ".join(step.what for step in steps) or "unchanged")
    yield Metric("megapixels", picture.shape[0] * picture.shape[1] / 1e6)
    words = f"{len(steps)} steps repeated on {picture.shape[1]} x {picture.shape[0]} pixels."
    yield results.short_verdict(words)


def recipe_of(data: bytes) -> tuple[list[Step], PartConfig]:
    """The steps of a recipe file, and where they work. Raises LabError for anything else."""
    try:
        if len(data) > LONGEST_RECIPE:
            raise ValueError("too long")
        found = json.loads(data.decode("utf-8-sig"))
        given = found["steps"]
        if not isinstance(given, list) or len(given) > 100:
            raise ValueError("no list")
        where = PartConfig(part=found.get("part", "whole"), region=found.get("region", ""))
    except (ValueError, KeyError, TypeError, RecursionError):
        raise LabError("That file is no recipe.", "Save the text under 'Recipe' of a finished run as it is.") from None
    return steps_of(given), where
