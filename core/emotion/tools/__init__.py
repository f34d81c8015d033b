"""The tools that the editing agent has on a computer without a graphics card (methods/04 section 6.2), in one table.

step = Step("fog", strength=0.4, seed=3)
picture = apply(picture, step)                    # bytes (height, width, 3)
TOOLS["fog"].more                                 # "fog"
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from pydantic import Field, ValidationError, field_validator

from core.emotion.colour import to_bytes, to_float
from core.emotion.tools import air, hue, learned, light, surface, things
from core.emotion.tools.base import Params, Tool, run, stretched
from core.emotion.tools.learned import using as with_pipeline  # noqa: F401
from core.engine.errors import LabError

TOOLS: dict[str, Tool] = {tool.name: tool for room in (light, hue, air, surface, things, learned) for tool in room.TOOLS}
OWN = tuple(name for name, tool in TOOLS.items() if not tool.needs)  # tools that need no model of the visitor's
FACTORS = tuple(dict.fromkeys(tool.factor for tool in TOOLS.values()))
# Tools do not commute: what is there is put right before what is laid over it (methods/04 section 5.3).
ORDER = (
    "remove",
    *(tool.name for tool in learned.TOOLS),
    *(tool.name for tool in TOOLS.values() if tool.factor == "object" and tool.name != "remove"),
    "exposure",
    "contrast",
    "local_contrast",
    "relight",
    "spotlight",
    "night",
    "golden_hour",
    *(tool.name for tool in hue.TOOLS),
    *(tool.name for tool in air.TOOLS),
    "smooth",
    "posterise",
    "paper",
    "grime",
    "glow",
    "sharpen",
    "tilt_shift",
    "motion_blur",
    "vignette",
    "grain",
)


class Step(Params):
    """One instruction of a plan: a tool of the table and its numbers. Raises pydantic's ValidationError for anything else."""

    tool: str = Field(max_length=40)

    @field_validator("tool")
    @classmethod
    def _known(cls, value: str) -> str:
        if value not in TOOLS:
            raise ValueError(f"there is no tool called {value[:40]!r}")
        return value

    def __init__(self, tool: str = "", **given: Any) -> None:
        super().__init__(**({"tool": tool} if tool else {}), **given)

    @property
    def what(self) -> str:
        """What it does, as people say it."""
        return self.words or TOOLS[self.tool].called(self.strength)

    def scaled(self, by: float) -> Step:
        """The same step, weaker or stronger; 0 does nothing."""
        return Step(**(self.model_dump() | {"strength": max(-1.0, min(1.0, self.strength * by))}))

    def plain(self) -> dict[str, Any]:
        """Only what counts for this tool: {"tool", "strength", ...}."""
        kept = ("tool", "strength", *TOOLS[self.tool].uses)
        return {name: value for name, value in self.model_dump().items() if name in kept}


def apply(picture: np.ndarray, step: Step, mask: np.ndarray | None = None) -> np.ndarray:
    """The picture after one step, bytes (height, width, 3). mask: 0..1 (height, width), where it works; None: everywhere.

    Raises LabError for a strength that the tool does not have."""
    tool = TOOLS[step.tool]
    if step.tool == "remove" and step.strength != 0:
        if mask is None or not (mask > 0.5).any():
            raise LabError("Nothing is marked that could be removed.", "Mark a part of the picture first.")
        return to_bytes(things.fill(to_float(picture), mask > 0.5))
    if step.tool == "fill_in" and step.strength != 0:
        tool = dataclasses.replace(tool, fn=lambda rgb, params: learned.fill_in(rgb, params, mask))
    return run(tool, picture, step, mask)


def apply_all(picture: np.ndarray, steps: Sequence[Step], mask: np.ndarray | None = None) -> np.ndarray:
    """The picture after all steps, one after the other, bytes (height, width, 3); mask (height, width)."""
    for step in steps:
        picture = apply(picture, step, mask)
    return picture


def steps_of(given: Any) -> list[Step]:
    """Steps of plain data, such as a recipe or the answer of a chat model. Raises LabError that names the first wrong one."""
    try:
        return [Step(**one) for one in given]
    except (ValidationError, TypeError, ValueError) as problem:
        said = problem.errors()[0]["msg"].removeprefix("Value error, ") if isinstance(problem, ValidationError) else "a step is an object"
        raise LabError(f"One of the steps cannot be done: {said}.", f"Tools: {', '.join(TOOLS)}; strength between -1 and 1.") from None


def canonical(steps: Sequence[Step]) -> list[Step]:
    """The same steps in the order in which tools are best used."""
    return sorted(steps, key=lambda step: ORDER.index(step.tool))


__all__ = ["FACTORS", "ORDER", "OWN", "TOOLS", "Params", "Step", "Tool", "apply", "apply_all", "canonical", "steps_of", "stretched"]
