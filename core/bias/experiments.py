"""Paper 02: the audit of options, layers and wordings, and the map of residuals.

bias/audit    metrics  every name of metrics.MEASURES, tv drift, seen, controls, fluctuation, erosion
bias/map      metrics  opposite, disagree, agreement, agreement later, cosine
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from core.bias import figures, verdict
from core.bias.deck import Deck, States
from core.bias.items import Item
from core.bias.metrics import MEASURES, accuracy, bootstrap, few, measure, meta_of
from core.bias.outputs import AUDIT_OUTPUTS
from core.bias.residuals import KINDS, by_layer, causal, fairness_of, labels_of, left_out_plans, marginal, mean_vectors, spearman
from core.bias.spec import AuditConfig, MapConfig
from core.bias.spelling import in_pieces
from core.bias.subject import Subject, bias_items, more_items, of, unit_rows
from core.engine.events import Event, Figure, Metric, Progress, Table
from core.engine.lab import Lab
from core.engine.lens import unembed
from core.engine.outputs import each
from core.scenes.pictures import BLANK

WORDS_SHOWN = 6
TITLES = {one.name: one.title for one in each(AUDIT_OUTPUTS)}


def audit(config: AuditConfig, lab: Lab) -> Iterator[Event]:
    """Asks every question in every order and wording, and reads the answer after each layer."""
    yield Progress(0, 1, "getting ready")
    who = of(lab, config)
    wordings = tuple(range(config.wordings))
    items = bias_items(lab, config, who, "test", config.pairs, wordings=wordings, hint=config.hint, drift=config.drift, name="audit")
    extra = more_items(lab, config, who, "test", 0 if who.sees else config.pairs)
    drift = bias_items(lab, config, who, "test", config.pairs, twins="drift", name="audit") if who.sees else []
    blank = without_picture(items) if who.sees else []
    deck = Deck(who.model, who.form, [*items, *drift, *extra, *blank])
    answers = yield from asked(deck, [{}], "asking")
    p = answers[0].p
    meta, own = meta_of(items), p[: len(items), : len(items[0].options)]
    found = measure(own, meta)
    found["mass"] = float(answers[0].mass[: len(items)].mean())
    bounds = {name: bootstrap(own, meta, name, lab.seed) for name in MEASURES}
    if drift:
        found["tv drift"] = measure(p[len(items) : len(items) + len(drift)], meta_of(drift))["tv"]
    if extra and not who.sees:
        names = [i for i, item in enumerate(deck.items) if item.family == "names"]
        said = measure(p[names][:, : len(extra[0].options)], meta_of([deck.items[i] for i in names])) if names else {}
        found |= {f"names {name}": said[name] for name in ("log_gap", "fairness") if said}
    elif extra:
        asked_about = "group" if config.pictures else config.axis
        found |= {"controls": plain_accuracy(deck.items, p), "seen": _share(deck.items, p, f"control {asked_about}")}
    if blank:
        nothing = p[-len(blank):, : len(items[0].options)]
        found |= {f"blank {name}": measure(nothing, meta_of(blank))[name] for name in ("fairness", "signed_gap")}
    yield from layer_events(deck, [i for i, item in enumerate(items) if item.wording == 0])
    yield from _pictures_of(items, own, nothing.mean(0) if blank else None)
    rows = [[TITLES[name], round(found[name], 4), *(round(b, 4) for b in bounds[name])] for name in MEASURES if np.isfinite(found[name])]
    yield Table("measures", ["measure", "value", "from", "to"], rows)
    for name, value in found.items():
        if np.isfinite(value):
            yield Metric(name, float(value))
    groups = items[0].options
    planted = config.model.startswith("embedded/scenes")
    told = verdict.audit_verdict(found, bounds, [groups[g] for g in few(meta)], len(items), planted=planted)
    yield told if who.sees else verdict.told_pieces(told, in_pieces(who.form.tokenizer, groups))


def residual_map(config: MapConfig, lab: Lab) -> Iterator[Event]:
    """S2 for every residual, checked by leaving each out (S3)."""
    yield Progress(0, 1, "getting ready")
    who = of(lab, config)
    items = bias_items(lab, config, who, "test", config.pairs, name="map")
    deck = Deck(who.model, who.form, items)
    states = yield from read_states(deck, "reading every residual")
    scores = marginal(deck, states)
    yield Figure("map", figures.residual_map(scores.mean(0).numpy(), None))
    yield from layer_events(deck, range(len(items)), states, steps=True)
    yield Progress(2, 3, "leaving each residual out")
    without, _ = yield from leaving_out(deck)
    mean, left_out = scores.mean(0), without.mean(0)
    opposite = (scores[..., 0] * scores[..., 1] < 0).float().mean(0)
    words = all_promoted(who, states)
    yield Figure("map", figures.residual_map(mean.numpy(), left_out.numpy(), words))
    yield Figure("share", figures.share(opposite.tolist()))
    vectors = mean_vectors(states, labels_of(scores, config.rule), scores)
    cosine = torch.cosine_similarity(vectors.fair, vectors.biased, dim=-1)
    yield Table(
        "residuals",
        ["residual", "adds to F", "left out: F falls by", "fair in", "words it promotes"],
        [
            [
                f"{KINDS[k]} of layer {layer + 1}",
                round(float(mean[layer, k]), 4),
                round(float(left_out[layer, k]), 4),
                f"{float((scores[:, layer, k] > 0).float().mean()):.0%}",
                words[layer][k],
            ]
            for layer in range(deck.layers)
            for k in (0, 1)
        ],
    )
    disagree = float(((opposite >= 0.2) & (opposite <= 0.8)).float().mean())
    later = spearman(mean[1:], left_out[1:])
    pulled = float(opposite.mean())
    for name, value in {"opposite": pulled, "disagree": disagree, "agreement": later, "cosine": float(cosine.mean())}.items():
        yield Metric(name, value)
    order = mean[1:].flatten().argsort()
    names = [f"{KINDS[i % 2]} of layer {i // 2 + 2}" for i in range(2 * (deck.layers - 1))]
    yield verdict.map_verdict(pulled, disagree, later, names[int(order[-1])], names[int(order[0])], len(items))


def asked(deck: Deck, plans: Sequence, note: str) -> Iterator[Event]:
    """Asks the deck and says how far it is; the generator's value is the list of answers."""
    for made in deck.asking(plans):
        if isinstance(made, tuple):
            yield Progress(*made, note)
    return made


