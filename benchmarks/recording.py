"""What it costs to record a run: the same generator with and without its log, and what of a recorded run is recording.

    python -m benchmarks.recording
"""

from __future__ import annotations

import argparse
import contextlib
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.timing import interleaved, ratio, summary, table, versions, write
from core.engine.lab import Lab
from core.engine.records import Records
from core.engine.registry import find
from core.engine.run import Run
from core.engine.runner import Engine
from core.engine.seeding import seeded
from core.engine.settings import Settings

EXPERIMENT = "unlearning/audit"
CONFIG: dict[str, Any] = {}  # the run that the page offers
AIM, COUNTED = 0.03, 5


def events(engine: Engine, lab: Lab) -> Iterator[Any]:
    """The generator of the experiment, driven as the engine drives it."""
    experiment = find(EXPERIMENT)
    with seeded(0, engine.settings.threads), contextlib.closing(experiment.function(experiment.validate(CONFIG), lab)) as generator:
        yield from generator


def bare(engine: Engine, lab: Lab) -> None:
    for _ in events(engine, lab):
        pass


def whole(engine: Engine) -> str:
    """A run as a visitor starts it: thread, queue, record, log."""
    run = engine.start(EXPERIMENT, CONFIG, fresh=True)
    state = engine.wait(run.id)
    assert state["outcome"] == "finished", state["error"]
    return run.id


class Spent:
    """Seconds on the clock (waiting for the disk counts) that runs spend being recorded, by what they record."""

    def __init__(self) -> None:
        self.seconds = {"events": 0.0, "the model kept": 0.0, "run.json": 0.0}

    @contextlib.contextmanager
    def counting(self) -> Iterator[None]:
        places = [(Run, "record"), (Run, "finish"), (Records, "create")]
        plain = [getattr(owner, name) for owner, name in places]
        for (owner, name), function in zip(places, plain, strict=True):
            setattr(owner, name, self._timed(function))
        try:
            yield
        finally:
            for (owner, name), function in zip(places, plain, strict=True):
                setattr(owner, name, function)

    def _timed(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def timed(first: Any, second: Any, *rest: Any) -> Any:
            start = time.perf_counter()
            try:
                return function(first, second, *rest)
            finally:
                what = "run.json" if function.__name__ != "record" else "the model kept" if second.kind == "keep" else "events"
                self.seconds[what] += time.perf_counter() - start

        return timed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=20)
    repeats = max(20, parser.parse_args().repeats)
    with tempfile.TemporaryDirectory() as home:
        engine = Engine(Settings(home=Path(home), threads=1))
        lab = Lab(engine.models, engine._cache, seed=0, threads=1, families=find(EXPERIMENT).families)
        ways: dict[str, Callable[[], Any]] = {"without a log": lambda: bare(engine, lab), "recorded": lambda: whole(engine)}
        busy = interleaved(ways, repeats=repeats, warm_up=1, clock=time.process_time)
        spent = Spent()
        with spent.counting():
            start = time.perf_counter()
            last = [whole(engine) for _ in range(COUNTED)][-1]
            total = time.perf_counter() - start
        lines, kilobytes = engine.events(last), (engine.records.folder(last) / "events.jsonl").stat().st_size / 1000
        engine.close()
    rows = [{"way": name, **summary(busy[name]), "times without": ratio(busy[name], busy["without a log"])} for name in ways]
    rows += [{"way": f"of that, {what}", "mean_ms": 1e3 * seconds / COUNTED, "n": COUNTED, "share": seconds / total}
             for what, seconds in spent.seconds.items()]
    notes = [f"Aim: recording costs at most {100 * AIM:.0f} % of a run. Measured: "
             f"{100 * sum(spent.seconds.values()) / total:.2f} % (wall, counted inside {COUNTED} recorded runs), "
             f"{100 * (rows[1]['times without'] - 1):+.2f} % (cpu, whole runs with and without a log).",
             "The first two rows are cpu times, the others wall times: those include waiting for the disk.",
             f"{len(lines)} events, {kilobytes:.0f} kB of log, one model kept."]
    about = versions("torch", "transformers") | {"experiment": EXPERIMENT, "config": CONFIG, "threads": 1}
    print(table(rows), *notes, sep="\n")
    print(write("recording", rows, notes, about=about))


if __name__ == "__main__":
    main()
