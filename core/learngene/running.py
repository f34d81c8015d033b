"""A training as events: progress at least twice a second, numbers and a figure as it goes on.

    yield from told(fit(...), "auxiliary", progress, measure)                        # one training
    yield from race([(fit(...), Teller("inherited", progress, measure)), ...])       # several, one step each in turn
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from core.engine.events import Event, Figure, Metric
from core.engine.steps import Pacer
from core.learngene import figures
from core.learngene.training import Step


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


class Teller:
    """Says how one training goes. After every `every` epochs and after the last: `loss WHO`, the epoch's mean, and `accuracy WHO`."""

    def __init__(self, who: str, progress: Pacer, measure: Callable[[], float], every: int = 1) -> None:
        self.who, self._progress, self._measure, self._every = who, progress, measure, every
        self._losses: list[float] = []
        self._epoch = 0

    def after(self, step: Step) -> Iterator[Event]:
        """What there is to say once `step` is done."""
        self._losses.append(step.loss)
        yield from self._progress.step(f"{self.who}: epoch {step.epoch + 1 if step.epoch == self._epoch else step.epoch}")
        if step.epoch > self._epoch:
            self._epoch = step.epoch
            if step.epoch % self._every == 0 or step.done == step.total:
                yield Metric(f"loss {self.who}", sum(self._losses) / len(self._losses), step.epoch)
                yield Metric(f"accuracy {self.who}", self._measure(), step.epoch)
            self._losses = []


def told(steps: Iterable[Step], who: str, progress: Pacer, measure: Callable[[], float], every: int = 1) -> Iterator[Event]:
    """Runs a training, see `Teller`."""
    teller = Teller(who, progress, measure, every)
    for step in steps:
        yield from teller.after(step)


def race(trainings: Sequence[tuple[Iterable[Step], Teller]]) -> Iterator[Event]:
    """Runs several trainings side by side: one step each in turn, and who is done drops out.

    Nobody's numbers depend on the others as long as each training draws from a generator of its own.
    """
    left = [(iter(steps), teller) for steps, teller in trainings]
    while left:
        still = []
        for steps, teller in left:
            if (step := next(steps, None)) is not None:
                yield from teller.after(step)
                still.append((steps, teller))
        left = still
