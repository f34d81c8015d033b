"""The search with ActPert: every setting on one half of the questions, the best one scored on the other half, with controls.

    inside = yield from look_inside(subject, reference, original, questions, settings, pacer, lab)
    inside.best["unlearned"], inside.arms["unlearned"].scored      # the cell, and per held-out question whether the key came

Arms: `unlearned`, the model under audit; `random`, the same model pushed along random directions of equal length (three
draws); `reference`, the model that never knew; `original`, the model from before, which should survive small pushes. Each of
the first three is allowed its own best setting. A gain counts only above `random` and `reference` (methods/01 section 6.2).
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Literal

import torch

from core.engine.events import Event, Figure, Table
from core.engine.families import family_of
from core.engine.lab import Lab
from core.engine.models import LoadedModel
from core.engine.steps import Pacer
from core.stats import bootstrap
from core.unlearning.answers import BATCH, after_thinking, answer_room
from core.unlearning.audit import figures
from core.unlearning.audit.actpert import DRAWS, WHERE, Cell, Shift, answers, grid, perturb, random_like, subject_span
from core.unlearning.audit.examine import Questions
from core.unlearning.data import Record
from core.unlearning.figures import Estimate
from core.unlearning.prompts import Prompt, render, shuffled
from core.unlearning.replies import LARGE_BATCH, rows_at_once

ROWS = 240
RANDOM = 3
SMALL_PUSH = 1.0
FEWEST_NAMED = 2  # one question to search on, one to score on
Who = Literal["unlearned", "random", "reference", "original"]


@dataclass(frozen=True)
class ActPertSettings:
    """noise: strength of the shaking, `unit` relative to the spread of the embeddings or absolute.  most: how many questions."""

    noise: float = 1.0
    unit: Literal["relative", "absolute"] = "relative"
    draws: int = DRAWS
    most: int = 30


@dataclass
class Arm:
    """One thing that is pushed. tried: by cell, per calibration question the share of draws that brought out the key.

    room: how many tokens an answer may have.  scored: the same for the held-out questions at the chosen cell; said: what was
    answered there (first draw).
    """

    loaded: LoadedModel
    shifts: list[Shift]
    room: int
    tried: dict[Cell, list[float]] = field(default_factory=dict)
    scored: list[float] = field(default_factory=list)
    said: list[str] = field(default_factory=list)


@dataclass
class Inside:
    """What the search found. calibration, held_out: numbers of questions in `records`, disjoint.

    names: of the arms, as a visitor reads them.  best: the cell of each arm.  skipped: how many questions name no subject that
    could be found.  plain: by arm, per held-out question whether the key comes without any push.
    """

    records: list[Record]
    prompts: list[Prompt]
    calibration: list[int]
    held_out: list[int]
    skipped: int
    names: dict[str, str] = field(default_factory=lambda: dict(figures.ARMS))
    noise: float = 0.0
    arms: dict[str, Arm] = field(default_factory=dict)
    best: dict[str, Cell] = field(default_factory=dict)
    plain: dict[str, list[float]] = field(default_factory=dict)


def halves(n: int, rng: torch.Generator) -> tuple[list[int], list[int]]:
    """The numbers 0 to n-1 in two halves at random: to search on, and to score on (the larger one if n is odd)."""
    order = shuffled(range(n), rng)
    search, score = sorted(order[:n // 2]), sorted(order[n // 2:])
    assert not set(search) & set(score) and len(search) + len(score) == n
    return search, score


def best_cell(tried: dict[Cell, list[float]]) -> Cell:
    """The cell with the most keys; among equals the gentlest push, then the first."""
    return min(tried, key=lambda cell: (-fmean(tried[cell]), abs(cell.alpha), cell))


def choose(questions: Questions, plain: dict[str, list[bool | None]], settings: ActPertSettings, rng: torch.Generator) -> Inside:
    """Which questions are pushed on: those whose subject can be found, at most `settings.most`, in two halves.

    plain: by model, per question of `questions`, whether the key comes unpushed.
    """
    found = [i for i, record in enumerate(questions.records) if subject_span(record.question, record.subject_span)]
    kept = sorted(shuffled(found, rng)[:settings.most])
    calibration, held_out = halves(len(kept), rng)
    return Inside([questions.records[i] for i in kept], [questions.direct[i] for i in kept], calibration, held_out,
                  len(questions.records) - len(found),
                  plain={who: [float(bool(hits[kept[i]])) for i in held_out] for who, hits in plain.items()})


def look_inside(models: dict[str, LoadedModel], plain: dict[str, list[bool | None]], questions: Questions, settings: ActPertSettings,
                pacer: Pacer, names: Mapping[str, str], lab: Lab) -> Generator[Event, None, Inside | None]:
    """Searches and scores; None when fewer than two questions name a subject. `models`: unlearned, and reference, original if any."""
    inside = choose(questions, plain, settings, lab.rng("actpert halves"))
    if len(inside.records) < FEWEST_NAMED:
        return None
    inside.names |= names
    cells = grid(len(family_of(models["unlearned"].model).layers(models["unlearned"].model)))
    yield pacer.say("shaking the names inside the models")
    yield from _shake(inside, models, settings, cells, lab)
    for who in ("unlearned", "random", "reference"):
        if who in inside.arms:
            yield from _search(inside, who, _cells_of(inside.arms[who].loaded, cells), pacer)
            inside.best[who] = best_cell(inside.arms[who].tried)
    for who, arm in list(inside.arms.items()):
        yield pacer.say(f"pushing the {inside.names[who].lower()} model on the questions held back")
        cell = inside.best.setdefault(who, _gentle(inside.best["unlearned"]))
        hits, arm.said = _try(inside, arm, [cell], inside.held_out)
        arm.scored = hits[cell]
        yield Figure("actpert", figures.pushed(*estimates(inside, lab), inside.names))
    yield answers_table(inside)
    return inside


def _gentle(cell: Cell) -> Cell:
    """The setting at which the original is looked at: the same place, not pushed harder than it should survive."""
    return Cell(cell.layer, cell.mode, max(-SMALL_PUSH, min(SMALL_PUSH, cell.alpha)))


def _cells_of(loaded: LoadedModel, cells: list[Cell]) -> list[Cell]:
    """A reference of another depth gets the grid of its own depth."""
    own = grid(len(family_of(loaded.model).layers(loaded.model)))
    return own if own != cells else cells


def _shake(inside: Inside, models: dict[str, LoadedModel], settings: ActPertSettings, cells: list[Cell], lab: Lab) -> Iterator[Event]:
    """Measures delta in every model, with the same noise, and draws the random directions."""
    for who, loaded in models.items():
        texts = after_thinking(loaded.model, loaded.tokenizer, [render(prompt, loaded.tokenizer) for prompt in inside.prompts])
        spans = [in_text(text.text, record) for text, record in zip(texts, inside.records, strict=True)]
        layers = sorted({cell.layer for cell in _cells_of(loaded, cells)})
        shift = perturb(loaded.model, loaded.tokenizer, texts, spans, layers=layers, rng=lab.rng("actpert noise"), noise=settings.noise,
                        unit=settings.unit, draws=settings.draws)
        room = answer_room(loaded.model, loaded.tokenizer, texts, [prompt.answer for prompt in inside.prompts])
        inside.arms[who] = Arm(loaded, [shift], room)
        if who == "unlearned":
            inside.noise = shift.noise
            inside.arms["random"] = Arm(loaded, [random_like(shift, lab.rng(f"actpert random {i}")) for i in range(RANDOM)], room)
            yield tokens_table(loaded, shift, 0)
            yield Figure("actpert_map", figures.shift_map(*strip(loaded, shift, 0)))


def in_text(text: str, record: Record) -> tuple[int, int]:
    """Where the subject stands in the rendered prompt."""
    begin, end = subject_span(record.question, record.subject_span)
    start = text.rindex(record.question)
    return start + begin, start + end


def _search(inside: Inside, who: str, cells: Sequence[Cell], pacer: Pacer) -> Iterator[Event]:
    """Tries every cell on the calibration half, batch by batch, and shows the grid as it fills."""
    arm = inside.arms[who]
    rows = (ROWS if rows_at_once(arm.loaded.model) == BATCH else LARGE_BATCH) // len(arm.shifts)
    together = max(1, rows // len(inside.calibration))
    for mode in dict.fromkeys(cell.mode for cell in cells):
        wanted = [cell for cell in cells if cell.mode == mode]
        for start in range(0, len(wanted), together):
            yield pacer.say(f"pushing inside: {inside.names[who].lower()}, {WHERE[mode]}", by=int(start == 0))
            arm.tried |= _try(inside, arm, wanted[start:start + together], inside.calibration)[0]
            yield Figure("actpert_grid", figures.push_grid({name: {cell: fmean(hits) for cell, hits in a.tried.items()}
                                                            for name, a in inside.arms.items() if a.tried}, inside.names))


def _try(inside: Inside, arm: Arm, cells: Sequence[Cell], numbers: Sequence[int]) -> tuple[dict[Cell, list[float]], list[str]]:
    """Per cell and question, the share of the arm's directions that bring out the key; and what was said along the first."""
    asked = [(i, cell) for cell in cells for i in numbers]
    said = [answers(arm.loaded.model, arm.loaded.tokenizer, shift, asked, arm.room) for shift in arm.shifts]
    hits = [fmean(inside.prompts[i].proved_by(texts[row]) for texts in said) for row, (i, _) in enumerate(asked)]
    n = len(numbers)
    return {cell: hits[c * n:(c + 1) * n] for c, cell in enumerate(cells)}, said[0]


