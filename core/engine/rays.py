"""The cells of a sweep on Ray: in processes of this machine, or on all machines of a cluster.

    for cell, run_id in compute(engine, "unlearning/audit", cells(...), jobs=4):                    # starts Ray here, for itself alone
    for cell, run_id in compute(engine, "unlearning/audit", cells(...), jobs=40, address="auto"):   # the cluster of this machine

A worker is an engine with a home of its own, which loads each model once, behind three methods: start, events, cancel. What it says is
written here, event by event, into the records of whoever asked: many compute, one writes. Models that only this home has are put into
Ray's object store once, and every worker takes them from there.

Ray hands over pickled objects, so a cluster is one machine as far as trust goes: join none that is not yours.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import secrets
import shutil
import signal
import tempfile
import threading
from collections import Counter, deque
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.engine.errors import LabError
from core.engine.processes import this_process
from core.engine.records import Log, Records
from core.engine.registry import find
from core.engine.settings import TELEMETRY_OFF, Settings

if TYPE_CHECKING:
    from core.engine.runner import Engine

VISITOR, TRIES = "sweep", 3
LOOK_S, LEAVE_S = 0.5, 5.0  # how long a worker waits for news before it answers, and how long it is waited for once nobody wants it
CONCLUDED = ("outcome", "error", "hint", "started", "duration_s", "model", "revisions", "keeps")
LOST = LabError("The worker that computed this was lost.", "It was begun again.")
HERE = ("127.0.0.1", "localhost", "::1")
# Read when ray is imported: all its ports are of this machine alone, on Linux too; and its workers do not step back (niceness 15, as Ray
# has it) behind everything else that this machine does.
ONLY_HERE = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "RAY_worker_niceness": "0"}
QUIET = {"namespace": "glassbox", "configure_logging": False, "logging_level": "critical", "log_to_driver": False}
Cell = tuple[dict[str, Any], int]
News = dict[str, Any]


class Worker:
    """What Ray calls an actor. carried: path in the home -> content, of what no other machine has."""

    def __init__(self, threads: int, carried: dict[str, bytes]) -> None:
        from core.engine.runner import Engine

        self._folder = tempfile.TemporaryDirectory(prefix="glassbox-worker-")
        home = Path(self._folder.name)
        for name, content in carried.items():
            (home / name).parent.mkdir(parents=True, exist_ok=True)
            (home / name).write_bytes(content)
        self._engine, self._last = Engine(Settings(home=home, any_path=True, threads=threads)), ""

    def start(self, name: str, config: dict[str, Any], seed: int, keep: bool = True) -> News:
        """run.json of a run that begins; or error and hint of one that cannot. keep: with the models that it makes."""
        if self._last:
            with contextlib.suppress(LabError):
                self._engine.delete(self._last)
        try:
            self._last = self._engine.start(name, config, seed=seed, visitor=VISITOR, fresh=True, keep=keep).id
        except LabError as problem:
            return problem.to_dict()
        return self._engine.records.read(self._last).plain()

    def events(self, run_id: str, since: int) -> News:
        """lines: its events from `since` on, after a short wait for its end.  files: path in its folder -> content, of what these name.
        run: its run.json, once it has ended."""
        with contextlib.suppress(TimeoutError):
            self._engine.wait(run_id, LOOK_S)
        lines, folder = self._engine.events(run_id, since), self._engine.records.folder(run_id)
        named = [folder / line["file"] for line in lines if line["kind"] in ("picture", "file")]
        kept = [file for line in lines if line["kind"] == "keep" for file in (folder / "models" / line["name"]).rglob("*")]
        ended = bool(lines) and lines[-1]["kind"] == "end"
        return {"lines": lines, "files": {str(file.relative_to(folder)): file.read_bytes() for file in (*named, *kept) if file.is_file()},
                "run": self._engine.records.read(run_id).plain() if ended else None}

    def cancel(self, run_id: str) -> None:
        """Asks it to stop at its next event."""
        self._engine.cancel(run_id)


class Copy:
    """The record, here, of a run that computes elsewhere. Everybody may follow it while it goes on."""

    def __init__(self, records: Records, run: News) -> None:
        self.id, self.seen, self.ended, self._records = run["id"], 0, False, records
        self._folder = records.create(run | this_process() | {"outcome": "running", "owner": VISITOR, "visitors": [VISITOR]})
        self._log = Log(self._folder)

    def write(self, news: News) -> None:
        """Files before the lines that name them, the outcome before the last line. Raises LabError when the disk refuses."""
        try:
            for name, content in news["files"].items():
                (self._folder / name).parent.mkdir(parents=True, exist_ok=True)
                (self._folder / name).write_bytes(content)
            if news["run"]:
                self._conclude(**{field: news["run"][field] for field in CONCLUDED})
            for line in news["lines"]:
                self._log.append(line)
        except OSError as problem:
            raise LabError(f"The run could not be recorded any further: {problem.strerror or problem}.",
                           "Free some space on the disk and sweep again; what is finished is kept.") from None
        self.seen += len(news["lines"])

    def end(self, outcome: str, error: str = "", hint: str = "") -> None:
        """The outcome of a run whose worker cannot say it any more."""
        if not self.ended:
            with contextlib.suppress(OSError, ValueError, LabError):  # remembered here, and "interrupted" once this process is gone
                self._conclude(outcome=outcome, error=error, hint=hint)

    def close(self) -> None:
        self._log.close()

    def _conclude(self, **changes: Any) -> None:
        self.ended = True
        self._records.conclude(self.id, **changes)


def compute(engine: Engine, name: str, asked: Sequence[Cell], *, jobs: int, fresh: bool = False,
            address: str = "", keep: bool = False) -> Iterator[tuple[int, str]]:
    """(cell, run) of every cell in the order in which they end: first those that are recorded, which need no Ray.

    address: of the cluster, "auto" for the one that this machine belongs to; "": none, Ray is started here and ends with the sweep.
    keep: with the models that runs make.
    A worker that is lost is replaced and its cell begun again, three times at most. Raises LabError where Ray or the cluster is not there.
    """
    left: deque[tuple[int, str]] = deque()
    for cell, (config, seed) in enumerate(asked):
        key, known = engine.recall(name, config, seed=seed, visitor=VISITOR, keep=keep)
        if known and not fresh:
            yield cell, known
        else:
            left.append((cell, key))
    if left:
        carried, threads = _carried(engine, name, asked), engine.settings.threads
        with cluster(min(jobs, len(left)) * threads, address) as ray:
            if ray.cluster_resources().get("CPU", 0) < threads:
                raise LabError(f"No machine of this cluster gives {threads} cores to one worker.", "Start its nodes with --num-cpus.")
            hiring = ray.remote(Worker).options(num_cpus=threads, max_restarts=0)
            yield from _Round(ray, engine.records, name, asked, left, keep).go(hiring, (threads, ray.put(carried)), jobs)


class _Round:
    """Hands out what is left, one cell to a worker, until all have ended."""

    def __init__(self, ray: Any, records: Records, name: str, asked: Sequence[Cell], left: deque[tuple[int, str]],
                 keep: bool) -> None:
        self._ray, self._records, self._name, self._asked, self._left, self._keep = ray, records, name, asked, left, keep
        self._lost: Counter[int] = Counter()
        self._losses = ray.exceptions.RayActorError, ray.exceptions.ObjectLostError, ray.exceptions.NodeDiedError
        self._talks: dict[Any, tuple[Any, Generator[Any, News, str], tuple[int, str]]] = {}  # answer to come -> worker, talk, cell and key

    def go(self, hiring: Any, words: tuple[Any, ...], jobs: int) -> Iterator[tuple[int, str]]:
        """hiring.remote(*words) is a new worker."""
        try:
            for _ in range(min(jobs, len(self._left))):
                self._begin(hiring.remote(*words))
            while self._talks:
                yield from self._step(hiring, words)
        finally:
            for _, talk, _ in self._talks.values():
                talk.close()

    def _step(self, hiring: Any, words: tuple[Any, ...]) -> Iterator[tuple[int, str]]:
        """The next answer that comes. A worker for whom nothing is left is let go, and one that waits for its place begins."""
        [answer], _ = self._ray.wait(list(self._talks), num_returns=1)
        worker, talk, cell = self._talks.pop(answer)
        try:
            self._talks[talk.send(self._ray.get(answer))] = worker, talk, cell
        except StopIteration as ended:
            self._begin(worker)
            yield cell[0], ended.value
        except self._losses as problem:
            self._lose(talk, cell, problem)
            self._begin(hiring.remote(*words))

    def _begin(self, worker: Any) -> None:
        if self._left:
            cell = self._left.popleft()
            talk = self._talk(worker, *self._asked[cell[0]], cell[1])
            self._talks[next(talk)] = worker, talk, cell

    def _lose(self, talk: Generator[Any, News, str], cell: tuple[int, str], problem: Exception) -> None:
        with contextlib.suppress(type(problem)):
            talk.throw(problem)
        self._left.append(cell)
        self._lost[cell[0]] += 1
        if self._lost[cell[0]] == TRIES:
            raise LabError(f"{TRIES} workers were lost over one run of this sweep: {_first_line(problem)}",
                           "There may be too little memory, or a machine without the lab; what is finished is kept.")

    def _talk(self, worker: Any, config: dict[str, Any], seed: int, key: str) -> Generator[Any, News, str]:
        """One run: yields what was asked of the worker, is sent its answer, and gives the id."""
        run = yield worker.start.remote(self._name, config, seed, self._keep)
        if "id" not in run:
            raise LabError(run["error"], run["hint"])
        if run["key"] != key:
            raise LabError("A worker would compute something else: its version of the lab or of a model differs from the one here.",
                           "Install the same version on all machines of the cluster.")
        copy = Copy(self._records, run)
        try:
            while not copy.ended:
                copy.write((yield worker.events.remote(copy.id, copy.seen)))
        except self._losses:
            copy.end("interrupted", LOST.message, LOST.hint)
            raise
        except BaseException:  # nobody wants it any more, or it cannot be written
            with contextlib.suppress(Exception):
                worker.cancel.remote(copy.id)
                copy.write(self._ray.get(worker.events.remote(copy.id, copy.seen), timeout=LEAVE_S))
            copy.end("cancelled")
            raise
        finally:
            copy.close()
        return copy.id


def _carried(engine: Engine, name: str, asked: Sequence[Cell]) -> dict[str, bytes]:
    """path in the home -> content: models and files of these configs that lie in this home, and the data sets that were got."""
    experiment, home = find(name), engine.settings.home.resolve()
    configs = [experiment.validate(config) for config, _ in asked]
    places = {engine.models.folder(ref) for config in configs for ref in experiment.models(config)}
    places |= {engine.uploads.path(ref).parent for config in configs for ref in experiment.data(config) if ref.startswith("upload/")}
    places |= {place for place in (home / "got").glob("[!.]*/") if not (place / "config.json").is_file()}
    inside = [place.resolve() for place in places if place.resolve().is_relative_to(home)]
    return {file.relative_to(home).as_posix(): file.read_bytes() for place in inside for file in place.rglob("*") if file.is_file()}


@contextlib.contextmanager
def cluster(cpus: int, address: str = "") -> Iterator[Any]:
    """The module ray, connected: to the cluster at `address`, or to one of this machine with `cpus` cores, which ends with the block.

    Dashboard and usage statistics are off. What is started here listens on loopback alone and asks for a token that only this process
    and its children know. Raises LabError where ray is not installed, or nothing answers.
    """
    if importlib.util.find_spec("ray") is None:
        raise LabError("Ray is not installed.", "In the folder of the lab: .venv/bin/pip install -c constraints.txt ray")
    made = "" if address else tempfile.mkdtemp(prefix="gb-ray-", dir="/tmp" if os.path.isdir("/tmp") else None)
    wanted = TELEMETRY_OFF | (ONLY_HERE if not address or address.rpartition(":")[0].strip("[]") in HERE else {})
    wanted |= {} if address else {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    here = {"address": "local", "num_cpus": cpus, "include_dashboard": False, "_temp_dir": made}  # a note of a dead cluster may lie about
    with _environment(wanted), _same_signals():
        import ray

        try:
            ray.init(**({"address": address} if address else here), **QUIET)
        except (OSError, RuntimeError, ValueError, ray.exceptions.RayError) as problem:
            raise LabError(f"Ray could not be reached or started: {_first_line(problem)}",
                           "Check --address: run the sweep on a machine of the cluster (ray start --address=HEAD:PORT).") from None
        try:
            yield ray
        finally:
            ray.shutdown()
            if made:
                shutil.rmtree(made, ignore_errors=True)


def _first_line(problem: Exception) -> str:
    return next(iter(str(problem).strip().splitlines()), type(problem).__name__)


@contextlib.contextmanager
def _environment(wanted: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None) if value is None else os.environ.__setitem__(name, value)


@contextlib.contextmanager
def _same_signals() -> Iterator[None]:
    """Ray takes SIGTERM for itself; afterwards it means again what it meant before."""
    here = threading.current_thread() is threading.main_thread()
    before = signal.getsignal(signal.SIGTERM) if here else None
    try:
        yield
    finally:
        if here:
            signal.signal(signal.SIGTERM, before or signal.SIG_DFL)
