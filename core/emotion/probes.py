"""What one can ask about a picture at once.

emotion/read       what two judges feel, and the light and colour that the first one goes by
emotion/tool       one tool at one strength, and what it moves
emotion/brought    what is in a picture, before anything is done to it
"""

from __future__ import annotations

from dataclasses import dataclass

from core.emotion import figures, pictures
from core.emotion.colour import ssim
from core.emotion.cues import WORDS, cues, dominance, pleasure_arousal
from core.emotion.judge import judge_cues
from core.emotion.mikels import EMOTIONS
from core.emotion.second_judge import SecondJudge
from core.emotion.spec import PictureConfig, ReadConfig, ToolConfig
from core.emotion.tools import TOOLS, Step, apply
from core.engine.answers import Answer, Measure, data_uri
from core.engine.errors import LabError
from core.engine.lab import Lab

LARGEST_MOVES = 3


@dataclass(frozen=True)
class Reading(Answer):
    """first, second: eight shares each, by name."""

    first: dict[str, float]
    second: dict[str, float]


@dataclass(frozen=True)
class Tried(Answer):
    """moved: change of each cue, in standard deviations.  likeness: SSIM with the picture before."""

    moved: dict[str, float]
    likeness: float


@dataclass(frozen=True)
class Brought(Answer):
    width: int
    height: int


def read(config: ReadConfig, lab: Lab) -> Reading:
    """What the two judges feel before anything is edited."""
    picture = pictures.load(lab, config).pixels
    z = cues(picture)
    first, second = judge_cues(z), SecondJudge.of(lab, config.judge).read(picture)
    pleasure, arousal = pleasure_arousal(z)
    names = EMOTIONS[int(first.argmax())], EMOTIONS[int(second.argmax())]
    says = f"Both say {names[0]}." if names[0] == names[1] else f"By its light and colour: {names[0]}. The second judge says {names[1]}."
    return Reading(
        first=dict(zip(EMOTIONS, map(float, first), strict=True)),
        second=dict(zip(EMOTIONS, map(float, second), strict=True)),
        says=says,
        numbers={"pleasure": Measure(pleasure), "arousal": Measure(arousal), "dominance": Measure(dominance(z))},
        figures={"wheel": figures.wheel(first, second, config.target, figures.JUDGES), "cues": figures.cues(z, config.target, z)},
        images={"seen": data_uri(pictures.shown(picture))},
    )


def tool(config: ToolConfig, lab: Lab) -> Tried:
    """One step on the picture. A strength below 0 of a tool without an opposite counts as 0."""
    picture = pictures.load(lab, config).pixels
    chosen = TOOLS[config.tool]
    strength = config.strength if config.strength > 0 or chosen.less else 0.0
    mask = pictures.part_of(lab, config, picture)
    if config.tool == "remove" and mask is None:
        raise LabError("Nothing is marked that could be removed.", "Choose 'sky', 'subject' or 'painted' under More.")
    step = Step(config.tool, strength=strength, angle=config.angle, x=config.x, y=config.y, seed=config.seed)
    after = apply(picture, step, mask)
    before, now = cues(picture), cues(after)
    moved = {name: now[name] - before[name] for name in before}
    most = sorted(moved, key=lambda name: -abs(moved[name]))[:LARGEST_MOVES]
    told = ", ".join(f"{WORDS[name]} {moved[name]:+.1f}" for name in most if abs(moved[name]) >= 0.05)
    says = f"{step.what.capitalize()}: {told} (standard deviations)." if told else "Nothing changes."
    first, second = judge_cues(before), judge_cues(now)
    return Tried(
        moved=moved,
        likeness=ssim(picture, after),
        says=says,
        numbers={"likeness": Measure(ssim(picture, after)), "feels": Measure(float(second.max()), "share", EMOTIONS[second.argmax()])},
        figures={"wheel": figures.wheel(first, second, EMOTIONS[int(second.argmax())], ("as it was", "after the tool"))},
        images={"before": data_uri(pictures.shown(picture)), "after": data_uri(pictures.shown(after))},
    )


def brought(config: PictureConfig, lab: Lab) -> Brought:
    """What a file holds, or a photograph of the lab; raises LabError for one that cannot be used."""
    found = pictures.load(lab, config)
    width, height = found.was
    smaller = "" if max(found.was) <= pictures.WORK else f" The agents work on a copy of {found.pixels.shape[1]} x {found.pixels.shape[0]}."
    return Brought(
        width=width,
        height=height,
        says=f"A picture of {width} x {height} pixels.{smaller}",
        images={"seen": data_uri(pictures.shown(found.pixels, 300))},
    )
