"""bias/edit: directions from the calibration split, strengths from the dev split, numbers from the test split.

metrics  dev fairness (per setting), base NAME and edit NAME for NAME in fair_rate, fairness, paradox, tv, ece; gain, gain low, gain high,
         gain over random, gain over random low; controls lost, unknown lost, job gap change; chance fairness, down fairness, up fairness,
         group difference fairness, group difference tv, fair fairness, uncertain fairness
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from core.bias import edits, figures, verdict
from core.bias.deck import Deck
from core.bias.edits import Plan, Strength
from core.bias.experiments import asked, plain_accuracy, read_states
from core.bias.items import Item, assert_apart, occupation_items
from core.bias.metrics import bootstrap, difference, fairness, measure, meta_of, resampled
from core.bias.residuals import Vectors, by_layer, labels_of, marginal, mean_vectors
from core.bias.spec import EditConfig
from core.bias.subject import SCENES, Subject, bias_items, more_items, of, subject
from core.engine.events import Event, Figure, Metric, Progress, Table
from core.engine.lab import Lab

GRID_B, GRID_F = (0.0, 0.25, 0.5, 1.0), (0.0, 0.1, 0.25, 0.5)
CHANCE = 5  # random directions of the same mode and strength
MAIN = ("fair_rate", "fairness", "paradox", "tv", "ece", "signed_gap", "confidence_gap")


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
    key = (*who.key, "bias vectors", lab.seed, config.planted, config.axis, config.calibration, config.families, config.words)
    if (known := lab.cache.get(key)) is not None:
        return known
    items = bias_items(lab, config, who, "calibration", config.calibration, name="calibration")
    if who.sees and config.families == "both" and config.axis == "hair":
        items += occupation_items("calibration", config.calibration // 2)
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
    if config.choose:
        dev = _questions(lab, config, who, "dev")
        assert_apart(ready.items, dev, test)
        strength, layers, said = yield from _choose(config, ready, Deck(who.model, who.form, dev), dev)
    else:
        assert_apart(ready.items, test)
        strength, layers = Strength(config.mode, config.biased, min(config.fair, edits.CAP / count)), range(count)
        said = f"{config.mode}, down {strength.biased:g}, up {strength.fair:g}, all layers, as asked"
    plans = _plans(config, lab, who, ready, strength, layers)
    deck = Deck(who.model, who.form, test)
    answers = yield from asked(deck, list(plans.values()), "testing")
    found = {name: answer.p for name, answer in zip(plans, answers, strict=True)}
    if config.rivals and who.sees:
        yield from _rivals(lab, config, who, test, found)
    yield from _report(lab, config, test, found, said)


def _questions(lab: Lab, config: EditConfig, who: Subject, split: str) -> list[Item]:
    pairs = config.pairs if split == "test" else max(10, config.pairs // 2)
    return [*bias_items(lab, config, who, split, pairs, name="edit"), *more_items(lab, config, who, split, max(10, pairs // 2))]


def _choose(config: EditConfig, ready: Calibrated, deck: Deck, items: list[Item]) -> Iterator[Event]:
    """The largest F on the dev split that loses at most 0.01 of FR, 0.02 of plain accuracy and 0.05 of 'unknown' (section 7)."""
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
    base = summary(items, answers[0].p)
    best, rows = (base["fairness"], Strength(config.mode, 0.0, 0.0), "all"), []
    for number, ((strength, name), answer) in enumerate(zip(tries, answers[1:], strict=True)):
        made = summary(items, answer.p)
        lost = [
            (base[key] - made[key]) > bound
            for key, bound in (("fair_rate", 0.01), ("controls", 0.02), ("unknown", 0.05))
            if np.isfinite(base[key])
        ]
        rows.append(
            [
                name,
                strength.biased,
                strength.fair,
                round(made["fairness"], 4),
                _round(made["fair_rate"]),
                _round(made["controls"]),
                _round(made["unknown"]),
                "no" if any(lost) else "yes",
            ]
        )
        yield Metric("dev fairness", made["fairness"], number)
        if not any(lost) and made["fairness"] > best[0]:
            best = made["fairness"], strength, name
    yield Table("grid", ["layers", "down", "up", "F", "fair answers", "plain questions", "'unknown'", "allowed"], rows)
    _, strength, name = best
    said = (
        f"{config.mode}, down {strength.biased:g}, up {strength.fair:g}, layers: {name}, chosen among {len(tries)} on the dev split"
        if strength.biased or strength.fair
        else "nothing on the dev split was allowed, so nothing is changed"
    )
    return strength, sets[name], said


def _plans(config: EditConfig, lab: Lab, who: Subject, ready: Calibrated, strength: Strength, layers: Sequence[int]) -> dict[str, Plan]:
    plans: dict[str, Plan] = {"before": {}, "edit": edits.edit(ready.vectors, strength, layers)}
    plans |= {name: edits.edit(ready.vectors, half, layers) for name, half in edits.halves(strength).items()}
    plans |= {
        f"chance {i}": edits.edit(edits.random_vectors(ready.vectors, lab.rng(f"chance {i}")), strength, layers) for i in range(CHANCE)
    }
    if ready.twins is not None:
        plans["group difference"] = edits.group_difference(*ready.twins, layers)
    first = ready.items[0]
    groups = [who.form.encode(first, range(len(first.options)))[1][g][0] for g in range(len(first.options) - (first.fair >= 0))]
    plans["read-out null"] = edits.readout_null(who.model, groups)
    return plans


def _rivals(lab: Lab, config: EditConfig, who: Subject, test: list[Item], found: dict[str, np.ndarray]) -> Iterator[Event]:
    """An instruction, and for the little model two further trainings; adds to `found`."""
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


def summary(items: Sequence[Item], p: np.ndarray) -> dict[str, float]:
    """The main measures of the association items, plain accuracy, and for the jobs how often 'unknown' and how much lean.

    `p`: float array (items, options).
    """
    own = [i for i, item in enumerate(items) if item.family == "association"]
    part = [items[i] for i in own]
    found = measure(p[own][:, : len(part[0].options)], meta_of(part))
    row = {name: found[name] for name in MAIN} | {
        "controls": plain_accuracy(items, p),
        "unknown": float("nan"),
        "job gap": float("nan"),
        "job fairness": float("nan"),
    }
    jobs = [i for i, item in enumerate(items) if item.family == "occupation"]
    if jobs:
        said = measure(p[jobs][:, :3], meta_of([items[i] for i in jobs]))
        row |= {"unknown": said["fair_rate"], "job gap": said["signed_gap"], "job fairness": said["fairness"]}
    return row


def _report(lab: Lab, config: EditConfig, test: list[Item], found: dict[str, np.ndarray], said: str) -> Iterator[Event]:
    own = [i for i, item in enumerate(test) if item.family == "association"]
    meta, size = meta_of([test[i] for i in own]), len(test[own[0]].options)
    p = {name: values[own][:, :size] for name, values in found.items()}
    rows = {name: summary(test, values) for name, values in found.items()}
    chance = [name for name in rows if name.startswith("chance")]
    rows["chance"] = {key: float(np.mean([rows[name][key] for name in chance])) for key in rows["before"]}
    bounds = {
        name: {key: bootstrap(p[name], meta, key, lab.seed, 200) for key in ("fair_rate", "fairness", "paradox", "tv")}
        for name in ("before", "edit")
    }
    gain = difference(p["edit"], p["before"], meta, "fairness", lab.seed)
    over = _over_chance(p["edit"], [p[name] for name in chance], meta, lab.seed)
    shown = {name: row for name, row in rows.items() if not name.startswith("chance ")}
    yield Figure(
        "bars",
        figures.before_after({name: shown[name] for name in ("before", "edit", "chance", "group difference") if name in shown}, bounds),
    )
    if np.isfinite(rows["before"]["controls"]):
        yield Figure("trade", figures.trade(shown, "edit"))
    columns = {
        "fair answers": "fair_rate",
        "F": "fairness",
        "paradox": "paradox",
        "pictured group": "tv",
        "lean": "signed_gap",
        "ECE": "ece",
        "confidence gap": "confidence_gap",
        "plain questions": "controls",
        "'unknown'": "unknown",
        "job lean": "job gap",
    }
    yield Table("test", ["way", *columns], [[name, *(_round(row[key]) for key in columns.values())] for name, row in shown.items()])
    yield from _metrics(rows, gain, over)
    yield verdict.edit_verdict(rows, gain, over, said, len(own), planted=config.model.startswith(SCENES))


def _metrics(rows: dict[str, dict[str, float]], gain: tuple[float, ...], over: tuple[float, ...]) -> Iterator[Event]:
    base, made = rows["before"], rows["edit"]
    named = {f"base {key}": base[key] for key in MAIN[:5]} | {f"edit {key}": made[key] for key in MAIN[:5]}
    named |= {"gain": gain[0], "gain low": gain[1], "gain high": gain[2], "gain over random": over[0], "gain over random low": over[1]}
    named |= {
        "controls lost": base["controls"] - made["controls"],
        "unknown lost": base["unknown"] - made["unknown"],
        "job gap change": made["job gap"] - base["job gap"],
        "job gain": made["job fairness"] - base["job fairness"],
    }
    for title, name in (
        ("chance", "chance"),
        ("down", "turn down only"),
        ("up", "turn up only"),
        ("group difference", "group difference"),
        ("fair", "trained: fair"),
        ("uncertain", "trained: unsure"),
        ("instruction", "instruction"),
    ):
        if name in rows:
            named |= {
                f"{title} fairness": rows[name]["fairness"],
                f"{title} tv": rows[name]["tv"],
                f"{title} controls": rows[name]["controls"],
            }
    for name, value in named.items():
        if np.isfinite(value):
            yield Metric(name, float(value))


def _over_chance(p: np.ndarray, chance: list[np.ndarray], meta, seed: int) -> tuple[float, float, float]:
    """F minus the mean F of the chance directions, paired, with its 95 % interval over scenarios."""
    groups = meta.options - meta.fair
    per_item = fairness(p[:, :groups]) - np.mean([fairness(q[:, :groups]) for q in chance], axis=0)
    values = [per_item[rows].mean() for rows in resampled(meta, seed)]
    return float(per_item.mean()), *np.quantile(values, (0.025, 0.975)).tolist()


def _round(value: float) -> float | None:
    return round(float(value), 4) if np.isfinite(value) else None
