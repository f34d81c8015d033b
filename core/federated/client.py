"""What a place does with its pictures before anything leaves: mix, noise once, tune a few words. Pure and seeded.

    latents, labels = instance_level(painter, pixels, labels, t_start=701, generator=generator)
    for step, words in concept_level(painter, [(pixels, labels, "neon")], steps=200, rate=0.02, generators=[generator]): ...

methods/07 section 2; mixing and noising happen here and clean moments never leave, as in the paper and unlike the released script.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from core.engine.errors import LabError
from core.federated.painter import WIDTH, Painter, noised, signal
from core.federated.places import CLASSES

MIX_MEAN, MIX_SPREAD = 0.5, 0.1
RADIUS = 24.0  # no latent leaves that is longer than this; one of unit deviation has length 16
BATCH, LOOK = 16, 20  # pictures of a place in one step; steps between looks at those held back
HELD = 0.2  # share of a place's pictures whose noise loss decides when tuning stops helping


def partners(labels: Tensor, generator: torch.Generator) -> Tensor:
    """For each picture another one of its class, each chosen once (a random cycle through the class), long (n,); -1: it is alone."""
    partner = torch.full_like(labels, -1)
    for label in labels.unique():
        own = (labels == label).nonzero()[:, 0]
        if len(own) > 1:
            order = own[torch.randperm(len(own), generator=generator)]
            partner[order] = order.roll(1)
    return partner


def instance_level(painter: Painter, pixels: Tensor, labels: Tensor, *, t_start: int, generator: torch.Generator, mix: bool = True,
                   extra: float = 0.0) -> tuple[Tensor, Tensor]:
    """Mixed and noised latents fp16 (m, 4, 8, 8) of pictures (n, 3, 32, 32) in -1..1, with their labels uint8 (m,).

    A picture that is alone in its class is not sent (section 13, Q6).  mix: off sends every picture on its own.  extra: deviation
    of Gaussian noise added to the clean latent, after which the whole is brought back to unit variance (section 8).  Latents are
    clipped to length RADIUS first, which the bound of `attacks.guarantee` rests on.
    """
    clean = clipped(painter.encode(pixels, generator))
    partner = partners(labels, generator)
    keep = partner >= 0
    if mix:
        weight = (MIX_MEAN + MIX_SPREAD * torch.randn(len(labels), 1, 1, 1, generator=generator)).clamp(0, 1)
        clean = torch.where(keep[:, None, None, None], weight * clean + (1 - weight) * clean[partner], clean)
    if extra:
        clean = clean + extra * torch.randn(clean.shape, generator=generator)
    whole = (1 + float(signal()[t_start]) * extra**2) ** 0.5
    sent = noised(clean, t_start, torch.randn(clean.shape, generator=generator)) / whole
    return sent[keep].half(), labels[keep].to(torch.uint8)


def clipped(latents: Tensor, radius: float = RADIUS) -> Tensor:
    """Latents (n, 4, 8, 8), those longer than `radius` made as long."""
    length = latents.flatten(1).norm(dim=1).clamp(min=1e-12)
    return latents * (radius / length).clamp(max=1)[:, None, None, None]


@dataclass
class Words:
    """The tuned vectors of the places: style (places, 64), classes (places, 10, 64); losses (places,) on pictures held back."""

    style: Tensor
    classes: Tensor
    held: Tensor

    def context(self, painter: Painter, place: Tensor, labels: Tensor) -> Tensor:
        """The prompts (n, 8, 64) of pictures with these labels (n,) at these places (n,)."""
        return painter.prompt([("ink", CLASSES[0])] * len(labels), self.style[place], self.classes[place, labels.long()])


def concept_level(painter: Painter, places: Sequence[tuple[Tensor, Tensor, str]], *, steps: int, rate: float, batch: int,
                  generators: Sequence[torch.Generator], start: str = "prompt") -> Iterator[tuple[int, Words]]:
    """Tunes S (one a place) and V (one a class) so that the frozen painter predicts the noise of the place's pictures; all places at
    once, which gives each the numbers it would get alone. Yields after every step the best words so far by pictures held back.

    places: (pixels, labels, nearest public style).  start: "prompt" begins at the words of the natural prompt, as the released
    code does, "random" at vectors of their size.  Raises LabError when a loss is no longer finite.
    """
    data = [_split(painter, pixels, labels, generator) for (pixels, labels, _), generator in zip(places, generators, strict=True)]
    style = torch.stack([painter.word(name) for _, _, name in places])
    classes = torch.stack([painter.word(name) for name in CLASSES]).repeat(len(places), 1, 1)
    if start == "random":
        for i, generator in enumerate(generators):
            style[i], classes[i] = (torch.randn(part[i].shape, generator=generator) * part[i].std() for part in (style, classes))
    style.requires_grad_(), classes.requires_grad_()
    optimizer = torch.optim.Adam([style, classes], lr=rate)
    best = Words(style.detach().clone(), classes.detach().clone(), _held_losses(painter, data, style, classes))
    yield 0, best
    for step in range(1, steps + 1):
        loss = _losses(painter, [_batch(one, batch, generator) for one, generator in zip(data, generators, strict=True)], style, classes)
        if not loss.isfinite().all():
            raise LabError("The word vectors of a place grew beyond all bounds while they were tuned.", "Lower the rate.")
        optimizer.zero_grad()
        loss.sum().backward()
        optimizer.step()
        if step % LOOK == 0 or step == steps:
            held = _held_losses(painter, data, style, classes)
            better = held < best.held
            best = Words(torch.where(better[:, None], style.detach(), best.style),
                         torch.where(better[:, None, None], classes.detach(), best.classes), torch.where(better, held, best.held))
        yield step, best


def descriptions(painter: Painter, places: Sequence[tuple[Tensor, Tensor, str]], *, steps: int, rate: float,
                 generators: Sequence[torch.Generator]) -> Iterator[tuple[int, Tensor]]:
    """The rival after FedDEO: one whole prompt (places, 10, 8, 64) a class, tuned on the same loss for as many steps as the words are,
    from the natural prompt on; its own code takes one pass of SGD (section 5). All places at once. Yields after every step."""
    data = [_split(painter, pixels, labels, generator) for (pixels, labels, _), generator in zip(places, generators, strict=True)]
    whole = torch.stack([painter.prompt([(style, digit) for digit in CLASSES]) for *_, style in places]).requires_grad_()
    optimizer = torch.optim.Adam([whole], lr=rate)
    yield 0, whole.detach()
    for step in range(1, steps + 1):
        batches = [_batch(one, BATCH, generator) for one, generator in zip(data, generators, strict=True)]
        place = torch.arange(len(batches)).repeat_interleave(BATCH)
        latents, labels, times, noise = (torch.cat(part) for part in zip(*batches, strict=True))
        loss = painter.noise_loss(latents, whole[place, labels.long()], times, noise).mean() * len(batches)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        yield step, whole.detach()


@dataclass
class _Data:
    latents: Tensor
    labels: Tensor
    held: tuple[Tensor, Tensor, Tensor, Tensor]  # latents, labels, times, noise: drawn once


def _split(painter: Painter, pixels: Tensor, labels: Tensor, generator: torch.Generator) -> _Data:
    latents = painter.encode(pixels, generator)
    order = torch.randperm(len(labels), generator=generator)
    held = order[: max(1, round(HELD * len(order)))].repeat(4)
    times = torch.linspace(50, 950, len(held)).long()[torch.randperm(len(held), generator=generator)]
    noise = torch.randn(len(held), *latents.shape[1:], generator=generator)
    rest = order[len(held) // 4:] if len(order) > 1 else order
    return _Data(latents[rest], labels[rest], (latents[held], labels[held], times, noise))


def _batch(data: _Data, size: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    some = torch.randint(len(data.labels), (size,), generator=generator)
    times = torch.randint(1, 1000, (size,), generator=generator)
    return data.latents[some], data.labels[some], times, torch.randn(size, *data.latents.shape[1:], generator=generator)


def _losses(painter: Painter, batches: Sequence[tuple[Tensor, ...]], style: Tensor, classes: Tensor) -> Tensor:
    """The mean noise loss of each place (places,), one pass for all."""
    place = torch.cat([torch.full((len(labels),), i) for i, (_, labels, *_) in enumerate(batches)])
    latents, labels, times, noise = (torch.cat(part) for part in zip(*batches, strict=True))
    context = painter.prompt([("ink", CLASSES[0])] * len(labels), style[place], classes[place, labels.long()])
    loss = painter.noise_loss(latents, context, times, noise)
    return torch.stack([loss[place == i].mean() for i in range(len(batches))])


@torch.no_grad()
def _held_losses(painter: Painter, data: Sequence[_Data], style: Tensor, classes: Tensor) -> Tensor:
    return _losses(painter, [one.held for one in data], style, classes)


def vectors(words: Words, place: int, owned: Sequence[int]) -> tuple[Tensor, Tensor, Tensor]:
    """Style, classes and their names of one place as they are sent: fp16 (64,), fp16 (owned, 64), uint8 (owned,)."""
    return words.style[place].half(), words.classes[place, list(owned)].half(), torch.tensor(list(owned), dtype=torch.uint8)


NO_WORDS = (torch.zeros(0, dtype=torch.float16), torch.zeros(0, WIDTH, dtype=torch.float16), torch.zeros(0, dtype=torch.uint8))
