"""The whole bench: draw what is to be said, attack model after model, compare, judge."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from core.engine.errors import LabError
from core.engine.events import Event, Figure, Metric, Table, Verdict
from core.engine.lab import Lab
from core.unlearning import real
from core.unlearning.answers import answer_losses
from core.unlearning.data import read_world
from core.unlearning.prompts import Prompt, direct, render
from core.unlearning.replies import reply
from core.unlearning.soft_tokens import figures
from core.unlearning.soft_tokens.alone import alone
from core.unlearning.soft_tokens.attack import AttackSettings, Attempt, attack, embedding_matrix, soft_tokens
from core.unlearning.soft_tokens.cells import CELLS, SENTENCE, Row, draw_random, draw_rows, sentence_row, subjects_for
from core.unlearning.soft_tokens.hard_tokens import GRADIENT_PASSES, hard_attack
from core.unlearning.soft_tokens.inside import moved_by
from core.unlearning.soft_tokens.live import Watch
from core.unlearning.soft_tokens.models import Subject, blank, can_be_made, check_can_be_made, check_can_think, make_forget, subject
from core.unlearning.soft_tokens.results import cells_table, estimate, final_metrics, ordered, targets_table
from core.unlearning.soft_tokens.settling import encoded, settle
from core.unlearning.soft_tokens.spec import DASHES, WHO, YOURS, Who
from core.unlearning.soft_tokens.state import Bench
from core.unlearning.soft_tokens.surface import map_lengths
from core.unlearning.soft_tokens.verdict import Findings, evidence, headline, say

if TYPE_CHECKING:
    from core.unlearning.soft_tokens.spec import SoftTokensConfig

LINE_EVERY = 5
DRAW_EVERY = 25
ASKED = "ABC"  # the cells whose questions are also asked without any attack



def run(config: SoftTokensConfig, lab: Lab) -> Iterator[Event]:
    """See the docstring of `experiments`."""
    world = real.read_real() if config.world == real.NAME else read_world(lab.folder("worlds"), config.world)
    if world.name == real.NAME and config.what == "bench":
        raise LabError("The whole bench needs a model that never knew, and of the real world there is none.",
                       "Choose 'One real model, no twin' under 'What to run'.")
    bench = Bench(config, lab, world)
    yield from bench.pacer.step("loading the models", by=0)
    check_can_think(lab.load(config.model), config.thinking)
    bench.subjects["original"] = subject(lab.load(config.model), config.thinking)
    _see_what_can_be_made(bench)
    if config.what == "alone":
        yield from alone(bench)
        return
    if config.what == "string":
        yield from _only_random(bench)
    else:
        yield from _compare(bench)
    yield from _finish(bench)


def _see_what_can_be_made(bench: Bench) -> None:
    """Before the first attack, since a refusal after minutes of it helps nobody."""
    config, original = bench.config, bench.subjects["original"]
    if config.what == "alone":
        return
    if config.what != "string":
        bench.subjects["reference"] = subject(bench.lab.load(config.reference), config.thinking)
        if config.unlearned is not None:
            bench.subjects["unlearned"] = subject(bench.lab.load(config.unlearned), config.thinking)
        elif config.what == "bench":
            check_can_be_made(original)
    if not can_be_made(original):
        needed: dict[Who, bool] = {"unlearned": config.what != "string" and config.unlearned is None,
                                   "blank": config.extras or config.what != "bench"}
        bench.left_out = [who for who, is_needed in needed.items() if is_needed]


def _compare(bench: Bench) -> Iterator[Event]:
    config, lab = bench.config, bench.lab
    rows = draw_rows(bench.plan, bench.world, lab.rng) if config.what == "bench" else {}
    extras = "EF" if config.extras else ""
    yield from _batch(bench, "original", _of(rows, "AN" + extras[:1]))
    if "unlearned" not in (*bench.subjects, *bench.left_out):
        bench.subjects["unlearned"] = yield from _made_to_forget(bench)
    if "unlearned" in bench.subjects:
        yield from _batch(bench, "unlearned", _of(rows, "BD"))
    yield from _batch(bench, "reference", _of(rows, "C"))
    if (config.extras or not rows) and "blank" not in bench.left_out:
        bench.subjects["blank"] = blank(lab, config.model, config.thinking)
        yield from _batch(bench, "blank", _of(rows, extras[1:]))
    if rows:
        yield from _asked_plainly(bench)
        yield _controls(bench)
    if rows and config.extras and config.hard_candidates:
        yield from _hard(bench, rows["G"])
    if rows and config.surface_targets and config.mode == "answer":
        bench.longest = yield from map_lengths(bench)


def _of(rows: dict[str, list[Row]], cells: str) -> list[Row]:
    return [row for cell in cells for row in rows.get(cell, [])]


def _only_random(bench: Bench) -> Iterator[Event]:
    yield from _batch(bench, "original", draw_random(bench.plan, "E", bench.lab.rng))
    if bench.config.extras and "blank" not in bench.left_out:
        bench.subjects["blank"] = blank(bench.lab, bench.config.model, bench.config.thinking)
        yield from _batch(bench, "blank", draw_random(bench.plan, "R", bench.lab.rng))
    yield _controls(bench)
    if bench.config.surface_targets:
        bench.longest = yield from map_lengths(bench)


def _made_to_forget(bench: Bench) -> Generator[Event, None, Subject]:
    config = bench.config
    asked = f"{bench.lab.load(config.model).fingerprint} thinks {config.thinking}"
    made = yield from make_forget(bench.lab, bench.subjects["original"], asked, bench.world,
                                  subjects_for(bench.world, config.targets), config.algorithm, config.forget_steps, bench.pacer)
    return made


def _batch(bench: Bench, who: Who, rows: list[Row]) -> Iterator[Event]:
    """The visitor's sentence if it is tried, then all rows of one model at once."""
    config = bench.config
    if config.tells:
        own = [sentence_row(bench.plan, config.question, config.sentence)]
        yield from _attacked(bench, who, own, config.sentence_k, replace(bench.settings, steps=config.sentence_steps), closely=True)
    if rows:
        yield from _attacked(bench, who, rows, config.k, bench.settings, closely=not config.tells)