def read_states(deck: Deck, note: str) -> Iterator[Event]:
    """The residual stream of all prompts, saying how far it is; the generator's value."""
    for made in deck.reading():
        if isinstance(made, tuple):
            yield Progress(*made, note)
    return made


def leaving_out(deck: Deck) -> Iterator[Event]:
    """S3 with progress; the generator's value is that of `causal`."""
    answers = yield from asked(deck, left_out_plans(deck), "leaving each residual out")
    return causal(deck, answers)


def layer_events(deck: Deck, chosen: Sequence[int], states: States | None = None, steps: bool = False) -> Iterator[Event]:
    """The curve over layers of the chosen items with its two summaries; `steps`: also between attention and MLP."""
    part = Deck(deck.model, deck.form, [deck.items[i] for i in chosen]) if states is None else deck
    if states is None:
        states = yield from read_states(part, "reading every layer")
    fair, phi, mass = (x.mean(0).numpy() for x in by_layer(part, states))
    has_fair = part.items[0].fair >= 0
    readable = [i for i in range(1, len(fair)) if mass[i] >= figures.UNREADABLE] or [len(fair) - 1]
    if steps:
        fair, phi, mass = (x.mean(0).numpy() for x in fairness_of(part, states, _woven))
        marks = ["start", *(f"{layer}{kind}" for layer in range(1, part.layers + 1) for kind in ("a", "m"))]
        yield Figure("layers", figures.layers(fair, phi, mass, marks=marks, has_fair=has_fair))
        return
    yield Figure("layers", figures.layers(fair, phi, mass, has_fair=has_fair))
    yield Metric("fluctuation", float(max(fair[readable]) - min(fair[readable])))
    yield Metric("erosion", float(max(fair[i] for i in [*readable, len(fair) - 1]) - fair[-1]))


