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
from core.federated.painting import SHOWN, Paintings, spread_over
from core.federated.payload import Payload
from core.federated.spec import Method
from core.federated.world import World

Told = tuple[float, float, float]  # AUC and its 95 % interval
ATTACKS = {"released": "A1: the finished network", "central": "A1: a network that saw the pictures",
           "pixels": "A2: nearest painting, pixels", "features": "A2: nearest painting, features",
           "uploads": "A3: the uploads", "clean": "A3: if clean latents were sent"}


def attacked(made: World, lab: Lab, networks: Mapping[Method, Classifier], uploads: Mapping[str, Payload],
             painted: Paintings) -> Iterator[Event]:
    """A1 to A3; the generator's value: what is attacked -> (AUC, low, high). painted: pictures (m, 3, 32, 32) and labels (m,) by place."""
    found = attempts(made, lab, networks["fedbip"], uploads, painted) | controls(made, lab, networks["central"])
    yield shown("leak", found)
    for key, (value, *_) in found.items():
        yield Metric("leak latents" if key == "uploads" else f"leak {key}", value)
    return found


def attempts(made: World, lab: Lab, released: Classifier, uploads: Mapping[str, Payload], painted: Paintings) -> dict[str, Told]:
    """A1 on the released network, A2 on the paintings (m, 3, 32, 32), A3 on the uploads."""
    every = torch.cat([pixels for pixels, _ in painted.values()])
    return {
        "released": told_apart(made, lambda name, x, y: attacks.loss_scores(released, x, y), lab),
        "pixels": told_apart(made, lambda name, x, y: attacks.nearest_scores(x, every), lab),
        "features": told_apart(made, lambda name, x, y: attacks.nearest_scores(x, every, made.start), lab),
        "uploads": told_apart(made, lambda name, x, y: attacks.matched_filter(made.painter, uploads[name], x, y), lab),
    }


def controls(made: World, lab: Lab, central: Classifier) -> dict[str, Told]:
    """What has to find its members: A1 on a network that saw them, A3 on latents as they are."""
    return {"central": told_apart(made, lambda name, x, y: attacks.loss_scores(central, x, y), lab),
            "clean": told_apart(made, lambda name, x, y: clean_match(made, name, x, y), lab)}


def shown(name: str, found: Mapping[str, Told]) -> Figure:
    """All attacks in one picture, in their order."""
    return Figure(name, figures.leak({words: found[key] for key, words in ATTACKS.items()}))


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


def evidence(made: World, uploads: Mapping[str, Payload], painted: Paintings) -> Image.Image:
    """A4: of every place some real pictures, their uploads decoded as they came, and the paintings (m, 3, 32, 32) nearest to them."""
    rows = {}
    for name, payload in uploads.items():
        pixels, labels = made.held[name]
        sent = (labels.bincount()[labels] > 1).nonzero()[:, 0]  # who is alone in its class stays at home
        some = spread_over(len(payload.latents))
        real = pixels[sent[some]] if some else pixels[spread_over(len(pixels))]
        decoded = made.painter.decode(payload.latents[some].float())
        nearest = painted[name][0][torch.cdist(real.flatten(1), painted[name][0].flatten(1)).argmin(1)]
        rows[made.names[name]] = tuple([figures.as_image(one) for one in part] for part in (real, decoded, nearest))
    return figures.sheet(rows, ("real", "upload, decoded", "nearest painting"), SHOWN)
