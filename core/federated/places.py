"""Digits as five public styles and as four places paint them: the same ten classes, another look everywhere.

    bank = read_bank()
    pixels, labels = draw(PLACES["school"], bank.clients, count=160, generator=generator)     # (160, 3, 32, 32) in -1..1

The styles are broad - any paper, any ink - and have a word each in the prompt. A place is a narrow look inside that breadth for which
there is no word: ruled kraft paper, a green board, a brick wall at night, a striped container (methods/07 section 9).

Where drawings come from is shared out once, so that the painter, the places and the test never see the same one: of the 12 fonts
the painter knows eight and the places write with all of them in distortions of their own; of scikit-learn's 1,797 real digits
the painter gets 797, the places 500, the test 500.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from core.engine.settings import ASSETS

SIZE = 32
CLASSES = tuple("0123456789")
REAL_PUBLIC, REAL_CLIENTS, PUBLIC_FONTS = 797, 500, 8


class Dice:
    """Random numbers for `count` pictures at once, one generator behind them all."""

    def __init__(self, count: int, generator: torch.Generator) -> None:
        self.count, self.generator = count, generator

    def between(self, low: float, high: float, *shape: int) -> Tensor:
        """Uniform numbers (count, *shape)."""
        return low + (high - low) * torch.rand(self.count, *shape, generator=self.generator)

    def noise(self, *shape: int) -> Tensor:
        """Normal numbers (count, *shape)."""
        return torch.randn(self.count, *shape, generator=self.generator)

    def clouds(self, cells: int) -> Tensor:
        """Smooth blotches (count, 1, SIZE, SIZE) in about -1..1, `cells` of them across."""
        return F.interpolate(self.between(-1, 1, 1, cells, cells), size=(SIZE, SIZE), mode="bicubic", align_corners=True)

    def chosen(self, *colours: Tensor) -> Tensor:
        """One of some batches of colours (count, 3, 1, 1) for each picture."""
        return torch.stack(colours)[torch.randint(len(colours), (self.count,), generator=self.generator), torch.arange(self.count)]


@dataclass(frozen=True)
class Look:
    """How a digit is painted. `paint(ink, dice)` makes pictures (n, 3, 32, 32) in 0..1 from drawings (n, 1, 32, 32) in 0..1.

    real: whether the drawings are scanned handwriting, not fonts.
    """

    name: str
    title: str
    paint: Callable[[Tensor, Dice], Tensor]
    real: bool = False


@dataclass(frozen=True)
class Drawings:
    """Drawings of digits in 0..1 that may be used for one purpose: fonts (10, fonts, 32, 32), real (n, 32, 32) with labels (n,)."""

    fonts: Tensor
    real: Tensor
    real_labels: Tensor


@dataclass(frozen=True)
class Bank:
    """All drawings, shared out: what the painter learned from, what the places hold, what everything is tested on."""

    public: Drawings
    clients: Drawings
    test: Drawings


@functools.cache
def read_bank() -> Bank:
    """Reads the sheet of digits (`python -m core.zoo.painter.digits` drew it) and scikit-learn's scans; once per process."""
    import numpy as np
    from PIL import Image
    from sklearn.datasets import load_digits

    folder = ASSETS / "fonts"
    fonts = len(json.loads((folder / "glyphs.json").read_text(encoding="utf-8"))["fonts"])
    with Image.open(folder / "digits.png") as sheet:
        ink = torch.from_numpy(np.asarray(sheet, dtype="float32") / 255).reshape(fonts, SIZE, len(CLASSES), SIZE).permute(2, 0, 1, 3)
    scans = load_digits()
    small = torch.tensor(scans.images, dtype=torch.float32)[:, None] / 16
    real = F.pad(F.interpolate(small, size=(24, 24), mode="bicubic", align_corners=False), (4,) * 4).clamp(0, 1)[:, 0]
    labels = torch.tensor(scans.target)
    cuts = (slice(0, REAL_PUBLIC), slice(REAL_PUBLIC, REAL_PUBLIC + REAL_CLIENTS), slice(REAL_PUBLIC + REAL_CLIENTS, None))
    parts = [Drawings(some.contiguous(), real[cut], labels[cut]) for some, cut in zip((ink[:, :PUBLIC_FONTS], ink, ink), cuts, strict=True)]
    return Bank(*parts)


