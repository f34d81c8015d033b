"""What the server does with uploads: paint under the words that came, starting where a latent came, and learn from the paintings.

    start, context, labels = easel(painter, payload, "neon", copies=1, spread=0.1, generator=g)
    pixels = painter.decode(painter.sample(start, context, t_start=payload.t_start, steps=10))
    network = fit(initial, pixels, labels, steps=150, generator=g)

methods/07 sections 2.4 and 2.5.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from core.engine.stopping import go_on
from core.federated.classifier import Classifier
from core.federated.painter import LATENT, Painter
from core.federated.payload import Payload
from core.federated.places import CLASSES

RATE, BATCH = 2e-3, 64


def easel(painter: Painter, payload: Payload, nearest: str, *, copies: int, spread: float, generator: torch.Generator, words: bool = True,
          start: bool = True) -> tuple[Tensor, Tensor, Tensor]:
    """What painting begins with: latents (m, 4, 8, 8), context (m, 8, 64), labels long (m,), every upload `copies` times.

    words: under the vectors of the upload, otherwise under the public words `nearest` and the digit.  start: from the latents of the
    upload at its `t_start`, otherwise from pure noise, for the sampler's first step.  spread: deviation of the noise on S for every
    painting, in units of the root mean square of the word table (0.1 in the code).
    """
    labels = payload.labels.repeat(copies).long()
    style = digit = None
    if words and len(payload.style):
        size = painter.prompts.words.weight.square().mean().sqrt()
        style = payload.style.float() + spread * size * torch.randn(len(labels), len(payload.style), generator=generator)
        known = {int(label): vector.float() for label, vector in zip(payload.owned, payload.classes, strict=True)}
        digit = torch.stack([known.get(label, painter.word(CLASSES[label])) for label in labels.tolist()])
    context = painter.prompt([(nearest, CLASSES[label]) for label in labels.tolist()], style, digit)
    noise = torch.randn(len(labels), *LATENT, generator=generator)
    return payload.latents.float().repeat(copies, 1, 1, 1) if start else noise, context, labels


def fit(initial: Classifier, pixels: Tensor, labels: Tensor, *, steps: int, generator: torch.Generator) -> Classifier:
    """A copy of `initial` after `steps` batches of 64 drawn so that classes are balanced (section 13, Q11)."""
    network = copy.deepcopy(initial).train().requires_grad_(True)
    share = torch.bincount(labels.long(), minlength=len(CLASSES)).clamp(min=1)
    chance = (1 / share.double())[labels.long()]
    optimizer = torch.optim.Adam(network.parameters(), lr=RATE)
    plan = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        go_on()
        some = torch.multinomial(chance, BATCH, replacement=True, generator=generator)
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
    return network(pixels).argmax(1) == labels
