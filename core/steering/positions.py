"""Which of the picture's tokens are steered (methods/06 section 2.5): indices 0 .. N - 1 in the order of the sequence.

    chosen("first_last", 64)                  # [0, 1, 2, 3, 59, 60, 61, 62, 63]: "f4+l5", the paper's
    chosen("uniform", 64, share=0.25)         # 16 of them, evenly
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from core.engine.errors import LabError

if TYPE_CHECKING:
    import torch

FIRST, LAST = 4, 5  # of the released scripts


def first_last(count: int, first: int = FIRST, last: int = LAST) -> list[int]:
    """The first and the last few, at most half of them each, none twice."""
    a, b = min(first, count // 2), min(last, count // 2)
    return [*range(a), *range(count - b, count)]


def uniform(count: int, wanted: int) -> list[int]:
    """`wanted` of them at equal steps from the first; the middle one if it is one, all if there are fewer."""
    if wanted == 1:
        return [count // 2]
    if count < wanted:
        return list(range(count))
    step = (count - 1) // (wanted - 1)
    return list(range(0, step * wanted, step))


def number(share: float, count: int) -> int:
    """How many tokens a share of all of them is: at least one."""
    return max(1, round(share * count))


def chosen(policy: str, count: int, *, share: float = 1.0, painted: Sequence[int] = (), rng: torch.Generator | None = None) -> list[int]:
    """The steered ones of `count` tokens. Raises LabError where there are none: no picture, or nothing painted."""
    if count < 1:
        raise LabError("There is no token of a picture to steer.", "Show the model a picture, or steer words instead.")
    if policy == "all":
        return list(range(count))
    if policy == "first_last":
        return first_last(count)
    if policy == "uniform":
        return uniform(count, number(share, count))
    if policy == "random":
        import torch

        return sorted(torch.randperm(count, generator=rng)[: number(share, count)].tolist())
    if not painted:
        raise LabError("No patch of the picture is painted, so there is nothing to steer.", f"Paint patches, numbers 1 to {count}.")
    if max(painted) >= count:
        raise LabError(f"There is no patch {max(painted) + 1}.", f"The picture has {count}, counted line by line from 1.")
    return sorted(set(painted))


def read_painted(text: str) -> list[int]:
    """Patch numbers as people write them, counted from 1: "1-8, 12" -> [0, ..., 7, 11]. Raises LabError for anything else."""
    found: list[int] = []
    for part in filter(None, (part.strip() for part in text.replace(";", ",").split(","))):
        first, dash, last = part.partition("-")
        if not (first.strip().isdigit() and (last.strip().isdigit() if dash else True)) or len(part) > 12:
            raise LabError(f"'{part[:20]}' is no number of a patch.", "Write numbers and ranges, such as: 1-8, 12.")
        low, high = int(first), int(last) if dash else int(first)
        if not 1 <= low <= high <= 10_000:
            raise LabError(f"'{part[:20]}' is no range of patches.", "Patches are counted from 1, line by line; write 1-8, not 8-1.")
        found += range(low - 1, high)
    return sorted(set(found))


def layers(which: str, count: int) -> list[int]:
    """Steered layers of `count`: "all", "every 2nd" (or 3rd, 4th), "deep half", "all but the last"."""
    steps = {"all": 1, "every 2nd": 2, "every 3rd": 3, "every 4th": 4}
    if which in steps:
        return list(range(0, count, steps[which]))
    return list(range(count // 2, count)) if which == "deep half" else list(range(max(1, count - 1)))
