"""Small pictures with labels: letters of twelve fonts to inherit from, digits and symbols to be inherited for.

    task = read_task("letters")
    pixels, labels = task.epoch(generator)      # one epoch of training pictures, freshly bent and shuffled
    task.shown                                  # the fixed 256 test pictures that every slider position is measured on

Every task has pictures of 16 x 16 pixels in one channel, -1 for paper and 1 for ink: one embedding serves all.

letters   37 classes: A-Z and the small letters that do not look like their capitals, from 12 open fonts, distorted
digits    scikit-learn's 1,797 scanned digits, 8 x 8, enlarged twice; 33 % held out (methods/09 section 9)
symbols   12 signs of the same fonts with only 8 training pictures each: what inheriting is for
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from core.engine.settings import ASSETS
from core.learngene.spec import SHOWN, SIZE, TaskName

Placed = Literal["letter", "digit", "whole", "turned"]  # how a new picture is made like those of a task, see pictures.py
PLACED: dict[TaskName, Placed] = {"letters": "letter", "digits": "digit", "symbols": "letter"}

GLYPH = 32
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabdefghnqrt"
SYMBOLS = "!?&%@+=*<>/$"
PER_LETTER, PER_SYMBOL = 64, 8
TEST_LETTERS, TEST_SYMBOLS = 1024, 600
TEST_SEED = 20240202  # the test pictures are the same for every run


@dataclass(frozen=True)
class Task:
    """Pictures (n, 1, 16, 16) with labels (n,). `draw` makes the pictures of one epoch from a generator.

    distinct: different pictures to learn from, where they are counted.  mark: tells a visitor's pictures from others; empty for ours.
    placed: how a new picture is made like these.  notes: what a visitor should know of the pictures brought.
    """

    name: str
    classes: tuple[str, ...]
    test_pixels: Tensor
    test_labels: Tensor
    per_epoch: int
    draw: Callable[[torch.Generator], tuple[Tensor, Tensor]]
    distinct: int = 0
    mark: str = ""
    placed: Placed = "letter"
    notes: tuple[str, ...] = ()

    def epoch(self, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """The training pictures of one epoch, shuffled. Float (n, 1, 16, 16) in -1..1 and long (n,)."""
        pixels, labels = self.draw(generator)
        order = torch.randperm(len(labels), generator=generator)
        return pixels[order], labels[order]

    @property
    def shown(self) -> tuple[Tensor, Tensor]:
        """The first 256 test pictures: few enough to measure while a slider moves. (n, 1, 16, 16) and (n,)."""
        return self.test_pixels[:SHOWN], self.test_labels[:SHOWN]


@functools.cache
def read_task(name: TaskName) -> Task:
    """The task of that name; read and drawn once per process."""
    return {"letters": _letters, "digits": _digits, "symbols": _symbols}[name]()


@functools.cache
def glyphs() -> tuple[Tensor, tuple[str, ...]]:
    """Undistorted characters, float (fonts, characters, 32, 32) in 0..1, and the characters of the second axis."""
    import numpy as np
    from PIL import Image

    folder = ASSETS / "fonts"
    characters = tuple(json.loads((folder / "glyphs.json").read_text(encoding="utf-8"))["characters"])
    with Image.open(folder / "glyphs.png") as sheet:
        ink = torch.from_numpy(np.asarray(sheet, dtype="float32") / 255)
    fonts = ink.shape[0] // GLYPH
    return ink.reshape(fonts, GLYPH, len(characters), GLYPH).permute(0, 2, 1, 3).contiguous(), characters


def _letters() -> Task:
    bank = _bank(LETTERS)
    pixels, labels = _draw(bank, TEST_LETTERS, torch.Generator().manual_seed(TEST_SEED))
    count = PER_LETTER * len(LETTERS)
    return Task("letters", tuple(LETTERS), pixels, labels, count, lambda generator: _draw(bank, count, generator))


def _symbols() -> Task:
    bank = _bank(SYMBOLS)
    generator = torch.Generator().manual_seed(TEST_SEED + 1)
    pixels, labels = _draw(bank, TEST_SYMBOLS, generator)
    few, few_labels = _draw(bank, PER_SYMBOL * len(SYMBOLS), generator)
    return Task("symbols", tuple(SYMBOLS), pixels, labels, len(few_labels), lambda g: (shift(few, g), few_labels))


def _digits() -> Task:
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    data = load_digits()
    pixels = torch.tensor(data.images, dtype=torch.float32)[:, None] / 8 - 1
    pixels = pixels.repeat_interleave(2, 2).repeat_interleave(2, 3)
    chosen, held_out = train_test_split(range(len(pixels)), test_size=0.33, stratify=data.target, random_state=0)
    labels = torch.tensor(data.target)
    train, train_labels = pixels[chosen], labels[chosen]
    return Task("digits", tuple("0123456789"), pixels[held_out], labels[held_out], len(train_labels),
                lambda generator: (shift(train, generator, step=2), train_labels), placed=PLACED["digits"])


def _bank(characters: str) -> Tensor:
    """(classes, fonts, 32, 32): every font's drawing of each character."""
    ink, known = glyphs()
    return ink[:, [known.index(character) for character in characters]].transpose(0, 1).contiguous()


