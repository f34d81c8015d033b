"""Paper 07: one round of sharing, and what an attacker learns from it.

federated/run       metrics  accuracy METHOD, accuracy start, bytes METHOD, leak WHAT, noise loss PLACE
federated/attack    metrics  accuracy, leak, leak clean, and accuracy LEVEL, leak LEVEL for each noise level
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from core.engine.events import Event, Figure, Metric, Picture, Progress, Table
from core.engine.lab import Lab
from core.federated import attacks, client, figures, server, verdict
from core.federated.classifier import Classifier, read_classifier, weight_bytes
from core.federated.painter import Painter, load_painter, schedule
from core.federated.payload import Payload, check, pack, unpack
from core.federated.places import CLASSES, NEAREST, PLACES, draw, read_bank, shared_out
from core.federated.spec import METHODS, PLACE_WORDS, STARTS, AttackConfig, FederatedConfig, Method
from core.stats import bootstrap, difference

SHOWN = 5
AT_ONCE = 160  # paintings in one pass of the painter
FEW: tuple[Method, ...] = ("central", "fedbip", "prompts", "fedavg")
ALL: tuple[Method, ...] = ("central", "fedbip", "instance", "concept", "prompts", "fedavg")
# method -> (painted under the uploaded words, from the uploaded latents)
PAINTED: dict[Method, tuple[bool, bool]] = {"fedbip": (True, True), "instance": (False, True), "concept": (True, False),
                                            "prompts": (False, False)}


@dataclass
class World:
    """What a run works with: painter and first classifier; by place what it holds, what it is tested on, and strangers to its pictures."""

    painter: Painter
    start: Classifier
    held: dict[str, tuple[Tensor, Tensor]]
    tests: dict[str, tuple[Tensor, Tensor]]
    strangers: dict[str, tuple[Tensor, Tensor]]

    @property
    def pooled(self) -> tuple[Tensor, Tensor]:
        """All pictures in one room (n, 3, 32, 32), with their labels (n,)."""
        return torch.cat([pixels for pixels, _ in self.held.values()]), torch.cat([labels for _, labels in self.held.values()])


def world(config: FederatedConfig, lab: Lab) -> World:
    """Draws everything from the seed; the painter is the one that comes with the lab."""
    folder, bank = lab.folder("painter"), read_bank()
    counts = shared_out(len(PLACES), config.shots, config.tilt, lab.rng("holdings"))
    held, tests, strangers = {}, {}, {}
    for place, numbers in zip(PLACES.values(), counts, strict=True):
        labels = torch.arange(len(CLASSES)).repeat_interleave(torch.tensor(numbers))
        held[place.name] = draw(place, bank.clients, len(labels), lab.rng(f"{place.name} holds"), labels)
        tests[place.name] = draw(place, bank.test, config.tests, lab.rng(f"{place.name} tests"))
        strangers[place.name] = draw(place, bank.test, len(labels), lab.rng(f"{place.name} strangers"), labels)
    return World(load_painter(folder), read_classifier(folder), held, tests, strangers)


def run(config: FederatedConfig, lab: Lab) -> Iterator[Event]:
    """One round: every place sends once, the server paints and learns, the rivals learn as long, the attackers try."""
    yield Progress(0, 1, "getting ready")
    made = world(config, lab)
    yield Figure("holdings", figures.holdings({PLACE_WORDS[name]: torch.bincount(labels, minlength=10).tolist()
                                               for name, (_, labels) in made.held.items()}))
    yield Picture("journey", journey(made, {}, {}), "Real pictures of each place; nothing is sent yet.")
    words = yield from tuned(made, config, lab)
    uploads = send(made, config, lab, words)
    yield Picture("journey", journey(made, uploads, {}), "Real pictures of each place, and what is sent: noise.")
    yield Figure("noise", figures.noise(torch.cat([payload.latents.float() for payload in uploads.values()])))
    painted = yield from paintings(made, config, lab, uploads, "fedbip", live=True)
    yield Picture("journey", journey(made, uploads, painted), "Real pictures of each place, what is sent, and what the server painted.")
    networks: dict[Method, Classifier] = {}
    right: dict[Method, list[Tensor]] = {}
    start = [server.right(made.start, *made.tests[name]) for name in PLACES]
    base = float(torch.stack(start).float().mean())
    yield Metric("accuracy start", base)
    for done, method in enumerate(methods := FEW if config.rivals == "few" else ALL):
        yield Progress(done, len(methods), f"learning: {METHODS[method].lower()}")
        networks[method] = yield from learned(made, config, lab, uploads, method, painted)
        right[method] = [server.right(networks[method], *made.tests[name]) for name in PLACES]
        yield Metric(f"accuracy {method}", float(torch.stack(right[method]).float().mean()))
        shares = {name: [float(part.float().mean()) for part in parts] for name, parts in right.items()}
        bounds = {name: bootstrap(torch.cat(parts).float().tolist(), lab.rng("interval")) for name, parts in right.items()}
        yield Figure("accuracy", figures.accuracy(shares, bounds, base))
    yield Table("scores", ["method", *PLACE_WORDS.values(), "mean"],
                [["before anybody shares", *_percents(start)], *([METHODS[name], *_percents(parts)] for name, parts in right.items())])
    sizes = yield from counted(made, uploads)
    found = yield from attacked(made, lab, networks, uploads, painted)
    flat = {name: torch.cat(parts).float().tolist() for name, parts in right.items()}
    over = {name: difference(flat["fedbip"], flat[name], lab.rng("difference")) for name in ("prompts", "fedavg", "central")}
    yield verdict.run_verdict({name: sum(hits) / len(hits) for name, hits in flat.items()} | {"start": base}, over, found["uploads"],
                              sizes["FedBiP: one upload"], len(flat["fedbip"]))


def tuned(made: World, config: FederatedConfig, lab: Lab) -> Iterator[Event]:
    """The word vectors of all places at once; the generator's value is `Words`."""
    places = [(*made.held[name], NEAREST[name]) for name in PLACES]
    generators = [lab.rng(f"{name} tunes") for name in PLACES]
    for step, words in client.concept_level(made.painter, places, steps=config.tuning, rate=config.rate, batch=client.BATCH,
                                            generators=generators, start=config.words):
        if lab.cancelled:
            break
        yield Progress(step, config.tuning, "each place looks for its words")
        if step % client.LOOK == 0:
            for name, loss in zip(PLACES, words.held.tolist(), strict=True):
                yield Metric(f"noise loss {name}", loss, step=step)
    return words


