"""The rival of every edit: an edit by chance that changes the picture exactly as much.

random_edit(critic, likeness=0.83, steps=3, rng=rng)       # (steps, small picture)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from core.emotion.colour import Likeness
from core.emotion.tools import OWN, TOOLS, Step, apply_all, canonical
from core.engine.stopping import go_on

if TYPE_CHECKING:
    from core.engine.lab import Lab

NEAR = 0.01  # how close the likeness has to come
ROUNDS = 9


def random_steps(count: int, rng: np.random.Generator) -> list[Step]:
    """Tools by chance, each with a strength by chance; chance does not know which emotion is wanted."""
    names = [name for name in OWN if name != "remove"]
    chosen = rng.choice(len(names), size=min(count, len(names)), replace=False)
    steps = []
    for index in chosen:
        tool = TOOLS[names[index]]
        sign = -1 if tool.less and rng.random() < 0.5 else 1
        steps.append(Step(tool.name, strength=sign * float(rng.uniform(0.3, 0.8)), seed=int(rng.integers(10_000))))
    return canonical(steps)


def random_edit(source: np.ndarray, likeness: float, count: int, rng: np.random.Generator) -> tuple[list[Step], np.ndarray, float]:
    """(steps, picture, likeness): an edit by chance of bytes (height, width, 3), scaled until its SSIM is `likeness` or as near as it gets.

    Draws again, at most five times, while even the full strength changes too little.
    """
    to, best = Likeness(source), None
    for _ in range(5):
        steps, low, high = random_steps(count, rng), 0.0, 2.5
        for _ in range(ROUNDS):
            go_on()
            by = (low + high) / 2
            scaled = [step.scaled(by) for step in steps]
            picture = apply_all(source, scaled)
            reached = to.to(picture)
            if best is None or abs(reached - likeness) < abs(best[2] - likeness):
                best = (scaled, picture, reached)
            if abs(reached - likeness) <= NEAR:
                return best
            low, high = (by, high) if reached > likeness else (low, by)
    return best


def generator(lab: Lab, name: str) -> np.random.Generator:
    """A numpy generator of the run's own for one purpose."""
    import torch

    return np.random.default_rng(torch.randint(2**62, (1,), generator=lab.rng(name)).item())
