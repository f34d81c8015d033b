"""Paper 10, the board: click a path and the network that lies along it is measured.

learngene/path     answer: PathAnswer; figures similarity, prediction
learngene/alone    answer: AloneAnswer: networks trained alone, to draw beside the paths
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from core.engine.errors import LabError
from core.engine.lab import Lab
from core.learngene.data import Task
from core.learngene.figures import prediction
from core.learngene.focus import focus_of, likeliest
from core.learngene.metrics import accuracy, cka, latency_ms
from core.learngene.pool import figures
from core.learngene.pool.paths import LARGE, SMALL, Way, macs_of, parameters_of, stitch_of
from core.learngene.pool.pool import Pool
from core.learngene.pool.rivals import alone
from core.learngene.pool.spec import AloneConfig, PathConfig
from core.learngene.pool.stitches import initialise
from core.learngene.uploads import task_of
from core.stats import share_interval


@dataclass(frozen=True)
class PathAnswer:
    """One path, measured on the `pictures` shown, at most 256. Shares and likeness (linear CKA) are 0..1.

    seen: the picture in focus as the network gets it, 16 rows of 16 numbers from -1 to 1.
    path: the name that metrics use; shown: the one that people see, blocks counted from 1.
    trained: False for a free stitch that no window covers.  cka_before, cka_after: how alike the stream is to
    the large model's own at that place, before and after the stitch; None for the two unstitched models.
    """

    path: str
    shown: str
    blocks: int
    pictures: int
    trained: bool
    parameters: int
    macs: int
    right: float
    right_interval: tuple[float, float]
    truth: str | None
    answers: list[tuple[str, float]]
    seen: list[list[float]]
    cka_before: float | None
    cka_after: float | None
    single_ms: float | None
    batch_ms: float | None
    figures: dict[str, Any]


def path(config: PathConfig, lab: Lab) -> PathAnswer:
    """Runs the network along one path: small blocks 0..last_small, a stitch, large blocks from first_large."""
    task = task_of(lab, config.task, config.pictures)
    pool, way = _pool(config, lab, task).check(task.classes), _way(config)
    if way.stitched:
        stitch_of(way, pool.blocks)
    (pixels, labels), classes = task.shown, len(task.classes)
    right = accuracy(lambda part: pool(part, way), pixels, labels)
    focus, truth = focus_of(task, config.picture, config.drawing)
    answers = likeliest(task, pool(focus, way)[0])
    before, after = _likeness(pool, way, pixels) if way.stitched else (None, None)
    drawn = {"prediction": prediction(*zip(*answers, strict=True))}
    if way.stitched:
        drawn["similarity"] = figures.similarity(before, after)
    small, large = pool.small.config, pool.large.config
    return PathAnswer(
        path=way.name, shown=way.title, blocks=pool.blocks, pictures=len(labels), trained=way.trained,
        parameters=parameters_of(way, small, large, classes), macs=macs_of(way, small, large, classes),
        right=right, right_interval=share_interval(right, len(labels)), answers=answers, seen=focus[0, 0].tolist(),
        truth=truth, cka_before=before, cka_after=after,
        single_ms=latency_ms(lambda: pool(pixels[:1], way)) if config.latency else None,
        batch_ms=latency_ms(lambda: pool(pixels[:64], way)) if config.latency else None, figures=drawn)


def _pool(config: PathConfig, lab: Lab, task: Task) -> Pool:
    """The pool asked for, taken apart once per process."""
    small, large = lab.load(config.small), lab.load(config.large)
    key = (small.fingerprint, large.fingerprint, "pool", task.name, task.mark, config.init)
    if (known := lab.cache.get(key)) is None:
        known = Pool.unpack(small.model, large.model)
        if config.init:
            pixels = task.epoch(lab.rng("pictures for stitches"))[0]
            initialise(known, config.init, pixels, lab.rng("stitches"))
        lab.cache[key] = known.eval().requires_grad_(False)
    return known


def _way(config: PathConfig) -> Way:
    j, k = config.last_small, config.first_large
    if j < 0 and k < 0:
        raise LabError("A path needs at least one of the two models.", "Choose a block on the board.")
    return LARGE if j < 0 else SMALL if k < 0 else Way(j, k)


@torch.no_grad()
def _likeness(pool: Pool, way: Way, pixels: torch.Tensor) -> tuple[float, float]:
    lower, upper = pool.lower(pixels, way.j), pool.entering(pixels, way.k)
    stitched = pool.stitches[stitch_of(way, pool.blocks)](lower)
    return cka(lower.flatten(0, 1), upper.flatten(0, 1)), cka(stitched.flatten(0, 1), upper.flatten(0, 1))


@dataclass(frozen=True)
class AloneAnswer:
    """Networks of sizes between the two of the pool, each trained alone, narrowest first; none unless the pictures are the lab's digits.

    Each: name, width, parameters, macs, right (share of the `pictures` shown), right_interval.
    """

    pictures: int
    networks: list[dict[str, Any]]


def trained_alone(config: AloneConfig, lab: Lab) -> AloneAnswer:
    """Measures the stored rivals on the same pictures as every path."""
    task = task_of(lab, config.task, config.pictures)
    (pixels, labels), found = task.shown, []
    for rival in alone(lab, task)[0]:
        right = accuracy(lambda part, model=rival.model: model(part).logits, pixels, labels)
        found.append({"name": rival.name, "width": rival.width, "parameters": rival.parameters, "macs": rival.macs, "right": right,
                      "right_interval": share_interval(right, len(labels))})
    return AloneAnswer(len(labels), found)
