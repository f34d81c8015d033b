"""The experiments of paper 04: agents change how a picture feels, two judges look, and chance is the rival.

emotion/edit       perceive, retrieve, plan, edit, judge; every node's words stream into the run
emotion/repeat     the recipe of a run, repeated at full size
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
from langgraph.errors import GraphRecursionError

from core.emotion import figures, pictures, results
from core.emotion.control import random_steps
from core.emotion.critic import GATES, Critic
from core.emotion.graph import Agents
from core.emotion.mikels import EMOTIONS
from core.emotion.planner import Plan, Search
from core.emotion.second_judge import SecondJudge
from core.emotion.spec import EditConfig, RepeatConfig
from core.emotion.store import ImageStore
from core.emotion.tools import Step, apply_all, steps_of
from core.engine.errors import LabError, Stopped
from core.engine.events import Event, Figure, Metric, Picture, Progress, Table
from core.engine.lab import Lab
from core.engine.settings import ASSETS

OTHER = {"stricter": 2.0, "milder": 0.5}  # times the strictness, in the branch that asks what if
HARMFUL = {True: Step("grime", strength=1.0), False: Step("confetti", strength=1.0)}  # for pleasant targets, and for the others
LONGEST_RECIPE = 100_000
EXAMPLE = ASSETS / "samples" / "recipe.json"


def edit(config: EditConfig, lab: Lab) -> Iterator[Event]:
    """One picture, one target: plans, edits one by one, verdicts, results, and edits by chance that change as much."""
    yield Progress(0, 1, "looking at the picture")
    source = pictures.load(lab, config)
    mask = pictures.part_of(lab, config, source.pixels)
    critic = Critic(source.pixels, config.target, GATES[config.gate], mask=mask)
    watch = Watch(config, critic, ImageStore(), SecondJudge.of(lab, config.judge))
    if mask is not None:
        yield Picture("mask", pictures.masked(source.pixels, mask), "Red: edits are not allowed there")
    agents = agents_of(config, lab, critic, watch.store)
    yield from watch.opening()
    yield from watch.follow(_safely(agents, agents.run(config.strictness)), agents)
    state = agents.state()
    if config.what_if != "no":
        yield from watch.other(agents, config)
    yield from results.told(config, lab, watch, agents, _results(state))


def agents_of(config: EditConfig, lab: Lab, critic: Critic, store: ImageStore) -> Agents:
    """The agents as a config wants them; chance comes from the run's own generators."""

    def go_on() -> None:
        if lab.cancelled:
            raise Stopped

    seed = int(np.random.default_rng(lab.seed).integers(10_000)) if lab.seed else 0
    search = Search(critic, config.intensity, config.tree, seed, go_on=go_on)
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

        agents.think = thinker(config.chat)
    return agents


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


def generator(lab: Lab, name: str) -> np.random.Generator:
    """A numpy generator of the run's own for one purpose."""
    import torch

    return np.random.default_rng(torch.randint(2**62, (1,), generator=lab.rng(name)).item())


