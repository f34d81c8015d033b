"""A sweep in one process and on Ray against single runs of the command line: processor time, and how much sooner two workers are done.

    python -m benchmarks.sweeps                # 8 audits, about 4 minutes of processor time
    python -m benchmarks.sweeps --cells 24     # as many as issue 21 asks for, about 12
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

from benchmarks.timing import table, versions, write

NAME, GRID, STEPS, WARM = "unlearning/audit", ["npo", "ga"], 20, 2
OVER, SOONER = 1.10, 1.6


def command(home: Path, *words: str) -> float:
    """Processor seconds of one command line in a process of its own."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-m", "apps.cli", *words, "--json"], check=True, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL, env=os.environ | {"GLASSBOX_HOME": str(home), "GLASSBOX_THREADS": "1"})
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def begun() -> float:
    """Processor seconds until an engine has loaded the models of an audit: what every single run does again."""
    code = ("from core.engine.runner import Engine; from core.engine.settings import Settings; from core.engine.registry import find\n"
            f"e, a = Engine(Settings(any_path=True, threads=1)), find({NAME!r})\n"
            "a.function\n[e.models.load(ref) for ref in a.models(a.validate({}))]")
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", code], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def swept(home: Path, cells: int, ray: bool) -> dict[str, float]:
    """CPU seconds of all processes, seconds from the second result to the last, bytes of records; all but the first two are `cells`."""
    from core.engine.runner import Engine
    from core.engine.settings import Settings
    from core.engine.sweep import sweep

    def spent() -> float:
        me = psutil.Process()
        return sum(sum(process.cpu_times()[:2]) for process in (me, *me.children(recursive=True)))

    engine, first, results = Engine(Settings(home=home, any_path=True, threads=1)), spent(), 0
    seeds = range((cells + WARM) // len(GRID))
    asked: Iterator[Any] = sweep(engine, NAME, {"algorithm": GRID, "steps": [STEPS]}, seeds, ray=ray, jobs=2 if ray else 1)
    warm = cpu = 0.0
    for _ in asked:
        results += 1
        cpu = spent() - first
        if results == WARM:
            warm = time.perf_counter()
    size = sum(file.stat().st_size for file in home.rglob("*") if file.is_file())
    return {"cpu": cpu, "seconds": time.perf_counter() - warm, "bytes": size / results, "runs": results}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, default=8, help="how many audits are timed, an even number (8)")
    parser.add_argument("--write", action="store_true", help="store the result in benchmarks/results")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        homes = [Path(folder) / name for name in ("single", "local", "ray")]
        count = options.cells + WARM
        single = sum(command(homes[0], "run", NAME, "--set", f"algorithm={algorithm}", "--set", f"steps={STEPS}", "--seed", str(seed))
                     for algorithm in GRID for seed in range(count // len(GRID)))
        again = begun()
        local, ray = swept(homes[1], options.cells, False), swept(homes[2], options.cells, True)
    least = single - (count - 1) * again
    rows = [{"what": f"{count} single runs", "CPU s": single}, {"what": "one start with its models", "CPU s": again},
            {"what": f"a sweep of {count} in one process", "CPU s": local["cpu"], f"s for {options.cells}": local["seconds"]},
            {"what": f"the same on Ray, two workers, {count} runs", "CPU s": ray["cpu"], f"s for {options.cells}": ray["seconds"]}]
    notes = [f"sweep against single runs without their repeated starts: {local['cpu'] / least:.2f} (aim {OVER:g})",
             f"two warm workers of Ray against one process: {local['seconds'] / ray['seconds']:.2f} times sooner (aim {SOONER:g}, on a "
             f"machine with two free cores)",
             f"Ray for 1,000 such runs: {ray['cpu'] / ray['runs'] * 1000 / 3600:.1f} CPU hours, {ray['bytes'] / 1e3:.0f} MB of records"]
    print(table(rows), *notes, sep="\n")
    if options.write:
        write("sweeps", rows, notes, about=versions("torch", "ray"))


if __name__ == "__main__":
    main()
