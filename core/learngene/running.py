"""A training as events: progress at least twice a second, numbers and a figure as it goes on."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator

from core.engine.events import Event, Figure, Metric, Progress
from core.learngene import figures
from core.learngene.training import Step

PACE_S = 0.4


class Progresses:
    """Counts the steps of several trainings as one, and speaks at most every 0.4 seconds."""

    def __init__(self, total: int) -> None:
        self.total, self.done, self._last = total, 0, 0.0

    def step(self, note: str, steps: int = 1) -> Iterator[Progress]:
        """`steps` more are done."""
        self.done += steps
        if time.monotonic() - self._last >= PACE_S:
            self._last = time.monotonic()
            yield Progress(min(self.done, self.total), self.total, note)


class Curves:
    """Right answers by epoch of every network in a run, drawn again after each measurement."""

    def __init__(self) -> None:
        self.points: dict[str, tuple[list[int], list[float]]] = {}

    def note(self, who: str, epoch: int, share: float) -> None:
        """One more point of a curve."""
        epochs, shares = self.points.setdefault(who, ([], []))
        epochs.append(epoch)
        shares.append(share)

    def along(self, events: Iterator[Event]) -> Iterator[Event]:
        """The same events, with the figure `training` after every accuracy; the generator's value is theirs."""
        while True:
            try:
                event = next(events)
            except StopIteration as end:
                return end.value
            yield event
            if isinstance(event, Metric) and event.step is not None and event.name.startswith("accuracy "):
                self.note(event.name.removeprefix("accuracy "), event.step, event.value)
                yield Figure("training", figures.training(self.points))


def told(steps: Iterable[Step], who: str, progress: Progresses, measure: Callable[[], float], every: int = 1) -> Iterator[Event]:
    """Runs a training. After every `every` epochs and after the last: `loss WHO`, the epoch's mean, and `accuracy WHO`."""
    losses, epoch = [], 0
    for step in steps:
        losses.append(step.loss)
        yield from progress.step(f"{who}: epoch {step.epoch + 1 if step.epoch == epoch else step.epoch}")
        if step.epoch > epoch:
            epoch = step.epoch
            if epoch % every == 0 or step.done == step.total:
                yield Metric(f"loss {who}", sum(losses) / len(losses), epoch)
                yield Metric(f"accuracy {who}", measure(), epoch)
            losses = []
