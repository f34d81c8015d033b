"""Paper 10, the board: click a path and the network that lies along it is measured.

learngene/path     answer: PathAnswer; figures similarity, prediction
learngene/alone    answer: AloneAnswer: networks trained alone, to draw beside the paths
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from core.engine.answers import Answer, Measure
from core.engine.errors import LabError
from core.engine.lab import Lab
from core.learngene.data import Task
from core.learngene.figures import prediction
from core.learngene.focus import as_picture, focus_of, likeliest
from core.learngene.metrics import accuracy, cka, latency_ms
from core.learngene.pool import figures
from core.learngene.pool.paths import LARGE, SMALL, Way, macs_of, paired, parameters_of, stitch_of
from core.learngene.pool.pool import Pool
from core.learngene.pool.rivals import alone
from core.learngene.pool.spec import AloneConfig, PathConfig
from core.learngene.pool.stitches import initialise
from core.learngene.uploads import task_of
from core.stats import share_interval


@dataclass(frozen=True)
class PathAnswer(Answer):
    """One path, measured on the `pictures` shown, at most 256. Shares and likeness (linear CKA) are 0..1.

    seen: the picture in focus as the network gets it, 16 rows of 16 numbers from -1 to 1.
    path: the name that metrics use; shown: the one that people see, blocks counted from 1.
    trained: False for a free stitch that no window covers.  cka_before, cka_after: how alike the stream is to
    the large model's own at that place, before and after the stitch; None for the two unstitched models.
    figures pareto, prediction, similarity; table board (what lies on the path); picture seen. `sets` keeps the paths and times so far.
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


def path(config: PathConfig, lab: Lab) -> PathAnswer:
    """Runs the network along one path: small blocks 0..last_small, a stitch, large blocks from first_large."""
    task = task_of(lab, config.task, config.pictures)
    pool = _pool(config, lab, task).check(task.classes)
    measured = _measured(config, pool, task, lab)
    way = _within(config.budget, measured, pool, task) if config.budget else _way(config)
    if way.stitched:
        stitch_of(way, pool.blocks)
    pixels, labels = task.shown
    focus, truth = focus_of(task, config, lab)
    answers = likeliest(task, pool(focus, way)[0])
    before, after = _likeness(pool, way, pixels) if way.stitched else (None, None)
    single, batch = (latency_ms(lambda n=n: pool(pixels[:n], way)) if config.latency else None for n in (1, 64))
    right = measured[way] = _right(way, config, pool, task, lab)
    times = _times(config, way, single, batch)
    single, batch = (times.get(way, (None, None)) if single is None else (single, batch))
    drawn = {"prediction": prediction(*zip(*answers, strict=True)),
             "pareto": figures.walked(_spots(measured, times, pool, task), _alone(task, lab)[1], config.cost, way.title)}
    if way.stitched:
        drawn["similarity"] = figures.similarity(before, after)
    size, cost = _sizes(way, pool, task)
    j, k = (-1 if place is None else place for place in _ends(way, pool.blocks))
    return PathAnswer(
        path=way.name, shown=way.title, blocks=pool.blocks, pictures=len(labels), trained=way.trained, parameters=size, macs=cost,
        right=right, right_interval=share_interval(right, len(labels)), answers=answers, seen=focus[0, 0].tolist(),
        truth=truth, cka_before=before, cka_after=after, single_ms=single, batch_ms=batch, figures=drawn,
        **_said(way, right, len(labels), answers[0][0], truth),
        numbers=_tiles(right, len(labels), size, cost, single, batch, before, after),
        images={"seen": as_picture(focus)}, tables={"board": {"blocks": pool.blocks, "small": j, "large": k, "columns": [], "rows": []}},
        sets={"last_small": j, "first_large": k, "tried": [list(_ends(one, pool.blocks)) for one in measured],
              "timed": [[_mark(config), *_ends(one, pool.blocks), *known] for one, known in times.items()]})


def _ends(way: Way, blocks: int) -> tuple[int, int]:
    """(last small block, first large block) as the config counts them, -1 for none."""
    return (blocks - 1, -1) if way.k is None else (-1, 0) if way.j is None else (way.j, way.k)


def _sizes(way: Way, pool: Pool, task: Task) -> tuple[int, int]:
    """(numbers inside, multiply-adds for one picture)."""
    small, large, classes = pool.small.config, pool.large.config, len(task.classes)
    return parameters_of(way, small, large, classes), macs_of(way, small, large, classes)