def _draw(bank: Tensor, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """`count` distorted pictures, every class equally often, in random order; fonts at random."""
    classes, fonts = bank.shape[:2]
    labels = (torch.arange(count) % classes)[torch.randperm(count, generator=generator)]
    font = torch.randint(fonts, (count,), generator=generator)
    return distort(bank[labels, font], generator), labels


def distort(ink: Tensor, generator: torch.Generator) -> Tensor:
    """Bends, shifts, thickens and stains characters (n, 32, 32) in 0..1; gives pictures (n, 1, 16, 16) in -1..1.

    Rotation up to 15 degrees, size 0.75 to 1.15, shear 0.25, shift 1.5 pixels of 16, a smooth random warp, strokes up to
    a pixel wider on each side, and noise of 6 %.
    """
    count = len(ink)

    def between(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(count, *shape, generator=generator)

    angle, shear = between(-0.26, 0.26), between(-0.25, 0.25)
    wide, tall = 1 / between(0.75, 1.15), 1 / between(0.8, 1.15)
    cos, sin = angle.cos(), angle.sin()
    turn = torch.stack([torch.stack([wide * cos, wide * (shear * cos - sin), between(-0.19, 0.19)], 1),
                        torch.stack([tall * sin, tall * (shear * sin + cos), between(-0.19, 0.19)], 1)], 1)
    grid = F.affine_grid(turn, [count, 1, GLYPH, GLYPH], align_corners=False)
    warp = F.interpolate(between(-0.1, 0.1, 2, 4, 4), size=(GLYPH, GLYPH), mode="bicubic", align_corners=True)
    bent = F.grid_sample(ink[:, None], grid + warp.permute(0, 2, 3, 1), align_corners=False)
    weight = between(0, 1, 1, 1, 1)
    thick = (1 - weight) * bent + weight * F.max_pool2d(bent, 3, 1, 1)
    small = F.avg_pool2d(thick, 2) * between(0.8, 1.2, 1, 1, 1)
    noise = 0.06 * torch.randn(small.shape, generator=generator)
    return (small + noise).clamp(0, 1) * 2 - 1


def shift(pixels: Tensor, generator: torch.Generator, step: int = 1) -> Tensor:
    """Every picture moved by -1, 0 or 1 times `step` pixels in each direction; what comes in is paper. In and out (n, 1, 16, 16)."""
    padded = F.pad(pixels, (step,) * 4, value=-1.0)
    moves = torch.randint(3, (2, len(pixels)), generator=generator) * step
    rows = moves[0][:, None] + torch.arange(SIZE)
    columns = moves[1][:, None] + torch.arange(SIZE)
    index = torch.arange(len(pixels))[:, None, None]
    return padded[index, 0, rows[:, :, None], columns[:, None, :]][:, None]
