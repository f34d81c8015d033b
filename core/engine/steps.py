"""Long work as events: progress that neither floods the log nor falls silent, and work that is done once per process.

    pacer = Pacer(total=steps)
    for step in range(steps):
        yield from pacer.step(f"training, step {step}")          # twice a second at most
    trained = yield from remembered(lab, key, lambda: train(...))   # a run that finds it says the same numbers
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Generator, Hashable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

from core.engine.events import Event, Metric, Progress

if TYPE_CHECKING:
    from core.engine.lab import Lab

T = TypeVar("T")
QUIET_S = 0.5


class Pacer:
    """Counts what is done of a known total; several pieces of work may share one."""

    def __init__(self, total: int) -> None:
        self.total, self.done, self._last = total, 0, 0.0

    def say(self, note: str, by: int = 1) -> Progress:
        """`by` more parts begin: what to tell at once, whoever spoke last."""
        self.done, self._last = min(self.done + by, self.total), time.monotonic()
        return Progress(self.done, self.total, note)

    def step(self, note: str, by: int = 1) -> Iterator[Progress]:
        """`by` more parts are done; says so unless something was said half a second ago."""
        if time.monotonic() - self._last >= QUIET_S:
            yield self.say(note, by)
        else:
            self.done = min(self.done + by, self.total)


def remembered(lab: Lab, key: Hashable, work: Callable[[], Generator[Event, None, T]], *,
               keep: Callable[[T], Any] = lambda made: made, again: Callable[[Any], T] = lambda kept: kept) -> Generator[Event, None, T]:
    """The value of `work()`, done once per process for `key`; whoever finds it done has the same metrics as who did it.

    keep, again: what is stored of the value and how it is made from that, where whoever gets the value may change it; `keep` may
    give None for what is too large to store.
    """
    if (known := lab.cache.get(key)) is not None:
        said, kept = known
        yield from said
        return again(kept)
    said: list[Metric] = []
    with contextlib.closing(work()) as steps:
        made = yield from _noting(steps, said)
    if (kept := keep(made)) is not None:
        lab.cache[key] = said, kept
    return made


def _noting(steps: Generator[Event, None, T], said: list[Metric]) -> Generator[Event, None, T]:
    while True:
        try:
            event = next(steps)
        except StopIteration as end:
            return end.value
        said += [event] if isinstance(event, Metric) else []
        yield event


def value_of(steps: Generator[Any, None, T]) -> T:
    """Runs a generator to its end and gives its value; nobody hears what it says."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value