def _safely(agents: Agents, updates: Iterator[tuple[str, dict[str, Any]]]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Ends with what is best so far should the agents ever go round in a circle."""
    try:
        yield from updates
    except GraphRecursionError:
        yield "finalize", {"log": [{"who": "Critic", "text": "That is enough: the agents go round in circles.", "node": "finalize"}]}


def _results(state: dict[str, Any]) -> list[dict[str, Any]]:
    found = list(state.get("results", []))
    if not found and state.get("best"):
        found = [{**state["best"], "branch": 0, "reached": False}]
    return found


@dataclasses.dataclass
class Watch:
    """Turns what the agents say into events, and asks the second judge beside each verdict."""

    config: EditConfig
    critic: Critic
    store: ImageStore
    second: SecondJudge
    talk: list[list[Any]] = dataclasses.field(default_factory=list)
    factors: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    status: dict[str, str] = dataclasses.field(default_factory=dict)
    step: int = 0

    def __post_init__(self) -> None:
        self.before = self.second.read(self.critic.source)

    def opening(self) -> Iterator[Event]:
        """The picture as it is, before anybody plans."""
        first, picture = self.critic.first, pictures.shown(self.critic.source)
        yield Picture("before", picture, f"The picture as it was: like {first.felt}")
        yield Picture("now", picture, "Nothing has been changed yet")
        yield from self._scores(first.share, self.before, 1.0, first)

    def follow(self, updates: Iterator[tuple[str, dict[str, Any]]], agents: Agents) -> Iterator[Event]:
        """Everything that the nodes say, as they say it."""
        for name, update in updates:
            for line in update.get("log", ()):
                self.talk.append([line["who"], line["text"]])
                yield Progress(min(self.step, agents.limit - 1), agents.limit, f"{line['who']}: {line['text']}"[:160])
                yield from getattr(self, f"_{name}", self._nothing)(line, agents)
                yield Table("talk", ["Agent", "Says"], list(self.talk))

    def _nothing(self, line: dict[str, Any], agents: Agents) -> Iterator[Event]:
        yield from ()

    def _retrieve(self, line: dict[str, Any], agents: Agents) -> Iterator[Event]:
        self.factors = line["factors"]
        yield self._tree(agents)

    def _plan(self, line: dict[str, Any], agents: Agents) -> Iterator[Event]:
        for step in line.get("plan", ()):
            self.status.setdefault(Step(**step).words, "planned")
        yield self._tree(agents)

    _refine = _plan

    def _edit(self, line: dict[str, Any], agents: Agents) -> Iterator[Event]:
        picture = self.store.get(line["picture"])
        yield Picture("now", pictures.shown(picture), f"Now: {Step(**line['step']).words}")

    def _judge(self, line: dict[str, Any], agents: Agents) -> Iterator[Event]:
        self.step += 1
        step, kept, score = Step(**line["step"]), line["kept"], line["score"]
        picture = self.store.get(line["picture"])
        self.status[step.words] = "kept" if kept else "undone"
        verdict = f"{score['share']:.0%} {self.config.target}, {'kept' if kept else 'undone'}"
        yield Picture(f"step {self.step}", pictures.shown(picture, 260), f"{self.step}. {step.words}: {verdict}")
        if not kept:
            yield Picture("now", pictures.shown(self.store.get(line["current"])), f"Back: {step.words} is undone")
        second = self.second.read(picture)
        yield from self._scores(score["share"], second, score["likeness"], line["score"])
        yield self._tree(agents)

    def _scores(self, share: float, second: np.ndarray, likeness: float, score: Any) -> Iterator[Event]:
        q = score.q if hasattr(score, "q") else score["q"]
        z = score.z if hasattr(score, "z") else score["z"]
        at = self.critic.index
        for name, value in (("first judge", share), ("second judge", float(second[at])), ("likeness", likeness)):
            yield Metric(name, value, self.step, "share")
        yield Figure("judges", figures.judges((self.critic.first.share, float(self.before[at])), (share, float(second[at])), None))
        yield Figure("wheel", figures.wheel(self.critic.first.q, q, self.config.target))
        yield Figure("cues", figures.cues(z, self.config.target, self.critic.first.z))

    def _tree(self, agents: Agents) -> Event:
        tried: dict[str, float] = {}
        for node in agents.search.tree:
            if node.depth == 1:
                words = node.ops[0].words
                tried[words] = max(tried.get(words, -1.0), round(node.score.j, 3))
        return Figure("tree", figures.tree(self.config.target, self.factors, tried, self.status))

    def other(self, agents: Agents, config: EditConfig) -> Iterator[Event]:
        """What if the critic had been another one, from one verdict on?"""
        talk, picture, at = [], None, min(config.what_if_at, max(1, self.step))
        for _, update in _safely(agents, agents.branch(at, config.strictness * OTHER[config.what_if])):
            for line in update.get("log", ()):
                talk.append([line["who"], line["text"]])
                yield Progress(self.step, agents.limit, f"With a {config.what_if} critic - {line['who']}: {line['text']}"[:160])
        for result in _results(agents.state())[:1]:
            picture = self.store.get(result["picture"])
        if picture is not None:
            yield Picture("other", pictures.shown(picture), f"From verdict {at} on with a {config.what_if} critic")
        yield Table("other talk", ["Agent", "Says"], talk)


def repeat(config: RepeatConfig, lab: Lab) -> Iterator[Event]:
    """The steps of a recipe on the picture at full size; raises LabError for a recipe that is none."""
    yield Progress(0, 2, "reading")
    steps = recipe_of((lab.data(config.recipe) if config.recipe else EXAMPLE).read_bytes())
    source = pictures.load(lab, config, pictures.FULL)
    picture = source.pixels
    for done, step in enumerate(steps):
        if lab.cancelled:
            return
        yield Progress(1 + done, 1 + len(steps), step.words)
        picture = apply_all(picture, [step])
    plain = [step.plain() for step in steps]
    yield Picture("full", pictures.with_settings(picture, {"steps": plain}), ", ".join(step.words for step in steps) or "unchanged")
    yield Metric("megapixels", picture.shape[0] * picture.shape[1] / 1e6)
    words = f"{len(steps)} steps repeated on {picture.shape[1]} x {picture.shape[0]} pixels."
    yield results.short_verdict(words)


def recipe_of(data: bytes) -> list[Step]:
    """The steps of a recipe file. Raises LabError for anything else."""
    try:
        if len(data) > LONGEST_RECIPE:
            raise ValueError("too long")
        found = json.loads(data.decode("utf-8-sig"))
        given = found["steps"]
        if not isinstance(given, list) or len(given) > 100:
            raise ValueError("no list")
    except (ValueError, KeyError, TypeError, RecursionError):
        raise LabError("That file is no recipe.", "Save the text under 'Recipe' of a finished run as it is.") from None
    return steps_of(given)