def send(made: World, config: FederatedConfig, lab: Lab, words: client.Words) -> dict[str, Payload]:
    """What each place sends, through bytes and the server's checks as with any transport."""
    times, got = schedule(config.steps, config.t_start)[1], {}
    for i, (name, (pixels, labels)) in enumerate(made.held.items()):
        latents, kept = client.instance_level(made.painter, pixels, labels, t_start=times[0], mix=config.mix, extra=config.extra,
                                              generator=lab.rng(f"{name} sends"))
        payload = Payload(name, made.painter.mark, times[0], latents, kept, *client.vectors(words, i, labels.unique().tolist()))
        got[name] = unpack(pack(payload))
        check(got[name], made.painter.mark, times)
    return got


def paintings(made: World, config: FederatedConfig, lab: Lab, uploads: dict[str, Payload], method: Method,
              live: bool = False) -> Iterator[Event]:
    """Paints for all places in shared batches. The generator's value: place -> (pixels (m, 3, 32, 32), labels (m,)).

    live: shows the first pictures of every place while they come out of the noise."""
    words, start = PAINTED[method]
    easels = [server.easel(made.painter, payload, NEAREST[name], copies=config.copies, spread=config.spread,
                           generator=lab.rng(f"{name} is painted"), words=words, start=start) for name, payload in uploads.items()]
    latents, context, labels = (torch.cat(part) for part in zip(*easels, strict=True))
    sizes = [len(one[2]) for one in easels]
    t_start = next(iter(uploads.values())).t_start if start else 981
    order = _first_of_each(sizes)
    parts, total = [], len(schedule(config.steps, t_start)[1])
    batches = order.split(AT_ONCE)
    for k, some in enumerate(batches):
        for step, now in enumerate(made.painter.paint(latents[some], context[some], t_start=t_start, steps=config.steps,
                                                      guidance=config.guidance)):
            yield Progress(k * total + step + 1, len(batches) * total, f"painting: {METHODS[method].lower()}")
            if live and k == 0 and step % 2 == 0:
                seen = made.painter.decode(now[: sum(min(SHOWN, size) for size in sizes)]).split([min(SHOWN, size) for size in sizes])
                yield Picture("journey", journey(made, uploads, dict(zip(uploads, ((pixels,) for pixels in seen), strict=True))),
                              "Paintings on their way out of the noise.")
        parts.append(made.painter.decode(now))
    pixels = torch.empty_like(torch.cat(parts))
    pixels[order] = torch.cat(parts)
    return dict(zip(uploads, zip(pixels.split(sizes), labels.split(sizes), strict=True), strict=True))