def _mark(config: PathConfig) -> str:
    """What times belong to: the pool and how its stitches began."""
    return f"{config.small} {config.large} {config.init}"


def _right(way: Way, config: PathConfig, pool: Pool, task: Task, lab: Lab) -> float:
    """The share of right answers along a path, measured once per process."""
    key = ("right along", *(lab.load(ref).fingerprint for ref in (config.small, config.large)), config.init, task.name, task.mark, way)
    if (known := lab.cache.get(key)) is None:
        known = lab.cache[key] = accuracy(lambda part: pool(part, way), *task.shown)
    return known


def _measured(config: PathConfig, pool: Pool, task: Task, lab: Lab) -> dict[Way, float]:
    """Path -> share of right answers, for the paths tried so far, or for all that the pool was trained for."""
    blocks = pool.blocks
    ways = [_as_way(j, k) for j, k in config.tried if max(j, k) < blocks and (j, k) != (-1, -1)]
    if config.every or config.budget:
        ways += [SMALL, LARGE, *paired(blocks)]
    return {way: _right(way, config, pool, task, lab) for way in dict.fromkeys(ways)}


def _within(budget: float, measured: dict[Way, float], pool: Pool, task: Task) -> Way:
    """The path that is right most often among those of at most `budget` million multiply-adds, the cheapest of equals."""
    costs = {way: _sizes(way, pool, task)[1] for way in measured}
    cheap = [way for way in measured if costs[way] <= 1e6 * budget]
    if not cheap:
        raise LabError("No network of this pool is that cheap.",
                       f"The cheapest one needs {min(costs.values()) / 1e6:.2f} million multiply-adds.")
    return max(cheap, key=lambda way: (measured[way], -costs[way]))


def _times(config: PathConfig, way: Way, single: float | None, batch: float | None) -> dict[Way, tuple[float, float]]:
    """Path -> (ms for one picture, for 64), as far as they were measured of this pool."""
    known = {_as_way(j, k): (one, many) for mark, j, k, one, many in config.timed if mark == _mark(config)}
    return known if single is None else known | {way: (single, batch)}


def _spots(measured: dict[Way, float], times: dict[Way, tuple[float, float]], pool: Pool, task: Task) -> list[figures.Spot]:
    return [figures.Spot(way.title, *_sizes(way, pool, task), right, times.get(way, (None,))[0], _ends(way, pool.blocks))
            for way, right in measured.items()]


def _said(way: Way, right: float, n: int, answer: str, truth: str | None) -> dict[str, str]:
    """The answer in words."""
    name = {"small": "The small model alone", "large": "The large model alone"}.get(way.name, "This path")
    free = "" if way.trained else " No stitch was trained for this pair of blocks: the nearest one stands in."
    return {"says": f"{name} is right in {right:.1%} of {n} pictures.{free}",
            "aside": f"Here it says {answer} ({f'it is {truth}' if truth else 'your own picture'})."}


def _tiles(right: float, n: int, size: int, cost: int, single: float | None, batch: float | None, before: float | None,
           after: float | None) -> dict[str, Measure]:
    low, high = share_interval(right, n)
    return {"right": Measure(right, "share", f"95 % interval {low:.0%} to {high:.0%}"),
            "parameters": Measure(size, "", "that this path uses"), "macs": Measure(round(cost / 1e6, 2), "million", "for one picture"),
            "ms": Measure(single, "ms", "" if batch is None else f"{batch:.3g} ms for 64"),
            "likeness": Measure(after, "", "there is no stitch" if before is None else f"{before:.2f} before it")}


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
    return _as_way(j, k)


def _as_way(j: int, k: int) -> Way:
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
    return AloneAnswer(len(task.shown[1]), _alone(task, lab)[0])


def _alone(task: Task, lab: Lab) -> tuple[list[dict[str, Any]], list[figures.Spot]]:
    """The stored rivals, measured once per process: as rows, and as points."""
    key = ("alone", task.name, task.mark)
    if (found := lab.cache.get(key)) is None:
        (pixels, labels), found = task.shown, []
        for rival in alone(lab, task)[0]:
            right = accuracy(lambda part, model=rival.model: model(part).logits, pixels, labels)
            found.append({"name": rival.name, "width": rival.width, "parameters": rival.parameters, "macs": rival.macs, "right": right,
                          "right_interval": share_interval(right, len(labels))})
        lab.cache[key] = found
    return found, [figures.Spot(rival["name"], rival["parameters"], rival["macs"], rival["right"]) for rival in found]