def draw(look: Look, drawings: Drawings, count: int, generator: torch.Generator, labels: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """`count` new pictures of a look: float (count, 3, 32, 32) in -1..1 and their labels (count,), every class equally often.

    labels: the classes wanted, long (count,); empty: 0 to 9 in turn."""
    dice = Dice(count, generator)
    labels = torch.arange(count) % len(CLASSES) if labels is None else labels
    if look.real:
        ink = torch.stack([_one_of(drawings.real[drawings.real_labels == label], generator) for label in labels.tolist()])
    else:
        ink = drawings.fonts[labels, torch.randint(drawings.fonts.shape[1], (count,), generator=generator)]
    return look.paint(bend(ink[:, None], dice), dice).clamp(0, 1) * 2 - 1, labels


def shared_out(places: int, shots: int, tilt: float, generator: torch.Generator) -> list[list[int]]:
    """Pictures of each digit at each place: `shots` everywhere, or with `tilt` > 0 a Dirichlet share of them.

    Drawn again until every place has two of some digit (methods/07 section 4)."""
    if not tilt:
        return [[shots] * len(CLASSES) for _ in range(places)]
    import numpy as np

    rng = np.random.default_rng(int(torch.randint(2**62, (1,), generator=generator)))
    while True:
        shares = rng.dirichlet([tilt] * places, len(CLASSES))
        counts = np.stack([rng.multinomial(places * shots, share) for share in shares], 1)
        if (counts.max(1) >= 2).all():
            return counts.tolist()


def _one_of(some: Tensor, generator: torch.Generator) -> Tensor:
    return some[int(torch.randint(len(some), (1,), generator=generator))]


def bend(ink: Tensor, dice: Dice) -> Tensor:
    """Turned up to 12 degrees, sized 0.85 to 1.15, sheared, moved by two pixels, warped. In and out (n, 1, 32, 32)."""
    angle, shear = dice.between(-0.21, 0.21), dice.between(-0.2, 0.2)
    wide, tall = 1 / dice.between(0.85, 1.15), 1 / dice.between(0.85, 1.15)
    cos, sin = angle.cos(), angle.sin()
    rows = [torch.stack([wide * cos, wide * (shear * cos - sin), dice.between(-0.12, 0.12)], 1),
            torch.stack([tall * sin, tall * (shear * sin + cos), dice.between(-0.12, 0.12)], 1)]
    grid = F.affine_grid(torch.stack(rows, 1), [dice.count, 1, SIZE, SIZE], align_corners=False)
    warp = F.interpolate(dice.between(-0.05, 0.05, 2, 4, 4), size=(SIZE, SIZE), mode="bicubic", align_corners=True)
    return F.grid_sample(ink, grid + warp.permute(0, 2, 3, 1), align_corners=False)


def stroke(ink: Tensor, weight: Tensor) -> Tensor:
    """The same drawing with thinner (weight below 0) or thicker strokes (to 1). weight: (n,)."""
    weight = weight[:, None, None, None]
    thick, thin = F.max_pool2d(ink, 3, 1, 1), -F.max_pool2d(-ink, 3, 1, 1)
    return ink + weight.clamp(min=0) * (thick - ink) - weight.clamp(max=0) * (thin - ink)


def blurred(mask: Tensor, width: int) -> Tensor:
    """A mean over squares of `width` pixels (odd), twice: nearly a Gaussian. In and out (n, 1, height, width)."""
    for _ in range(2):
        mask = F.avg_pool2d(mask, width, 1, width // 2, count_include_pad=False)
    return mask


def colour(hue: Tensor, strength: Tensor, light: Tensor) -> Tensor:
    """Hue in turns, saturation and value in 0..1, each (n,), as RGB (n, 3, 1, 1)."""
    hue, strength, light = (part[:, None] for part in (hue, strength, light))
    k = (torch.tensor([5.0, 3.0, 1.0]) + hue * 6) % 6
    return (light - light * strength * torch.minimum(k, 4 - k).clamp(0, 1))[:, :, None, None]


def _over(ground: Tensor, paint: Tensor, ink: Tensor) -> Tensor:
    return ground * (1 - ink) + paint * ink


def _ink(ink: Tensor, dice: Dice) -> Tensor:
    """Dark ink on any light paper."""
    paper = colour(dice.between(0, 1), dice.between(0, 0.35), dice.between(0.75, 1)) + 0.05 * dice.between(0, 1, 1, 1, 1) * dice.clouds(5)
    pen = colour(dice.between(0, 1), dice.between(0.2, 1), dice.between(0.05, 0.45))
    return _over(paper, pen, stroke(ink, dice.between(-0.4, 0.8))) + 0.03 * dice.between(0, 1, 1, 1, 1) * dice.noise(1, SIZE, SIZE)


def _chalk(ink: Tensor, dice: Dice) -> Tensor:
    """Light, grainy strokes on any dark board."""
    board = colour(dice.between(0, 1), dice.between(0, 0.6), dice.between(0.1, 0.4)) + 0.06 * dice.between(0, 1, 1, 1, 1) * dice.clouds(6)
    chalk = colour(dice.between(0, 1), dice.between(0, 0.4), dice.between(0.75, 1))
    grain = 1 - dice.between(0, 0.5, 1, 1, 1) * dice.between(0, 1, 1, SIZE, SIZE)
    return _over(board, chalk, stroke(ink, dice.between(-0.3, 0.8)) * grain)


def _neon(ink: Tensor, dice: Dice) -> Tensor:
    """Tubes that shine in any colour on a dark wall."""
    hue = dice.between(0, 1)
    wall = colour(dice.between(0, 1), dice.between(0, 0.8), dice.between(0.02, 0.25)) + 0.04 * dice.clouds(8)
    tube = stroke(ink, dice.between(-0.5, 0.4))
    glow = colour(hue, dice.between(0.6, 1), dice.between(0.7, 1)) * blurred(tube, 5) * dice.between(0.6, 1.4, 1, 1, 1)
    return _over(wall + glow, colour(hue, dice.between(0, 0.35), dice.between(0.9, 1)), tube)


def _paint(ink: Tensor, dice: Dice) -> Tensor:
    """One full colour on another, sometimes with an outline or a shadow."""
    hue = dice.between(0, 1)
    light = dice.between(0.25, 0.95)
    ground = colour(hue, dice.between(0.2, 1), light) * (1 + dice.between(-0.2, 0.2, 1, 1, 1) * torch.linspace(-1, 1, SIZE)[:, None])
    front = colour(hue + dice.between(0.25, 0.75), dice.between(0.1, 1), (light + dice.between(0.35, 0.65)) % 1)
    bold = stroke(ink, dice.between(0, 1))
    edge = dice.between(-1, 1, 1, 1, 1).clamp(min=0) * (stroke(bold, torch.ones(dice.count)) - bold).clamp(min=0)
    return _over(_over(ground, colour(hue, dice.between(0, 0.5), dice.between(0, 1)), edge), front, bold)


def _scan(ink: Tensor, dice: Dice) -> Tensor:
    """Real handwriting, scanned: soft strokes, any paper, any pen."""
    paper = colour(dice.between(0, 1), dice.between(0, 0.3), dice.between(0.7, 1)) + 0.05 * dice.clouds(4)
    pen = colour(dice.between(0, 1), dice.between(0, 1), dice.between(0.05, 0.5))
    return _over(paper, pen, ink * dice.between(0.8, 1, 1, 1, 1)) + 0.04 * dice.between(0, 1, 1, 1, 1) * dice.noise(1, SIZE, SIZE)


def _lines(dice: Dice, apart: int, across: bool = False, thick: int = 1) -> Tensor:
    """Parallel lines (n, 1, 32, 32) of 0 and 1, `apart` pixels from one another, each picture shifted on its own."""
    place = (torch.arange(SIZE) + torch.randint(apart, (dice.count, 1), generator=dice.generator)) % apart < thick
    return (place[:, None, None, :] if across else place[:, None, :, None]).float().expand(-1, 1, SIZE, SIZE)


def _post(ink: Tensor, dice: Dice) -> Tensor:
    """Handwriting in brown ink on ruled kraft paper."""
    paper = colour(dice.between(0.08, 0.1), dice.between(0.42, 0.52), dice.between(0.72, 0.8)) + 0.05 * dice.clouds(8)
    ruled = _over(paper, colour(dice.between(0.0, 0.02), dice.between(0.5, 0.6), dice.between(0.6, 0.7)), 0.6 * _lines(dice, 8))
    return _over(ruled, colour(dice.between(0.03, 0.06), dice.between(0.7, 0.9), dice.between(0.15, 0.28)), ink)


def _school(ink: Tensor, dice: Dice) -> Tensor:
    """Yellowish chalk on a green board that was wiped."""
    wiped = blurred(F.max_pool2d(dice.between(0, 1, 1, SIZE, SIZE).gt(0.985).float(), 3, 1, 1), 7)
    board = colour(dice.between(0.4, 0.44), dice.between(0.5, 0.62), dice.between(0.24, 0.32)) + 0.35 * wiped
    grain = 1 - 0.55 * dice.between(0, 1, 1, SIZE, SIZE)
    chalk = colour(dice.between(0.13, 0.16), dice.between(0.12, 0.25), dice.between(0.9, 1))
    return _over(board, chalk, stroke(ink, dice.between(-0.1, 0.3)) * grain)


def _night(ink: Tensor, dice: Dice) -> Tensor:
    """Pink and blue tubes on a brick wall."""
    bricks = _lines(dice, 8) + _lines(dice, 16, across=True)
    brick = colour(dice.between(0.98, 1.02), dice.between(0.5, 0.6), dice.between(0.16, 0.22))
    wall = _over(brick, torch.tensor(0.07), bricks.clamp(max=1))
    hue = dice.chosen(dice.between(0.86, 0.92), dice.between(0.5, 0.56))
    tube = stroke(ink, dice.between(-0.5, -0.1))
    return _over(wall + 1.2 * colour(hue, dice.between(0.8, 1), dice.between(0.9, 1)) * blurred(tube, 7),
                 colour(hue, dice.between(0.1, 0.3), dice.between(0.95, 1)), tube)


def _harbour(ink: Tensor, dice: Dice) -> Tensor:
    """White stencils with bridges on containers of corrugated steel, orange or blue, a little rusty."""
    base = dice.chosen(colour(dice.between(0.04, 0.07), dice.between(0.8, 0.95), dice.between(0.6, 0.75)),
                       colour(dice.between(0.57, 0.61), dice.between(0.65, 0.85), dice.between(0.4, 0.55)))
    steel = base * (1 - 0.25 * _lines(dice, 4, across=True, thick=2))
    rust = (dice.clouds(9) - 0.45).clamp(0, 1)
    cut = stroke(ink, dice.between(0.3, 0.9)) * (1 - 0.9 * _lines(dice, 16, across=True, thick=2))
    return _over(_over(steel, torch.tensor([0.95, 0.95, 0.92])[:, None, None], cut), torch.tensor([0.35, 0.17, 0.08])[:, None, None], rust)


STYLES = {look.name: look for look in (
    Look("ink", "Ink on paper", _ink), Look("chalk", "Chalk on a board", _chalk), Look("neon", "Neon at night", _neon),
    Look("paint", "Paint on a wall", _paint), Look("scan", "Handwriting", _scan, real=True))}
PLACES = {look.name: look for look in (
    Look("post", "Post office", _post, real=True), Look("school", "School", _school),
    Look("night", "Night bar", _night), Look("harbour", "Harbour", _harbour))}
NEAREST = {"post": "scan", "school": "chalk", "night": "neon", "harbour": "paint"}  # the public word that says a place best
