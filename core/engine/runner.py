"""The runner drives each experiment in one thread of its own, from the first `next` to `close`.

    engine = Engine()
    run = engine.start("unlearning/audit", {"algorithm": "npo"}, seed=0)
    for line in engine.watch(run.id):
        ...
    engine.result(run.id)["metrics"]

Pages, command line and tests only watch. Whoever asks for the same numbers twice gets the run that has them.
"""

from __future__ import annotations

import json
import logging
import secrets
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from core.engine import records as recording
from core.engine.errors import LabError, Stopped
from core.engine.events import layers
from core.engine.experiment import Config, Experiment, shown
from core.engine.lab import Cache, Lab
from core.engine.models import ModelStore
from core.engine.processes import give_back_memory, this_process
from core.engine.records import DONE, Records
from core.engine.registry import find
from core.engine.run import Run, versions
from core.engine.seeding import compute_on, seeded
from core.engine.settings import FIRST_VIEWS, Settings
from core.engine.shelf import Shelf
from core.engine.shop import Shop
from core.engine.slot import Slot
from core.engine.stopping import stoppable
from core.engine.uploads import Uploads

log = logging.getLogger("glassbox")

UNWATCHED_LIMIT_S = 600.0  # while nobody else waits
ABANDONED_LIMIT_S = 30.0  # while somebody does
NAMED = {"experiment": "an experiment", "probe": "a probe"}


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
        self.shop = Shop(self.settings)
        self.records = Records(self.settings.runs, FIRST_VIEWS)
        self.records.sweep()
        self.uploads = Uploads(self.settings)
        self._cache, self._answers = Cache(), Cache(512)
        self._shelf = Shelf(self.settings.home / "shelf")
        self._lock, self._threads = threading.Lock(), list[threading.Thread]()
        self._active: dict[str, Run] = {}
        self._slot = Slot(self.records)
        self._asked: dict[str, Future[str]] = {}

    def unfinished(self, visitor: str | None = None) -> int:
        """How many runs wait or go on, of all or of those that a visitor wants."""
        with self._lock:
            return sum(visitor is None or visitor in run.wanted_by for run in self._active.values())

    def start(self, name: str, config: dict[str, Any] | Config, *, seed: int = 0, visitor: str = "", fresh: bool = False,
              pinned: bool = False, replace: bool = False, keep: bool = True) -> RunHandle:
        """Starts an experiment, or joins or recalls an equal one unless `fresh`.

        replace: what this visitor still waits for is given up, so that nobody stands in line twice.
        keep: False leaves out the models that it makes, which are most of a record.
        Raises LabError for an unknown name, a config out of bounds, a model that cannot be had, or a full disk.
        """
        experiment, checked, fingerprints = self._check(name, config, "experiment", seed)
        key = experiment.key(checked, seed, fingerprints)
        self._slot.expected(experiment.name)  # may read the record: not under the lock
        with self._lock:
            if not fresh:
                twin = next((run for run in self._active.values() if run.key == key and run.answers(keep)), None)
                if twin:
                    twin.wanted_by.add(visitor)
                    self.records.join(twin.id, visitor)
                    return RunHandle(twin.id)
                if found := self.records.finished(key, keep):
                    self.records.join(found.id, visitor)
                    return RunHandle(found.id, recorded=True)
            run = self._create(experiment, checked, seed, key, fingerprints, visitor, pinned)
            run.keeping = keep
            if replace:
                self._give_up(visitor)
            self._active[run.id] = run
            self._slot.join(run)
        self._begin(run, experiment, checked)
        return RunHandle(run.id)

    def recall(self, name: str, config: dict[str, Any] | Config, *, seed: int = 0, visitor: str = "",
               keep: bool = True) -> tuple[str, str | None]:
        """The key of a request, and the finished run that answers it already, which the visitor joins. Raises LabError like `start`."""
        experiment, checked, fingerprints = self._check(name, config, "experiment", seed)
        key = experiment.key(checked, seed, fingerprints)
        if found := self.records.finished(key, keep):
            self.records.join(found.id, visitor)
        return key, found.id if found else None

    def _give_up(self, visitor: str) -> None:
        """Takes a visitor out of the line; a run that others wait for too stays there for them."""
        for run in self._slot.waiting():
            if visitor in run.wanted_by:
                run.wanted_by.discard(visitor)
                if not run.wanted_by:
                    run.cancel("You started another run instead.")
        self._slot.wake()

    def _begin(self, run: Run, experiment: Experiment, config: Config) -> None:
        thread = threading.Thread(target=self._drive, args=(run, experiment, config), name=f"run-{run.id}", daemon=True)
        try:
            thread.start()
            self._threads = [thread, *(other for other in self._threads if other.is_alive())]
        except RuntimeError:  # no more threads: the queue must not wait for a run that nobody drives
            error = LabError("This machine is too busy to start another run.", "Try again in a minute.")
            self._slot.leave(run)
            self._end(run, "failed", error)
            raise error from None

    def _check(self, name: str, config: dict[str, Any] | Config, kind: str, seed: int) -> tuple[Experiment, Config, dict[str, str]]:
        experiment = find(name)
        if experiment.kind != kind:
            raise LabError(f"'{name}' is {NAMED[experiment.kind]}, not {NAMED[kind]}.", "Experiments are run, probes are asked.")
        if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**31:
            raise LabError(f"The seed cannot be {shown(seed)}.", "A seed is a whole number from 0 to 2147483647.")
        checked = experiment.validate(config)
        fingerprints = {ref: self.models.fingerprint(ref) for ref in experiment.models(checked)}
        return experiment, checked, fingerprints | {ref: self.uploads.fingerprint(ref) for ref in experiment.data(checked)}

    def _create(self, experiment: Experiment, config: Config, seed: int, key: str, fingerprints: dict[str, str],
                visitor: str, pinned: bool) -> Run:
        now = datetime.now(UTC)
        run_id = f"{now:%Y%m%d-%H%M%S}-{secrets.token_hex(6)}"
        ref = next(iter(experiment.models(config)), None)
        model = {"ref": ref, "fingerprint": fingerprints[ref], "parameters": None} if ref else None
        folder = self.records.create({
            "id": run_id, "name": experiment.name, "title": experiment.title, "paper": experiment.paper,
            "revision": experiment.revision, "config": config.model_dump(mode="json"), "seed": seed, "key": key,
            "fingerprints": fingerprints, "revisions": {}, "model": model, "versions": versions(), "threads": self.settings.threads,
            "outcome": "running", "error": "", "hint": "", "created": now.isoformat(timespec="milliseconds"),
            "started": None, "duration_s": None, "owner": visitor, "visitors": [visitor], "published": False,
            "pinned": pinned, **this_process()})
        try:
            return Run(run_id, experiment.name, key, seed, folder, pinned, visitor, experiment.outputs)
        except OSError as problem:  # too many open files
            shutil.rmtree(folder, ignore_errors=True)
            raise LabError(f"The run could not be recorded: {problem.strerror}.", "Try again in a minute.") from None

    def _drive(self, run: Run, experiment: Experiment, config: Config) -> None:
        with self._slot.turn(run, lambda: self._stop_if_alone(run)) as mine:
            outcome, error = self._outcome(run, experiment, config) if mine else ("cancelled", LabError(""))
            self._end(run, outcome, error)
        if mine:
            give_back_memory()

    def _end(self, run: Run, outcome: str, error: LabError) -> None:
        run.finish(outcome, error, self.records)
        with self._lock:
            del self._active[run.id]
        if outcome == "finished":
            self._slot.took(run.name, run.elapsed())

    def _outcome(self, run: Run, experiment: Experiment, config: Config) -> tuple[str, LabError]:
        # Each LabError is made anew: the one that was raised holds the frames, and with them the model.
        try:
            run.begin()
            return self._compute(run, experiment, config), LabError("")
        except Stopped:
            return "cancelled", LabError("")
        except LabError as problem:
            return ("cancelled", LabError("")) if run.cancelled else ("failed", LabError(problem.message, problem.hint))
        except BaseException as problem:  # a bug: the visitor gets a sentence, the log gets the trace
            if _out_of_memory(problem):
                return "failed", LabError("There was not enough memory for this run.", "Choose a smaller model or fewer steps.")
            log.exception("run %s", run.id)
            return "failed", LabError(f"Something in the lab itself went wrong ({type(problem).__name__}); your settings are kept.",
                                      f"Try again, or report it with the run's number: {run.id}.")

    def _compute(self, run: Run, experiment: Experiment, config: Config) -> str:
        lab = Lab(self.models, self._cache, seed=run.seed, threads=self.settings.threads, families=experiment.families,
                  is_cancelled=lambda: run.cancelled, uploads=self.uploads, shelf=self._shelf)
        run.parameters, run.revisions = lab.parameters, lab.revisions
        with seeded(run.seed, self.settings.threads), stoppable(lambda: run.cancelled):
            events = experiment.function(config, lab)
            try:
                for event in events:
                    run.record(event, self.models)
                    self._stop_if_alone(run)
                    if run.cancelled:
                        break
            finally:
                _close(events, run)
        return "cancelled" if run.cancelled else "finished"

    def cancel(self, run_id: str, visitor: str | None = None) -> dict[str, Any]:
        """Asks a run to stop; it does so at its next event. Harmless for one that has ended.

        With a visitor: a run that others joined goes on for them, and the state says `"left": True`.
        """
        run = self._active.get(run_id)
        if run is None:
            return self.state(run_id)
        with self._lock:
            run.wanted_by.discard(visitor)
            left = visitor is not None and bool(run.wanted_by)
            if not left:
                run.cancel()
        self._slot.wake()
        return self.state(run_id) | ({"left": True} if left else {})

    def clear_line(self, visitor: str = "") -> int:
        """Ends every run that computes or waits, but those that `visitor` wants too; gives how many."""
        with self._lock:
            runs = [run for run in self._active.values() if not visitor or visitor not in run.wanted_by]
            for run in runs:
                run.cancel("The host of this lab has cleared the line.")
        self._slot.wake()
        return len(runs)

    def pin(self, run_id: str, pinned: bool = True) -> None:
        """A pinned run goes on although nobody watches, while nobody else waits."""
        self.records.update(run_id, pinned=pinned)
        if run := self._active.get(run_id):
            run.pinned = pinned

    def delete(self, run_id: str, visitor: str | None = None) -> None:
        """Removes a run from the record, see `Records.delete`. Raises LabError while it goes on."""
        self.records.delete(run_id, visitor)

    def state(self, run_id: str) -> dict[str, Any]:
        """run.json with the place in the queue (1 = next, None = not waiting) and an estimate of the wait in seconds."""
        state = self.records.read(run_id).plain()
        place, estimate = self._slot.place(run_id)
        return state | {"place": place, "estimate_s": estimate}

    def events(self, run_id: str, since: int = 0) -> list[dict[str, Any]]:
        """What has been said so far, from event number `since` on."""
        run = self._active.get(run_id)
        return run.since(since) if run else self.records.events(run_id, since)

    def watch(self, run_id: str, since: int = 0, *, follow: bool = True) -> Iterator[dict[str, Any]]:
        """Event lines from number `since` on, live or recorded alike, up to the line of kind "end"."""
        run = self._active.get(run_id)
        if run:
            yield from run.watch(since, follow)
        elif follow and self.records.read(run_id).outcome not in DONE:
            yield from recording.follow(self.records, run_id, since)
        else:
            yield from self.records.events(run_id, since)

    def computes(self, run_id: str) -> bool:
        """Whether this process waits for, or works on, that run: then asking about it touches no more than one small file."""
        return run_id in self._active

    def listen(self, run_id: str, callback: Callable[[], None], page: str = "") -> Callable[[], None]:
        """Calls `callback` from the run's thread after every event; the answer ends that. For servers with many watchers.

        page: a name for one that may fall silent without having gone (a phone asleep, a lost link), see `left`.
        """
        run = self._active.get(run_id)
        return run.listen(callback, page) if run else lambda: None

    def left(self, run_id: str, page: str) -> None:
        """That page was closed or shows something else now; without this word it counts as watching for some minutes."""
        if run := self._active.get(run_id):
            run.left(page)

    def _stop_if_alone(self, run: Run) -> None:
        alone, others = run.unwatched_for(), self._slot.others_wait(run)
        if others and alone > ABANDONED_LIMIT_S:
            run.cancel("Nobody watched this run any more, and others were waiting.")
        elif not run.pinned and alone > UNWATCHED_LIMIT_S:
            run.cancel("Nobody has watched this run for ten minutes.")

    def wait(self, run_id: str, timeout: float | None = None) -> dict[str, Any]:
        """Watches a run to its end and gives its state. Raises TimeoutError."""
        deadline = None if timeout is None else time.monotonic() + timeout
        run = self._active.get(run_id)
        if run and not run.wait(timeout):
            raise TimeoutError(run_id)
        while (state := self.state(run_id))["outcome"] not in DONE:
            if deadline is not None and time.monotonic() > deadline:
                raise TimeoutError(run_id)
            time.sleep(0.05)
        return state

    def result(self, run_id: str) -> dict[str, Any]:
        """What page, command line, API and sweep answer with: equal for equal requests, but for run_id and duration_s."""
        state = self.records.read(run_id).plain()
        lines = self.events(run_id)
        verdict = next((layers(line) for line in reversed(lines) if line["kind"] == "verdict"), None)
        answer = {"run_id": run_id} | {field: state[field] for field in ("name", "config", "seed", "outcome")}
        answer |= {"metrics": {e["name"]: e["value"] for e in lines if e["kind"] == "metric"}, "verdict": verdict,
                   "duration_s": state["duration_s"], "model": state["model"]}
        return answer | ({"error": state["error"], "hint": state["hint"]} if state["error"] else {})

    def probe(self, name: str, config: dict[str, Any] | Config, *, seed: int = 0) -> dict[str, Any]:
        """The answer of a probe as plain data; equal questions to equal models are computed once and then remembered.

        Raises LabError like `start`, or what the probe has to say about its question.
        """
        probe, checked, fingerprints = self._check(name, config, "probe", seed)
        key = probe.key(checked, seed, fingerprints)
        with self._lock:
            known = self._answers.get(key)
            asked = self._asked.get(key)
            if first := known is None and asked is None:
                asked = self._asked[key] = Future()
        if first:
            try:
                answer = self._answers[key] = self._answer(probe, checked, seed)
                asked.set_result(answer)
            except BaseException as problem:
                asked.set_exception(problem)
            finally:
                with self._lock:
                    del self._asked[key]
        try:
            return json.loads(known if known is not None else asked.result())
        finally:
            del asked  # a failed one holds the frames that failed, and they hold this one

    def _answer(self, probe: Experiment, config: Config, seed: int) -> str:
        import torch

        from core.engine.events import to_plain
        compute_on(self.settings.threads)
        lab = Lab(self.models, self._cache, seed=seed, threads=self.settings.threads, families=probe.families, uploads=self.uploads)
        with torch.no_grad():
            return json.dumps(to_plain(probe.function(config, lab)), allow_nan=False)

    def close(self, timeout: float = 10.0) -> None:
        """Stops what is running and waits, `timeout` seconds in all, for the threads too, and for probes that are being answered.

        A thread that computes while Python ends aborts it.
        """
        deadline = time.monotonic() + timeout
        for run in list(self._active.values()):
            self.cancel(run.id)
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        with self._lock:
            asked = list(self._asked.values())
        wait(asked, timeout=max(0.0, deadline - time.monotonic()))


def _close(events: Iterator[Any], run: Run) -> None:
    """Ends a generator in the thread that drove it. After Stop, a bug in its clean-up cannot undo that it was stopped."""
    try:
        events.close()
    except Exception:
        if not run.cancelled:
            raise
        log.exception("run %s could not be closed cleanly", run.id)


def _out_of_memory(problem: BaseException) -> bool:
    return isinstance(problem, MemoryError) or isinstance(problem, RuntimeError) and (
        "can't allocate memory" in str(problem) or "out of memory" in str(problem))
