"""Interleaved timing, and the one way in which a benchmark writes down what it measured.

    seconds = interleaved({"bare": bare, "traced": traced}, repeats=25)
    print(table([{"name": name, **summary(taken)} for name, taken in seconds.items()]))
    write("tracing", rows, notes=["12 captures on ..."])          # benchmarks/results/tracing.json and .md
"""

from __future__ import annotations

import gc
import importlib.metadata
import json
import os
import platform
import random
import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).resolve().parent / "results"
Candidates = Mapping[str, Callable[[], Any]]
Clock = Callable[[], float]


def interleaved(
    candidates: Candidates, repeats: int = 25, warm_up: int = 3, inner: int = 1, clock: Clock = time.perf_counter
) -> dict[str, list[float]]:
    """Seconds per call: name -> one number per repeat, each the mean of `inner` calls.

    Every repeat calls all candidates once in a new (seeded) order, so a machine that slows down slows all of them down.
    The garbage collector runs between the measurements, not inside them. `clock`: `time.process_time` counts what this
    process computes and not what it waits for, which on a busy machine is the steadier of the two.
    """
    return _measure(candidates, repeats, warm_up, inner, (clock,))[0]


def wall_and_cpu(
    candidates: Candidates, repeats: int = 25, warm_up: int = 3, inner: int = 1
) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """As `interleaved`, by both clocks at once: what passed, and what this process computed."""
    wall, cpu = _measure(candidates, repeats, warm_up, inner, (time.perf_counter, time.process_time))
    return wall, cpu


def _measure(candidates: Candidates, repeats: int, warm_up: int, inner: int, clocks: tuple[Clock, ...]) -> list[dict[str, list[float]]]:
    for _ in range(warm_up):
        for call in candidates.values():
            call()
    taken: list[dict[str, list[float]]] = [{name: [] for name in candidates} for _ in clocks]
    order = random.Random(0)
    was_enabled = gc.isenabled()
    gc.collect()
    gc.freeze()  # what the imports left behind need not be looked through again before every repeat
    try:
        for _ in range(repeats):
            gc.collect()
            gc.disable()
            for name in order.sample(list(candidates), len(candidates)):
                call = candidates[name]
                started = [clock() for clock in clocks]
                for _ in range(inner):
                    call()
                for seconds, clock, start in zip(taken, clocks, started, strict=True):
                    seconds[name].append((clock() - start) / inner)
            if was_enabled:
                gc.enable()
    finally:
        gc.unfreeze()
        if was_enabled:
            gc.enable()
    return taken


def summary(seconds: Sequence[float]) -> dict[str, float | int]:
    """`median_ms`, the middle half as `from_ms` and `to_ms`, and `n`."""
    low, middle, high = statistics.quantiles(seconds, n=4)
    return {"median_ms": 1e3 * middle, "from_ms": 1e3 * low, "to_ms": 1e3 * high, "n": len(seconds)}


def ratio(seconds: Sequence[float], reference: Sequence[float]) -> float:
    """Median over the repeats of how many times as long as its neighbour in the same repeat a call took."""
    return statistics.median(one / other for one, other in zip(seconds, reference, strict=True))


def versions(*packages: str) -> dict[str, str]:
    """Installed versions of Python and of these packages; `not installed` where there is none."""
    found = {"python": platform.python_version()}
    for package in packages:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found


def machine() -> dict[str, Any]:
    """What the numbers depend on: processor, cores, and how busy the machine was (load average over a minute)."""
    load = round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None
    return {"system": platform.system(), "processor": _processor(), "cores": os.cpu_count(), "load": load}


def peak_memory() -> float:
    """The most resident memory that this process ever had, in GB. Linux counts in `ru_maxrss` also what the process was that started it,
    up to the moment at which its own program began, so it is asked for the peak of the address space."""
    try:
        words = Path("/proc/self/status").read_text(encoding="utf-8").split()
        return int(words[words.index("VmHWM:") + 1]) * 1024 / 1e9
    except (OSError, ValueError):
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def table(rows: Iterable[Mapping[str, Any]]) -> str:
    """Rows as a Markdown table; a cell that a row lacks stays empty, floats show four digits."""
    rows = list(rows)
    columns = list(dict.fromkeys(column for row in rows for column in row))
    cells = [columns, *([_text(row.get(column)) for column in columns] for row in rows)]
    widths = [max(len(line[i]) for line in cells) for i in range(len(columns))]
    lines = ["| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |" for line in cells]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def write(
    name: str, rows: Iterable[Mapping[str, Any]], notes: Iterable[str] = (), *, about: Mapping[str, Any] | None = None,
    folder: Path = RESULTS,
) -> Path:
    """Write `name.json` and `name.md` into `folder`; gives the path of the JSON. `about`: versions, threads, sizes."""
    rows, notes = list(rows), list(notes)
    about = machine() | dict(about or {})
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{name}.json"
    file.write_text(json.dumps({"name": name, "about": about, "rows": rows, "notes": notes}, indent=1) + "\n", encoding="utf-8")
    lines = [f"# {name.replace('_', ' ').capitalize()}", "", f"Written by `python -m benchmarks.{name}`.", "", table(rows), ""]
    lines += [f"- {note}" for note in notes]
    lines += ["", *(f"- {key}: {_text(value)}" for key, value in about.items())]
    file.with_suffix(".md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_text(item)}" for key, item in value.items())
    return str(value)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration, IndexError):
        return platform.processor() or platform.machine()
