"""What the page of paper 03 shows. The energy is a reconstruction: the paper's own equation could not be read.

`reasoning/trace` lets a model think about one problem and watches every token.
    metrics   energy, certainty, entropy (one value per thinking token, and a last energy of the whole);
              score NAME for every name in `metrics.SCORE_NAMES`; percentile NAME and percentile energy (embedded models);
              final energy; right steps, written steps (problems whose truth is known)
    figures   path (A), profile (B), heat (C), chain (D), scoreboard (E, embedded models)
    tables    steps, scores        texts   prompt, output

`reasoning/roc` lets it think about many and asks which score sorts the sound from the unsound.
    metrics   accuracy, soundness, lucky share, truncated; AUROC NAME, stratified NAME, FPR95 NAME, AUPR NAME for every score;
              AUROC energy (the chosen variant; all energies stand at the chosen gamma); energy sound minus lucky;
              corrupted scored lower NAME; largest disagreement (own notes against the library's hidden states)
    figures   aurocs, roc, distributions, gamma, layers, corrupted        tables   scores, against the baselines, by length

Probes: `reasoning/energy` and `reasoning/corrupt`, see probes.py.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Any

from core.engine.errors import LabError
from core.engine.events import Event, Figure, Metric, Progress, Table, Text, Verdict
from core.engine.lab import Lab
from core.engine.run import versions
from core.reasoning import evaluation, figures
from core.reasoning.data import Check, Problem, draw_problems, kind_of
from core.reasoning.energy import energy
from core.reasoning.generations import Corruption, Generations, Thought, corrupt_all, drawn_certainty, longest, texts, think_through
from core.reasoning.metrics import score_all
from core.reasoning.probes import (
    Setting,
    chain_figure,
    path_figure,
    profile_figure,
    scoring,
    shortcut,
    standing,
    step_energy,
    step_rows,
    thinking_path,
    wrong_span,
    yardstick,
)
from core.reasoning.prompts import THINK_ROLE, chooser
from core.reasoning.reading import TEMPERATURE, Reader
from core.reasoning.readings import Reading
from core.reasoning.spec import (
    LN_ENTROPY,
    SCORE_OF,
    RocConfig,
    TraceConfig,
)
from core.reasoning.storing import packed, packed_changes, unpacked, unpacked_changes

RIGHT = {True: "yes", False: "no", None: "unknown"}
FRAMES = 48  # tokens that each get a picture of their own
SETS = 2  # of the outputs on disk: another number makes them out of date
CALIBRATED = 200  # outputs that make the yardstick of a model that comes without one


def trace_thought(config: TraceConfig, lab: Lab) -> Iterator[Event]:
    """One problem, token by token, then everything that is known about the whole."""
    yield Progress(0, config.new_tokens, "reading the problem")
    setting = Setting.of(lab, config.model, kind_of(config.problem), config.thinking, untagged=True)
    form, model = setting.form, setting.loaded.model
    ids, problem = form.ask(config.problem)
    yield Text("prompt", form.tokenizer.decode(ids[0]))
    cap = min(config.new_tokens, longest(problem, form)) if form.chains else config.new_tokens
    reader = setting.reader()
    choose = chooser(model, lab.rng("decoding")) if config.decoding == "model card" else None
    live = _Live([], [], [], [])
    for count, token in enumerate(reader.generate(ids.to(model.device), cap, choose)):
        yield Progress(count + 1, cap, "thinking" if reader.role() == THINK_ROLE else "answering")
        yield Metric("certainty", reader.newest["max_prob"], count)
        yield Metric("entropy", reader.newest["entropy"], count, "nats")
        if reader.thought > len(live.energies):  # the token before this one has gone through the layers by now
            live.energies.append(step_energy(reader.prefix(), config))
            yield Metric("energy", live.energies[-1], count - 1)
            yield from _frames(setting, reader, live, shortcut(config))
        if reader.role() == THINK_ROLE:
            live.words.append(form.words(token.tolist())[0])
            live.certainty.append(reader.newest["max_prob"])
            live.entropy.append(reader.newest["entropy"])
    yield Progress(cap, cap, "scoring")
    yield from _whole(config, setting, reader.readings()[0], problem)


@dataclass(frozen=True)
class _Live:
    """What has been seen of the thinking so far, one entry per token."""

    words: list[str]
    energies: list[float]
    certainty: list[float]
    entropy: list[float]


def _frames(setting: Setting, reader: Reader, live: _Live, note: str) -> Iterator[Event]:
    """Path and chain as they stand: after every token of a short text, after every sixteenth of a long one."""
    known = len(live.energies)
    if known > FRAMES and known % 16:
        return
    words = live.words[:known]
    yield Figure("path", path_figure(setting, reader.mean_states(), tips=reader.ends(), words=words))
    yield Figure("chain", figures.chain(words, live.energies, live.certainty[:known], live.entropy[:known], note=note))


def _whole(config: TraceConfig, setting: Setting, reading: Reading, problem: Problem | None) -> Iterator[Event]:
    form = setting.form
    written, answer = texts(reading, form)
    yield Text("output", form.tokenizer.decode(reading.ids[reading.prompt_tokens:]))
    path = thinking_path(reading, setting, config)
    check = form.judge(problem, written, answer)
    words = form.words(reading.ids)
    at = reading.span("think")
    thinking = [words[i] for i in at]
    wrong = wrong_span(reading, check)
    yield Figure("path", path_figure(setting, reading.means["think"], tips=reading.ends, words=thinking, at=at))
    yield Figure("profile", profile_figure(path, yardstick(setting, config), config))
    yield Figure("heat", figures.heat(reading.kinetic.tolist(), words, reading.roles, what="energy", wrong=wrong))
    yield Figure("chain", chain_figure(reading, thinking, config, wrong, path))
    scores = score_all(reading, **scoring(setting, config))
    percentiles = standing(setting, scores, config)
    if percentiles:
        yield Figure("scoreboard", figures.scoreboard(percentiles))
    yield Table("scores", ["score", "value", "percentile"], [[name, value, percentiles.get(name)] for name, value in scores.items()])
    steps = step_rows(reading, check, config)
    yield Table("steps", ["step", "text", "right", "why not", f"energy{shortcut(config)}", "lowest certainty"],
                [[i + 1, s["text"] or "".join(words[s["start"]:s["end"]]), RIGHT[s["right"]], s["reason"], s["energy"], s["certainty"]]
                 for i, s in enumerate(steps)])
    for name, value in scores.items():
        yield Metric(f"score {name}", value)
    for name, value in percentiles.items():
        yield Metric(f"percentile {name}", value, unit="%")
    place = percentiles.get(SCORE_OF[config.variant])
    if place is not None:
        yield Metric("percentile energy", place, unit="%")
    total = float(energy(path, config.variant, config.gamma))
    yield Metric("energy", total, len(reading.ids) - reading.prompt_tokens - 1)  # of the whole, whatever its parts left out
    yield Metric("final energy", total)
    if check and check.steps:
        yield Metric("right steps", sum(step.right for step in check.steps))
        yield Metric("written steps", len(check.steps))
    told = _untagged(check) if form.untagged else _say(check, reading, answer, place, percentiles.get("MaxProb think"))
    yield Verdict(told, {
        "label": check.label if check and form.chains else "unknown", "answer": answer, "expected": problem.answer if problem else None,
        "energy": total, "certainty of the reasoning": scores["MaxProb think"], "truncated": reading.truncated,
        "energy equation": "reconstruction", "energy variant": config.variant, "percentile of the energy": place,
        "percentile MaxProb": percentiles.get("MaxProb think")})


def _untagged(check: Check | None) -> str:
    """The verdict on a model that marks no thinking."""
    right = "" if check is None else f" What it came to is {'right' if check.correct else 'wrong'}."
    return ("This model marks no reasoning, so all that it said is taken for its thought. The path is real; a test of reasoning it is not: "
            f"such a model was not trained to reason, and nobody knows what energy is usual for it.{right}")


def _say(check: Check | None, reading: Reading, answer: str, energetic: float | None, sure: float | None) -> str:
    """The verdict. energetic, sure: percentiles of the chosen energy and of the certainty, None where what is usual is unknown."""
    if reading.truncated:
        return "The model was still thinking when its tokens ran out, so there is no answer to judge."
    if check is None:
        return "The model has answered. Nobody here knows the right answer to a problem of your own, so look at its certainty and its path."
    if not check.steps:
        return f"The answer is {'right' if check.correct else 'wrong'}. Whether these free steps are sound cannot be checked here."
    if check.sound and check.correct:
        text = f"The answer {answer} is right, and every step is sound."
    elif check.sound:
        text = f"Every step is sound, and yet the answer {answer} is not what they lead to."
    else:
        slip = check.steps[check.first_error] if check.first_error is not None and check.first_error < len(check.steps) else None
        where = f"step {check.first_error + 1} is wrong ({slip.reason})" if slip else "a step was left out"
        text = f"The answer {answer} is right by luck: {where}." if check.correct else f"The answer {answer} is wrong: {where}."
    if energetic is not None:
        text += f" The energy lies above that of {energetic:.0f} % of this model's outputs, the certainty above {sure:.0f} %."
    elif sure is not None:
        text += (f" The certainty lies above that of {sure:.0f} % of this model's outputs;"
                 " what energy is usual is known for the usual settings only.")
    return text


def roc(config: RocConfig, lab: Lab) -> Iterator[Event]:
    """Many problems, every score, and how well each sorts; outputs are kept on disk and shared by all settings of one model."""
    yield Progress(0, config.problems, "thinking")
    setting = Setting.of(lab, config.model, config.kind, config.thinking)
    if config.label == "sound" and not setting.form.chains:
        raise LabError("Nobody can check the free steps of this model.", "Choose the label 'correct', or an embedded reasoner.")
    everything = yield from _generations(config, lab, setting)
    kept = [t for t in everything.thoughts if not (t.truncated and config.truncated == "left out")]
    generations = Generations(kept, everything.scale)
    drawn: list[float] = []
    if config.samples:
        for done in drawn_certainty(setting.loaded.model, setting.form, [t.problem for t in kept], config.samples,
                                    lab.rng("drawn outputs"), drawn):
            yield Progress(done, len(kept) * config.samples, "thinking again, token by token at random")
    found = yield from evaluation.sort(generations, config, lab, {LN_ENTROPY: drawn} if drawn else {})
    changes = (yield from _changes(config, lab, setting, everything)) if config.corrupted and setting.form.chains else []
    yield from evaluation.report(generations, found, changes, config)
    yield Metric("truncated", float(everything.truncated.mean()))
    yield Metric("largest disagreement", evaluation.disagreement(setting.loaded.model, everything.thoughts))
    yield evaluation.verdict(generations, found, config)


def _key(what: str, config: RocConfig, lab: Lab, setting: Setting, *more: Any) -> tuple[Any, ...]:
    """All that a stored result depends on."""
    yardstick = (setting.scale, setting.calibration.temperature) if setting.calibration else None
    libraries = (versions()["torch"], versions()["transformers"])
    more = (*more, "published") if config.coe == "published" else more
    return (what, SETS, setting.loaded.fingerprint, config.kind, config.problems, lab.seed, lab.threads, yardstick, libraries,
            *more)


def _generations(config: RocConfig, lab: Lab, setting: Setting) -> Generator[Event, None, Generations]:
    """The set of one model, kind, size and seed: from memory, from the disk, or thought through now."""
    key = _key("reasoning thoughts", config, lab, setting)
    known = lab.cache.get(key)
    if known is None and lab.shelf and (stored := lab.shelf.get(key)):
        known = unpacked(*stored, setting.form)
    if known is None:
        options = {"scale": setting.scale, "temperature": setting.calibration.temperature if setting.calibration else TEMPERATURE,
                   "coe": config.coe}
        if setting.calibration is None:
            options["scale"] = yield from _yardstick(config, lab, setting, options)
        problems = draw_problems(config.problems, config.kind, lab.rng(f"problems {config.kind}"))
        assert all(problem.split == "scored" for problem in problems)
        thoughts: list[Thought] = []
        for done in think_through(setting.loaded.model, setting.form, problems, thoughts, **options):
            yield Progress(done, config.problems, "thinking")
        known = Generations(thoughts, options["scale"])
        if lab.shelf:
            lab.shelf.put(key, *packed(known))
    lab.cache[key] = known
    return known


def _changes(config: RocConfig, lab: Lab, setting: Setting, everything: Generations) -> Generator[Event, None, list[Corruption]]:
    """Changes one digit in each of some sound outputs, or takes from the disk what that gave before."""
    import torch

    key = _key("reasoning changes", config, lab, setting, config.corrupted, config.gamma)
    known = unpacked_changes(*stored) if lab.shelf and (stored := lab.shelf.get(key)) else None
    if known is not None:
        return known
    found: list[Corruption] = []
    sound = [t for t in everything.thoughts if t.check.label == "sound"]
    picked = [sound[i] for i in torch.randperm(len(sound), generator=lab.rng("sound"))[:config.corrupted].sort().values.tolist()]
    for done in corrupt_all(setting.loaded.model, setting.form, picked, lab.rng("corrupt"), found,
                            gamma=config.gamma, scale=everything.scale, coe=config.coe):
        yield Progress(done, len(picked), "changing digits")
    if lab.shelf:
        lab.shelf.put(key, *packed_changes(found))
    return found


def _yardstick(config: RocConfig, lab: Lab, setting: Setting, options: dict) -> Generator[Event, None, float]:
    """A model without a calibration gets its energy scale from problems of the calibration split."""
    thoughts: list[Thought] = []
    count = CALIBRATED if setting.form.chains else min(CALIBRATED, config.problems // 4)
    problems = draw_problems(count, config.kind, lab.rng("calibration"), split="calibration")
    for done in think_through(setting.loaded.model, setting.form, problems, thoughts, **options):
        yield Progress(done, count, "finding out what is usual")
    kinetic = Generations(thoughts).path.kinetic
    known = kinetic[~kinetic.isnan().any(-1)]
    return float(known.mean()) if len(known) else 1.0
