"""What a finished edit comes to: the result, its rival by chance, both judges, the badge, the recipe, and the verdict in words."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from core.emotion import figures, pictures
from core.emotion.colour import psnr, ssim
from core.emotion.control import generator, random_edit
from core.emotion.judge import judge
from core.emotion.knowledge import whitelist
from core.emotion.mikels import EMOTIONS
from core.emotion.second_judge import SecondJudge
from core.emotion.tools import TOOLS, Step
from core.engine.events import Event, Figure, File, Metric, Picture, Progress, Table, Text, Verdict

if TYPE_CHECKING:
    from core.emotion.graph import Agents
    from core.emotion.spec import EditConfig
    from core.emotion.watch import Watch
    from core.engine.lab import Lab

BADGE = "two automatic judges agree"


def told(config: EditConfig, lab: Lab, watch: Watch, agents: Agents, results: Sequence[dict[str, Any]]) -> Iterator[Event]:
    """Everything after the agents have finished. results: {picture, j, steps, score, reached} of each branch."""
    critic, at = watch.critic, watch.critic.index
    found = sorted(results, key=lambda one: (not one["reached"], -one["j"]))
    made = [watch.store.get(one["picture"]) for one in found]
    best, picture = found[0], made[0]
    steps = [Step(**one) for one in best["steps"]]
    second = watch.second.read_all(made)
    yield Progress(agents.limit - 1, agents.limit, "edits by chance, for comparison")
    chance = yield from _by_chance(config, lab, watch, best, max(1, len(steps)))
    after = (best["score"]["share"], float(second[0][at]))
    before = (critic.first.share, float(watch.before[at]))
    yield Picture("now", pictures.shown(picture), "The result")
    if len(made) > 1:
        yield Picture("gallery", pictures.side_by_side(made), "; ".join(_called(i, one) for i, one in enumerate(found)))
    yield Figure("judges", figures.judges(before, after, chance))
    yield Figure("wheel", figures.wheel(critic.first.q, best["score"]["q"], config.target))
    yield Figure("cues", figures.cues(best["score"]["z"], config.target, critic.first.z))
    yield from _metrics(watch, agents, found, made, second, chance, before, after)
    yield from _to_take(config, watch, steps, picture, best, after)
    yield verdict(config, watch.second, found, second, chance, before, after)


def _called(number: int, result: dict[str, Any]) -> str:
    """A result under its number, by what was done."""
    done = ", ".join(Step(**step).what for step in result["steps"]) or "unchanged"
    return f"{number + 1}. {done}: {result['score']['share']:.0%}"


def _by_chance(config: EditConfig, lab: Lab, watch: Watch, best: dict[str, Any], count: int):
    """(shares by the first judge, by the second) of random edits whose likeness is that of the result."""
    critic, rng, made = watch.critic, generator(lab, "chance"), []
    for done in range(config.chances):
        made.append(random_edit(critic.small, best["score"]["likeness"], count, rng))
        yield Progress(done, config.chances, "edits by chance, for comparison")
    steps, picture, likeness = made[0]
    words = ", ".join(step.what for step in steps)
    yield Picture("chance", pictures.shown(picture), f"By chance: {words} ({likeness:.0%} like the original)")
    first = [float(judge(one)[critic.index]) for _, one, _ in made]
    return first, [float(q[critic.index]) for q in watch.second.read_all([one for _, one, _ in made])]


def _metrics(watch: Watch, agents: Agents, found, made, second, chance, before, after) -> Iterator[Event]:
    critic, at = watch.critic, watch.critic.index
    single = {
        "gain": after[0] - before[0],
        "second gain": after[1] - before[1],
        "chance gain": float(np.mean(chance[0])) - before[0],
        "chance second gain": float(np.mean(chance[1])) - before[1],
        "ssim": ssim(critic.source, made[0]),
        "psnr": psnr(critic.source, made[0]),
        "reached": _share(one["score"]["felt"] == critic.target for one in found),
        "second right": _share(q.argmax() == at for q in second),
        "agree": _share(one["score"]["felt"] == critic.target and q.argmax() == at for one, q in zip(found, second, strict=True)),
        "score": found[0]["j"],
        "evaluations": critic.evaluations,
        "outside": _outside(watch, found),
        "results": len(found),
        "gate kept": _share(one["score"]["passes"] for one in found),
        "beats chance first": _share(after[0] > value for value in chance[0]),
        "beats chance second": _share(after[1] > value for value in chance[1]),
    }
    if not any(TOOLS[step["tool"]].needs for step in found[0]["steps"]):  # a diffusion model is not asked again for a small copy
        single["proxy gap"] = abs(found[0]["score"]["share"] - _expected(agents, found[0]))
    if watch.second.facts:
        single["second accuracy"] = watch.second.facts["accuracy"]
    if len(made) > 1:
        pairs = list(itertools.combinations(range(len(made)), 2))
        single["diversity"] = float(np.mean([1 - ssim(pictures.small(made[a]), pictures.small(made[b])) for a, b in pairs]))
        tools = [{step["tool"] for step in one["steps"]} for one in found]
        single["distinct"] = min(len(tools[a] & tools[b]) / max(1, len(tools[a] | tools[b])) for a, b in pairs)
    for name, value in single.items():
        yield Metric(name, float(value))


def _expected(agents: Agents, result: dict[str, Any]) -> float:
    """The wanted share when the same steps are done on the small picture that the planner sees."""
    from core.emotion.tools import apply_all

    critic = agents.critic
    mask = None if critic.mask is None else pictures.stretched(critic.mask.astype(np.float32), critic.small.shape[:2])
    done = apply_all(critic.small, [Step(**one) for one in result["steps"]], mask)
    return float(judge(done)[critic.index])


def _outside(watch: Watch, found: Sequence[dict[str, Any]]) -> int:
    allowed = set(whitelist(watch.critic.target))
    own = [step for one in found for step in one["steps"] if not TOOLS[step["tool"]].needs]
    return sum((step["tool"], 1 if step["strength"] >= 0 else -1) not in allowed for step in own)


def _share(flags) -> float:
    values = [bool(flag) for flag in flags]
    return sum(values) / len(values) if values else 0.0


def _to_take(
    config: EditConfig, watch: Watch, steps: Sequence[Step], picture: np.ndarray, best: dict[str, Any], after: tuple[float, float]
) -> Iterator[Event]:
    plain = [step.plain() for step in steps]
    settings = {"target": config.target, "part": config.part, "region": config.region if config.part == "painted" else "", "steps": plain}
    yield Table("plan", ["Step", "Strength", "Further numbers"], [[step.what, step.strength, _further(step)] for step in steps])
    yield Picture("result", pictures.with_settings(picture, settings), ", ".join(step.what for step in steps) or "unchanged")
    yield Text("recipe", json.dumps(settings, indent=1))
    yield File("recipe.json", json.dumps(settings, indent=1).encode())


def _further(step: Step) -> str:
    said = {name: value for name, value in step.plain().items() if name in TOOLS[step.tool].uses}
    return ", ".join(f"{'chance' if name == 'seed' else name} {f'{value:g}' if isinstance(value, float) else value}"
                     for name, value in said.items())


def short_verdict(words: str) -> Verdict:
    """A verdict that only reports."""
    return Verdict(words, headline=words)


def verdict(config: EditConfig, judge_: SecondJudge, found, second, chance, before, after) -> Verdict:
    """Headline, how sure, all numbers. The badge goes by the lower of the two judges."""
    at, target = EMOTIONS.index(config.target), config.target
    best, q = found[0], second[0]
    first_says, second_says = best["score"]["felt"] == target, int(q.argmax()) == at
    off = judge_.why_not
    badge = bool(first_says and second_says and best["reached"] and not off)
    if not best["steps"]:
        headline = "The picture stays as it is." if config.intensity else "Strength 0: the picture comes back untouched."
    elif badge:
        headline = f"Two automatic judges agree: it looks like {target} now. Chance did it in {_often(after, chance)} edits."
    elif first_says:
        headline = f"The first judge says {target}; the second says {EMOTIONS[int(q.argmax())]}. One judge alone proves nothing."
    else:
        headline = f"Target not reached: it looks more like {best['score']['felt']} than {target}."
    gain = min(after[0] - before[0], after[1] - before[1])
    text = (
        f"{headline} Share of {target}, before and after: first judge {before[0]:.0%} and {after[0]:.0%}, second judge {before[1]:.0%} "
        f"and {after[1]:.0%}. The lower of the two gains is {gain:+.0%}; without an edit it is 0. "
        f"{len(chance[0])} edits by chance that change as much reach {np.mean(chance[0]):.0%} and {np.mean(chance[1]):.0%} on average. "
        f"{_how_good(judge_)} One picture is too few to say how often this works, and no person was asked how it looks."
    )
    evidence = {
        "badge": BADGE if badge else "off",
        "why the badge is off": "" if badge else off or "the two judges do not both say so",
        "share before": dict(zip(figures.JUDGES, before, strict=True)),
        "share after": dict(zip(figures.JUDGES, after, strict=True)),
        "edits by chance": {name: float(np.mean(values)) for name, values in zip(figures.JUDGES, chance, strict=True)},
        "of": len(chance[0]),
        "likeness": best["score"]["likeness"],
        "steps": len(best["steps"]),
        "second judge": judge_.facts,
    }
    return Verdict(text, evidence, headline)


def _often(after: tuple[float, float], chance: Sequence[Sequence[float]]) -> str:
    beaten = sum(one >= after[0] and other >= after[1] for one, other in zip(*chance, strict=True))
    return f"{beaten} of {len(chance[0])}"


def _how_good(judge_: SecondJudge) -> str:
    facts = judge_.facts
    if not facts:
        return judge_.why_not
    low, high = facts["interval"]
    return (
        f"The second judge is right on {facts['accuracy']:.0%} (95 %: {low:.0%} to {high:.0%}) of {facts['n']:,} drawn scenes that it "
        f"never saw; of unedited ones both judges say the same for {facts['agreement']:.0%}. {judge_.why_not}"
    ).strip()
