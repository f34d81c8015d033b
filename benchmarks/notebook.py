"""The notebook over 10,000 runs against 100, in the same run: the index, the first table, every kind of filter, and memory.

    python -m benchmarks.notebook               # CPU seconds, so that a busy machine does not decide
    python -m benchmarks.notebook --browser     # also from the start of the process to the first table, beside Streamlit's own hello app
"""

from __future__ import annotations

import argparse
import json
import os
import random
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.timing import table, versions, write
from core.engine.records import read_events
from core.engine.settings import FIRST_VIEWS

FEW, MANY, REPEATS = 100, 10_000, 3
FIRST_TABLE, FILTER_MS, COLD_S = 2.0, 300.0, 3.0
SHOWN = "unlearning-auditor"  # the first view whose record is repeated with other settings
FILTERS = {"search": ("text_input", "steps=17 npo"), "question": ("selectbox", "unlearning/audit"), "outcome": ("selectbox", "failed"),
           "nothing": ("text_input", "")}


def fill(home: Path, count: int) -> None:
    """A home of `count` records: numbers, verdict and end of a real run, with settings, seeds and outcomes that differ."""
    rng = random.Random(0)
    run = json.loads((FIRST_VIEWS / SHOWN / "run.json").read_text())
    lines = [line for line in read_events(FIRST_VIEWS / SHOWN / "events.jsonl") if line["kind"] in ("metric", "verdict", "end")]
    text = "".join(json.dumps(line | {"seq": place}) + "\n" for place, line in enumerate(lines))
    for number in range(count):
        run_id = f"2026{1 + number // 28 % 12:02}{1 + number % 28:02}-000000-{number:012x}"
        folder = home / "runs" / run_id
        folder.mkdir(parents=True)
        changed = {"id": run_id, "seed": number % 5, "owner": "ann", "visitors": ["ann"], "published": False,
                   "outcome": "failed" if number % 17 == 0 else "finished",
                   "created": f"{run_id[:4]}-{run_id[4:6]}-{run_id[6:8]}T00:00:00+00:00",
                   "config": run["config"] | {"algorithm": rng.choice(["npo", "ga", "rmu"]), "steps": number % 60}}
        (folder / "run.json").write_text(json.dumps(run | changed))
        (folder / "events.jsonl").write_text(text)


def measure(home: Path) -> dict[str, Any]:
    """In a process of its own: CPU seconds of the index, of the first script run, and of each filter; bytes that the rows take."""
    import psutil
    from streamlit.testing.v1 import AppTest

    from apps.notebook import here
    from core.engine.settings import Settings

    def timed(action) -> tuple[float, float]:
        cpu, wall = time.process_time(), time.perf_counter()
        action()
        return time.process_time() - cpu, time.perf_counter() - wall

    opened = here.open_home(Settings(home=home))
    here.asked = lambda: here.OWNER
    held = psutil.Process().memory_info().rss
    index = timed(opened.index.rows)
    grown = psutil.Process().memory_info().rss - held
    page = AppTest.from_string("from apps.notebook import runs_page\nruns_page.show()", default_timeout=300)
    first = timed(page.run)
    assert not page.exception, page.exception
    again = min(timed(page.run) for _ in range(REPEATS))
    filters = {name: min(timed(lambda kind=kind, key=key, value=value: getattr(page, kind)(key=key).set_value(value).run())
                         for _ in range(REPEATS))
               for name, (kind, value) in FILTERS.items() for key in ("search" if name == "nothing" else name,)}
    return {"index": index, "first": first, "again": again, "filters": filters, "bytes": grown}


