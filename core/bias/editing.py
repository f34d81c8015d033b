"""bias/edit: directions from the calibration split, strengths from the dev split, numbers from the test split.

metrics  dev fairness (per setting), base NAME and edit NAME for NAME in fair_rate, fairness, paradox, tv, ece; gain, gain low, gain high,
         gain over random, gain over random low; controls lost, unknown lost, job gap change; chance fairness, down fairness, up fairness,
         group difference fairness, group difference tv, fair fairness, uncertain fairness
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest

import numpy as np
import torch

from core.bias import edits, figures
from core.bias.deck import Deck
from core.bias.edits import Plan, Strength
from core.bias.experiments import all_promoted, asked, layer_events, leaving_out, read_states
from core.bias.fluency import surprise
from core.bias.free import free_text
from core.bias.items import Item, Split, assert_apart, occupation_items, split_hash
from core.bias.letters import Letters
from core.bias.metrics import meta_of, temperature_of, tempered
from core.bias.reporting import Chosen, report, rounded, summary
from core.bias.residuals import Vectors, by_layer, labels_of, marginal, mean_vectors
from core.bias.spec import EditConfig, TextConfig
from core.bias.subject import SCENES, Subject, bias_items, more_items, of, subject, words_of
from core.bias.verdict import NOTHING
from core.bias.words import name_items, plain_sentences, text_items
from core.engine.errors import LabError
from core.engine.events import Event, Figure, File, Metric, Progress, Table
from core.engine.lab import Lab

GRID_B, GRID_F = (0.0, 0.25, 0.5, 1.0), (0.0, 0.1, 0.25, 0.5)
CHANCE = 5  # random directions of the same mode and strength
# what a setting may lose on the dev split; for sentences 0.05 nats per token, which is 5 % of perplexity
BOUNDS = {"fair_rate": 0.01, "controls": 0.02, "unknown": 0.05, "fluency": math.log(1.05)}
GRID_COLUMNS = {"F": "fairness", "gap, nats": "log_gap", "fair answers": "fair_rate", "plain questions": "controls",
                "'unknown'": "unknown", "perplexity": "perplexity"}


@dataclass(frozen=True)
class Calibrated:
    """What the calibration split gave: directions, the peak layer l*, and h_l of both twins of every pair (None for sentences)."""

    vectors: Vectors
    peak: int
    twins: tuple[torch.Tensor, torch.Tensor] | None
    items: tuple[Item, ...]


def calibrate(lab: Lab, config: EditConfig, who: Subject) -> Calibrated:
    """The same at once, for the slider."""
    steps = calibrating(lab, config, who)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def calibrating(lab: Lab, config: EditConfig, who: Subject) -> Iterator[Event]:
    """Runs the calibration items once (section 7, steps 1 and 2); kept for the next run and for the slider."""
    key = (*who.key, "bias vectors", lab.seed, config.planted, config.axis, config.calibration, config.families, config.words,
           config.pictures, config.attribute)
    if (known := lab.cache.get(key)) is not None:
        return known
    items = bias_items(lab, config, who, "calibration", config.calibration, name="calibration")
    if config.families == "both" and not (who.sees and (config.axis != "hair" or config.pictures)):
        half = config.calibration // 2
        items += occupation_items("calibration", half) if who.sees else name_items("calibration", half, words_of(lab, config))
    deck = Deck(who.model, who.form, items)
    states = yield from read_states(deck, "measuring directions")
    scores = marginal(deck, states)
    yield Progress(len(deck.prompts), len(deck.prompts), "measuring directions")
    curve = by_layer(deck, states)[0].mean(0)
    twins = None
    if who.sees:
        h = deck.by_item(states.after)
        pairs = [i for i, item in enumerate(items) if item.family == "association"]
        twins = h[pairs[::2]], h[pairs[1::2]]
    made = Calibrated(mean_vectors(states, labels_of(scores), scores), int(curve[1:].argmax()), twins, tuple(items))
    lab.cache[key] = made
    return made


def edit_run(config: EditConfig, lab: Lab) -> Iterator[Event]:
    """Calibrates, chooses, and tests beside its controls and rivals."""
    yield Progress(0, 1, "getting ready")
    who = of(lab, config)
    ready = yield from calibrating(lab, config, who)
    test = _questions(lab, config, who, "test")
    count = len(ready.vectors.fair)
    chosen = Chosen(Strength(config.mode, config.biased, min(config.fair, edits.CAP / count)), range(count), "as asked")
    if config.choose:
        dev = _questions(lab, config, who, "dev")
        assert_apart(ready.items, dev, test)
        chosen = yield from _choose(lab, config, who, ready, Deck(who.model, who.form, dev))
    else:
        assert_apart(ready.items, test)
    about = {"model": config.model, "axis": config.attribute if config.pictures else config.axis, "split": split_hash(ready.items)}
    yield File("directions.safetensors", ready.vectors.packed(about))
    plans = _plans(config, lab, who, ready, chosen.strength, chosen.layers)
    deck = Deck(who.model, who.form, test)
    answers = yield from asked(deck, list(plans.values()), "testing")
    found = {name: answer.p for name, answer in zip(plans, answers, strict=True)}
    costs = yield from _costs(lab, config, who, plans.values(), "test")
    if chosen.temperature:
        found["temperature"] = tempered(found["before"], chosen.temperature)
    if config.rivals and who.sees:
        yield from _rivals(lab, config, who, test, found)
    yield from report(lab, config, who, test, found, dict(zip(plans, costs, strict=False)), chosen)
    yield from free_text(who, test, plans)


def text_run(config: TextConfig, lab: Lab) -> Iterator[Event]:
    """Words alone: the curve over layers and the map of residuals, then the edit with its controls."""
    yield Progress(0, 1, "getting ready")
    full = EditConfig(model=config.model, words=config.words, pairs=max(10, config.occupations), calibration=max(10, config.occupations),
                      mode=config.mode, choose=config.choose, biased=config.biased, fair=config.fair)
    who = of(lab, full)
    if who.sees:
        raise LabError("This model sees pictures.", "Choose a text model here, for example embedded/worlds.")
    items = text_items("test", config.occupations, words_of(lab, full), wordings=2)
    deck = Deck(who.model, who.form, items)
    states = yield from read_states(deck, "reading every residual")
    yield from layer_events(deck, range(len(items)), states)
    scores = marginal(deck, states).mean(0).numpy()
    without, _ = yield from leaving_out(deck)
    yield Figure("map", figures.residual_map(scores, without.mean(0).numpy(), all_promoted(who, states)))
    yield from edit_run(full, lab)


def _questions(lab: Lab, config: EditConfig, who: Subject, split: str) -> list[Item]:
    pairs = config.pairs if split == "test" else max(10, config.pairs // 2)
    return [*bias_items(lab, config, who, split, pairs, name="edit"), *more_items(lab, config, who, split, max(10, pairs // 2))]


def _costs(lab: Lab, config: EditConfig, who: Subject, plans: Iterable[Plan], split: Split) -> Iterator[Event]:
    """For a text model, how surprised it is by plain sentences under each plan, in nats per token; the generator's value."""
    if who.sees:
        return []
    sentences, plans = plain_sentences(split, words_of(lab, config)), list(plans)
    found: list[float] = []
    for plan in plans:
        found.append(surprise(who, sentences, plan))
        yield Progress(len(found), len(plans), "reading plain sentences")
    return found


