"""Paper 07: one round of sharing, and what an attacker learns from it.

federated/run       metrics  accuracy METHOD, accuracy start, bytes METHOD, leak WHAT, noise loss PLACE, with PLACE
federated/attack    metrics  accuracy, leak, leak clean, and accuracy LEVEL, leak LEVEL for each noise level
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from core.engine.events import Event, Figure, Metric, Picture, Progress, Table
from core.engine.lab import Lab
from core.federated import attacks, client, figures, leaks, server, verdict
from core.federated.classifier import Classifier, weight_bytes
from core.federated.painting import Paintings, journey, learned, paintings, some_of, taught
from core.federated.payload import Payload, digest, inside, pack
from core.federated.places import CLASSES
from core.federated.spec import METHODS, STARTS, AttackConfig, FederatedConfig, Method
from core.federated.world import World, send, world
from core.stats import bootstrap, difference

FEW: tuple[Method, ...] = ("central", "fedbip", "prompts", "fedavg")
ALL: tuple[Method, ...] = ("central", "fedbip", "instance", "concept", "feddeo", "prompts", "fedavg")
FOUND = ("released", "pixels", "features", "uploads")  # the attacks that the depth of noise may change
Right = dict[Method, list[Tensor]]  # method -> place by place, which test pictures are told rightly


def run(config: FederatedConfig, lab: Lab) -> Iterator[Event]:
    """One round: every place sends once, the server paints and learns, the rivals learn as long, the attackers try."""
    yield Progress(0, 1, "getting ready")
    made = world(config, lab)
    yield Figure("holdings", figures.holdings({made.names[name]: torch.bincount(labels, minlength=len(CLASSES)).tolist()
                                               for name, (_, labels) in made.held.items()}))
    yield Picture("journey", journey(made, {}, {}), "Real pictures of each place; nothing is sent yet.")
    words = yield from tuned(made, config, lab)
    uploads, refused, arrived = send(made, config, lab, words)
    if refused:
        yield Table("refused", ["place", "why"], [[made.names[name], why.replace(name, made.names[name])] for name, why in refused.items()])
    made = made.only(uploads)
    yield Picture("journey", journey(made, uploads, {}), "Real pictures of each place, and what is sent: noise.")
    yield Figure("noise", figures.noise(torch.cat([payload.latents.float() for payload in uploads.values()])))
    painted = yield from paintings(made, config, lab, uploads, "fedbip", live=True)
    yield Picture("journey", journey(made, uploads, some_of(painted, uploads)),
                  "Real pictures of each place, what is sent, and what the server painted.")
    networks, right, base = yield from compared(made, config, lab, uploads, painted)
    yield Figure("features", figures.features(*seen(made, painted, networks["fedbip"]), list(made.names.values())))
    adds = (yield from left_out(made, config, lab, painted, right["fedbip"])) if config.out and len(painted) > 1 else {}
    sizes = yield from counted(made, config, uploads, arrived)
    found = yield from leaks.attacked(made, lab, networks, uploads, painted)
    flat = {name: torch.cat(parts).float().tolist() for name, parts in right.items()}
    over = {name: difference(flat["fedbip"], flat[name], lab.rng("difference")) for name in ("prompts", "fedavg", "central")}
    yield verdict.run_verdict({name: sum(hits) / len(hits) for name, hits in flat.items()} | {"start": base}, over, found["uploads"],
                              sizes["FedBiP: one upload"], len(flat["fedbip"]),
                              verdict.aside([made.names[name] for name in refused], {made.names[name]: one for name, one in adds.items()}))


def tuned(made: World, config: FederatedConfig, lab: Lab) -> Iterator[Event]:
    """The word vectors of all places at once; the generator's value is `Words`."""
    places = [(*data, made.nearest[name]) for name, data in made.held.items()]
    generators = [lab.rng(f"{name} tunes") for name in made.held]
    for step, words in client.concept_level(made.painter, places, steps=config.tuning, rate=config.rate, batch=client.BATCH,
                                            generators=generators, start=config.words):
        yield Progress(step, config.tuning, "each place looks for its words")
        if step % client.LOOK == 0:
            for name, loss in zip(made.held, words.held.tolist(), strict=True):
                yield Metric(f"noise loss {name}", loss, step=step)
    return words


