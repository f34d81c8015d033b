"""What a picture shows, as data: one person, perhaps at work, beside a few things in one of four places.

    scene = draw_scene(rng)                                  # every factor drawn by chance
    pair = [replace(scene, hair=hair) for hair in HAIR]      # the same picture but for the hair

Groups are named by what is drawn ("short hair"), never by what a person might be. Which job and which verb goes with which
group is made up (see `questions.py`) and says nothing about people.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, get_args, get_type_hints

if TYPE_CHECKING:  # the factors are read by configs, which are listed without torch
    import torch

Hair = Literal["short", "long"]
Tone = Literal["tone1", "tone2", "tone3"]
Build = Literal["slim", "broad"]
Place = Literal["kitchen", "garden", "street", "office"]
Side = Literal["left", "right"]
Height = Literal["high", "low"]
Shape = Literal["ball", "box", "star", "cone", "ring"]
Colour = Literal["red", "yellow", "green", "blue", "purple", "black"]
Job = Literal["builder", "mechanic", "coder", "farmer", "pilot", "nurse", "cook", "teacher", "painter", "singer", "hidden"]

HAIR, TONES, BUILDS, PLACES, SIDES, HEIGHTS, SHAPES, COLOURS = map(get_args, (Hair, Tone, Build, Place, Side, Height, Shape, Colour))
JOBS: tuple[str, ...] = get_args(Job)[:-1]
HIDDEN = "hidden"
COUNTS = ("one", "two", "three", "four")
TOOLS = {
    "builder": "hammer",
    "mechanic": "wrench",
    "coder": "laptop",
    "farmer": "rake",
    "pilot": "map",
    "nurse": "case",
    "cook": "pan",
    "teacher": "book",
    "painter": "brush",
    "singer": "microphone",
}
SHIRTS = {
    "builder": "orange",
    "mechanic": "navy",
    "coder": "teal",
    "farmer": "olive",
    "pilot": "sky",
    "nurse": "white",
    "cook": "cream",
    "teacher": "brown",
    "painter": "lilac",
    "singer": "pink",
    "hidden": "grey",
}


@dataclass(frozen=True)
class Scene:
    """All factors of one picture. `dx`, `dy`: where the person stands, in pixels of 64; `seed`: of the grain."""

    hair: Hair = "short"
    tone: Tone = "tone1"
    build: Build = "slim"
    job: Job = "builder"
    place: Place = "street"
    side: Side = "left"
    shape: Shape = "ball"
    colour: Colour = "red"
    count: int = 2
    height: Height = "high"
    dx: int = 0
    dy: int = 0
    seed: int = 0


# the factors that a person can set, with their values
FACTORS: dict[str, tuple] = {name: get_args(hint) for name, hint in get_type_hints(Scene).items() if get_args(hint)} | {
    "count": (1, 2, 3, 4)
}
SHIFT = 3
# In training most things have the colour of their kind, so that guessing from words alone pays: the language prior.
USUAL_COLOUR = {"ball": "red", "box": "blue", "star": "yellow", "cone": "green", "ring": "purple"}
PRIOR = 0.75


def below(end: int, rng: torch.Generator) -> int:
    """A whole number from 0 to `end` - 1, all alike likely."""
    import torch

    return int(torch.randint(end, (1,), generator=rng))


def pick(values: tuple, rng: torch.Generator):
    """One of `values`, all alike likely."""
    return values[below(len(values), rng)]


def chance(probability: float, rng: torch.Generator) -> bool:
    """True with this probability."""
    import torch

    return float(torch.rand(1, generator=rng)) < probability


def draw_scene(rng: torch.Generator, prior: float = PRIOR, hidden: float = 0.35) -> Scene:
    """Every factor by chance. `prior`: share of pictures whose things have their usual colour (0: all colours alike);
    `hidden`: share of people without shirt of a trade and tool."""
    shape = pick(SHAPES, rng)
    return Scene(
        hair=pick(HAIR, rng),
        tone=pick(TONES, rng),
        build=pick(BUILDS, rng),
        job=HIDDEN if chance(hidden, rng) else pick(JOBS, rng),
        place=pick(PLACES, rng),
        side=pick(SIDES, rng),
        shape=shape,
        colour=USUAL_COLOUR[shape] if chance(prior, rng) else pick(COLOURS, rng),
        count=pick((1, 2, 3, 4), rng),
        height=pick(HEIGHTS, rng),
        dx=pick(tuple(range(-SHIFT, SHIFT + 1)), rng),
        dy=pick((-2, -1, 0, 1, 2), rng),
        seed=below(2**31 - 1, rng),
    )


def drifted(scene: Scene, rng: torch.Generator) -> Scene:
    """The same scene a little elsewhere with other grain: what an imperfect picture generator does inside a pair."""
    return replace(
        scene,
        dx=pick(tuple(range(-SHIFT, SHIFT + 1)), rng),
        dy=pick((-2, -1, 0, 1, 2), rng),
        seed=below(2**31 - 1, rng),
    )


def pairs(scene: Scene, factor: str = "hair", rng: torch.Generator | None = None) -> list[Scene]:
    """One scene per value of `factor`, otherwise equal; with `rng` each but the first drifts."""
    members = [replace(scene, **{factor: value}) for value in FACTORS[factor]]
    change: Callable[[Scene], Scene] = (lambda s: drifted(s, rng)) if rng is not None else (lambda s: s)
    return [members[0], *map(change, members[1:])]
