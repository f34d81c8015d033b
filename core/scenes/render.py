"""Scenes as pictures: the same scene is the same picture, at any size.

    pixels = render(scene)                    # uint8 array (64, 64, 3): what the model sees
    render(scene, size=384)                   # the same for people, without grain
    mask(scene, "hair")                       # bool array (64, 64): the pixels that this factor can change

A scene is a list of flat shapes in a square of 64 units; each knows which factor it belongs to. They are painted at four times
the size and averaged down, so edges are smooth and nothing outside a mask can change.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image, ImageDraw

from core.scenes.scene import FACTORS, SHIRTS, TOOLS, Scene

SIZE = 64
OVER = 4
GRAIN = 0.03  # standard deviation of the noise, of the full range

SKIN = {"tone1": "#f3cfae", "tone2": "#c68a55", "tone3": "#70452a"}
HAIR_COLOUR, TROUSERS, SHOE, INK = "#2c1b14", "#3c4456", "#1f232c", "#23262e"
SHIRT = {
    "orange": "#f07d1a",
    "navy": "#26418f",
    "teal": "#17a398",
    "olive": "#74822b",
    "sky": "#74b9f0",
    "white": "#ffffff",
    "cream": "#f2dfa6",
    "brown": "#7d4f33",
    "lilac": "#a678d8",
    "pink": "#f283b0",
    "grey": "#9a9ca3",
}
PAINT = {"red": "#d92b2b", "yellow": "#f6cf1f", "green": "#2f9e44", "blue": "#2b63d9", "purple": "#8a3ab9", "black": "#22242a"}


@dataclass(frozen=True)
class Flat:
    """One flat shape: `kind` ellipse (two corners), polygon or line (points), in units of the picture; `factors` it shows."""

    kind: str
    points: tuple[tuple[float, float], ...]
    fill: str | None
    factors: tuple[str, ...] = ()
    outline: str | None = None
    width: float = 1.0


def render(scene: Scene, size: int = SIZE, grain: float | None = None) -> np.ndarray:
    """uint8 array (size, size, 3). `grain`: noise of the picture, by default `GRAIN` at the size of the model and none above."""
    picture = np.asarray(_paint(shapes(scene), size, "RGB", lambda flat: (flat.fill, flat.outline)), dtype=np.float32)
    grain = (GRAIN if size == SIZE else 0.0) if grain is None else grain
    if grain:
        noise = np.random.default_rng(scene.seed).standard_normal(picture.shape, dtype=np.float32)
        picture = picture + 255 * grain * noise
    return np.clip(np.rint(picture), 0, 255).astype(np.uint8)


def mask(scene: Scene, factor: str, size: int = SIZE) -> np.ndarray:
    """bool array (size, size): where the pictures that differ from `scene` only in `factor` can differ from it."""
    touched = np.zeros((size, size), bool)
    for value in FACTORS[factor]:
        own = [flat for flat in shapes(replace(scene, **{factor: value})) if factor in flat.factors]
        touched |= np.asarray(_paint(own, size, "L", lambda flat: (255 if flat.fill else None, 255 if flat.outline else None))) > 0
    return touched


def shapes(scene: Scene) -> list[Flat]:
    """The flat shapes of a scene, from back to front."""
    return [*_place(scene), *_things(scene), *_person(scene)]


def _paint(flats: list[Flat], size: int, mode: str, colours) -> Image.Image:
    over = OVER if size <= 2 * SIZE else 2
    scale = size * over / SIZE
    canvas = Image.new(mode, (size * over, size * over))
    brush = ImageDraw.Draw(canvas)
    for flat in flats:
        fill, outline = colours(flat)
        points = [(x * scale, y * scale) for x, y in flat.points]
        width = max(1, round(flat.width * scale))
        if flat.kind == "line":
            brush.line(points, fill=fill, width=width, joint="curve")
        elif flat.kind == "ellipse":
            brush.ellipse(points, fill=fill, outline=outline, width=width)
        else:
            brush.polygon(points, fill=fill, outline=outline, width=width)
    return canvas.reduce(over)  # plain averages: a pixel depends on what was painted inside it and on nothing else


# ---- the person ----


def _person(scene: Scene) -> Iterator[Flat]:
    x, y = (20 if scene.side == "left" else 44) + scene.dx, 21.0 + scene.dy
    inward = 1 if scene.side == "left" else -1  # the tool is held towards the middle of the picture
    half = 7.5 if scene.build == "slim" else 11.0
    shirt = SHIRT[SHIRTS[scene.job]]
    body, skin = ("build",), SKIN[scene.tone]
    hand = (x + inward * (half + 4.0), y + 18.0)
    other = (x - inward * (half + 2.0), y + 26.0)
    for leg in (-1, 1):
        yield _box(x + leg * half * 0.45, y + 38, half * 0.42, 9, TROUSERS, body)
        yield _disc(x + leg * half * 0.5, y + 46.5, half * 0.45, 2.0, SHOE, body)
    worn = ("build", "job")
    for sleeve, to in ((inward, hand), (-inward, other)):
        yield Flat("line", ((x + sleeve * (half - 1.5), y + 12), to), shirt, worn, width=4.6)
        yield _disc(*to, 2.5, 2.5, skin, ("tone", "build"))
    yield _disc(x, y + 12.5, half, 4.5, shirt, worn)
    yield Flat("polygon", ((x - half, y + 12), (x + half, y + 12), (x + half * 0.92, y + 31), (x - half * 0.92, y + 31)), shirt, worn)
    yield _box(x, y + 8.0, 2.4, 2.6, skin, ("tone",))
    yield _disc(x, y, 7.0, 7.6, skin, ("tone",))
    yield from _hair(scene, x, y)
    for eye in (-1, 1):
        yield _disc(x + eye * 2.6, y + 0.6, 0.85, 1.05, INK)
    yield Flat("line", ((x - 2.2, y + 3.6), (x, y + 4.6), (x + 2.2, y + 3.6)), "#8e3b3b", width=0.8)
    if scene.job in TOOLS:
        yield from (replace(flat, factors=("job", "build")) for flat in _tool(TOOLS[scene.job], *hand))


def _hair(scene: Scene, x: float, y: float) -> Iterator[Flat]:
    arc = [(x + 7.8 * math.cos(a), y - 0.6 + 8.6 * math.sin(a)) for a in (math.pi + i * math.pi / 16 for i in range(17))]
    yield Flat("polygon", (*arc, (x + 4.5, y - 3.4), (x - 4.5, y - 3.4)), HAIR_COLOUR)
    if scene.hair == "long":
        for side in (-1, 1):
            yield Flat(
                "polygon",
                (
                    (x + side * 5.6, y - 3.2),
                    (x + side * 7.8, y - 1.5),
                    (x + side * 9.4, y + 11.5),
                    (x + side * 8.2, y + 14.5),
                    (x + side * 5.4, y + 14.0),
                    (x + side * 5.6, y + 5.0),
                ),
                HAIR_COLOUR,
                ("hair",),
            )


def _tool(tool: str, x: float, y: float) -> Iterator[Flat]:
    if tool == "hammer":
        yield Flat("line", ((x, y + 4), (x, y - 8)), "#8a5a2b", width=1.8)
        yield _box(x, y - 9, 4.6, 2.0, "#4a4f59")
    elif tool == "wrench":
        yield Flat("line", ((x, y + 4), (x, y - 6)), "#8d97a6", width=2.2)
        yield Flat("ellipse", ((x - 3.6, y - 12), (x + 3.6, y - 5)), None, outline="#8d97a6", width=2.0)
    elif tool == "laptop":
        yield _box(x, y - 3, 5.4, 3.8, "#343a46")
        yield _box(x, y - 3, 4.4, 2.8, "#7fd4ff")
        yield _box(x, y + 1.6, 6.2, 0.9, "#c9ced6")
    elif tool == "rake":
        yield Flat("line", ((x, y + 14), (x, y - 9)), "#8a5a2b", width=1.5)
        yield Flat("line", ((x - 4.5, y - 9), (x + 4.5, y - 9)), "#5b616b", width=1.5)
        for tooth in (-4, 0, 4):
            yield Flat("line", ((x + tooth, y - 9), (x + tooth, y - 13)), "#5b616b", width=1.3)
    elif tool == "map":
        yield _box(x, y - 3, 6.0, 4.6, "#fff7dd", outline="#b79d5b")
        yield Flat("line", ((x - 4, y), (x - 1, y - 5), (x + 4, y - 3)), "#d92b2b", width=1.1)
    elif tool == "case":
        yield _box(x, y + 3, 5.4, 4.2, "#e23b3b")
        yield _box(x, y + 3, 0.9, 2.8, "#ffffff")
        yield _box(x, y + 3, 2.8, 0.9, "#ffffff")
    elif tool == "pan":
        yield Flat("line", ((x, y + 2), (x, y - 4)), "#2b2d33", width=1.6)
        yield _disc(x, y - 8, 5.4, 5.0, "#3b3f47", outline="#1b1d22")
        yield _disc(x, y - 8, 2.6, 2.2, "#f6cf1f")
    elif tool == "book":
        yield _box(x - 2.9, y - 3, 2.9, 4.2, "#fdfdfd", outline="#2b63d9")
        yield _box(x + 2.9, y - 3, 2.9, 4.2, "#fdfdfd", outline="#2b63d9")
    elif tool == "brush":
        yield Flat("line", ((x, y + 5), (x, y - 6)), "#b07a3a", width=1.6)
        yield Flat("polygon", ((x - 2.2, y - 5), (x + 2.2, y - 5), (x, y - 12)), "#e0218a")
    else:
        yield Flat("line", ((x, y + 4), (x, y - 5)), "#2b2d33", width=2.0)
        yield _disc(x, y - 8, 3.1, 3.4, "#8d97a6", outline="#2b2d33")


# ---- the things beside the person ----


def _things(scene: Scene) -> Iterator[Flat]:
    x, y = (48 if scene.side == "left" else 16), (14 if scene.height == "high" else 50)
    spots = {
        1: ((0, 0),),
        2: ((-5.5, 0), (5.5, 0)),
        3: ((-5.5, 5.2), (5.5, 5.2), (0, -5.2)),
        4: ((-5.5, -5.2), (5.5, -5.2), (-5.5, 5.2), (5.5, 5.2)),
    }[scene.count]
    for a, b in spots:
        yield replace(_thing(scene.shape, x + a, y + b, PAINT[scene.colour]), factors=("shape", "colour", "count", "height", "side"))


def _thing(shape: str, x: float, y: float, colour: str, r: float = 4.4) -> Flat:
    edge = "#15171c"
    if shape == "ball":
        return _disc(x, y, r, r, colour, outline=edge)
    if shape == "ring":
        return Flat("ellipse", ((x - r, y - r), (x + r, y + r)), None, outline=colour, width=2.2)
    if shape == "box":
        return _box(x, y, r * 0.9, r * 0.9, colour, outline=edge)
    if shape == "cone":
        return Flat("polygon", ((x, y - r), (x + r, y + r * 0.85), (x - r, y + r * 0.85)), colour, outline=edge, width=0.7)
    tips = [
        (
            x + (r * 1.1 if i % 2 == 0 else r * 0.48) * math.sin(i * math.pi / 5),
            y - (r * 1.1 if i % 2 == 0 else r * 0.48) * math.cos(i * math.pi / 5),
        )
        for i in range(10)
    ]
    return Flat("polygon", tuple(tips), colour, outline=edge, width=0.6)


# ---- the place ----


def _place(scene: Scene) -> Iterator[Flat]:
    yield from {"kitchen": _kitchen, "garden": _garden, "street": _street, "office": _office}[scene.place]()


def _kitchen() -> Iterator[Flat]:
    yield _box(32, 32, 32, 32, "#f7e3cf")
    for x in range(4, 64, 8):
        for y in (26, 34):
            yield _box(x, y, 3.6, 3.6, "#fbefe2")
    yield _box(32, 51, 32, 13, "#d9b48c")
    yield _box(32, 39.5, 32, 1.5, "#b98b5e")
    for x in (11, 32, 53):
        yield _box(x, 51, 9, 9, "#e2c29d")
        yield _disc(x + 6.5, 48, 0.9, 0.9, "#9a7148")
    yield _box(32, 4, 32, 4, "#e8c9a5")


def _garden() -> Iterator[Flat]:
    yield _box(32, 32, 32, 32, "#cfeaf7")
    yield _disc(32, 6, 6, 3, "#ffffff")
    yield _disc(36, 7.5, 6, 2.6, "#ffffff")
    yield _disc(12, 52, 34, 20, "#b7dd9a")
    yield _disc(54, 54, 34, 20, "#a8d48a")
    yield _box(32, 58, 32, 8, "#97c877")
    for x, colour in ((6, "#f7a8c4"), (30, "#fff3b0"), (37, "#f7a8c4"), (60, "#fff3b0")):
        yield _disc(x, 61, 1.2, 1.2, colour)


def _street() -> Iterator[Flat]:
    yield _box(32, 32, 32, 32, "#e3e9f2")
    for x, top, wide, colour in ((6, 24, 8, "#c9d1df"), (22, 32, 8, "#d5dbe6"), (38, 26, 7, "#c9d1df"), (55, 30, 10, "#d5dbe6")):
        yield _box(x, (top + 54) / 2, wide, (54 - top) / 2, colour)
        for row in range(top + 4, 50, 7):
            for column in (-wide / 2, wide / 2):
                yield _box(x + column, row, 1.4, 1.9, "#f5f8fd")
    yield _box(32, 59, 32, 5.5, "#aab2bf")
    for x in (6, 22, 38, 54):
        yield _box(x, 61, 4, 0.6, "#f2f4f7")


def _office() -> Iterator[Flat]:
    yield _box(32, 32, 32, 32, "#e9e3f3")
    yield _box(32, 22, 14, 13, "#ffffff")
    yield _box(32, 22, 12.6, 11.6, "#d6ecfa")
    yield _box(32, 22, 0.6, 11.6, "#ffffff")
    yield _box(32, 22, 12.6, 0.6, "#ffffff")
    yield _box(32, 57, 32, 7, "#c9bddb")
    yield _box(32, 49.5, 32, 0.6, "#b6a8cc")


def _box(
    x: float, y: float, half_width: float, half_height: float, fill: str, factors: tuple[str, ...] = (), outline: str | None = None
) -> Flat:
    left, right, top, bottom = x - half_width, x + half_width, y - half_height, y + half_height
    return Flat("polygon", ((left, top), (right, top), (right, bottom), (left, bottom)), fill, factors, outline, 0.7)


def _disc(x: float, y: float, rx: float, ry: float, fill: str, factors: tuple[str, ...] = (), outline: str | None = None) -> Flat:
    return Flat("ellipse", ((x - rx, y - ry), (x + rx, y + ry)), fill, factors, outline, 0.7)