def _choose(lab: Lab, config: EditConfig, who: Subject, ready: Calibrated, deck: Deck) -> Iterator[Event]:
    """The largest F on the dev split within BOUNDS (section 7; for a text model 5 % of perplexity). The generator's value: Chosen."""
    sets = edits.layer_sets(deck.layers, ready.peak)
    tries = [
        (Strength(config.mode, b, f), name)
        for name, layers in sets.items()
        for b in GRID_B
        for f in GRID_F
        if (b or f) and f * len(layers) <= edits.CAP
    ]
    plans = [{}, *(edits.edit(ready.vectors, strength, sets[name]) for strength, name in tries)]
    answers = yield from asked(deck, plans, "choosing on the dev split")
    costs = yield from _costs(lab, config, who, plans, "dev")
    rows = [summary(deck.items, answer.p, nats) for answer, nats in zip_longest(answers, costs)]
    base, best, halved, shown = rows[0], (rows[0]["fairness"], Strength(config.mode, 0.0, 0.0), "all"), False, []
    for number, ((strength, name), made) in enumerate(zip(tries, rows[1:], strict=True)):
        allowed = not any(base[key] - made[key] > bound for key, bound in BOUNDS.items() if np.isfinite(base[key]))
        values = (made[key] for key in GRID_COLUMNS.values())
        shown.append([name, strength.biased, strength.fair, *map(rounded, values), "yes" if allowed else "no"])
        yield Metric("dev fairness", made["fairness"], number)
        halved |= allowed and made["log_gap"] <= base["log_gap"] / 2
        if allowed and made["fairness"] > best[0]:
            best = made["fairness"], strength, name
    known = [i for i in range(len(GRID_COLUMNS)) if any(row[3 + i] is not None for row in shown)]
    yield Table("grid", ["layers", "down", "up", *(list(GRID_COLUMNS)[i] for i in known), "allowed"],
                [[*row[:3], *(row[3 + i] for i in known), row[-1]] for row in shown])
    _, strength, name = best
    said = f"layers: {name}, chosen among {len(tries)} on the dev split" if strength.biased or strength.fair else NOTHING
    own = [i for i, item in enumerate(deck.items) if item.family == "association"]
    meta = meta_of([deck.items[i] for i in own])
    temperature = temperature_of(answers[0].p[own][:, : meta.options], meta) if meta.fair else 0.0
    return Chosen(strength, sets[name], said, halved, temperature)