def compared(made: World, config: FederatedConfig, lab: Lab, uploads: Mapping[str, Payload], painted: Paintings) -> Iterator[Event]:
    """Every method learns and is tested everywhere. The generator's value: networks, what each told rightly, and the start's share.

    painted: what FedBiP painted, pictures (m, 3, 32, 32) and labels (m,) by place."""
    def paint(method: Method) -> Iterator[Event]:
        return painted if method == "fedbip" else (yield from paintings(made, config, lab, uploads, method))

    networks: dict[Method, Classifier] = {}
    right: Right = {}
    bounds: dict[Method, list[tuple[float, float]]] = {}
    start = [server.right(made.start, *data) for data in made.tests.values()]
    base = float(torch.cat(start).float().mean())
    yield Metric("accuracy start", base)
    for done, method in enumerate(methods := FEW if config.rivals == "few" else ALL):
        yield Progress(done, len(methods), f"learning: {METHODS[method].lower()}")
        networks[method] = yield from learned(made, config, lab, method, paint)
        right[method] = [server.right(networks[method], *data) for data in made.tests.values()]
        yield Metric(f"accuracy {method}", float(torch.cat(right[method]).float().mean()))
        shares = {name: [float(part.float().mean()) for part in parts] for name, parts in right.items()}
        bounds[method] = [bootstrap(some.float().tolist(), lab.rng("interval")) for some in (*right[method], torch.cat(right[method]))]
        yield Figure("accuracy", figures.accuracy(shares, bounds, base, [made.names[name] for name in made.tests]))
    yield Table("scores", ["method", *(made.names[name] for name in made.tests), "all"],
                [["before anybody shares", *_percents(start)],
                 *([METHODS[name], *_percents(parts, bounds[name])] for name, parts in right.items())])
    return networks, right, base


def left_out(made: World, config: FederatedConfig, lab: Lab, painted: Paintings, right: Sequence[Tensor]) -> Iterator[Event]:
    """Learns once more without each place. The generator's value: place -> 95 % interval of what it adds to the share right.

    painted: pictures (m, 3, 32, 32) and labels (m,) by place.  right: what the network of all told rightly, (n,) for each place."""
    whole, adds, means = torch.cat(list(right)).float(), {}, {}
    for done, name in enumerate(painted):
        yield Progress(done, len(painted), f"learning without: {made.names[name]}")
        network = taught(made, config, lab, {other: data for other, data in painted.items() if other != name})
        without = torch.cat([server.right(network, *data) for data in made.tests.values()]).float()
        adds[name] = difference(whole.tolist(), without.tolist(), lab.rng("left out"))
        means[name] = float((whole - without).mean())
        yield Metric(f"with {name}", means[name])
        yield Figure("out", figures.added({made.names[one]: (means[one], *adds[one]) for one in means}))
    return adds


@torch.no_grad()
def seen(made: World, painted: Paintings, network: Classifier, most: int = 40) -> tuple[Tensor, Tensor, Tensor]:
    """What a network sees in real and in painted pictures: the two directions of largest spread (n, 2), places (n,), painted bool (n,).

    painted: pictures (m, 3, 32, 32) and labels (m,) by place, `most` of each are taken."""
    parts, places, kinds = [], [], []
    for i, name in enumerate(made.held):
        for kind, pixels in enumerate((made.held[name][0], painted[name][0])):
            some = network.features(pixels[torch.linspace(0, len(pixels) - 1, min(most, len(pixels))).long()]).double()
            parts.append(some)
            places.append(torch.full((len(some),), i))
            kinds.append(torch.full((len(some),), kind, dtype=torch.bool))
    every = torch.cat(parts)
    every = every - every.mean(0)
    directions = torch.linalg.eigh(every.T @ every).eigenvectors[:, -2:].flip(1)
    directions = directions * directions.gather(0, directions.abs().argmax(0, keepdim=True)).sign()  # a direction has no side of its own
    return every @ directions, torch.cat(places), torch.cat(kinds)


