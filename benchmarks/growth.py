"""What remains in a lab that much was asked of: memory, open handles and threads after runs, stops, dead watchers and equal requests.

    python -m benchmarks.growth --runs 200

Every other run is stopped at its first event. A watcher asks for the events of a run that goes on, and then falls silent or breaks off
without a word. Equal requests come from twenty threads at once and are computed once. RSS may grow by 5 %.
"""

from __future__ import annotations

import argparse
import gc
import itertools
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import psutil

from benchmarks.timing import table, versions, write
from core.engine.runner import Engine
from core.engine.settings import Settings

EXPERIMENT = "unlearning/audit"
CONFIG = {"model": "embedded/worlds-128", "subjects": 1, "steps": 1, "retain_questions": 10, "audits": [], "actpert": False,
          "stop_early": False}
WARM_UP = 10
EQUAL, MOST = 20, 1.05
HEADER, WATCHER = "x-glassbox-visitor", "0123456789abcdef0123456789abcdef"


def run(engine: Engine, seed: int, stop: bool) -> None:
    """One run that forks and trains a model of its own, to its end or to its first event."""
    started = engine.start(EXPERIMENT, CONFIG | ({"steps": 50} if stop else {}), seed=seed, fresh=True)
    if stop:
        next(engine.watch(started.id))
        engine.cancel(started.id)
    outcome = engine.wait(started.id)["outcome"]
    assert outcome == ("cancelled" if stop else "finished"), outcome


def equal(engine: Engine, seed: int) -> None:
    """Twenty equal requests at once: one run answers them all."""
    with ThreadPoolExecutor(EQUAL) as pool:
        runs = set(pool.map(lambda _: engine.start(EXPERIMENT, CONFIG, seed=seed).id, range(EQUAL)))
    assert len(runs) == 1, runs
    engine.wait(runs.pop())


def half_open(address: tuple[str, int], run_id: str, number: int) -> None:
    """Asks for an answer that goes on, reads a little of it, and breaks off: every other one without even closing in order."""
    line = socket.create_connection(address, timeout=30)
    line.sendall(f"GET /lab/runs/{run_id}/events?since=0&wait=20&page=p{number} HTTP/1.1\r\nHost: 127.0.0.1:{address[1]}\r\n"
                 f"{HEADER}: {WATCHER}\r\n\r\n".encode())
    assert line.recv(200).startswith(b"HTTP/1.1 200 ")
    if number % 2:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # closing sends a reset
    line.close()


@contextmanager
def serving(engine: Engine) -> Iterator[tuple[str, int]]:
    """The lab's server in a thread."""
    import uvicorn

    from apps.lab.server import create_app

    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(create_app(engine=engine), log_level="warning", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.05)
    yield listening.getsockname()
    server.should_exit = True
    thread.join()


def held() -> dict[str, float]:
    """MB, open handles and threads of this process, once what ends by itself has ended."""
    time.sleep(1.0)
    gc.collect()
    process = psutil.Process()
    return {"MB": round(process.memory_info().rss / 1e6, 1), "handles": process.num_fds(), "threads": process.num_threads()}


def measured(what: str, times: int, work: Callable[[int], None]) -> dict[str, object]:
    """A tenth of the work first, which may fill caches; then all of it, with what is held before and after."""
    for number in range(-max(2, times // 10), 0):
        work(number)
    before = held()
    for number in range(times):
        work(number)
    after = held()
    row = {"what": what, "times": times} | {f"{name} {when}": state[name] for name in before
                                            for when, state in (("before", before), ("after", after))}
    print(table([row]), flush=True)
    return row | {"times as much memory": round(after["MB"] / before["MB"], 3), "within 5 %": after["MB"] <= MOST * before["MB"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--equal", type=int, default=10, help="how many times twenty equal requests are made")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        engine, seeds = Engine(Settings(home=Path(home), threads=1)), itertools.count()
        with serving(engine) as address:
            for seed in itertools.islice(seeds, WARM_UP):
                run(engine, seed, stop=bool(seed % 2))
            rows = [measured("starts, every other one stopped", options.runs, lambda _: run(engine, (seed := next(seeds)), bool(seed % 2)))]
            long = engine.start(EXPERIMENT, CONFIG | {"steps": 500}, seed=0, visitor=WATCHER).id
            rows.append(measured("watchers that break off", options.runs, lambda number: half_open(address, long, number)))
            engine.cancel(long)
            engine.wait(long)
            rows.append(measured("twenty equal requests at once", options.equal, lambda _: equal(engine, next(seeds))))
        engine.close()
    print(table(rows))
    notes = [f"After {WARM_UP} runs. Memory that grew with every run would be a model of about 1 MB each."]
    about = versions("torch", "transformers", "gradio") | {"experiment": EXPERIMENT, "config": CONFIG, "threads": 1}
    print(write("growth", rows, notes, about=about))


if __name__ == "__main__":
    main()
