"""A visitor's places instead of those of the lab, and the probe that says what is in a file of them.

    own = taking(lab, config.pictures)           # Own: pictures to hold, and others to test on, by place

Of every digit at a place a third, rounded down, is kept back: nobody learns from it, and an attacker has to tell it from the others.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from core.engine.answers import Answer, data_uri
from core.engine.errors import LabError
from core.engine.lab import Lab
from core.engine.reader import apart
from core.federated.figures import as_image, sheet
from core.federated.opened import LAYOUT, SIDE
from core.federated.painter import Painter
from core.federated.places import CLASSES, STYLES
from core.federated.spec import PicturesConfig

LOOKS = 8  # noise levels at which a place compares the public styles
Pictures = tuple[Tensor, Tensor]  # (n, 3, 32, 32) in -1..1 and labels (n,)


@dataclass(frozen=True)
class Own:
    """held, tests: pictures and labels by key.  names: how each place is called by those who brought it."""

    held: dict[str, Pictures]
    tests: dict[str, Pictures]
    names: dict[str, str]


def taking(lab: Lab, ref: str) -> Own:
    """Reads a file in the reading process. Raises LabError as `core.federated.opened` says, and where nothing is left to test on."""
    found: dict[str, list[tuple[Tensor, int]]] = {}
    for facts, data in apart("core.federated.opened:collection", path=str(Path(lab.data(ref)).resolve()), stop=lambda: lab.cancelled):
        pixels = torch.frombuffer(bytearray(data), dtype=torch.uint8).reshape(SIDE, SIDE, 3).permute(2, 0, 1).float() / 127.5 - 1
        found.setdefault(facts["place"], []).append((pixels, facts["digit"]))
    held, tests, names = {}, {}, {}
    for number, (name, pictures) in enumerate(found.items(), start=1):
        key = f"place {number}"
        names[key] = name
        held[key], tests[key] = _shared(torch.stack([pixels for pixels, _ in pictures]), torch.tensor([digit for _, digit in pictures]))
        if not len(tests[key][1]):
            raise LabError(f"The place '{name}' has no digit of which there are three pictures, so none is left to test on.",
                           "Bring at least three pictures of one digit from every place.")
    return Own(held, tests, names)


def _shared(pixels: Tensor, labels: Tensor) -> tuple[Pictures, Pictures]:
    """To hold, and to test on: every third of a class."""
    back = torch.zeros(len(labels), dtype=torch.bool)
    for label in labels.unique():
        back[(labels == label).nonzero()[2::3, 0]] = True
    return (pixels[~back], labels[~back]), (pixels[back], labels[back])


@torch.no_grad()
def nearest_style(painter: Painter, pixels: Tensor, labels: Tensor, generator: torch.Generator) -> str:
    """The public style under which the painter predicts the noise of a place's pictures (n, 3, 32, 32), labels (n,), best."""
    some = torch.randperm(len(labels), generator=generator)[:32]
    latents = painter.encode(pixels[some]).repeat(LOOKS, 1, 1, 1)
    times = torch.linspace(100, 900, LOOKS).long().repeat_interleave(len(some))
    noise = torch.randn(latents.shape, generator=generator)
    digits = [CLASSES[label] for label in labels[some].tolist()] * LOOKS
    losses = {style: float(painter.noise_loss(latents, painter.prompt([(style, digit) for digit in digits]), times, noise).mean())
              for style in STYLES}
    return min(losses, key=lambda style: losses[style])


@dataclass(frozen=True, kw_only=True)
class Brought(Answer):
    """places: pictures held and pictures to test on, by the name of a place.  image seen: some of them as the lab gets them."""

    places: dict[str, tuple[int, int]]


def brought(config: PicturesConfig, lab: Lab) -> Brought:
    """Reads a ZIP file and says what is in it."""
    if not config.pictures:
        raise LabError("No pictures were given.", LAYOUT)
    own = taking(lab, config.pictures)
    places = {own.names[key]: (len(own.held[key][1]), len(own.tests[key][1])) for key in own.held}
    alone = sum(int((torch.bincount(labels, minlength=len(CLASSES)) == 1).sum()) for _, labels in own.held.values())
    says = [f"{len(places)} places: " + ", ".join(f"'{name}' holds {held} pictures, {back} are kept to test on"
                                                  for name, (held, back) in places.items()) + "."]
    if alone:
        says.append(f"{alone} times a digit has one picture at a place: it is never sent, for it has no partner to be mixed with.")
    return Brought(says=" ".join(says), places=places, images={"seen": data_uri(_sheet(own))})


def _sheet(own: Own):
    """A row for each place, its first twelve pictures."""
    rows = {own.names[key]: ([as_image(picture) for picture in pixels[:: max(1, len(pixels) // 12)][:12]],)
            for key, (pixels, _) in own.held.items()}
    return sheet(rows, ("as the lab gets them",), 12).convert("RGBA")
