"""What somebody who sees the uploads, or what came of them, can learn about single pictures (methods/07 section 8).

Members are pictures that a place held, strangers are new ones of the same place; a score that is higher for members tells them apart.

    told = auc(matched_filter(painter, payload, pixels, labels), is_member)      # 0.5: coin tossing

A1 `loss_scores`, A2 `nearest_scores`, A3 `matched_filter`. A formal promise is none of them.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from core.federated.classifier import Classifier
from core.federated.painter import Painter, signal
from core.federated.payload import Payload


def auc(scores: Tensor, member: Tensor) -> float:
    """Share of pairs of a member and a stranger in which the member scores higher; ties count half. scores (n,), member bool (n,)."""
    apart = scores[member][:, None] - scores[~member][None]
    return float(((apart > 0).double() + 0.5 * (apart == 0)).mean())


def auc_interval(scores: Tensor, member: Tensor, generator: torch.Generator, draws: int = 500) -> tuple[float, float]:
    """95 % bootstrap interval of `auc`, scores and member (n,): members and strangers drawn again, each among themselves."""
    found = []
    inside, outside = scores[member], scores[~member]
    for _ in range(draws):
        one = inside[torch.randint(len(inside), (len(inside),), generator=generator)]
        other = outside[torch.randint(len(outside), (len(outside),), generator=generator)]
        found.append(auc(torch.cat([one, other]), torch.arange(len(one) + len(other)) < len(one)))
    low, high = torch.quantile(torch.tensor(found, dtype=torch.float64), torch.tensor([0.025, 0.975], dtype=torch.float64)).tolist()
    return low, high


@torch.no_grad()
def loss_scores(network: Classifier, pixels: Tensor, labels: Tensor) -> Tensor:
    """A1: how little the released classifier is surprised, -CE (n,)."""
    return -F.cross_entropy(network(pixels), labels, reduction="none")


@torch.no_grad()
def nearest_scores(pixels: Tensor, painted: Tensor, network: Classifier | None = None) -> Tensor:
    """A2: minus the distance to the nearest painting, in pixels or in what `network` sees. (n,)"""
    one, other = (x.flatten(1) if network is None else network.features(x) for x in (pixels, painted))
    return -torch.cdist(one, other).min(1).values


@torch.no_grad()
def matched_filter(painter: Painter, payload: Payload, pixels: Tensor, labels: Tensor) -> Tensor:
    """A3: the best match of a candidate's clean latent with the uploads of its class, both without the mean of the class's candidates. (n,)

    A picture whose class was not uploaded scores 0."""
    amplitude = math.sqrt(float(signal()[payload.t_start]))
    return match(painter.encode(pixels), labels, payload.latents.float(), payload.labels.long(), amplitude)


def match(clean: Tensor, labels: Tensor, sent: Tensor, sent_labels: Tensor, amplitude: float) -> Tensor:
    """max_i <z_i - a mu_y, z_x - mu_y> (n,); clean (n, ...), sent (m, ...); amplitude: a, what noising left of a picture, 1 for clean."""
    scores = torch.zeros(len(labels))
    for label in labels.unique():
        own, theirs = labels == label, sent_labels == label
        if theirs.any():
            mean = clean[own].mean(0, keepdim=True)
            inner = (clean[own] - mean).flatten(1) @ (sent[theirs] - amplitude * mean).flatten(1).T
            scores[own] = inner.max(1).values
    return scores


def guarantee(t_start: int, extra: float, radius: float, weight: float = 1.0, uploads: int = 1) -> float:
    """mu of the Gaussian mechanism for latents clipped to length `radius`: 2 w B sqrt(uploads * signal / noise) (section 8).

    Covers the latents alone, not the word vectors.  weight: the largest share that a picture has in a mixture.  uploads: in how
    many it has one: two where pictures are mixed in pairs, its own and its partner's."""
    level = float(signal()[t_start])
    return 2 * weight * radius * math.sqrt(uploads * level / ((1 - level) + level * extra**2))
