"""Pictures that visitors bring for a task of their own: a ZIP file or a folder that holds one folder per class.

    task = read_collection(path)                # everything is checked before, or while, the first pixel is decoded
    task = yield from reading(path)             # the same, giving (pictures read, pictures in all) as it goes on

Nothing is unpacked to disk. Pictures are squeezed to 16 x 16 shades of grey. A third of every class is kept for testing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from core.engine.reader import apart
from core.learngene.data import Task, shift
from core.learngene.pictures import as_picture, ink_of, is_light, squeeze

OWN = "own pictures"  # the name of every such task, so that equal pictures give equal numbers wherever they lie
PER_EPOCH = 600  # fewer pictures are shown several times in one pass, moved anew each time
HELD_OUT = 1 / 3


def read_collection(source: Path, seed: int = 0) -> Task:
    """The whole task at once. Raises LabError for everything that `reading` refuses."""
    steps = reading(source, seed)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def reading(source: Path, seed: int = 0, stop: Callable[[], bool] = lambda: False) -> Iterator[tuple[int, int]]:
    """Reads `source`, one picture per step; the generator's value is the task. `seed` decides which pictures are for testing.
    `stop` is asked all the time, also within a picture.

    Raises LabError for what is no ZIP or folder of pictures, leads out of it, is locked, linked or far too large, has less
    than two classes, an empty class, a class of fewer than three, a file that is not a still picture.
    """
    inks: dict[str, list[Tensor]] = {}
    light = total = 0
    for facts, data in apart("core.learngene.opened:collection", path=str(Path(source).resolve()), stop=stop):
        ink, total = ink_of(as_picture(facts, data)), facts["total"]
        light += is_light(ink)
        inks.setdefault(facts["class"], []).append(squeeze(ink))
        yield facts["done"], total
    turned = light > total / 2  # dark on light: ink counts as 1, decided once for all pictures so that photos stay comparable
    made = _task(tuple(inks), [torch.cat(given) * (-1 if turned else 1) for given in inks.values()], seed)
    return replace(made, placed="turned" if turned else "whole")


def _task(classes: tuple[str, ...], pixels: list[Tensor], seed: int) -> Task:
    """`pixels`: (n, 1, 16, 16) of every class. Both halves are mixed, so that the first test pictures show all classes."""
    generator = torch.Generator().manual_seed(seed)
    halves: list[list[tuple[Tensor, int]]] = [[], []]
    for label, given in enumerate(pixels):
        order = torch.randperm(len(given), generator=generator)
        away = max(1, round(HELD_OUT * len(given)))
        halves[1].append((given[order[:away]], label))
        halves[0].append((given[order[away:]], label))
    (train, labels), (test, test_labels) = (_mixed(half, generator) for half in halves)
    distinct, times = len(labels), max(1, math.ceil(PER_EPOCH / len(labels)))
    train, labels = train.repeat(times, 1, 1, 1), labels.repeat(times)
    return Task(OWN, classes, test, test_labels, len(labels), lambda g: (shift(train, g), labels), distinct)


def _mixed(half: list[tuple[Tensor, int]], generator: torch.Generator) -> tuple[Tensor, Tensor]:
    pixels = torch.cat([given for given, _ in half])
    labels = torch.cat([torch.full((len(given),), label) for given, label in half])
    order = torch.randperm(len(labels), generator=generator)
    return pixels[order], labels[order]
