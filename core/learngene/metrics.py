"""What is measured on pictures: accuracy, agreement, time, and whether weights follow their position.

    accuracy(lambda pixels: logits(model, pixels), *task.shown)          # share of right answers, 0..1
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from core.engine.stopping import go_on

Scores = Callable[[Tensor], Tensor]
BATCH = 256  # part of the numbers: batches of another size move logits in the sixth digit


@torch.no_grad()
def all_logits(scores_of: Scores, pixels: Tensor) -> Tensor:
    """Logits (n, classes) in batches of a fixed size."""
    found = []
    for part in pixels.split(BATCH):
        go_on()
        found.append(scores_of(part))
    return torch.cat(found)


def accuracy(scores_of: Scores, pixels: Tensor, labels: Tensor) -> float:
    """Share of pictures whose largest logit is the right class. `pixels`: (n, 1, 16, 16).  `labels`: long (n,)."""
    return (all_logits(scores_of, pixels).argmax(-1) == labels).float().mean().item()


def agreement(one: Tensor, other: Tensor) -> float:
    """Share of pictures on which two sets of logits (n, classes) name the same class."""
    return (one.argmax(-1) == other.argmax(-1)).float().mean().item()


def latency_ms(call: Callable[[], object], *, warm_ups: int = 5, repeats: int = 30) -> float:
    """Median milliseconds of a call, after warming up (methods/09 section 7)."""
    with torch.no_grad():
        for _ in range(warm_ups):
            call()
        taken = []
        for _ in range(repeats):
            go_on()
            start = time.perf_counter()
            call()
            taken.append(1e3 * (time.perf_counter() - start))
    return statistics.median(taken)


def cka(one: Tensor, other: Tensor) -> float:
    """Linear centred kernel alignment of two sets of features (n, a) and (n, b): 1 for the same up to rotation and size."""
    one, other = (features - features.mean(0) for features in (one.double(), other.double()))
    shared = (one.T @ other).square().sum()
    return (shared / ((one.T @ one).norm() * (other.T @ other).norm())).item()


@dataclass(frozen=True)
class Linearity:
    """How well one group of weights follows a line over its layers.

    r2: share of the variance over layers that the best line explains.  chance_mean, chance_p95: the same for 200 random
    orders of the layers.  scores: position along the first principal component, one per layer.  explained: its share.
    correlation2: squared correlation of those scores with the position.
    """

    group: str
    r2: float
    chance_mean: float
    chance_p95: float
    scores: tuple[float, ...]
    explained: float
    correlation2: float


def linearity(group: str, layers: Tensor, generator: torch.Generator, shuffles: int = 200) -> Linearity:
    """Position against weight value for `layers` (L, numbers): methods/09 section 5, with its permutation band."""
    layers = layers.double()
    centred = layers - layers.mean(0)
    gram = centred @ centred.T
    depth = len(layers)
    total = gram.trace()
    orders = torch.stack([torch.arange(depth), *(torch.randperm(depth, generator=generator) for _ in range(shuffles))])
    places = orders.double() - (depth - 1) / 2
    fits = torch.einsum("si,ij,sj->s", places, gram, places) / (places[0] @ places[0]) / total
    values, vectors = torch.linalg.eigh(gram)
    scores = vectors[:, -1] * values[-1].clamp(min=0).sqrt()
    correlation = torch.corrcoef(torch.stack([scores, places[0]]))[0, 1]
    scores = scores if correlation >= 0 else -scores
    return Linearity(group, fits[0].item(), fits[1:].mean().item(), fits[1:].quantile(0.95).item(),
                     tuple(scores.tolist()), (values[-1] / total).item(), (correlation**2).item())


def weight_groups(blocks: nn.ModuleList) -> dict[str, Tensor]:
    """Matrix-shaped parameters of all blocks by name: float (L, numbers)."""
    names = [name for name, parameter in blocks[0].named_parameters() if parameter.dim() == 2]
    return {name: torch.stack([dict(block.named_parameters())[name].detach().flatten() for block in blocks]) for name in names}
