"""The server at work: it paints for all places in shared batches, shows how, and teaches one network with what came out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from core.engine.events import Event, Picture, Progress
from core.engine.lab import Lab
from core.federated import client, figures, server
from core.federated.classifier import Classifier
from core.federated.painter import LATENT, schedule
from core.federated.payload import Payload
from core.federated.spec import METHODS, FederatedConfig, Method
from core.federated.world import World

SHOWN = 3
AT_ONCE = 160  # paintings in one pass of the painter
# method -> (painted under the uploaded words, from the uploaded latents)
PAINTED: dict[Method, tuple[bool, bool]] = {"fedbip": (True, True), "instance": (False, True), "concept": (True, False),
                                            "feddeo": (False, False), "prompts": (False, False)}
Paintings = dict[str, tuple[Tensor, Tensor]]  # place -> pictures (m, 3, 32, 32) and labels (m,)


def paintings(made: World, config: FederatedConfig, lab: Lab, uploads: Mapping[str, Payload], method: Method,
              live: bool = False) -> Iterator[Event]:
    """The paintings of one method; the generator's value. live: shows the first of every place while they come out of the noise."""
    words, start = PAINTED[method]
    also = (yield from described(made, config, lab, uploads)) if method == "feddeo" else None
    easels = [server.easel_of(made.painter, payload, made.nearest[name], copies=config.copies, spread=config.spread,
                              generator=lab.rng(f"{name} is painted"), words=words, start=start) for name, payload in uploads.items()]
    sizes = [len(one.labels) for one in easels]
    begins, contexts, labels, steps = (torch.cat([getattr(one, part) for one in easels])
                                       for part in ("start", "context", "labels", "begin"))
    whole = None if also is None else torch.cat([also[i, one.labels] for i, one in enumerate(easels)])
    orders = [_shown_first(sizes, [len(payload.labels) for payload in uploads.values()], steps == step) for step in steps.unique()]
    batches = [some for order, _ in orders for some in order.split(AT_ONCE)]
    made_of, pixels = torch.arange(len(sizes)).repeat_interleave(torch.tensor(sizes)), torch.empty(sum(sizes), 3, 32, 32)
    for k, some in enumerate(batches):
        t_start = int(steps[some[0]])
        total = len(schedule(config.steps, t_start)[1])
        shown = some[: orders[0][1]]
        for step, now in enumerate(made.painter.paint(begins[some], contexts[some], t_start=t_start, steps=config.steps,
                                                      guidance=config.guidance, also=None if whole is None else whole[some])):
            yield Progress(k * total + step + 1, len(batches) * total, f"painting: {METHODS[method].lower()}")
            if live and k == 0 and step % 2 == 0 and step + 1 < total:
                seen = made.painter.decode(now[: len(shown)])
                yield Picture("journey", journey(made, uploads, {name: seen[made_of[shown] == i] for i, name in enumerate(uploads)}),
                              "Paintings on their way out of the noise.")
        pixels[some] = made.painter.decode(now)
    return dict(zip(uploads, zip(pixels.split(sizes), labels.split(sizes), strict=True), strict=True))


def described(made: World, config: FederatedConfig, lab: Lab, uploads: Mapping[str, Payload]) -> Iterator[Event]:
    """The generator's value: a whole prompt for every digit of every place, as sent: (places, 10, 8, 64)."""
    for step, whole in client.descriptions(made.painter, [(*made.held[name], made.nearest[name]) for name in uploads], steps=config.tuning,
                                           rate=config.rate, generators=[lab.rng(f"{name} describes") for name in uploads]):
        yield Progress(step, config.tuning, "each place describes its digits")
        last = whole
    return last.half().float()


def _shown_first(sizes: list[int], sent: list[int], wanted: Tensor) -> tuple[Tensor, int]:
    """The indices of what is `wanted`, those that are shown of every place before the rest, and how many those are."""
    shown, at = [], 0
    for size, latents in zip(sizes, sent, strict=True):
        shown += [at + i for i in spread_over(min(latents, size) or size) if wanted[at + i]]
        at += size
    rest = wanted.clone()
    rest[shown] = False
    return torch.cat([torch.tensor(shown, dtype=torch.long), rest.nonzero()[:, 0]]), len(shown)


def learned(made: World, config: FederatedConfig, lab: Lab, method: Method, paint: Callable[[Method], Iterator[Event]]) -> Iterator[Event]:
    """The classifier of one method, all from the same start and for equally many steps; the generator's value.

    paint: gives the paintings of a method, where it needs some."""
    options: dict[str, Any] = dict(steps=config.learning, generator=lab.rng("learning"))
    if method == "central":
        return server.fit(made.start, *made.pooled, **options)
    if method == "fedavg":
        own = [server.fit(made.start, *data, **options | {"generator": lab.rng(f"{name} learns"), "batch": server.BATCH // 2})
               for name, data in made.held.items()]
        return server.averaged(own, [len(labels) for _, labels in made.held.values()])
    return taught(made, config, lab, (yield from paint(method)))


def taught(made: World, config: FederatedConfig, lab: Lab, painted: Paintings) -> Classifier:
    """A network that learned from these paintings: pictures (m, 3, 32, 32) and labels (m,) by place."""
    pixels, labels = (torch.cat(part) for part in zip(*painted.values(), strict=True))
    return server.fit(made.start, pixels, labels, steps=config.learning, generator=lab.rng("learning"))


def journey(made: World, uploads: Mapping[str, Payload], painted: Mapping[str, Tensor]) -> Image.Image:
    """The contact sheet: a row a place with what it holds, sends, and what was painted of that, pictures (up to 3, 3, 32, 32)."""
    rows = {}
    for name, (pixels, labels) in made.held.items():
        real = [figures.as_image(pixels[i]) for i in spread_over(len(labels))]
        latents = uploads[name].latents if name in uploads else torch.empty(0, *LATENT)
        sent = [figures.latent_image(latents[i]) for i in spread_over(len(latents))]
        out = [figures.as_image(picture) for picture in painted.get(name, ())]
        rows[made.names[name]] = (real, sent, out)
    return figures.sheet(rows, figures.COLUMNS, SHOWN)


def some_of(painted: Paintings, uploads: Mapping[str, Payload]) -> dict[str, Tensor]:
    """Of every place the paintings (up to 3, 3, 32, 32) of the uploads that are shown."""
    return {name: pixels[spread_over(min(len(uploads[name].labels), len(pixels)) or len(pixels))] for name, (pixels, _) in painted.items()}


def spread_over(count: int) -> list[int]:
    """Which of so many pictures are shown."""
    return [round(i * (count - 1) / (SHOWN - 1)) for i in range(SHOWN)] if count >= SHOWN else list(range(count))
