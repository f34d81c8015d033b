"""From many scored outputs to what the ROC lab says: sorting, controls, figures and the verdict (methods/03 section 4)."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from transformers import PreTrainedModel

from core.engine.events import Event, Figure, Metric, Progress, Table, Verdict
from core.engine.lab import Lab
from core.reasoning import figures
from core.reasoning.energy import VARIANTS, energy, path_of
from core.reasoning.generations import Corruption, Generations, Thought
from core.reasoning.metrics import Sorting, auroc, difference, evaluate, resampling, roc_curve, share_below, stratified_roc
from core.reasoning.spec import BASELINES, ENERGY, RANDOM, SCORE_OF, VARIANT_WORDS

if TYPE_CHECKING:
    from core.reasoning.spec import RocConfig

GAMMAS = [round(0.05 * i, 2) for i in range(31)]
CORRUPTED_SCORES = ("R0 think", "R2 think", "R3 think", "MaxProb think", "MinProb think", "PPL think", "Entropy think", "CoE-R", "CoE-C")
CHECKED = 20
SORTED_APART = {"correct": ("right answers", "wrong answers"), "sound": ("sound outputs", "unsound outputs")}


@dataclass(frozen=True)
class Sorted:
    """Labels as used (shuffled or not), every score's row by name, and the AUROC of each variant over `GAMMAS`.

    In `table` all energies stand at the chosen gamma.
    """

    positive: np.ndarray
    rows: dict[str, Sorting]
    table: dict[str, np.ndarray]
    curves: dict[str, list[float]]


def sort(generations: Generations, config: RocConfig, lab: Lab, more: Mapping[str, Sequence[float]]) -> Generator[Event, None, Sorted]:
    """Every score and the chosen energy against the chosen label; says each as it is done.

    more: further scores by name. A score drawn at random stands beside them: what it reaches is what knowing nothing reaches.
    """
    positive = generations.positive(config.label)
    if config.shuffle:
        positive = positive[torch.randperm(len(positive), generator=lab.rng("shuffle")).numpy()]
    energies = {name: generations.energies(variant, config.gamma) for variant, name in SCORE_OF.items()}
    table = {ENERGY: energies[SCORE_OF[config.variant]], **generations.table, **energies,
             **{name: np.array(values) for name, values in more.items()},
             RANDOM: torch.rand(len(generations), generator=lab.rng("random score"), dtype=torch.float64).numpy()}
    weights = resampling(len(generations), lab.rng("bootstrap"), config.resamples)
    rows, curves = {}, {}
    for name, values in table.items():
        rows[name] = evaluate(name, values, positive, generations.lengths, weights)
        yield Progress(config.problems, config.problems, f"sorting by {name}")
    for variant in VARIANTS:
        curves[variant] = [_known_auroc(generations.energies(variant, gamma), positive) for gamma in GAMMAS]
        yield Progress(config.problems, config.problems, f"sorting by {variant}")
    return Sorted(positive, rows, table, curves)


def _known_auroc(scores: np.ndarray, positive: np.ndarray) -> float:
    known = ~np.isnan(scores)
    return auroc(scores[known], positive[known]) if known.any() else float("nan")


def report(generations: Generations, found: Sorted, changes: Sequence[Corruption], config: RocConfig) -> Iterator[Event]:
    """All metrics, figures and tables of the ROC lab but the verdict."""
    yield Metric("accuracy", float(generations.positive("correct").mean()))
    yield Metric("soundness", float(generations.positive("sound").mean()))
    yield Metric("lucky share", lucky_share(generations))
    for row in found.rows.values():
        for measure, value in (("AUROC", row.auroc), ("stratified", row.stratified), ("FPR95", row.fpr95), ("AUPR", row.aupr)):
            yield Metric(f"{measure} {row.score}", value)
    yield Metric("energy sound minus lucky", sound_minus_lucky(found.table[ENERGY], generations))
    yield from _tables(generations, found)
    yield from _figures(generations, found, config)
    if changes:
        shares = noticed(changes, config.variant)
        for name, (share, *_) in shares.items():
            yield Metric(f"corrupted scored lower {name}", share)
        yield Figure("corrupted", figures.corrupted(shares, len(changes)))


def noticed(changes: Sequence[Corruption], variant: str) -> dict[str, tuple[float, float, float]]:
    """For the chosen energy and some scores: share of the changes that lowered it, with its interval."""
    names = {ENERGY: SCORE_OF[variant], **{name: name for name in CORRUPTED_SCORES}}
    return {said: share_below(np.array([c.after[name] - c.before[name] for c in changes])) for said, name in names.items()}


def _tables(generations: Generations, found: Sorted) -> Iterator[Event]:
    yield Table("scores", ["score", "AUROC", "from", "to", "among equal lengths", "FPR@95", "AUPR", "AUPR of a coin", "n"],
                [[r.score, r.auroc, r.low, r.high, r.stratified, r.fpr95, r.aupr, r.rate, r.n] for r in found.rows.values()])
    yield Table("against the baselines", ["baseline", "energy minus baseline (AUROC)", "from", "to"],
                [[name, *difference(found.rows[ENERGY], found.rows[name])] for name in BASELINES])
    rows = []
    for length in np.unique(generations.lengths):
        inside = generations.lengths == length
        rows.append([int(length), int(inside.sum()), float(generations.positive("correct")[inside].mean()),
                     *(_known_auroc(found.table[name][inside], found.positive[inside]) for name in (ENERGY, "MaxProb think"))])
    yield Table("by length", ["steps", "outputs", "right", "AUROC of the energy", "AUROC of MaxProb think"], rows)


def _figures(generations: Generations, found: Sorted, config: RocConfig) -> Iterator[Event]:
    named, others = SORTED_APART[config.label]
    yield Figure("aurocs", figures.aurocs([(r.score, r.auroc, r.low, r.high, r.stratified) for r in found.rows.values() if r.n], named))
    curves, areas = {}, {}
    for name in dict.fromkeys(config.drawn):
        known = ~np.isnan(found.table[name])
        scores, positive, row = found.table[name][known], found.positive[known], found.rows[name]
        drawn = stratified_roc(scores, positive, generations.lengths[known]) if config.equal_lengths else roc_curve(scores, positive)
        curves[name] = tuple(np.round(side, 5).tolist() for side in drawn)
        areas[name] = row.stratified if config.equal_lengths else row.auroc
    curves = {name: curve for name, curve in curves.items() if not np.isnan(areas[name])}
    yield Figure("roc", figures.roc(curves, areas, named, others))
    energies, kinds = found.table[ENERGY], {}
    for kind in ("sound", "lucky", "wrong"):
        values = energies[generations.labels == kind]
        kinds[kind] = values[~np.isnan(values)].tolist()
    yield Figure("distributions", figures.distributions(kinds, "energy (squared state units)"))
    named_curves = {VARIANT_WORDS[variant]: curve for variant, curve in found.curves.items()}
    yield Figure("gamma", figures.gamma_curves(GAMMAS, named_curves, config.gamma, named))
    kinetic = generations.path.kinetic.numpy()
    mean = np.nanmean(kinetic, axis=0)
    groups = {kind: generations.labels == kind for kind in ("sound", "lucky", "wrong")}
    profiles = {kind: (np.nanmean(kinetic[who], axis=0) - mean).tolist() for kind, who in groups.items() if who.any()}
    yield Figure("layers", figures.layers(profiles))


def lucky_share(generations: Generations) -> float:
    """Right answers with unsound reasoning as a share of all right answers; NaN without any."""
    correct = int(generations.positive("correct").sum())
    return float((generations.labels == "lucky").sum() / correct) if correct else float("nan")


def sound_minus_lucky(energies: np.ndarray, generations: Generations) -> float:
    """Mean energy of sound minus lucky outputs, in standard deviations of all; NaN when one kind is missing. `energies`: float (n,)."""
    sound, lucky = energies[generations.labels == "sound"], energies[generations.labels == "lucky"]
    sound, lucky = sound[~np.isnan(sound)], lucky[~np.isnan(lucky)]
    return float((sound.mean() - lucky.mean()) / np.nanstd(energies)) if len(sound) and len(lucky) else float("nan")


@torch.no_grad()
def disagreement(model: PreTrainedModel, thoughts: Sequence[Thought]) -> float:
    """Largest relative difference between energies from our own notes and from the library's hidden states, in float64.

    The last block is left out on both sides, because the library reports it after the final norm only.
    """
    largest = 0.0
    for thought in [t for t in thoughts if t.states is not None][:CHECKED]:
        hidden = model(input_ids=torch.tensor([thought.ids], device=model.device), output_hidden_states=True).hidden_states[:-1]
        wanted = [i for i, role in enumerate(thought.roles) if role == "think"]
        theirs = energy(path_of(torch.stack([layer[0, wanted].double().mean(0).cpu() for layer in hidden])))
        ours = energy(path_of(thought.states[:-1].double()))
        largest = max(largest, float((ours - theirs).abs() / theirs.abs().clamp(min=1e-9)))
    return largest


def verdict(generations: Generations, found: Sorted, config: RocConfig) -> Verdict:
    """The answer in words: how the chosen energy compares with the plainest score there is."""
    own, plain, answer = found.rows[ENERGY], found.rows["MaxProb think"], found.rows["MaxProb answer"]
    evidence = {
        "n": len(generations), "positive": f"{config.label} outputs", "positive rate": float(found.positive.mean()),
        "AUROC energy": [own.auroc, own.low, own.high], "AUROC MaxProb think": [plain.auroc, plain.low, plain.high],
        "AUROC MaxProb answer": [answer.auroc, answer.low, answer.high], "AUROC energy among equal lengths": own.stratified,
        "energy minus MaxProb think": list(difference(own, plain)),
        "smallest detectable AUROC difference from a coin": smallest_detectable(found.positive), "energy equation": "reconstruction",
        "lucky outputs": int((generations.labels == "lucky").sum()), "truncated": int(generations.truncated.sum())}
    if not 0 < found.positive.mean() < 1:
        return Verdict(nothing_to_sort(found.positive, config), evidence)
    if config.shuffle:
        return Verdict(f"With labels handed out at random the energy sorts no better than a coin: AUROC {own.auroc:.2f} "
                       f"({own.low:.2f} to {own.high:.2f}).", evidence)
    _, low, high = difference(own, plain)
    rank = "does better than" if low > 0 else "does worse than" if high < 0 else "cannot be told from"
    coin = "better than a coin" if own.low > 0.5 else "worse than a coin" if own.high < 0.5 else "not visibly better than a coin"
    luck = lucky_share(generations)
    lucky = "" if np.isnan(luck) else f", {100 * luck:.0f} % of them by luck"
    return Verdict(
        f"Of {len(generations)} outputs {100 * generations.positive('correct').mean():.0f} % are right{lucky}. The energy picks out the "
        f"{config.label} ones {coin} (AUROC {own.auroc:.2f}, {own.low:.2f} to {own.high:.2f}). It {rank} the model's plain certainty while "
        f"reasoning ({plain.auroc:.2f}); certainty about the answer alone reaches {answer.auroc:.2f}.", evidence, headline(evidence))


def headline(found: Mapping[str, Any]) -> str:
    """At most 25 words from the evidence: whether the energy sorts, beside what costs nothing."""
    own, low, high = found["AUROC energy"]
    _, worse, better = found["energy minus MaxProb think"]
    coin = "better than a coin" if low > 0.5 else "worse than a coin" if high < 0.5 else "no better than a coin"
    rank = "better than" if worse > 0 else "worse than" if better < 0 else "not clearly unlike"
    return (f"Energy picks out {found['positive']} {coin} (AUROC {own:.2f}), and {rank} the model's plain certainty "
            f"({found['AUROC MaxProb think'][0]:.2f}).")


def nothing_to_sort(positive: np.ndarray, config: RocConfig) -> str:
    """What is said when all outputs are alike, and where they are not. `positive`: bool (n,)."""
    kind = {"numbers": "number", "logic": "logic"}[config.kind]
    does = {"correct": "solves", "sound": "reasons soundly about"}[config.label]
    other = {"numbers": "reasoner-70, which is wrong about once in four times", "logic": "reasoner-85, which gets many right by luck"}
    how_many = "every" if positive.any() else "no"
    return f"This model {does} {how_many} {kind} problem, so there is nothing to sort. Choose {other[config.kind]}."


def smallest_detectable(positive: np.ndarray) -> float:
    """Distance from 0.5 that an AUROC must have to be seen with 80 % power at the 5 % level (Mann-Whitney variance).

    `positive`: bool (n,).
    """
    hits = int(positive.sum())
    misses = len(positive) - hits
    return float(2.8 * np.sqrt((len(positive) + 1) / (12 * hits * misses))) if hits and misses else float("nan")
