"""The runner drives each experiment in one thread of its own, from the first `next` to `close`.

    engine = Engine()
    run = engine.start("unlearning/audit", {"algorithm": "npo"}, seed=0)
    for line in engine.watch(run.id):
        ...
    engine.result(run.id)["metrics"]

Pages, command line and tests only watch. Whoever asks for the same numbers twice gets the run that has them.
"""

from __future__ import annotations

import contextlib
import logging
import secrets
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from core.engine import records as recording
from core.engine.errors import LabError
from core.engine.experiment import Config, Experiment
from core.engine.lab import Cache, Lab
from core.engine.models import ModelStore
from core.engine.records import DONE, Records
from core.engine.registry import find
from core.engine.run import Run, versions
from core.engine.settings import FIRST_VIEWS, Settings

log = logging.getLogger("glassbox")

UNWATCHED_LIMIT_S = 600.0


@dataclass(frozen=True)
class RunHandle:
    """`recorded` says that the numbers were computed earlier and nothing new was started."""

    id: str
    recorded: bool = False


class Engine:
    """Starts runs, answers probes, and lets anybody watch. One per process."""

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or Settings()
        self.models = ModelStore(self.settings)
        self.records = Records(self.settings.runs, FIRST_VIEWS)
        self._cache, self._answers = Cache(), Cache(512)
        self._lock = threading.Lock()
        self._active: dict[str, Run] = {}
        self._queue: list[Run] = []
        self._turn = threading.Condition()
        self._durations: dict[str, list[float]] = {}

    def start(self, name: str, config: dict[str, Any] | Config, *, seed: int = 0, visitor: str = "", fresh: bool = False,
              pinned: bool = False) -> RunHandle:
        """Starts an experiment, or joins or recalls an equal one unless `fresh`.

        Raises LabError for an unknown name, a config out of bounds, a model that cannot be had, or a full disk.
        """
        experiment, checked, fingerprints = self._check(name, config, "experiment", seed)
        key = experiment.key(checked, seed, fingerprints)
        with self._lock:
            if not fresh:
                twin = next((run for run in self._active.values() if run.key == key and not run.cancelled and not run.ended.is_set()), None)
                if twin:
                    self.records.join(twin.id, visitor)
                    return RunHandle(twin.id)
                if found := self.records.finished(key):
                    self.records.join(found["id"], visitor)
                    return RunHandle(found["id"], recorded=True)
            run = self._create(experiment, checked, seed, key, fingerprints, visitor, pinned)
            self._active[run.id] = run
        with self._turn:
            self._queue.append(run)
        threading.Thread(target=self._drive, args=(run, experiment, checked), name=f"run-{run.id}", daemon=True).start()
        return RunHandle(run.id)

    def _check(self, name: str, config: dict[str, Any] | Config, kind: str, seed: int) -> tuple[Experiment, Config, dict[str, str]]:
        experiment = find(name)
        if experiment.kind != kind:
            raise LabError(f"'{name}' is a {experiment.kind}, not a {kind}.", "Experiments are run, probes are asked.")
        if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**31:
            raise LabError(f"The seed cannot be {seed!r}.", "A seed is a whole number from 0 to 2147483647.")
        checked = experiment.validate(config)
        return experiment, checked, {ref: self.models.fingerprint(ref) for ref in experiment.models(checked)}

    def _create(self, experiment: Experiment, config: Config, seed: int, key: str, fingerprints: dict[str, str],
                visitor: str, pinned: bool) -> Run:
        now = datetime.now(UTC)
        run_id = f"{now:%Y%m%d-%H%M%S}-{secrets.token_hex(6)}"
        ref = next(iter(fingerprints), None)
        model = {"ref": ref, "fingerprint": fingerprints[ref], "parameters": None} if ref else None
        folder = self.records.create({
            "id": run_id, "name": experiment.name, "title": experiment.title, "paper": experiment.paper,
            "revision": experiment.revision, "config": config.model_dump(mode="json"), "seed": seed, "key": key,
            "fingerprints": fingerprints, "model": model, "versions": versions(), "threads": self.settings.threads,
            "outcome": "running", "error": "", "hint": "", "created": now.isoformat(timespec="milliseconds"),
            "started": None, "duration_s": None, "owner": visitor, "visitors": [visitor], "published": False,
            "pinned": pinned, **recording.this_process()})
        return Run(run_id, experiment.name, key, seed, folder, pinned)

    def _drive(self, run: Run, experiment: Experiment, config: Config) -> None:
        outcome, error = "failed", LabError("")
        try:
            self._wait_for_turn(run)
            if not run.cancelled:
                run.begin()
                outcome = self._compute(run, experiment, config)
            else:
                outcome = "cancelled"
        except LabError as problem:
            error = problem
        except OSError as problem:
            log.exception("run %s", run.id)
            error = LabError(f"The run could not be recorded any further: {problem.strerror or problem}.",
                             "Free some space on the disk and run it again.")
        except MemoryError:
            error = LabError("There was not enough memory for this run.", "Choose a smaller model or fewer steps.")
        except Exception as problem:  # a bug: the visitor gets a sentence, the log gets the trace
            log.exception("run %s", run.id)
            error = LabError(f"Something in the lab itself went wrong ({type(problem).__name__}); your settings are kept.",
                             "Try again, or report it with the run's number: " + run.id + ".")
        finally:
            self._leave(run)
            run.finish(outcome, error, self.records)
            with self._lock:
                self._active.pop(run.id, None)
                if outcome == "finished":
                    self._durations.setdefault(run.name, []).append(run.elapsed())

    def _compute(self, run: Run, experiment: Experiment, config: Config) -> str:
        lab = Lab(self.models, self._cache, seed=run.seed, threads=self.settings.threads, families=experiment.families,
                  is_cancelled=lambda: run.cancelled)
        run.parameters = lab.parameters
        with seeded(run.seed, self.settings.threads), contextlib.closing(experiment.function(config, lab)) as events:
            for event in events:
                run.record(event, self.models)
                if run.unwatched_for() > UNWATCHED_LIMIT_S:
                    run.cancel("Nobody has watched this run for ten minutes.")
                if run.cancelled:
                    return "cancelled"
        return "finished"

    def _wait_for_turn(self, run: Run) -> None:
        with self._turn:
            while self._queue[0] is not run and not run.cancelled:
                self._turn.wait(timeout=1.0)
                if run.unwatched_for() > UNWATCHED_LIMIT_S:
                    run.cancel("Nobody has watched this run for ten minutes.")

    def _leave(self, run: Run) -> None:
        with self._turn:
            self._queue.remove(run)
            self._turn.notify_all()

    def cancel(self, run_id: str) -> dict[str, Any]:
        """Asks a run to stop; it does so at its next event. Harmless for one that has ended."""
        run = self._active.get(run_id)
        if run:
            run.cancel()
            with self._turn:
                self._turn.notify_all()
        return self.state(run_id)

    def pin(self, run_id: str, pinned: bool = True) -> None:
        """A pinned run goes on although nobody watches."""
        self.records.update(run_id, pinned=pinned)
        if run := self._active.get(run_id):
            run.pinned = pinned

    def delete(self, run_id: str, visitor: str | None = None) -> None:
        """Removes a run from the record, see `Records.delete`. Raises LabError while it goes on."""
        self.records.delete(run_id, visitor)

    def state(self, run_id: str) -> dict[str, Any]:
        """run.json with the place in the queue (1 = next, None = not waiting) and an estimate of the wait in seconds."""
        state = self.records.read(run_id)
        place, estimate = self._place(run_id)
        return state | {"place": place, "estimate_s": estimate}

    def _place(self, run_id: str) -> tuple[int | None, float | None]:
        with self._turn:
            index = next((i for i, run in enumerate(self._queue) if run.id == run_id), 0)
            before = self._queue[:index]
        if not before:
            return None, None
        expected = [self._expected(run.name) for run in before]
        if None in expected:
            return index, None
        return index, round(max(0.0, sum(expected) - before[0].elapsed()), 1)

    def _expected(self, name: str) -> float | None:
        if name not in self._durations:
            self._durations[name] = [run["duration_s"] for run in self.records.list(name=name) if run["outcome"] == "finished"][:20]
        return statistics.median(self._durations[name][-20:]) if self._durations[name] else None

    def events(self, run_id: str, since: int = 0) -> list[dict[str, Any]]:
        """What has been said so far, from event number `since` on."""
        run = self._active.get(run_id)
        return run.since(since) if run else self.records.events(run_id, since)

    def watch(self, run_id: str, since: int = 0, *, follow: bool = True) -> Iterator[dict[str, Any]]:
        """Event lines from number `since` on, live or recorded alike, up to the line of kind "end"."""
        run = self._active.get(run_id)
        if run:
            yield from run.watch(since, follow)
        elif follow and self.records.read(run_id)["outcome"] not in DONE:
            yield from recording.follow(self.records, run_id, since)
        else:
            yield from self.records.events(run_id, since)

    def listen(self, run_id: str, callback: Callable[[], None]) -> Callable[[], None]:
        """Calls `callback` from the run's thread after every event; the answer ends that. For servers with many watchers."""
        run = self._active.get(run_id)
        return run.listen(callback) if run else lambda: None

    def wait(self, run_id: str, timeout: float | None = None) -> dict[str, Any]:
        """Watches a run to its end and gives its state. Raises TimeoutError."""
        deadline = None if timeout is None else time.monotonic() + timeout
        run = self._active.get(run_id)
        if run and not run.ended.wait(timeout):
            raise TimeoutError(run_id)
        while (state := self.state(run_id))["outcome"] not in DONE:
            if deadline is not None and time.monotonic() > deadline:
                raise TimeoutError(run_id)
            time.sleep(0.05)
        return state

    def result(self, run_id: str) -> dict[str, Any]:
        """What page, command line, API and sweep answer with: equal for equal requests, but for run_id and duration_s."""
        state = self.records.read(run_id)
        lines = self.events(run_id)
        verdict = next(({"text": e["text"], "evidence": e["evidence"]} for e in reversed(lines) if e["kind"] == "verdict"), None)
        answer = {"run_id": run_id} | {field: state[field] for field in ("name", "config", "seed", "outcome")}
        answer |= {"metrics": {e["name"]: e["value"] for e in lines if e["kind"] == "metric"}, "verdict": verdict,
                   "duration_s": state["duration_s"], "model": state["model"]}
        return answer | ({"error": state["error"], "hint": state["hint"]} if state["error"] else {})

    def probe(self, name: str, config: dict[str, Any] | Config, *, seed: int = 0) -> dict[str, Any]:
        """The answer of a probe as plain data; equal questions to equal models are answered from memory."""
        from core.engine.events import to_plain

        probe, checked, fingerprints = self._check(name, config, "probe", seed)
        key = probe.key(checked, seed, fingerprints)
        if (known := self._answers.get(key)) is None:
            import torch

            torch.set_num_threads(self.settings.threads)
            lab = Lab(self.models, self._cache, seed=seed, threads=self.settings.threads, families=probe.families)
            with torch.no_grad():
                known = self._answers[key] = to_plain(probe.function(checked, lab))
        return known

    def close(self, timeout: float = 10.0) -> None:
        """Stops what is running and waits for it."""
        for run in list(self._active.values()):
            self.cancel(run.id)
            run.ended.wait(timeout)


@contextlib.contextmanager
def seeded(seed: int, threads: int) -> Iterator[None]:
    """Seeds the global generators (dropout, initialisation and `generate` use them) and puts them back."""
    import random

    import numpy as np
    import torch

    python, numpy, count = random.getstate(), np.random.get_state(), torch.get_num_threads()
    with torch.random.fork_rng():
        random.seed(seed), np.random.seed(seed), torch.manual_seed(seed)
        torch.set_num_threads(threads)
        try:
            yield
        finally:
            random.setstate(python), np.random.set_state(numpy)
            torch.set_num_threads(count)
