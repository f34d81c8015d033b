"""One round without a page: every place alone, as on a machine of its own, and the server with the bytes that came.

    sent = {name: place_sends(made, config, lab, name) for name in made.held}
    outcome = learns(made, config, lab, sent)             # equal for equal bytes, whatever carried them

The page tunes the words of all places in one batch, which rounds other last digits; here each place computes alone, as over a network.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from core.engine.lab import Lab
from core.federated import client, server
from core.federated.painter import schedule
from core.federated.painting import paintings, taught
from core.federated.payload import digest, pack
from core.federated.spec import FederatedConfig
from core.federated.world import World, sends


@dataclass(frozen=True)
class Outcome:
    """hashes: of what each place sent.  refused: why others are left out.  accuracy: right answers / test pictures.  sent: bytes."""

    hashes: dict[str, str]
    refused: dict[str, str]
    accuracy: float
    sent: dict[str, int]


def place_sends(made: World, config: FederatedConfig, lab: Lab, name: str) -> bytes:
    """All that one place does: tunes its words, mixes and noises its pictures, packs."""
    places = [(*made.held[name], made.nearest[name])]
    *_, (_, words) = client.concept_level(made.painter, places, steps=config.tuning, rate=config.rate, batch=client.BATCH,
                                          generators=[lab.rng(f"{name} tunes")], start=config.words)
    return pack(sends(made, config, lab, name, client.vectors(words, 0, made.held[name][1].unique().tolist())))


def learns(made: World, config: FederatedConfig, lab: Lab, sent: Mapping[str, bytes | None]) -> Outcome:
    """All that the server does. sent: what came from each place, None: nothing."""
    uploads, refused = server.receive(sent, made.painter.mark, schedule(config.steps, config.t_start)[1])
    kept = made.only(uploads)
    network = taught(kept, config, lab, _last(paintings(kept, config, lab, uploads, "fedbip")))
    hits = torch.cat([server.right(network, *data) for data in made.tests.values()]).float()
    return Outcome({name: digest(sent[name] or b"") for name in uploads}, refused, float(hits.mean()),
                   {name: len(sent[name] or b"") for name in uploads})


def loopback(made: World, config: FederatedConfig, lab: Lab, arrive: Container[str] | None = None) -> Outcome:
    """The round in one process. arrive: the places whose uploads come; None: all."""
    return learns(made, config, lab, {name: place_sends(made, config, lab, name) if arrive is None or name in arrive else None
                                      for name in made.held})


def _last(steps: Iterator[Any]) -> Any:
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value
