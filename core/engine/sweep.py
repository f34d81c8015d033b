"""A grid of configs, one recorded run each.

    for result in sweep(engine, "unlearning/audit", {"algorithm": ["ga", "npo"]}, seeds=[0, 1]):
        print(result["config"]["algorithm"], result["metrics"])

What a sweep asked for, and which run answers which cell, is noted in `sweeps/ID.json` of the home (sweeps.py). A sweep that was broken
off is asked for again: what is finished is taken from the record, so no cell is computed twice.
"""

from __future__ import annotations

import itertools
import math
import multiprocessing
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import TYPE_CHECKING, Any

from core.engine.errors import LabError
from core.engine.registry import find
from core.engine.sweeps import Sweeps

if TYPE_CHECKING:
    from core.engine.runner import Engine
    from core.engine.settings import Settings

LARGEST, MOST_JOBS, TRIES = 500, 64, 3
START = "spawn"  # how a worker begins: a fork of a process that has threads may hang
VISITOR = "sweep"
Cell = tuple[dict[str, Any], int]


def grid(fields: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """Every combination of the given values, the last field varying fastest; text stands for itself alone."""
    choices = [[given] if isinstance(given, str) else list(given) for given in fields.values()]
    if math.prod(map(len, choices)) > LARGEST:
        raise _too_many(math.prod(map(len, choices)))
    return [dict(zip(fields, values, strict=True)) for values in itertools.product(*choices)]


def cells(name: str, fields: Mapping[str, Sequence[Any]], seeds: Sequence[int]) -> list[Cell]:
    """(config, seed) of every run of a sweep, in order, the seed varying fastest. Raises LabError for what is out of bounds or too much."""
    configs = [find(name).validate(config).model_dump(mode="json") for config in grid(fields)]
    if len(configs) * len(seeds) > LARGEST:
        raise _too_many(len(configs) * len(seeds))
    return list(itertools.product(configs, seeds))


def sweep(engine: Engine, name: str, fields: Mapping[str, Sequence[Any]], seeds: Sequence[int] = (0,), *,
          fresh: bool = False, jobs: int = 1, owner: str = VISITOR, ray: bool = False, address: str = "",
          keep: bool = False) -> Iterator[dict[str, Any]]:
    """`engine.result` of each config and seed, in order. All configs are checked before the first one runs.

    jobs: how many processes compute at once; 1 is this one.  ray: they are workers of Ray (rays.py), on the cluster at `address` or here.
    keep: False leaves out the models that runs make, which are most of a record.
    Whoever closes the sweep stops the runs that are going on. A run that
    fails is a result like any other; a worker that is killed is replaced, and its cell begun again.
    """
    asked = cells(name, fields, seeds)
    if not 1 <= jobs <= MOST_JOBS:
        raise LabError(f"A sweep cannot have {jobs} jobs.", f"Give a whole number from 1 to {MOST_JOBS}.")
    notes = Sweeps(engine.settings.home)
    sweep_id = notes.create(name, fields, seeds, len(asked), owner)
    if ray:
        from core.engine.rays import compute

        answers = compute(engine, name, asked, jobs=jobs, fresh=fresh, address=address, keep=keep)
    elif jobs == 1 or len(asked) < 2:
        answers = _here(engine, name, asked, fresh, keep)
    else:
        answers = _apart(engine.settings, name, asked, fresh, keep, jobs)
    waiting, place = {}, 0
    try:
        for cell, run_id in answers:
            notes.answer(sweep_id, cell, run_id)
            waiting[cell] = run_id
            while place in waiting:
                yield engine.result(waiting.pop(place)) | {"sweep": sweep_id}
                place += 1
    finally:
        answers.close()


def _here(engine: Engine, name: str, asked: Sequence[Cell], fresh: bool, keep: bool) -> Iterator[tuple[int, str]]:
    for cell, (config, seed) in enumerate(asked):
        run = engine.start(name, config, seed=seed, visitor=VISITOR, fresh=fresh, keep=keep)
        try:
            engine.wait(run.id)
        except BaseException:
            engine.cancel(run.id, VISITOR)
            raise
        yield cell, run.id


def _apart(settings: Settings, name: str, asked: Sequence[Cell], fresh: bool, keep: bool, jobs: int) -> Iterator[tuple[int, str]]:
    """The same in processes of their own, each with an engine of its own over the same home; in the order in which they end."""
    left, tries = list(range(len(asked))), 0
    while left:
        with ProcessPoolExecutor(min(jobs, len(left)), multiprocessing.get_context(START), _begin, (settings,)) as pool:
            ahead: dict[Future[str], int] = {pool.submit(_compute, name, *asked[cell], fresh, keep): cell for cell in left}
            try:
                while ahead:
                    for done in wait(ahead, return_when=FIRST_COMPLETED).done:
                        run_id = done.result()
                        cell = ahead.pop(done)
                        left.remove(cell)
                        yield cell, run_id
            except BrokenProcessPool:  # somebody, or the system for want of memory, has killed a worker
                tries += 1
                if tries == TRIES:
                    raise LabError(f"{TRIES} workers of this sweep were killed, the last one just now.",
                                   "There may be too little memory: sweep again with fewer --jobs; what is finished is kept.") from None
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                for worker in list((pool._processes or {}).values()):
                    worker.terminate()
                raise


_worker: list[Any] = []


def _begin(settings: Settings) -> None:
    """In a worker: its engine, which loads each model once."""
    import signal

    from core.engine.runner import Engine

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the sweep, which then ends its workers
    signal.signal(signal.SIGTERM, _end)
    _worker[:] = [Engine(settings)]


def _end(*_: Any) -> None:
    _worker[0].close(5.0)
    raise SystemExit(143)


def _compute(name: str, config: dict[str, Any], seed: int, fresh: bool, keep: bool) -> str:
    run = _worker[0].start(name, config, seed=seed, visitor=VISITOR, fresh=fresh, keep=keep)
    _worker[0].wait(run.id)
    return run.id


def _too_many(count: int) -> LabError:
    return LabError(f"That sweep has {count} runs.", f"At most {LARGEST} are allowed; leave some values out.")
