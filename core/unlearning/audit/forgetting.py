"""A model forgets while it is asked every few steps what it still knows.

    history = yield from forget(config, lab, world, subject.model, original, questions, pacer, show)
    history.steps, history.recalls[-1]
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from transformers import PreTrainedModel

from core.engine.errors import LabError
from core.engine.events import Event, Metric
from core.engine.lab import Lab
from core.engine.models import LoadedModel
from core.engine.steps import Pacer
from core.unlearning.algorithms import ALGORITHMS, Algorithm
from core.unlearning.audit.examine import TO_KEEP, Questions, ask_plainly, plain
from core.unlearning.data import World
from core.unlearning.replies import Replies
from core.unlearning.unlearn import Step, unlearn

if TYPE_CHECKING:
    from core.unlearning.audit.spec import AuditConfig

FORGOTTEN = 0.10  # methods/01 section 3: early stopping "until direct recall <= 0.1"
REFUSED = 0.8  # of the plain answers, where a refusal is taught: a model on its way there stammers, and has not learned it yet
LOOKS_FORGOTTEN = 0.25  # methods/01 section 8.2, claim 2


@dataclass
class History:
    """What was seen while the model forgot: losses (step, forget, retain), recalls (step, forget, retain).

    refused: share of the plain answers that were a refusal when they were last asked for.  said: those answers, and those about what
    should be kept, at step `said_at`; to begin with those of the model from before, which is the one in training at step 0.
    """

    losses: list[tuple[int, float, float]] = field(default_factory=list)
    recalls: list[tuple[int, float, float]] = field(default_factory=list)
    broken_at: int | None = None
    refused: float = 0.0
    said: dict[str, Replies] = field(default_factory=dict)
    said_at: int = -1

    @property
    def said_last(self) -> dict[str, Replies]:
        """What the model answered as it stands at the end; empty if it was changed since it was asked."""
        return self.said if self.said_at == self.steps and self.broken_at is None else {}

    @property
    def steps(self) -> int:
        """How many changes the model went through and kept."""
        return self.losses[-1][0] if self.losses else 0

    def forgotten_at(self, step: int, algorithm: Algorithm) -> bool:
        """Whether the questions were asked at this step, few enough were answered to stop, and what is taught to be said is said."""
        asked, forget, _ = self.recalls[-1]
        return asked == step and forget <= FORGOTTEN and (algorithm.refusal != "said" or self.refused >= REFUSED)

    def kept_at_best_stop(self, original_retain: float) -> float:
        """The largest share of kept facts at any check at which the answers looked forgotten; 0 if there was none."""
        kept = [retain for _, forget, retain in self.recalls if forget <= LOOKS_FORGOTTEN]
        return max(kept, default=0.0) / original_retain if original_retain else 0.0


def forget(config: AuditConfig, lab: Lab, world: World, model: PreTrainedModel, original: LoadedModel, questions: Questions,
           pacer: Pacer, before: dict[str, Replies], show: Callable[[Replies], Iterator[Event]]) -> Generator[Event, None, History]:
    """Unlearns `model` in place while asking every few steps; `show` gives the events that let the answers melt on the page.

    before: what the original answered, as `ask_plainly` has it.
    """
    history, tokenizer, algorithm = History(said=before), original.tokenizer, ALGORITHMS[config.algorithm]
    for step in unlearn(model, original.model, tokenizer, questions.direct, plain(world.retain), algorithm,
                        steps=config.steps, rng=lab.rng("retain batch"), learning_rate=config.learning_rate,
                        retain_weight=config.retain_weight):
        if step.broken:
            history.broken_at = step.number
            break
        yield pacer.say(f"forgetting, step {step.number} of {config.steps}", by=int(step.number > 0))
        history.losses.append((step.number, step.forget, step.retain))
        yield Metric("forget loss", step.forget, step.number, "nats per token")
        yield Metric("retain loss", step.retain, step.number, "nats per token")
        if step.number % config.check_every == 0 or step.number == config.steps:
            yield from _check(step, algorithm, model, original, questions, history, show)
        if config.stop_early and history.forgotten_at(step.number, algorithm):
            break
    if not history.losses:
        raise LabError(f"{config.model} gives no numbers at all for these questions.", "Its weights may be damaged; choose another model.")
    return history


def _check(step: Step, algorithm: Algorithm, model: PreTrainedModel, original: LoadedModel, questions: Questions, history: History,
           show: Callable[[Replies], Iterator[Event]]) -> Iterator[Event]:
    if step.number or not history.said:
        history.said = ask_plainly(model, original.tokenizer, questions)
    history.said_at, direct, retain = step.number, history.said["direct"], history.said[TO_KEEP]
    yield from show(direct)
    history.recalls.append((step.number, direct.share, retain.share))
    history.refused = direct.refusals
    yield Metric("forget recall", direct.share, step.number, "share")
    yield Metric("retain recall", retain.share, step.number, "share")
    if algorithm.refusal:
        yield Metric("refusals", history.refused, step.number, "share of the plain answers")
