"""Paper 06: any rows of the table, trained from the same model on the same questions in the same order, and measured alike.

steering/compare  metrics  loss NAME (per step), and per row: NAME unbiased / existence / seen / words / mean / drop / lmar / balance /
                           inside / total / rate; `base` is the untouched model
                  figures  against, balance, seeing, lmar;  table  methods
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Any

from core.engine.events import Event, Figure, Metric, Progress, Table
from core.engine.lab import Lab
from core.engine.steps import Pacer
from core.steering import figures, verdict
from core.steering.attention import Looks
from core.steering.data import Exam, Lesson, Scenes, exam_of, exams, training_set
from core.steering.experiments import BASE, examined
from core.steering.methods import Tuned, tune
from core.steering.rows import RATES, ROWS, Row
from core.steering.spec import CompareConfig
from core.steering.training import Budget, Marks, fit, look

SHORTER = 2  # a learning rate is tried for half of the steps


def compare(config: CompareConfig, lab: Lab) -> Iterator[Event]:
    """One row after another; pictures grow as they come."""
    yield Progress(0, 1, "drawing pictures")
    scenes = Scenes(lab.load(config.model))
    sheet = exams(scenes, config.questions, lab.rng("questions"))
    lesson = training_set(scenes, config.pictures, lab.rng("pictures"))
    check = validation(scenes, config, lab) if config.choose else None
    names = list(dict.fromkeys(config.methods))
    each = config.steps + (len(RATES) * (config.steps // SHORTER) if config.choose else 0)
    pacer = Pacer(len(names) * each + (len(names) + 1) * sum(-(-len(exam.asked) // 25) for exam in sheet.values()))
    rows: list[dict[str, Any]] = []
    curves: dict[str, list[float]] = {}
    for name in ("base", *names):
        row = BASE if name == "base" else ROWS[name]
        rate = config.rate or row.rate
        if check and row.rate:
            rate = best((yield from tried(config, lab, scenes, lesson, check, name, row, pacer)))
        one = tune(lab.fork(config.model).model, row, lab.rng(f"start {name}"))
        if one.parameters:
            yield from _taught(one, scenes, lesson, Budget(config.steps, config.batch), rate, lab, name, pacer)
        marks = yield from examined(one, scenes, sheet, pacer, f"{row.title} is asked", ("unbiased",))
        seen = look(one, scenes, sheet["unbiased"])
        rows.append(_row(name, row, one, marks, seen, rate))
        curves[row.title] = seen.lmar().tolist()
        yield from _metrics(name, rows[-1])
        yield from _pictures(rows, curves)
    yield Table("methods", ["method", "inside", "with connector", "all colours alike", "is there", "as in training", "in words",
                            "lost beside another picture", "mean LMAR", "B", "learning rate"],
                [[r["name"], r["inside"], r["total"], *(round(r[key], 4) for key in ("share", "existence", "seen", "words", "drop", "lmar",
                                                                                     "balance")), r["rate"]] for r in rows])
    yield verdict.compared(rows)


def _taught(one: Tuned, scenes: Scenes, lesson: Lesson, budget: Budget, rate: float, lab: Lab, name: str, pacer: Pacer) -> Iterator[Event]:
    for step, loss in enumerate(fit(one, scenes, lesson, budget, rate=rate, rng=lab.rng("batches"))):
        yield Metric(f"loss {name}", loss, step + 1)
        yield from pacer.step(f"{one.row.title}: step {step + 1} of {budget.steps}")


def validation(scenes: Scenes, config: CompareConfig, lab: Lab) -> Exam:
    """Questions for choosing a learning rate, used for nothing else."""
    return exam_of(scenes, "unbiased", config.questions, lab.rng("validation"))


def tried(config: CompareConfig, lab: Lab, scenes: Scenes, lesson: Lesson, check: Exam, name: str, row: Row,
          pacer: Pacer) -> Generator[Event, None, dict[float, float]]:
    """Each of `RATES` for half of the steps; the generator's value: rate -> share of right validation answers."""
    found: dict[float, float] = {}
    for rate in RATES:
        one = tune(lab.fork(config.model).model, row, lab.rng(f"start {name}"))
        for _ in fit(one, scenes, lesson, Budget(config.steps // SHORTER, config.batch), rate=rate, rng=lab.rng("batches")):
            yield from pacer.step(f"{row.title}: trying a learning rate of {rate:g}")
        marks = yield from examined(one, scenes, {"unbiased": check}, Pacer(1), f"{row.title}: validation questions", ())
        found[rate] = marks["unbiased"].share
    return found


def best(found: dict[float, float]) -> float:
    """The rate with the most right answers; the smaller one of equals."""
    return max(found, key=lambda rate: (found[rate], -rate))


def _row(name: str, row: Row, one: Tuned, marks: dict[str, Marks], seen: Looks, rate: float) -> dict[str, Any]:
    unbiased = marks["unbiased"]
    return {"key": name, "name": row.title, "recipe": row.recipe, "inside": one.inside, "total": one.total, "share": unbiased.share,
            "n": len(unbiased.own), "existence": marks["existence"].share, "seen": marks["seen"].share, "words": marks["words"].share,
            "mean": (unbiased.share + marks["existence"].share) / 2, "drop": unbiased.share - (unbiased.shuffled or 0.0),
            "lmar": seen.mean(), "balance": seen.balance_error(), "rate": rate}


def _metrics(name: str, row: dict[str, Any]) -> Iterator[Event]:
    for key in ("share", "existence", "seen", "words", "mean", "drop", "lmar", "balance", "inside", "total", "rate"):
        yield Metric(f"{name} {'unbiased' if key == 'share' else key}", float(row[key]))


def _pictures(rows: list[dict[str, Any]], curves: dict[str, list[float]]) -> Iterator[Event]:
    yield Figure("against", figures.against(rows))
    yield Figure("balance", figures.balance(rows))
    yield Figure("seeing", figures.seeing(rows))
    yield Figure("lmar", figures.lmar(curves))