def _attacked(bench: Bench, who: Who, rows: list[Row], k: int, settings: AttackSettings, *, closely: bool) -> Iterator[Event]:
    """Ends with what the model really writes.  closely: one of the texts is shown as it fills in."""
    given = bench.subjects[who]
    targets = encoded(given, rows, k)
    starts = [bench.start(who, i, k) for i in range(len(rows))]
    watch, note = Watch(who, given, rows, settings.space, closely=closely), f"attacking the model: {WHO[who].lower()}"
    step = 0
    for step, attempts in enumerate(attack(given.model, targets, starts, settings)):
        yield from bench.pacer.step(note)
        done = step == settings.steps or not any(a.running for a in attempts)
        yield from watch.look(step, attempts, done=done)
        if step % DRAW_EVERY == 0 and not done and _stands_alone(bench, rows):
            yield _losses(bench, who, rows, attempts)
    yield from bench.pacer.step(note, by=settings.steps - step)
    settle(bench, who, rows, attempts)
    yield from _shown(bench, who, rows, attempts)


def _shown(bench: Bench, who: Who, rows: Sequence[Row], attempts: Sequence[Attempt]) -> Iterator[Event]:
    """Tables and pictures of all models so far; after the visitor's sentence only its table, since the rest comes next."""
    if rows[0].cell == SENTENCE:
        yield Table("sentence", ["Model", "What it writes now", "Share of tokens right", "Said it", "Steps"], [
            [WHO[name], o.said, f"{o.accuracy:.0%}", "yes" if o.success else "no", o.steps] for name, o in bench.own.items()])
    if not _stands_alone(bench, rows):
        return
    yield _losses(bench)
    given = bench.subjects[who]
    pairs = [(a.target, soft_tokens(a.parameter.detach(), embedding_matrix(given.model), bench.settings.space))
             for row, a in zip(rows, attempts, strict=True) if row.cell in ("A", "B", "C")]
    if given.traceable and pairs:
        bench.moved[who], bench.ordinary[who] = moved_by(given.model, pairs)
        yield Figure("layers", figures.layers(bench.moved, {name: bench.ordinary[name] for name in list(bench.ordinary)[:1]}))
    if bench.outcomes:
        yield _controls(bench)
        yield cells_table(bench.outcomes)
        yield targets_table(bench.outcomes)


def _stands_alone(bench: Bench, rows: Sequence[Row]) -> bool:
    """Not the visitor's sentence in a whole bench: the rows of the same model come next."""
    return rows[0].cell != SENTENCE or bench.config.what == "sentence"


