"""Who holds what in a round, and what each place sends: the places of the lab, or those of a visitor."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from core.engine.lab import Lab
from core.federated import client, places, server
from core.federated.classifier import Classifier, read_classifier
from core.federated.own import nearest_style, taking
from core.federated.painter import Painter, load_painter, schedule
from core.federated.payload import Payload, pack
from core.federated.places import CLASSES, PLACES, draw, read_bank, shared_out
from core.federated.spec import PLACE_WORDS, FederatedConfig, Mishap


@dataclass
class World:
    """What a run works with: painter and first classifier; by place what it holds, what it is tested on, and strangers to its pictures.

    names: how the places are called.  nearest: the public style that says each best.
    """

    painter: Painter
    start: Classifier
    held: dict[str, tuple[Tensor, Tensor]]
    tests: dict[str, tuple[Tensor, Tensor]]
    strangers: dict[str, tuple[Tensor, Tensor]]
    names: dict[str, str]
    nearest: dict[str, str]

    def only(self, kept: Iterable[str]) -> World:
        """The same with those places alone that have sent; everything is still tested everywhere."""
        return replace(self, held={name: self.held[name] for name in kept})

    @property
    def pooled(self) -> tuple[Tensor, Tensor]:
        """All pictures in one room (n, 3, 32, 32), with their labels (n,)."""
        return torch.cat([pixels for pixels, _ in self.held.values()]), torch.cat([labels for _, labels in self.held.values()])


def world(config: FederatedConfig, lab: Lab) -> World:
    """Draws everything from the seed, or takes the visitor's places; the painter is the one that comes with the lab."""
    folder, bank = lab.folder("painter"), read_bank()
    if config.pictures:
        own, painter = taking(lab, config.pictures), load_painter(folder)
        nearest = {name: nearest_style(painter, *data, lab.rng(f"{name} compares")) for name, data in own.held.items()}
        return World(painter, read_classifier(folder), _mixed_up(own.held, config), own.tests, own.tests, own.names, nearest)
    counts = shared_out(len(PLACES), config.shots, config.tilt, lab.rng("holdings"))
    held, tests, strangers = {}, {}, {}
    for place, numbers in zip(PLACES.values(), counts, strict=True):
        labels = torch.arange(len(CLASSES)).repeat_interleave(torch.tensor(numbers))
        held[place.name] = draw(place, bank.clients, len(labels), lab.rng(f"{place.name} holds"), labels)
        tests[place.name] = draw(place, bank.test, config.tests, lab.rng(f"{place.name} tests"))
        strangers[place.name] = draw(place, bank.test, len(labels), lab.rng(f"{place.name} strangers"), labels)
    return World(load_painter(folder), read_classifier(folder), _mixed_up(held, config), tests, strangers, dict(PLACE_WORDS),
                 dict(places.NEAREST))


def _mixed_up(held: dict[str, tuple[Tensor, Tensor]], config: FederatedConfig) -> dict[str, tuple[Tensor, Tensor]]:
    """With that mishap the last place calls every digit by the name of the next one."""
    if config.mishap != "labels":
        return held
    last = list(held)[-1]
    return held | {last: (held[last][0], (held[last][1] + 1) % len(CLASSES))}


def send(made: World, config: FederatedConfig, lab: Lab,
         words: client.Words) -> tuple[dict[str, Payload], dict[str, str], dict[str, bytes]]:
    """What each place sends, through bytes and the server's checks as with any transport: uploads, why others are left out, and the
    bytes that came."""
    sent: dict[str, bytes | None] = {}
    for i, (name, (_, labels)) in enumerate(made.held.items()):
        payload = sends(made, config, lab, name, client.vectors(words, i, labels.unique().tolist()))
        sent[name] = pack(payload) if i + 1 < len(made.held) else spoiled(payload, config.mishap)
    uploads, refused = server.receive(sent, made.painter.mark, schedule(config.steps, config.t_start)[1])
    return uploads, refused, {name: data for name, data in sent.items() if data is not None}


def sends(made: World, config: FederatedConfig, lab: Lab, name: str, vectors: tuple[Tensor, Tensor, Tensor]) -> Payload:
    """The upload of one place. vectors: its style (64,), its classes (owned, 64), and which they are (owned,)."""
    begin = schedule(config.steps, config.t_start)[1][0]
    latents, kept = client.instance_level(made.painter, *made.held[name], t_start=begin, mix=config.mix, extra=config.extra,
                                          generator=lab.rng(f"{name} sends"))
    if config.erase:
        latents = torch.randn(latents.shape, generator=lab.rng(f"{name} erases")).half()
    return Payload(name, made.painter.mark, begin, latents, kept, *vectors)


def spoiled(payload: Payload, mishap: Mishap) -> bytes | None:
    """The upload as it arrives when something goes wrong with it; None: never."""
    if mishap == "silent":
        return None
    factor = {"nan": torch.nan, "loud": 3.0}.get(mishap, 1.0)
    mark = "another" if mishap == "painter" else payload.painter
    return pack(replace(payload, painter=mark, latents=payload.latents * factor, style=payload.style * factor))
