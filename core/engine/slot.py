"""The one compute slot: heavy runs take turns, and those that wait know their place and about how long.

    with slot.turn(run, look):     # waits; False if the run was cancelled before its turn came
        ...

A quick run passes a long one that waits, unless the long one has waited as long as it will itself take: so nobody loses more
than the length of the own run to those who came later.
"""

from __future__ import annotations

import contextlib
import statistics
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator

from core.engine.records import Records
from core.engine.run import Run

RECENT = 20
UNKNOWN_S = 60.0  # what a run is taken for that has never finished here
LONGEST_S = 600.0  # no run is passed by those who come later than that


class Slot:
    """A queue of runs, one of which computes. Estimates rest on how long recent runs of the same name took."""

    def __init__(self, records: Records) -> None:
        self._records = records
        self._turn = threading.Condition()
        self._queue: list[Run] = []
        self._due: dict[str, float] = {}  # run id -> when it would end if it had begun as it came
        self._now: Run | None = None
        self._durations: dict[str, deque[float]] = {}

    def join(self, run: Run) -> None:
        """Puts a run in line. Reads the record for runs of a name that it has not met: call `expected` first where that matters."""
        seconds = self.expected(run.name)
        with self._turn:
            self._queue.append(run)
            self._due[run.id] = time.monotonic() + min(UNKNOWN_S if seconds is None else seconds, LONGEST_S)

    def leave(self, run: Run) -> None:
        """Lets the next one begin."""
        with self._turn:
            self._queue.remove(run)
            del self._due[run.id]
            if self._now is run:
                self._now = None
            self._turn.notify_all()

    @contextlib.contextmanager
    def turn(self, run: Run, look: Callable[[], None]) -> Iterator[bool]:
        """True when it is the turn of a run that joined, False once it is cancelled; `look` is called about every second."""
        try:
            with self._turn:
                while not run.cancelled and not (self._now is None and self._line()[0] is run):
                    self._turn.wait(timeout=1.0)
                    look()
                if mine := not run.cancelled:
                    self._now = run
            yield mine
        finally:
            self.leave(run)

    def wake(self) -> None:
        """Lets those that wait see that they were cancelled."""
        with self._turn:
            self._turn.notify_all()

    def took(self, name: str, seconds: float) -> None:
        """Remembers the duration of a finished run."""
        with self._turn:
            if name in self._durations:
                self._durations[name].append(seconds)

    def waiting(self) -> list[Run]:
        """Those whose turn has not come, the next one first."""
        with self._turn:
            return self._line()

    def others_wait(self, run: Run) -> bool:
        """Whether somebody who is still there waits for a turn besides this run."""
        return any(other is not run and not other.cancelled and other.wanted() for other in self.waiting())

    def place(self, run_id: str) -> tuple[int | None, float | None]:
        """How many runs are before this one (None: it does not wait) and the expected wait in seconds (None: unknown)."""
        with self._turn:
            line = ([self._now] if self._now else []) + self._line()
        index = next((i for i, run in enumerate(line) if run.id == run_id), 0)
        if not index:
            return None, None
        before = line[:index]
        expected = [self.expected(run.name) for run in before]
        if None in expected:
            return index, None
        return index, round(max(0.0, expected[0] - before[0].elapsed()) + sum(expected[1:]), 1)

    def _line(self) -> list[Run]:
        """Those that wait, in their order: a run goes before all that would not have ended by the time it would have itself."""
        return sorted((run for run in self._queue if run is not self._now), key=lambda run: self._due[run.id])

    def expected(self, name: str) -> float | None:
        """How many seconds a run of this experiment takes: the median of recent ones, None where none has finished."""
        if name not in self._durations:
            recent = [run.duration_s for run in self._records.list(name=name) if run.outcome == "finished"][:RECENT]
            with self._turn:
                self._durations.setdefault(name, deque(reversed(recent), RECENT))
        with self._turn:
            return statistics.median(self._durations[name]) if self._durations[name] else None