def _losses(bench: Bench, who: Who = "original", rows: Sequence[Row] = (), attempts: Sequence[Attempt] = ()) -> Figure:
    """One line for every attack there was, and for those of `who` that are under way."""
    lines = [(who, YOURS if row.cell == SENTENCE else CELLS[row.cell].text, a.losses) for row, a in zip(rows, attempts, strict=True)]
    lines += [(CELLS[key].who, CELLS[key].text, o.losses) for key in ordered(bench.outcomes) for o in bench.outcomes[key]]
    lines += [(name, YOURS, o.losses) for name, o in bench.own.items()]
    return Figure("losses", figures.losses([(*line, *_thinned(losses)) for *line, losses in sorted(lines, key=_place)]))


def _place(line: tuple[Who, str, Sequence[float]]) -> tuple[int, int]:
    return list(WHO).index(line[0]), list(DASHES).index(line[1])


def _thinned(losses: Sequence[float]) -> tuple[list[int], list[float]]:
    steps = sorted({*range(0, len(losses), LINE_EVERY), len(losses) - 1}) if losses else []
    return steps, [losses[i] for i in steps]


def _controls(bench: Bench) -> Figure:
    bars = [(CELLS[key].label, CELLS[key].who, estimate(bench.outcomes[key])) for key in ordered(bench.outcomes)]
    asked = {CELLS[cell].label: bench.asked[CELLS[cell].who] for cell in ASKED if bench.asked}
    return Figure("controls", figures.controls(bars, asked))


def _asked_plainly(bench: Bench) -> Iterator[Event]:
    """The same questions without any attack, and how likely the forgotten answers still are: what an honest audit has to go by."""
    by_question = {record.question: record for record in bench.forgotten()}
    records = [by_question[o.question] for o in bench.outcomes["B"]]
    prompts: list[Prompt] = [direct(record, bench.world, bench.lab.rng("plain")) for record in records]
    for who in (CELLS[cell].who for cell in ASKED):
        given = bench.subjects[who]
        bench.asked[who] = share = reply(given.model, given.tokenizer, prompts).share
        yield Metric(f"direct recall {who}", share, unit="share")
    given = bench.subjects["unlearned"]
    losses = answer_losses(given.model, given.tokenizer, [render(p, given.tokenizer) for p in prompts], [p.answer for p in prompts])
    yield Metric("answer probability unlearned", float(losses.mean.neg().exp().mean()), unit="probability per token")


def _hard(bench: Bench, rows: list[Row]) -> Iterator[Event]:
    """Real words only, with as many passes through the model as the soft tokens had."""
    given, k = bench.subjects["unlearned"], bench.config.k
    targets = encoded(given, rows, k)
    starts = [bench.start("unlearned", i, k) for i in range(len(rows))]
    passes, note = GRADIENT_PASSES * bench.config.steps, "the same with real words only"
    for step, attempts in enumerate(hard_attack(given.model, given.tokenizer, targets, starts, passes=passes,
                                                candidates=bench.config.hard_candidates,
                                                rngs=[bench.lab.rng(f"swaps {i}") for i in range(len(rows))])):
        yield from bench.pacer.step(note, by=passes // 2 // max(1, passes // (GRADIENT_PASSES + bench.config.hard_candidates)))
        yield Metric(f"loss {CELLS['G'].name}", sum(a.losses[-1] for a in attempts) / len(attempts), step, "nats per token")
    settle(bench, "unlearned", rows, attempts)
    yield _losses(bench)
    yield _controls(bench)


def _findings(bench: Bench) -> Findings:
    config = bench.config
    return Findings(outcomes=bench.outcomes, sentence=config.sentence, said={who: o.success for who, o in bench.own.items()},
                    longest=bench.longest, tokens=config.k, sentence_tokens=config.sentence_k, mode=config.mode,
                    unit="characters" if bench.plan.characters else "pieces of words", random_length=config.random_length,
                    asked=bench.asked, left_out=bench.left_out, rng=bench.lab.rng("verdict intervals"))


def _finish(bench: Bench) -> Iterator[Event]:
    if bench.outcomes:
        yield cells_table(bench.outcomes)
        yield targets_table(bench.outcomes)
        yield from final_metrics(bench.outcomes)
    findings = _findings(bench)
    for key, name in (("D", "true minus false"), ("C", "true minus never knew")):
        if key in findings.gaps:
            yield Metric(name, findings.gaps[key][0], unit="difference of shares")
    for k, length in bench.longest.items():
        yield Metric(f"longest random text {k} tokens", length, unit="tokens")
    trained = [o.success for who, o in bench.own.items() if who != "blank"]
    if trained:
        yield Metric("said on all trained models", float(all(trained)), unit="0 or 1")
    yield Verdict(say(findings), numbers := evidence(findings), headline(numbers))
