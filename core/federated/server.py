"""What the server does with uploads: paint under the words that came, starting where a latent came, and learn from the paintings.

    uploads, refused = receive({"night": sent, "post": None}, painter.mark, times)
    easel = easel_of(painter, payload, "neon", copies=1, spread=0.1, generator=g)
    pixels = painter.decode(painter.sample(easel.start, easel.context, t_start=payload.t_start, steps=10))
    network = fit(initial, pixels, labels, steps=150, generator=g)

methods/07 sections 2.4 and 2.5.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from core.engine.errors import LabError
from core.engine.stopping import go_on
from core.federated.classifier import Classifier
from core.federated.painter import LATENT, Painter
from core.federated.payload import Payload, check, unpack
from core.federated.places import CLASSES

RATE, BATCH = 2e-3, 64
DEEPEST = 981  # where painting from pure noise begins


def receive(sent: Mapping[str, bytes | None], painter: str, times: Sequence[int]) -> tuple[dict[str, Payload], dict[str, str]]:
    """The uploads that may be used, and for every other place a sentence why it is left out. None: nothing came, or too late.

    painter: the mark of the server's painter.  times: the steps of its sampler.  Raises LabError where no place is left."""
    good, refused = {}, {}
    for place, data in sent.items():
        try:
            if data is None:
                raise LabError(f"The upload of {place} is left out: it did not come in time.")
            payload = unpack(data)
            check(payload, painter, times)
            good[place] = payload
        except LabError as error:
            refused[place] = error.message
    if not good:
        raise LabError("No place has sent anything that can be used.", " ".join(refused.values()))
    return good, refused


@dataclass(frozen=True)
class Easel:
    """What painting begins with: start (m, 4, 8, 8), noised to the step in `begin` (m,), context (m, 8, 64), labels long (m,)."""

    start: Tensor
    context: Tensor
    labels: Tensor
    begin: Tensor


def easel_of(painter: Painter, payload: Payload, nearest: str, *, copies: int, spread: float, generator: torch.Generator,
             words: bool = True, start: bool = True) -> Easel:
    """Every latent of the upload `copies` times; a class of which only words came begins once a copy at pure noise (section 13, Q6).

    words: under the vectors of the upload, otherwise under the public words `nearest` and the digit.  start: from the latents of the
    upload at its `t_start`, otherwise from pure noise.  spread: deviation of the noise on S for every
    painting, in units of the root mean square of the word table (0.1 in the code).
    """
    alone = torch.tensor([int(label) for label in payload.owned if label not in payload.labels], dtype=torch.long)
    sent = len(payload.labels) * copies if start else 0
    labels = torch.cat([payload.labels.repeat(copies).long(), alone.repeat(copies)])
    style = digit = None
    if words and len(payload.style):
        size = painter.prompts.words.weight.square().mean().sqrt()
        style = payload.style.float() + spread * size * torch.randn(len(labels), len(payload.style), generator=generator)
        known = {int(label): vector.float() for label, vector in zip(payload.owned, payload.classes, strict=True)}
        digit = torch.stack([known.get(label, painter.word(CLASSES[label])) for label in labels.tolist()])
    context = painter.prompt([(nearest, CLASSES[label]) for label in labels.tolist()], style, digit)
    begin = torch.randn(len(labels), *LATENT, generator=generator)
    begin[:sent] = payload.latents.float().repeat(copies, 1, 1, 1) if start else begin[:sent]
    steps = torch.full((len(labels),), DEEPEST)
    steps[:sent] = payload.t_start
    return Easel(begin, context, labels, steps)


def fit(initial: Classifier, pixels: Tensor, labels: Tensor, *, steps: int, generator: torch.Generator, batch: int = BATCH) -> Classifier:
    """A copy of `initial` after `steps` batches of pictures (n, 3, 32, 32), labels (n,), classes balanced (section 13, Q11)."""
    network = copy.deepcopy(initial).train().requires_grad_(True)
    share = torch.bincount(labels.long(), minlength=len(CLASSES)).clamp(min=1)
    chance = (1 / share.double())[labels.long()]
    optimizer = torch.optim.Adam(network.parameters(), lr=RATE)
    plan = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        go_on()
        some = torch.multinomial(chance, batch, replacement=True, generator=generator)
        loss = F.cross_entropy(network(pixels[some]), labels[some].long())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        plan.step()
    return network.eval().requires_grad_(False)


def averaged(networks: Sequence[Classifier], shares: Sequence[float]) -> Classifier:
    """One-shot FedAvg: the mean of the weights, each with its share of all pictures (section 5)."""
    mean, whole = copy.deepcopy(networks[0]), sum(shares)
    parts = [(share / whole, network.state_dict()) for share, network in zip(shares, networks, strict=True)]
    mean.load_state_dict({name: sum(share * state[name] for share, state in parts) for name in parts[0][1]})
    return mean


@torch.no_grad()
def right(network: Classifier, pixels: Tensor, labels: Tensor) -> Tensor:
    """Which pictures are told rightly, bool (n,)."""
    go_on()
    return network(pixels).argmax(1) == labels
