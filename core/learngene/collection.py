"""Pictures that visitors bring for a task of their own: a ZIP file or a folder that holds one folder per class.

    task = read_collection(path)                # everything is checked before, or while, the first pixel is decoded
    task = yield from reading(path)             # the same, giving (pictures read, pictures in all) as it goes on

Nothing is unpacked to disk. Pictures are squeezed to 16 x 16 shades of grey. A third of every class is kept for testing, unless the
classes lie in folders that say what is what: `train` is learned from, `test` is tested on, or `val` where there is no `test`.
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
    tested: dict[str, list[bool] | None] = {}
    light, total, notes, alike = 0, 0, (), _Alike()
    for facts, data in apart("core.learngene.opened:collection", path=str(Path(source).resolve()), stop=stop):
        ink, total = ink_of(as_picture(facts, data)), facts["total"]
        light += is_light(ink)
        inks.setdefault(facts["class"], []).append(squeeze(ink))
        if facts["part"]:
            tested.setdefault(facts["class"], []).append(facts["part"] == "test")
        alike.look(inks[facts["class"]][-1], facts["class"], facts["name"])
        notes = facts["notes"]
        yield facts["done"], total
    turned = light > total / 2  # dark on light: ink counts as 1, decided once for all pictures so that photos stay comparable
    made = _task(tuple(inks), [torch.cat(given) * (-1 if turned else 1) for given in inks.values()],
                 [tested.get(name) for name in inks], seed)
    return replace(made, placed="turned" if turned else "whole", notes=(*notes, *alike.sentences()))


class _Alike:
    """Notices pictures of different classes that are one picture once they are squeezed."""

    def __init__(self) -> None:
        self._first: dict[bytes, tuple[str, str]] = {}
        self._found: list[tuple[str, str]] = []

    def look(self, picture: Tensor, label: str, name: str) -> None:
        """The next picture, (1, 1, 16, 16), of that class."""
        packed = ((picture + 1) * 127.5).round().to(torch.uint8).numpy().tobytes()
        first = self._first.setdefault(packed, (label, name))
        if first[0] != label:
            self._found.append((first[1], name))

    def sentences(self) -> tuple[str, ...]:
        if not self._found:
            return ()
        (one, other), n = self._found[0], len(self._found)
        return (f"Warning: {'a picture' if n == 1 else f'{n} pictures'} of one class {'looks' if n == 1 else 'look'} exactly like one of "
                f"another at 16 x 16, for example {one} and {other}. No network can tell those apart.",)


def _task(classes: tuple[str, ...], pixels: list[Tensor], tested: list[list[bool] | None], seed: int) -> Task:
    """`pixels`: (n, 1, 16, 16) of every class; `tested`: which of them are for testing, None where that is drawn.

    Both halves are mixed, so that the first test pictures show all classes.
    """
    generator = torch.Generator().manual_seed(seed)
    halves: list[list[tuple[Tensor, int]]] = [[], []]
    for label, (given, told) in enumerate(zip(pixels, tested, strict=True)):
        order = torch.randperm(len(given), generator=generator)
        away = order[:max(1, round(HELD_OUT * len(given)))] if told is None else torch.tensor(told).nonzero()[:, 0]
        stays = order[len(away):] if told is None else (~torch.tensor(told)).nonzero()[:, 0]
        halves[1].append((given[away], label))
        halves[0].append((given[stays], label))
    (train, labels), (test, test_labels) = (_mixed(half, generator) for half in halves)
    distinct, times = len(labels), max(1, math.ceil(PER_EPOCH / len(labels)))
    train, labels = train.repeat(times, 1, 1, 1), labels.repeat(times)
    return Task(OWN, classes, test, test_labels, len(labels), lambda g: (shift(train, g), labels), distinct)


def _mixed(half: list[tuple[Tensor, int]], generator: torch.Generator) -> tuple[Tensor, Tensor]:
    pixels = torch.cat([given for given, _ in half])
    labels = torch.cat([torch.full((len(given),), label) for given, label in half])
    order = torch.randperm(len(labels), generator=generator)
    return pixels[order], labels[order]
