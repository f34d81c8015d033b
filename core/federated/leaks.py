"""The attacks of a round: members are what the places held, strangers new pictures of the same places."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import torch
from PIL import Image
from torch import Tensor

from core.engine.events import Event, Figure, Metric
from core.engine.lab import Lab
from core.engine.stopping import go_on
from core.federated import attacks, client, figures
from core.federated.classifier import Classifier
from core.federated.painting import Paintings
from core.federated.payload import Payload
from core.federated.spec import Method
from core.federated.world import World

Told = tuple[float, float, float]  # AUC and its 95 % interval


def attacked(made: World, lab: Lab, networks: Mapping[Method, Classifier], uploads: Mapping[str, Payload],
             painted: Paintings) -> Iterator[Event]:
    """A1 to A3; the generator's value: what is attacked -> (AUC, low, high). painted: pictures (m, 3, 32, 32) and labels (m,) by place."""
    every = torch.cat([pixels for pixels, _ in painted.values()])
    attempts = {
        "released": ("A1: the finished network", lambda name, x, y: attacks.loss_scores(networks["fedbip"], x, y)),
        "central": ("A1: a network that saw the pictures", lambda name, x, y: attacks.loss_scores(networks["central"], x, y)),
        "pixels": ("A2: nearest painting, pixels", lambda name, x, y: attacks.nearest_scores(x, every)),
        "features": ("A2: nearest painting, features", lambda name, x, y: attacks.nearest_scores(x, every, made.start)),
        "uploads": ("A3: the uploads", lambda name, x, y: attacks.matched_filter(made.painter, uploads[name], x, y)),
        "clean": ("A3: if clean latents were sent", lambda name, x, y: clean_match(made, name, x, y)),
    }
    found = {key: told_apart(made, scores, lab) for key, (_, scores) in attempts.items()}
    yield Figure("leak", figures.leak({attempts[key][0]: value for key, value in found.items()}))
    for key, (value, *_) in found.items():
        yield Metric("leak latents" if key == "uploads" else f"leak {key}", value)
    return found


def clean_match(made: World, place: str, pixels: Tensor, labels: Tensor) -> Tensor:
    """Scores (n,) of the matched filter against clean latents of single pictures: the control that has to find its members."""
    held, own = made.held[place]
    return attacks.match(made.painter.encode(pixels), labels, client.clipped(made.painter.encode(held)), own, 1.0)


def told_apart(made: World, scores_of: Callable[[str, Tensor, Tensor], Tensor], lab: Lab) -> Told:
    """AUC with interval of members against strangers, scores standardised within each place. scores_of(place, pixels, labels) -> (n,)."""
    scores, member = [], []
    for name, (pixels, labels) in made.held.items():
        go_on()
        strangers, theirs = made.strangers[name]
        some = scores_of(name, torch.cat([pixels, strangers]), torch.cat([labels, theirs])).double()
        scores.append((some - some.mean()) / some.std().clamp(min=1e-12))
        member.append(torch.arange(len(some)) < len(labels))
    all_scores, all_members = torch.cat(scores), torch.cat(member)
    return attacks.auc(all_scores, all_members), *attacks.auc_interval(all_scores, all_members, lab.rng("attack"))


def evidence(made: World, uploads: Mapping[str, Payload], painted: Paintings) -> tuple[list[Image.Image], ...]:
    """A4: of every place one real picture, one upload decoded as it came, and the painting (m, 3, 32, 32) nearest to the picture."""
    groups: tuple[list, list, list] = ([], [], [])
    for name, payload in uploads.items():
        pixels = made.held[name][0][:1]
        nearest = torch.cdist(pixels.flatten(1), painted[name][0].flatten(1)).argmin()
        groups[0].append(figures.as_image(pixels[0]))
        groups[2].append(figures.as_image(painted[name][0][nearest]))
        if len(payload.latents):
            groups[1].append(figures.as_image(made.painter.decode(payload.latents[:1].float())[0]))
    return groups