def counted(made: World, config: FederatedConfig, uploads: Mapping[str, Payload], arrived: Mapping[str, bytes]) -> Iterator[Event]:
    """Bytes as they came from each place; the generator's value is words -> bytes, a mean over the places."""
    sent = [len(arrived[name]) for name in uploads]
    vectors = [len(pack(replace(payload, latents=payload.latents[:0], labels=payload.labels[:0]))) for payload in uploads.values()]
    pictures = [3 * 32 * 32 * len(labels) for _, labels in made.held.values()]
    sizes = {"FedBiP: one upload": _mean(sent), "its word vectors alone": _mean(vectors), "one network": weight_bytes(made.start),
             "the pictures themselves": _mean(pictures)}
    yield Figure("bytes", figures.sizes(sizes))
    for name, key in (("fedbip", "FedBiP: one upload"), ("concept", "its word vectors alone"), ("fedavg", "one network")):
        yield Metric(f"bytes {name}", float(sizes[key]))
    mu = attacks.guarantee(next(iter(uploads.values())).t_start, config.extra, client.RADIUS, uploads=2 if config.mix else 1)
    yield Table("uploads", ["place", "pictures held", "latents sent", "starting at step", "word vectors", "bytes", "mu", "hash"],
                [[made.names[name], len(made.held[name][1]), len(payload.labels), payload.t_start, 1 + len(payload.owned), size,
                  round(mu, 1), digest(arrived[name])[:16]] for (name, payload), size in zip(uploads.items(), sent, strict=True)])
    yield Table("payload", ["part", "what it is", "numbers", "shape", "bytes", "least", "largest"], inside(arrived[next(iter(uploads))]))
    return sizes


def attack(config: AttackConfig, lab: Lab) -> Iterator[Event]:
    """FedBiP at all four noise levels: what is read at every place and what each attack tells, side by side."""
    yield Progress(0, 1, "getting ready")
    made = world(config, lab)
    words = yield from tuned(made, config, lab)
    central = server.fit(made.start, *made.pooled, steps=config.learning, generator=lab.rng("learning"))
    known = leaks.controls(made, lab, central)
    limit, base = (_share(server.right(one, *data) for data in made.tests.values()) for one in (central, made.start))
    yield Metric("leak clean", known["clean"][0])
    right, told, rows = [], [], []
    for level in STARTS:
        now = config.model_copy(update={"t_start": level})
        uploads, *_ = send(made, now, lab, words)
        made = made.only(uploads)
        painted = yield from paintings(made, now, lab, uploads, "fedbip")
        network = taught(made, now, lab, painted)
        hits = [server.right(network, *data).float() for data in made.tests.values()]
        hits.append(torch.cat(hits))
        right.append(float(hits[-1].mean()))
        told.append(leaks.attempts(made, lab, network, uploads, painted))
        yield Metric(f"accuracy {level}", right[-1])
        yield Metric(f"leak {level}", told[-1]["uploads"][0])
        yield Figure(f"right {level}", figures.read_at(
            [*(made.names[name] for name in made.tests), "all places"], [float(some.mean()) for some in hits],
            [bootstrap(some.tolist(), lab.rng("interval")) for some in hits],
            {"all pictures in one room": limit, "before anybody shares": base}))
        yield leaks.shown(f"told {level}", told[-1] | known)
        yield Picture(f"seen {level}", leaks.evidence(made, uploads, painted),
                      f"Noised up to step {level}: real pictures, their decoded uploads and the nearest paintings.")
        yield Figure(f"noise {level}", figures.noise(torch.cat([payload.latents.float() for payload in uploads.values()])))
        rows.append([level, f"{100 * right[-1]:.1f} %", *(_interval(told[-1][key]) for key in FOUND)])
        yield Figure("trade", figures.trade(STARTS[: len(right)], right, [one["uploads"] for one in told], known["clean"][0]))
    yield Table("levels", ["noised up to step", "right", *(leaks.ATTACKS[key] for key in FOUND)], rows)
    chosen = STARTS.index(config.t_start)
    yield Metric("accuracy", right[chosen])
    yield Metric("leak", told[chosen]["uploads"][0])
    best = max((key for key in FOUND if key != "uploads"), key=lambda key: told[chosen][key][0])
    yield verdict.attack_verdict({level: (share, one["uploads"]) for level, share, one in zip(STARTS, right, told, strict=True)},
                                 known["clean"], config.t_start, leaks.ATTACKS[best], told[chosen][best])


def _share(hits: Iterable[Tensor]) -> float:
    return float(torch.cat(list(hits)).float().mean())


def _interval(told: leaks.Told) -> str:
    return f"{told[0]:.2f} [{told[1]:.2f}, {told[2]:.2f}]"


def _percents(parts: Sequence[Tensor], bounds: Sequence[tuple[float, float]] = ()) -> list[str]:
    """The share at each place and, last, at all of them; in brackets the ends of its interval."""
    said = [f"{100 * float(part.float().mean()):.1f} %" for part in [*parts, torch.cat(list(parts))]]
    return [f"{words} [{100 * low:.0f}, {100 * high:.0f}]" for words, (low, high) in zip(said, bounds, strict=True)] if bounds else said


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