def _first_of_each(sizes: Sequence[int]) -> Tensor:
    """All indices, the first few of every place before the rest, so that the first batch shows them."""
    starts = [sum(sizes[:i]) for i in range(len(sizes))]
    first = [start + j for start, size in zip(starts, sizes, strict=True) for j in range(min(SHOWN, size))]
    return torch.tensor(first + [i for i in range(sum(sizes)) if i not in set(first)])


def learned(made: World, config: FederatedConfig, lab: Lab, uploads: dict[str, Payload], method: Method,
            painted: dict[str, tuple[Tensor, Tensor]]) -> Iterator[Event]:
    """The classifier of one method, all from the same start and for equally many steps; the generator's value.

    painted: place -> pictures (m, 3, 32, 32) and labels (m,)."""
    options: dict[str, Any] = dict(steps=config.learning, generator=lab.rng("learning"))
    if method == "central":
        return server.fit(made.start, *made.pooled, **options)
    if method == "fedavg":
        own = [server.fit(made.start, *data, **options | {"generator": lab.rng(f"{name} learns")}) for name, data in made.held.items()]
        return server.averaged(own, [len(labels) for _, labels in made.held.values()])
    if method != "fedbip":
        painted = yield from paintings(made, config, lab, uploads, method)
    pixels, labels = (torch.cat(part) for part in zip(*painted.values(), strict=True))
    return server.fit(made.start, pixels, labels, **options)


def counted(made: World, uploads: dict[str, Payload]) -> Iterator[Event]:
    """Bytes as serialised; the generator's value is words -> bytes, a mean over the places."""
    sent = [len(pack(payload)) for payload in uploads.values()]
    vectors = [len(pack(replace(payload, latents=payload.latents[:0], labels=payload.labels[:0]))) for payload in uploads.values()]
    pictures = [3 * 32 * 32 * len(labels) for _, labels in made.held.values()]
    sizes = {"FedBiP: one upload": _mean(sent), "its word vectors alone": _mean(vectors), "one network": weight_bytes(made.start),
             "the pictures themselves": _mean(pictures)}
    yield Figure("bytes", figures.sizes(sizes))
    for name, key in (("fedbip", "FedBiP: one upload"), ("concept", "its word vectors alone"), ("fedavg", "one network")):
        yield Metric(f"bytes {name}", float(sizes[key]))
    yield Table("uploads", ["place", "pictures held", "latents sent", "starting at step", "word vectors", "bytes", "hash"],
                [[PLACE_WORDS[name], len(made.held[name][1]), len(payload.labels), payload.t_start, 1 + len(payload.owned), size,
                  payload.digest[:16]] for (name, payload), size in zip(uploads.items(), sent, strict=True)])
    return sizes


def attacked(made: World, lab: Lab, networks: dict[Method, Classifier], uploads: dict[str, Payload],
             painted: dict[str, tuple[Tensor, Tensor]]) -> Iterator[Event]:
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
    return attacks.match(made.painter.encode(pixels), labels, made.painter.encode(held), own, 1.0)


def told_apart(made: World, scores_of, lab: Lab) -> tuple[float, float, float]:
    """AUC with interval of members against strangers, scores standardised within each place. scores_of(place, pixels, labels) -> (n,)."""
    scores, member = [], []
    for name, (pixels, labels) in made.held.items():
        strangers, theirs = made.strangers[name]
        some = scores_of(name, torch.cat([pixels, strangers]), torch.cat([labels, theirs])).double()
        scores.append((some - some.mean()) / some.std().clamp(min=1e-12))
        member.append(torch.arange(len(some)) < len(labels))
    all_scores, all_members = torch.cat(scores), torch.cat(member)
    return attacks.auc(all_scores, all_members), *attacks.auc_interval(all_scores, all_members, lab.rng("attack"))