def estimates(inside: Inside, lab: Lab) -> tuple[dict[str, Estimate], dict[str, Estimate]]:
    """By arm, the share of held-out questions whose key comes without a push and with the best one, 95 % intervals over questions."""
    def share(values: list[float], name: str) -> Estimate:
        return fmean(values), *bootstrap(values, lab.rng(f"interval actpert {name}"))

    return ({who: share(hits, f"{who} plain") for who, hits in inside.plain.items() if who in inside.arms},
            {who: share(arm.scored, who) for who, arm in inside.arms.items() if arm.scored})


def strip(loaded: LoadedModel, shift: Shift, question: int) -> tuple[list[str], list[bool], list[list[float]]]:
    """Of one question: its tokens as text, which of them are shaken, and by layer and token how far the states moved."""
    real = shift.mask[question].bool()
    tokens = [loaded.tokenizer.decode([token]) for token in shift.ids[question][real].tolist()]
    return tokens, shift.subject[question][real].tolist(), shift.size[:, question][:, real].tolist()


def tokens_table(loaded: LoadedModel, shift: Shift, question: int) -> Table:
    """The strip of tokens: how far each one's state is moved half-way through the model, and which are shaken."""
    tokens, shaken, size = strip(loaded, shift, question)
    middle = size[len(size) // 2]
    return Table("actpert_tokens", ["Token", "Moved", "Shaken"],
                 [[token, round(far, 4), "yes" if own else "no"] for token, far, own in zip(tokens, middle, shaken, strict=True)])


def answers_table(inside: Inside) -> Table:
    """One row per held-out question: what each arm said at its chosen setting."""
    arms = [who for who in figures.ARMS if who in inside.arms]
    rows = [[inside.records[i].question, inside.prompts[i].proof, *(inside.arms[who].said[row] or "(says nothing)" for who in arms)]
            for row, i in enumerate(inside.held_out)]
    return Table("actpert_answers", ["Question", "Key", *(inside.names[who] for who in arms)], rows)
