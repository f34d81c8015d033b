"""A sweep in one process and on Ray against single runs of the command line: processor time, and how much sooner two workers are done.

    python -m benchmarks.sweeps                          # 8 audits, about 8 minutes of processor time
    python -m benchmarks.sweeps --only cpu --cells 24    # processor time alone, of which a busy machine takes nothing
    python -m benchmarks.sweeps --only clock --cells 4   # Ray by the clock, for a moment in which both cores are free

What a call does not measure stays as it was written before.
"""

from __future__ import annotations

import argparse
import contextlib
import json
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

from benchmarks.timing import RESULTS, table, versions, write

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

    taken: dict[tuple[int, float], float] = {}  # by process: one that has ended cannot be asked any more

    def spent() -> float:
        me = psutil.Process()
        for process in (me, *me.children(recursive=True)):
            with contextlib.suppress(psutil.NoSuchProcess):
                taken[process.pid, process.create_time()] = sum(process.cpu_times()[:2])
        return sum(taken.values())

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


def processor(folder: Path, cells: int) -> list[dict[str, Any]]:
    """Single runs, the start that each of them repeats, and one process for all."""
    count = cells + WARM
    single = sum(command(folder / "single", "run", NAME, "--set", f"algorithm={algorithm}", "--set", f"steps={STEPS}", "--seed", str(seed))
                 for algorithm in GRID for seed in range(count // len(GRID)))
    again, local = begun(), swept(folder / "local", cells, False)
    return [{"what": "single runs", "runs": count, "CPU s": single}, {"what": "one start with its models", "CPU s": again},
            {"what": "a sweep in one process", "runs": count, "CPU s": local["cpu"], "MB a run": local["bytes"] / 1e6}]


def clock(folder: Path, cells: int) -> list[dict[str, Any]]:
    """Two workers of Ray, and one process, each with its models loaded and one thread."""
    ray, local = swept(folder / "ray", cells, True), swept(folder / "alone", cells, False)
    after, load = f"s for all but the first {WARM}", os.getloadavg()[0]
    return [{"what": "Ray, two workers", "runs": ray["runs"], "CPU s": ray["cpu"], "MB a run": ray["bytes"] / 1e6, after: ray["seconds"]},
            {"what": "one process beside it", "runs": local["runs"], "CPU s": local["cpu"], after: local["seconds"], "load": load}]


PARTS = {"cpu": processor, "clock": clock}


def said(parts: dict[str, list[dict[str, Any]]]) -> list[str]:
    """What the rows come to beside the aims."""
    notes = []
    if "cpu" in parts:
        single, again, local = (row["CPU s"] for row in parts["cpu"])
        least = single - (parts["cpu"][0]["runs"] - 1) * again
        notes.append(f"sweep against single runs without their repeated starts: {local / least:.2f} (aim {OVER:g})")
    if "clock" in parts:
        ray, local = parts["clock"]
        [after] = (name for name in ray if name.startswith("s for"))
        notes += [f"two warm workers of Ray against one process: {local[after] / ray[after]:.2f} times sooner (aim {SOONER:g}, on two free "
                  f"cores; the load was {local['load']:.1f})"]
    if "clock" in parts and "CPU s" in ray:
        notes += [f"Ray for 1,000 such runs: {ray['CPU s'] / ray['runs'] / 3.6:.1f} CPU hours, {1000 * ray['MB a run']:.0f} MB of records"]
    return notes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, default=8, help="how many audits are timed, an even number (8)")
    parser.add_argument("--only", choices=PARTS, help="measure this part alone")
    parser.add_argument("--write", action="store_true", help="store the result in benchmarks/results")
    options = parser.parse_args()
    parts: dict[str, list[dict[str, Any]]] = {}
    if (known := RESULTS / "sweeps.json").is_file():
        for row in json.loads(known.read_text())["rows"]:
            parts.setdefault(row.get("part", ""), []).append(row)
    with tempfile.TemporaryDirectory() as folder:
        measured = {name: PARTS[name](Path(folder), options.cells) for name in ([options.only] if options.only else PARTS)}
    parts = {name: found for name in PARTS if (found := measured.get(name, parts.get(name)))}
    rows = [{"part": name} | row for name, found in parts.items() for row in found]
    print(table(rows), *said(parts), sep="\n")
    if options.write:
        write("sweeps", rows, said(parts), about=versions("torch", "ray"))


if __name__ == "__main__":
    main()