def journey(made: World, uploads: dict[str, Payload], painted: dict[str, tuple[Tensor, Tensor]]):
    """The contact sheet: a row a place with what it holds, sends, and what was painted, pictures (m, 3, 32, 32)."""
    rows = {}
    for name, (pixels, labels) in made.held.items():
        chosen = _spread_over(len(labels))
        real = [figures.as_image(pixels[i]) for i in chosen]
        sent = [figures.latent_image(latent) for latent in uploads[name].latents[:SHOWN]] if name in uploads else []
        out = [figures.as_image(picture) for picture in painted[name][0][:SHOWN]] if name in painted else []
        rows[PLACE_WORDS[name]] = (real, sent, out)
    return figures.sheet(rows, figures.COLUMNS, SHOWN)


def _spread_over(count: int) -> list[int]:
    return [round(i * (count - 1) / (SHOWN - 1)) for i in range(SHOWN)] if count >= SHOWN else list(range(count))


def attack(config: AttackConfig, lab: Lab) -> Iterator[Event]:
    """FedBiP at all four noise levels: accuracy and the matched filter side by side."""
    yield Progress(0, 1, "getting ready")
    made = world(config, lab)
    words = yield from tuned(made, config, lab)
    clean = told_apart(made, lambda name, x, y: clean_match(made, name, x, y), lab)
    yield Metric("leak clean", clean[0])
    right, told, rows, seen = [], [], [], {}
    for level in STARTS:
        now = config.model_copy(update={"t_start": level})
        uploads = send(made, now, lab, words)
        painted = yield from paintings(made, now, lab, uploads, "fedbip")
        network = yield from learned(made, now, lab, uploads, "fedbip", painted)
        hits = torch.cat([server.right(network, *made.tests[name]) for name in PLACES]).float()
        right.append(float(hits.mean()))
        told.append(told_apart(made, lambda name, x, y, up=uploads: attacks.matched_filter(made.painter, up[name], x, y), lab))
        yield Metric(f"accuracy {level}", right[-1])
        yield Metric(f"leak {level}", told[-1][0])
        seen[f"step {level}"] = evidence(made, uploads, painted)
        rows.append([level, f"{100 * right[-1]:.1f} %", *(round(value, 3) for value in told[-1])])
        done = STARTS[: len(right)]
        yield Figure("trade", figures.trade(done, right, told, clean[0]))
        yield Picture("seen", figures.sheet(seen, ("real", "upload, decoded", "nearest painting"), len(PLACES)),
                      "Real pictures, their decoded uploads and the nearest paintings.")
    yield Table("levels", ["noised up to step", "right", "AUC", "from", "to"], rows)
    chosen = STARTS.index(config.t_start)
    yield Metric("accuracy", right[chosen])
    yield Metric("leak", told[chosen][0])
    yield verdict.attack_verdict(dict(zip(STARTS, zip(right, told, strict=True), strict=True)), clean, config.t_start)


def evidence(made: World, uploads: dict[str, Payload], painted: dict[str, tuple[Tensor, Tensor]]):
    """A4: of every place one real picture, one upload decoded as it came, and the painting (m, 3, 32, 32) nearest to the picture."""
    groups: tuple[list, list, list] = ([], [], [])
    for name, payload in uploads.items():
        pixels = made.held[name][0][:1]
        nearest = torch.cdist(pixels.flatten(1), painted[name][0].flatten(1)).argmin()
        decoded = made.painter.decode(payload.latents[:1].float())[0]
        for group, picture in zip(groups, (pixels[0], decoded, painted[name][0][nearest]), strict=True):
            group.append(figures.as_image(picture))
    return groups


def _percents(parts: Sequence[Tensor]) -> list[str]:
    shares = [float(part.float().mean()) for part in parts]
    return [f"{100 * share:.1f} %" for share in [*shares, _mean(shares)]]


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