def _woven(states: States) -> Tensor:
    """The stream before the first layer, after each attention and after each MLP: (prompts, 2 layers + 1, width)."""
    return torch.cat([torch.stack([states.after[:, :-1], states.between], 2).flatten(1, 2), states.after[:, -1:]], 1)


def without_picture(items: Sequence[Item]) -> list[Item]:
    """Every question once more about a grey picture: what the words alone lean to. Reported, never subtracted (methods/02 section 12)."""
    asked_once = {(item.text, item.options): item for item in items}
    return [replace(item, picture=BLANK, shown=-1, pair=-1, family="blank") for item in asked_once.values()]


def _pictures_of(items: Sequence[Item], p: np.ndarray, blank: np.ndarray | None) -> Iterator[Event]:
    groups = sorted({item.shown for item in items})
    names = list(items[0].options)
    means = np.stack([p[[i for i, item in enumerate(items) if item.shown == g]].mean(0) for g in groups])
    shown = [f"{names[g]} in the picture" if g >= 0 else "all" for g in groups]
    if blank is not None:
        means, shown = np.concatenate([means, blank[None]]), [*shown, "a grey picture"]
    yield Figure("options", figures.options(names, shown, means))
    asked_so = sorted({item.wording for item in items})
    by_wording = [[i for i, item in enumerate(items) if item.wording == w] for w in asked_so]
    yield Figure(
        "wordings",
        figures.wordings(
            [_finite(measure(p[rows], meta_of([items[i] for i in rows]))) for rows in by_wording],
            [_wording(items[rows[0]]) for rows in by_wording],
        ),
    )
    concepts = list(dict.fromkeys(item.concept for item in items))
    gaps, leans = [], []
    for concept in concepts:
        rows = [i for i, item in enumerate(items) if item.concept == concept]
        gaps.append(measure(p[rows], meta_of([items[i] for i in rows]))["signed_gap"])
        lean = items[rows[0]].lean
        leans.append(f"planted: {names[lean]}" if lean >= 0 else f"{names[0]} minus {names[1]}")
    yield Figure("concepts", figures.concepts(concepts, gaps, leans))


def _finite(row: dict[str, float]) -> dict[str, float | None]:
    return {name: value if np.isfinite(value) else None for name, value in row.items()}


def _wording(item: Item) -> str:
    return item.text.replace(item.concept, "…")


def plain_accuracy(items: Sequence[Item], p: np.ndarray) -> float:
    """Mean over the kinds of plain questions; NaN without any. `p`: float array (items, options)."""
    kinds = sorted({item.family for item in items if item.family.startswith("control")})
    return float(np.mean([_share(items, p, kind) for kind in kinds])) if kinds else float("nan")


def _share(items: Sequence[Item], p: np.ndarray, family: str) -> float:
    rows = unit_rows(items, family).tolist()
    return accuracy(p[rows], [items[i] for i in rows]) if rows else float("nan")


def all_promoted(who: Subject, states: States) -> list[list[str]]:
    """The words that attention and MLP of every layer promote on average."""
    return [[", ".join(promoted(who, vector)) for vector in layer] for layer in states.parts.mean(0)]


def promoted(who: Subject, vector: Tensor) -> list[str]:
    """The words whose logits this vector raises most, read by the model's own head. `vector`: float (width,)."""
    with torch.no_grad():
        scores = unembed(who.model, vector[None].to(who.model.device))[0]
    return [who.form.tokenizer.decode([i]).strip() or "·" for i in scores.topk(WORDS_SHOWN).indices.tolist()]
