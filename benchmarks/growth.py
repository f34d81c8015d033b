"""What hundreds of runs leave behind in the memory of one process: every other one is stopped at its first event.

    python -m benchmarks.growth --runs 400
"""

from __future__ import annotations

import argparse
import gc
import itertools
import tempfile
from pathlib import Path

import psutil

from benchmarks.timing import table, versions, write
from core.engine.runner import Engine
from core.engine.settings import Settings

EXPERIMENT = "unlearning/audit"
CONFIG = {"subjects": 1, "steps": 1, "retain_questions": 10, "audits": [], "actpert": False, "stop_early": False}
WARM_UP = 20


def run(engine: Engine, seed: int, stop: bool) -> None:
    """One run that forks and trains a model of its own, to its end or to its first event."""
    started = engine.start(EXPERIMENT, CONFIG | ({"steps": 50} if stop else {}), seed=seed, fresh=True)
    if stop:
        next(engine.watch(started.id))
        engine.cancel(started.id)
    outcome = engine.wait(started.id)["outcome"]
    assert outcome == ("cancelled" if stop else "finished"), outcome


def resident() -> float:
    """MB that this process holds."""
    gc.collect()
    return psutil.Process().memory_info().rss / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=400)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        engine, seeds, rows = Engine(Settings(home=Path(home), threads=1)), itertools.count(), []
        for seed in itertools.islice(seeds, WARM_UP):
            run(engine, seed, stop=bool(seed % 2))
        before = resident()
        for done in range(1, options.runs + 1):
            seed = next(seeds)
            run(engine, seed, stop=bool(seed % 2))
            if done % 100 == 0 or done == options.runs:
                rows.append({"runs": done, "MB": round(resident(), 1), "times as much as before": round(resident() / before, 3)})
        engine.close()
    print(table(rows))
    notes = [f"{before:.0f} MB after {WARM_UP} runs before the first row. Memory that grew with every run would be a model of 2.5 MB each."]
    about = versions("torch", "transformers") | {"experiment": EXPERIMENT, "config": CONFIG, "threads": 1}
    print(write("growth", rows, notes, about=about))


if __name__ == "__main__":
    main()
