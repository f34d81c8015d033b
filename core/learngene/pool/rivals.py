"""Networks of sizes between the two of a pool, each trained alone: what a path has to measure up to (methods/10 section 5, "individual").

    rivals, absent = alone(lab, task)            # stored ones that know the task's classes; names of those that are not there
    best_within(rival.macs, paths)               # the path to compare it with: the best one that costs no more

They had the labels, the pictures and the 50 passes that each of the pool's two models had, and nothing to share. They come
with the lab, for digits; of other pictures there are none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from transformers import PreTrainedModel

from core.engine.errors import LabError
from core.engine.lab import Lab
from core.learngene.data import Task
from core.learngene.pool.paths import Way
from core.learngene.vit import macs, parameters

WIDTHS = (36, 45, 54, 63, 72)


@dataclass(frozen=True)
class Rival:
    """One network trained alone, as wide as `width` numbers per token."""

    width: int
    model: PreTrainedModel

    @property
    def name(self) -> str:
        """What figures and tables call it."""
        return f"trained alone, {self.width} wide"

    @property
    def macs(self) -> int:
        """Multiply-adds for one picture."""
        return macs(self.model.config)

    @property
    def parameters(self) -> int:
        """Numbers inside."""
        return parameters(self.model)


def alone(lab: Lab, task: Task) -> tuple[list[Rival], list[str]]:
    """The rivals that know `task`, narrowest first, and the names of those that should be there and are not."""
    found, absent = [], []
    for width in WIDTHS if task.name == "digits" else ():
        name = f"learngene-alone-{width}"
        try:
            model = lab.load(f"embedded/{name}").model
        except LabError:
            absent.append(name)
            continue
        found.append(Rival(width, model))
    return found, absent


def best_within(macs: int, paths: Mapping[Way, tuple[int, float]]) -> tuple[Way, float] | None:
    """The path that is right most often, and how often, among those of at most `macs`; None if none is that cheap.

    paths: way -> (multiply-adds, share of right answers).
    """
    cheap = {way: share for way, (cost, share) in paths.items() if cost <= macs}
    if not cheap:
        return None
    best = max(cheap, key=lambda way: (cheap[way], -paths[way][0]))
    return best, cheap[best]
