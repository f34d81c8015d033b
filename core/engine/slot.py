"""The one compute slot: heavy runs take turns, and those that wait know their place and about how long.

    with slot.turn(run, give_up):     # waits; False if the run was cancelled before its turn came
        ...
"""

from __future__ import annotations

import contextlib
import statistics
import threading
from collections import deque
from collections.abc import Callable, Iterator

from core.engine.records import Records
from core.engine.run import Run

RECENT = 20


class Slot:
    """A queue of runs, the first of which computes. Estimates rest on how long recent runs of the same name took."""

    def __init__(self, records: Records) -> None:
        self._records = records
        self._turn = threading.Condition()
        self._queue: list[Run] = []
        self._durations: dict[str, deque[float]] = {}

    def join(self, run: Run) -> None:
        """Puts a run at the end of the queue."""
        with self._turn:
            self._queue.append(run)

    def leave(self, run: Run) -> None:
        """Lets the next one begin."""
        with self._turn:
            self._queue.remove(run)
            self._turn.notify_all()

    @contextlib.contextmanager
    def turn(self, run: Run, look: Callable[[], None]) -> Iterator[bool]:
        """True when it is the turn of a run that joined, False once it is cancelled; `look` is called about every second."""
        try:
            with self._turn:
                while self._queue[0] is not run and not run.cancelled:
                    self._turn.wait(timeout=1.0)
                    look()
            yield not run.cancelled
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

    def place(self, run_id: str) -> tuple[int | None, float | None]:
        """How many runs are before this one (None: it does not wait) and the expected wait in seconds (None: unknown)."""
        with self._turn:
            index = next((i for i, run in enumerate(self._queue) if run.id == run_id), 0)
            before = self._queue[:index]
        if not before:
            return None, None
        expected = [self._expected(run.name) for run in before]
        if None in expected:
            return index, None
        return index, round(max(0.0, expected[0] - before[0].elapsed()) + sum(expected[1:]), 1)

    def _expected(self, name: str) -> float | None:
        if name not in self._durations:
            recent = [run.duration_s for run in self._records.list(name=name) if run.outcome == "finished"][:RECENT]
            with self._turn:
                self._durations.setdefault(name, deque(reversed(recent), RECENT))
        with self._turn:
            return statistics.median(self._durations[name]) if self._durations[name] else None