def _plans(config: EditConfig, lab: Lab, who: Subject, ready: Calibrated, strength: Strength, layers: Sequence[int]) -> dict[str, Plan]:
    plans: dict[str, Plan] = {"before": {}, "edit": edits.edit(ready.vectors, strength, layers)}
    plans |= {name: edits.edit(ready.vectors, half, layers) for name, half in edits.halves(strength).items()}
    plans |= {
        f"chance {i}": edits.edit(edits.random_vectors(ready.vectors, lab.rng(f"chance {i}")), strength, layers) for i in range(CHANCE)
    }
    if ready.twins is not None:
        plans["group difference"] = edits.group_difference(*ready.twins, layers)
    first = ready.items[0]
    spelled = who.form.encode(first, range(len(first.options)))[1][: len(first.options) - (first.fair >= 0)]
    tokens = [token for spellings in spelled for spelling in spellings for token in spelling]
    if isinstance(who.form, Letters) or len(tokens) > sum(map(len, spelled)):
        return plans  # a group has another letter in every order, or several tokens: nothing ties by construction
    plans["read-out null"] = edits.readout_null(who.model, tokens)
    return plans


def _rivals(lab: Lab, config: EditConfig, who: Subject, test: list[Item], found: dict[str, np.ndarray]) -> Iterator[Event]:
    """An instruction, and for the little model two further trainings; adds to `found`."""
    if config.pictures:
        return
    hinted = [
        *bias_items(lab, config, who, "test", config.pairs, hint="fair-hint", name="edit"),
        *more_items(lab, config, who, "test", max(10, config.pairs // 2), hint="fair-hint"),
    ]
    (answer,) = yield from asked(Deck(who.model, who.form, hinted), [{}], "asking for fairness")
    found["instruction"] = answer.p
    if config.model == SCENES and config.planted == "consistent" and config.trained == "none" and config.axis == "hair":
        for name, title in (("fair", "trained: fair"), ("uncertain", "trained: unsure")):
            rival = subject(lab, config.model, trained=name)
            (answer,) = yield from asked(Deck(rival.model, rival.form, test), [{}], "asking the trained rivals")
            found[title] = answer.p
