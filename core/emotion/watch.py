"""What the agents say, turned into the events of a run, with the second judge's word beside each verdict."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np
from langgraph.errors import GraphRecursionError

from core.emotion import figures, pictures
from core.emotion.critic import Critic
from core.emotion.graph import Agents
from core.emotion.second_judge import SecondJudge
from core.emotion.spec import EditConfig
from core.emotion.store import ImageStore
from core.emotion.tools import Step
from core.engine.events import Event, Figure, Metric, Picture, Progress, Table

OTHER = {"stricter": 2.0, "milder": 0.5}  # times the strictness, in the branch that asks what if


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
    verdicts: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    step: int = 0

    def __post_init__(self) -> None:
        self.before = self.second.read(self.critic.source)

    def opening(self) -> Iterator[Event]:
        """What both judges feel before anybody plans."""
        yield from self._scores(self.critic.first.share, self.before, 1.0, self.critic.first)

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
            self.status.setdefault(Step(**step).what, "planned")
        yield self._tree(agents)

    _refine = _plan

    def _edit(self, line: dict[str, Any], agents: Agents) -> Iterator[Event]:
        picture = self.store.get(line["picture"])
        yield Picture("now", pictures.shown(picture), f"Now: {Step(**line['step']).what}")

    def _judge(self, line: dict[str, Any], agents: Agents) -> Iterator[Event]:
        self.step += 1
        self.verdicts.append(line)
        step, kept, score = Step(**line["step"]), line["kept"], line["score"]
        picture = self.store.get(line["picture"])
        self.status[step.what] = "kept" if kept else "undone"
        verdict = f"{score['share']:.0%} {self.config.target}, {'kept' if kept else 'undone'}"
        yield Picture(f"step {self.step}", pictures.shown(picture, 260), f"{self.step}. {step.what}: {verdict}")
        if not kept:
            yield Picture("now", pictures.shown(self.store.get(line["current"])), f"Back: {step.what} is undone")
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
                words = node.ops[0].what
                tried[words] = max(tried.get(words, -1.0), round(node.score.j, 3))
        return Figure("tree", figures.tree(self.config.target, self.factors, tried, self.status))

    def up_to(self, number: int, agents: Agents) -> dict[str, Any]:
        """The result as it was after verdict `number` (from 1): what came later is taken back."""
        seen = self.verdicts[:number]
        kept = [line for line in seen if line["kept"] and line["branch"] == seen[-1]["branch"]]
        score = kept[-1]["score"] if kept else self.critic.first.plain()
        picture = kept[-1]["picture"] if kept else self.store.put(self.critic.source)
        reached = agents.reached(score, self.config.strictness)
        return {"picture": picture, "j": score["j"], "steps": [line["step"] for line in kept], "score": score, "reached": reached}

    def other(self, agents: Agents, config: EditConfig) -> Iterator[Event]:
        """What if the critic had been another one, from one verdict on?"""
        talk, picture, at = [], None, min(config.what_if_at, max(1, self.step))
        for _, update in safely(agents, agents.branch(at, config.strictness * OTHER[config.what_if])):
            for line in update.get("log", ()):
                talk.append([line["who"], line["text"]])
                yield Progress(self.step, agents.limit, f"With a {config.what_if} critic - {line['who']}: {line['text']}"[:160])
        for result in results_of(agents.state())[:1]:
            picture = self.store.get(result["picture"])
        if picture is not None:
            yield Picture("other", pictures.shown(picture), f"From verdict {at} on with a {config.what_if} critic")
        yield Table("other talk", ["Agent", "Says"], talk)


def safely(agents: Agents, updates: Iterator[tuple[str, dict[str, Any]]]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Ends with what is best so far should the agents ever go round in a circle."""
    try:
        yield from updates
    except GraphRecursionError:
        yield "finalize", {"log": [{"who": "Critic", "text": "That is enough: the agents go round in circles.", "node": "finalize"}]}


def results_of(state: dict[str, Any]) -> list[dict[str, Any]]:
    found = list(state.get("results", []))
    if not found and state.get("best"):
        found = [{**state["best"], "branch": 0, "reached": False}]
    return found
