"""What an edit did, from option probabilities alone: the rows of the test table, their intervals, figures and the verdict.

    rows = {name: summary(items, p) for name, p in found.items()}
    yield from report(lab, config, who, items, found, costs, chosen)      # events of bias/edit
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from core.bias import figures, verdict
from core.bias.edits import Strength
from core.bias.experiments import plain_accuracy
from core.bias.items import Item
from core.bias.metrics import bootstrap, difference, fairness, measure, meta_of, resampled
from core.bias.spelling import in_pieces
from core.bias.subject import SCENES, Subject
from core.engine.events import Event, Figure, Metric, Table
from core.engine.lab import Lab

if TYPE_CHECKING:
    from core.bias.spec import EditConfig

MAIN = ("fair_rate", "fairness", "paradox", "tv", "ece", "signed_gap", "confidence_gap", "log_gap")
COLUMNS = {"fair answers": "fair_rate", "F": "fairness", "gap, nats": "log_gap", "paradox": "paradox", "pictured group": "tv",
           "lean": "signed_gap", "ECE": "ece", "confidence gap": "confidence_gap", "plain questions": "controls", "'unknown'": "unknown",
           "job lean": "job gap", "names F": "names fairness", "perplexity": "perplexity"}
WAYS = {"chance": "chance", "down": "turn down only", "up": "turn up only", "group difference": "group difference",
        "fair": "trained: fair", "uncertain": "trained: unsure", "instruction": "instruction", "temperature": "temperature"}
NAN = float("nan")


@dataclass(frozen=True)
class Chosen:
    """Strength and layers, and in words where they come from. halved: whether an allowed setting of the dev split halves the gap in
    nats.  temperature: that brings the dev split closest to the reference answer, 0 where there is no fair option."""

    strength: Strength
    layers: Sequence[int]
    said: str
    halved: bool = False
    temperature: float = 0.0


def summary(items: Sequence[Item], p: np.ndarray, nats: float | None = None) -> dict[str, float]:
    """The main measures of the association items, and of whatever else stands beside them; NaN for what does not.

    `p`: float array (items, options).  nats: surprise at plain sentences, of which `fluency` is the negative and exp the perplexity.
    """
    own = [i for i, item in enumerate(items) if item.family == "association"]
    found = measure(p[own][:, : len(items[own[0]].options)], meta_of([items[i] for i in own]))
    row = {name: found[name] for name in MAIN} | {"controls": plain_accuracy(items, p), "unknown": NAN, "job gap": NAN,
                                                  "job fairness": NAN, "names fairness": NAN}
    row |= {"fluency": NAN, "perplexity": NAN} if nats is None else {"fluency": -nats, "perplexity": float(np.exp(nats))}
    other = [i for i, item in enumerate(items) if item.family in ("occupation", "names")]
    if other:
        meta = meta_of([items[i] for i in other])
        said = measure(p[other][:, : meta.options], meta)
        row |= ({"unknown": said["fair_rate"], "job gap": said["signed_gap"], "job fairness": said["fairness"]} if meta.fair
                else {"names fairness": said["fairness"]})
    return row


def report(lab: Lab, config: EditConfig, who: Subject, test: list[Item], found: Mapping[str, np.ndarray], costs: Mapping[str, float],
           chosen: Chosen) -> Iterator[Event]:
    """Events of the test split: bars, what it cost, the table, numbers and the verdict. `found`: probabilities (items, options)."""
    own = [i for i, item in enumerate(test) if item.family == "association"]
    meta, size = meta_of([test[i] for i in own]), len(test[own[0]].options)
    p = {name: values[own][:, :size] for name, values in found.items()}
    rows = {name: summary(test, values, costs.get(name)) for name, values in found.items()}
    chance = [name for name in rows if name.startswith("chance")]
    rows["chance"] = {key: float(np.mean([rows[name][key] for name in chance])) for key in rows["before"]}
    bounds = {
        name: {key: bootstrap(p[name], meta, key, lab.seed, 200) for key in ("fair_rate", "fairness", "paradox", "tv")}
        for name in ("before", "edit")
    }
    gain = difference(p["edit"], p["before"], meta, "fairness", lab.seed)
    over = _over_chance(p["edit"], [p[name] for name in chance], meta, lab.seed)
    shown = {name: row for name, row in rows.items() if not name.startswith("chance ")}
    for row in shown.values():
        row["gap left"] = NAN if who.sees else row["log_gap"] / rows["before"]["log_gap"]
    yield Figure("bars", figures.before_after(
        {name: shown[name] for name in ("before", "edit", "chance", "group difference") if name in shown}, bounds))
    cost = "controls" if who.sees else "perplexity"
    if np.isfinite(rows["before"][cost]):
        yield Figure("trade", figures.trade(shown, "edit", cost))
    columns = {title: key for title, key in COLUMNS.items() if any(np.isfinite(row[key]) for row in shown.values())}
    yield Table("test", ["way", *columns], [[name, *(rounded(row[key]) for key in columns.values())] for name, row in shown.items()])
    yield from _metrics(rows, gain, over)
    strength = chosen.strength
    said = f"{strength.mode}, down {strength.biased:g}, up {strength.fair:g}, {chosen.said}"
    told = verdict.edit_verdict(rows, gain, over, said, len(own), planted=config.model.startswith(SCENES), halved=chosen.halved)
    yield told if who.sees else verdict.told_pieces(told, in_pieces(who.form.tokenizer, test[own[0]].options))


def _metrics(rows: Mapping[str, dict[str, float]], gain: Sequence[float], over: Sequence[float]) -> Iterator[Event]:
    base, made = rows["before"], rows["edit"]
    main = (*MAIN[:5], "log_gap", "names fairness", "perplexity")
    named = {f"base {key}": base[key] for key in main} | {f"edit {key}": made[key] for key in main}
    named |= {"gain": gain[0], "gain low": gain[1], "gain high": gain[2], "gain over random": over[0], "gain over random low": over[1]}
    named |= {
        "controls lost": base["controls"] - made["controls"],
        "unknown lost": base["unknown"] - made["unknown"],
        "job gap change": made["job gap"] - base["job gap"],
        "job gain": made["job fairness"] - base["job fairness"],
        "perplexity cost": made["perplexity"] / base["perplexity"] - 1,
        "gap fallen": NAN if np.isnan(base["perplexity"]) else 1 - made["log_gap"] / base["log_gap"],
    }
    for title, name in WAYS.items():
        if name in rows:
            named |= {f"{title} {key}": rows[name][key] for key in ("fairness", "tv", "controls")}
    for name, value in named.items():
        if np.isfinite(value):
            yield Metric(name, float(value))


def _over_chance(p: np.ndarray, chance: Sequence[np.ndarray], meta, seed: int) -> tuple[float, float, float]:
    """F minus the mean F of the chance directions, paired, with its 95 % interval over scenarios."""
    groups = meta.options - meta.fair
    per_item = fairness(p[:, :groups]) - np.mean([fairness(q[:, :groups]) for q in chance], axis=0)
    values = [per_item[rows].mean() for rows in resampled(meta, seed)]
    return float(per_item.mean()), *np.quantile(values, (0.025, 0.975)).tolist()


def rounded(value: float) -> float | None:
    """Four decimals; None for NaN, which JSON does not have."""
    return round(float(value), 4) if np.isfinite(value) else None
