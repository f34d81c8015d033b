"""Paper 06: a steering and a rival learn from the same questions, side by side, and are asked the same afterwards.

steering/train    metrics  loss steered, loss rival (per step), inside / total / ratio, and per column: unbiased WHO, existence WHO,
                           seen WHO, words WHO, shuffled WHO (WHO is base, steered, rival), lmar, lmar_all, balance WHO
                  figures  columns, lmar, share, patches;  tables  columns, looks;  picture  example;  keeps  steering
"""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from PIL import Image

from core.engine.events import Event, Figure, Keep, Metric, Picture, Progress, Table
from core.engine.lab import Lab
from core.engine.steps import Pacer
from core.scenes.render import render
from core.stats import share_interval
from core.steering import figures, verdict
from core.steering.attention import Looks
from core.steering.data import COLUMNS, Exam, Scenes, exams, patch_side, training_set
from core.steering.keeping import kept
from core.steering.methods import Tuned, tune
from core.steering.positions import read_painted
from core.steering.rows import ROWS, Row
from core.steering.spec import TrainConfig
from core.steering.training import Budget, Marks, fit, look, sit

SHOWN = 288  # pixels
BASE = Row("untouched", "base", 0, connector=False)


def train(config: TrainConfig, lab: Lab) -> Iterator[Event]:
    """The race, the same questions for the untouched model, the steering and the rival, and where each of them looks."""
    yield Progress(0, 1, "drawing pictures")
    painted = read_painted(config.painted)
    scenes = Scenes(lab.load(config.model))
    runners = {"base": BASE, "rival": replace(ROWS[config.rival], connector=config.connector or config.rival == "connector"),
               "steered": row_of(config)}
    tuned = {who: tune(lab.fork(config.model).model, row, lab.rng(f"start {who}"), painted) for who, row in runners.items()}
    yield from _counts(tuned)
    names = {who: named(one) for who, one in tuned.items()}
    sheet = exams(scenes, config.questions, lab.rng("questions"))
    lesson = training_set(scenes, config.pictures, lab.rng("pictures"))
    pacer = Pacer(2 * config.steps + 3 * sum(-(-len(exam.asked) // 25) for exam in sheet.values()))
    marks = {"base": (yield from examined(tuned["base"], scenes, sheet, pacer, "the untouched model is asked"))}
    yield Figure("columns", figures.columns({"base": as_shares(marks["base"])}, names))
    budget = Budget(config.steps, config.batch)
    rates = {"steered": config.rate or runners["steered"].rate, "rival": runners["rival"].rate}
    racing = {who: fit(tuned[who], scenes, lesson, budget, rate=rates[who], rng=lab.rng("batches")) for who in ("steered", "rival")}
    for step in range(config.steps):
        for who, losses in racing.items():
            if (loss := next(losses, None)) is not None:
                yield Metric(f"loss {who}", loss, step + 1)
            yield from pacer.step(f"step {step + 1} of {config.steps}")
    for who in ("rival", "steered"):
        marks[who] = yield from examined(tuned[who], scenes, sheet, pacer, f"{runners[who].title} is asked")
        yield Figure("columns", figures.columns({w: as_shares(marks[w]) for w in names if w in marks}, names))
    looks = {who: look(one, scenes, sheet["unbiased"]) for who, one in tuned.items()}
    yield from _looked(tuned, scenes, sheet["unbiased"], looks, {who: row.title for who, row in runners.items()})
    yield from _told(marks, looks, {who: row.title for who, row in runners.items()})
    yield Keep("steering", kept(tuned["steered"], scenes))
    yield verdict.race(marks, looks, tuned, lab.rng("bootstrap"))


def row_of(config: TrainConfig) -> Row:
    """The visitor's steering as a row of the table."""
    row = ROWS["mores" if config.method == "mores" else "loreft"]
    title = f"{'MoReS' if config.method == 'mores' else 'LoReFT'}, rank {config.rank}"
    return replace(row, title=title, rank=config.rank, positions=config.positions, share=config.share, layers=config.layers,
                   init=config.init, connector=config.connector)


def named(one: Tuned) -> str:
    """What a legend calls it: title and both counts."""
    if not one.total:
        return f"{one.row.title}: 0 numbers trained"
    return f"{one.row.title}<br>{one.inside:,} inside, {one.total:,} with connector"


def _counts(tuned: dict[str, Tuned]) -> Iterator[Event]:
    for who in ("steered", "rival"):
        yield Metric(f"inside {who}", tuned[who].inside)
        yield Metric(f"total {who}", tuned[who].total)
    for kind in ("inside", "total"):
        if getattr(tuned["steered"], kind):
            yield Metric(f"ratio {kind}", getattr(tuned["rival"], kind) / getattr(tuned["steered"], kind))


def examined(one: Tuned, scenes: Scenes, sheet: dict[str, Exam], pacer: Pacer, note: str,
             control: Collection[str] = COLUMNS) -> Generator[Event, None, dict[str, Marks]]:
    """All columns, those of `control` also beside another picture; the generator's value is column -> marks."""
    found: dict[str, Marks] = {}
    for column, exam in sheet.items():
        steps = sit(one, scenes, exam, column in control)
        while True:
            try:
                next(steps)
            except StopIteration as end:
                found[column] = end.value
                break
            yield from pacer.step(note)
    return found


def as_shares(marks: dict[str, Marks]) -> dict[str, tuple[float, float | None, int]]:
    """column -> (share of right answers, the same beside another picture, questions)."""
    return {column: (one.share, one.shuffled, len(one.own)) for column, one in marks.items()}


def _looked(tuned: dict[str, Tuned], scenes: Scenes, exam: Exam, looks: dict[str, Looks], titles: dict[str, str]) -> Iterator[Event]:
    colours = {titles[who]: figures.WHO[who] for who in tuned}
    yield Figure("lmar", figures.lmar({titles[who]: looks[who].lmar().tolist() for who in tuned}, colours))
    yield Figure("share", figures.share({titles[who]: looks[who].share.mean(0).tolist() for who in tuned}, colours))
    first = replace(exam, pictures=exam.pictures[:1], asked=[exam.asked[0][:1]], features=exam.features[:1], others=[])
    maps = {titles[who]: attention_map(look(one, scenes, first, 1, maps=True)) for who, one in tuned.items()}
    yield Figure("patches", figures.patches(maps, tuned["steered"].patches if len(tuned["steered"].patches) < 64 else []))
    yield Picture("example", Image.fromarray(render(exam.pictures[0], SHOWN)), f"Asked: {exam.asked[0][0].text}")
    yield Table("looks", ["layer", *(f"LMAR, {titles[who]}" for who in tuned), *(f"picture's share, {titles[who]}" for who in tuned)],
                [[layer + 1, *(round(float(looks[w].lmar()[layer]), 4) for w in tuned),
                  *(round(float(looks[w].share.mean(0)[layer]), 4) for w in tuned)] for layer in range(scenes.layers)])


def attention_map(looks: Looks) -> np.ndarray:
    """(side, side): mean over layers and lines of what each patch gets."""
    flat = looks.maps.mean((0, 1))
    return flat.view(patch_side(len(flat)), -1).numpy()


def _told(marks: dict[str, dict[str, Marks]], looks: dict[str, Looks], titles: dict[str, str]) -> Iterator[Event]:
    rows: list[list[Any]] = []
    for who, columns in marks.items():
        for column in COLUMNS:
            one = columns[column]
            low, high = share_interval(one.share, len(one.own))
            yield Metric(f"{column} {who}", one.share)
            rows.append([titles[who], figures.WORDS[column], len(one.own), round(one.share, 4), round(low, 4),
                         round(high, 4), None if one.shuffled is None else round(one.shuffled, 4)])
        yield Metric(f"shuffled {who}", columns["unbiased"].shuffled or 0.0)
        yield Metric(f"lmar {who}", looks[who].mean())
        yield Metric(f"lmar_all {who}", float(looks[who].lmar_all().mean()))
        yield Metric(f"balance {who}", looks[who].balance_error())
    yield Table("columns", ["model", "questions about", "n", "right", "from", "to", "beside another picture"], rows)