def in_a_process(home: Path) -> dict[str, Any]:
    """`measure` in a fresh interpreter."""
    code = ("import json; from pathlib import Path; from benchmarks.notebook import measure\n"
            f"print(json.dumps(measure(Path({str(home)!r}))))")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def cold(words: list[str], port: int, ready: str, **environment: str) -> float:
    """Seconds from the start of a server until a browser, which is open already and has seen nothing of it, shows `ready`."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = os.environ.get("GLASSBOX_CHROMIUM", "/usr/bin/chromium")
        browser = playwright.chromium.launch(args=["--no-sandbox"], executable_path=chromium)
        page, began = browser.new_page(), time.perf_counter()
        process = subprocess.Popen([sys.executable, *words], env=os.environ | environment, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)
        try:
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port), 1).close()
                    break
                except OSError:
                    time.sleep(0.02)
            page.goto(f"http://127.0.0.1:{port}/", wait_until="commit")
            page.wait_for_selector(ready, timeout=120_000)
            return time.perf_counter() - began
        finally:
            browser.close()
            process.terminate()
            process.wait()


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as asked:
        asked.bind(("127.0.0.1", 0))
        return asked.getsockname()[1]


def starts(few: Path, many: Path) -> dict[str, float]:
    """Cold starts, taken in turns: the best of two each."""
    found: dict[str, list[float]] = {"hello": [], "100 runs": [], "10,000 runs": []}
    for _ in range(2):
        port = free_port()
        hello = ["-m", "streamlit", "hello", "--server.port", str(port), "--server.headless", "true"]
        found["hello"].append(cold(hello, port, "h1"))
        for name, home in (("100 runs", few), ("10,000 runs", many)):
            port = free_port()
            words = ["-m", "apps.notebook", "--port", str(port), "--no-browser"]
            found[name].append(cold(words, port, "[data-testid=stDataFrame] canvas", GLASSBOX_HOME=str(home)))
    return {name: min(seconds) for name, seconds in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--browser", action="store_true", help="also from the start of the process to the first table")
    parser.add_argument("--write", action="store_true", help="store the result in benchmarks/results")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        homes = {count: Path(folder) / str(count) for count in (FEW, MANY)}
        for count, home in homes.items():
            fill(home, count)
        built = {count: in_a_process(home) for count, home in homes.items()}  # the index is made here
        found = {count: in_a_process(home) for count, home in homes.items()}
        cold_starts = starts(homes[FEW], homes[MANY]) if options.browser else {}
    rows, notes = said(built, found, cold_starts)
    print(table(rows), *notes, sep="\n")
    if options.write:
        write("notebook", rows, notes, about=versions("streamlit", "duckdb", "plotly"))


def said(built: dict[int, Any], found: dict[int, Any], cold_starts: dict[str, float]) -> tuple[list[dict[str, Any]], list[str]]:
    """The rows of the result, and what they come to beside the aims."""
    few, many = found[FEW], found[MANY]

    def row(what: str, one: float, other: float) -> dict[str, Any]:
        return {"what": what, f"{FEW} runs": one, f"{MANY} runs": other}

    rows = [row("index made from nothing, CPU s", built[FEW]["index"][0], built[MANY]["index"][0]),
            row("index from its file, CPU s", few["index"][0], many["index"][0]),
            row("first script run after that, CPU s", few["first"][0], many["first"][0]),
            row("a later one, CPU s", few["again"][0], many["again"][0]),
            *(row(f"filter: {name}, CPU ms", 1000 * few["filters"][name][0], 1000 * many["filters"][name][0]) for name in FILTERS),
            row("memory of the rows, MB", few["bytes"] / 1e6, many["bytes"] / 1e6)]
    opened = [one["index"][0] + one["first"][0] for one in (few, many)]
    notes = [f"index and first table: {opened[1] / opened[0]:.2f} times (aim {FIRST_TABLE:g})",
             f"slowest filter: {1000 * max(cpu for cpu, _ in many['filters'].values()):.0f} ms (aim {FILTER_MS:g})",
             f"memory: {many['bytes'] / MANY * 1000 / 1e6:.1f} MB per 1,000 runs"]
    if cold_starts:
        rows.append(row("process start to first table in a browser, s", cold_starts["100 runs"], cold_starts["10,000 runs"]))
        times = cold_starts["10,000 runs"] / cold_starts["100 runs"]
        notes.append(f"process start to first table: {times:.2f} times (aim {FIRST_TABLE:g}); "
                     f"{cold_starts['100 runs'] - cold_starts['hello']:+.1f} s beside Streamlit's hello app, {cold_starts['hello']:.1f} s "
                     f"(aim +{COLD_S:g})")
    return rows, notes


if __name__ == "__main__":
    main()
