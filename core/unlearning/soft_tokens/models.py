"""The models that the attack is tried on: the original, one made to forget, one that never knew, one that never learned."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from core.engine.errors import LabError
from core.engine.events import Event, Metric
from core.engine.families import LANGUAGE, family_name
from core.engine.lab import Lab
from core.engine.models import LoadedModel
from core.engine.steps import Pacer, remembered
from core.engine.thinking import Thinking, can_switch, switched
from core.unlearning.algorithms import ALGORITHMS
from core.unlearning.data import World
from core.unlearning.prompts import build_prompts
from core.unlearning.replies import reply
from core.unlearning.soft_tokens.attack import check_speaks
from core.unlearning.unlearn import unlearn

LARGEST = 300_000_000
REMEMBERED = 5_000_000
FORGOTTEN = 0.10
CHECK_EVERY = 3


@dataclass(frozen=True)
class Subject:
    """A frozen model to attack; `traceable` says whether its layers can be looked into."""

    ref: str
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    traceable: bool


def subject(loaded: LoadedModel, thinking: Thinking = "as it comes") -> Subject:
    """`thinking`: how its chat template is asked. Raises LabError for a model that reads or writes no text."""
    if loaded.tokenizer is None:
        raise LabError(f"{loaded.ref} has no tokenizer.json, so it reads no text.", "Choose a model that comes with its tokenizer.")
    check_speaks(loaded.model, loaded.ref)
    traceable = family_name(loaded.model.config.model_type) in LANGUAGE
    return Subject(loaded.ref, loaded.model.requires_grad_(False), switched(loaded.tokenizer, thinking), traceable)


def check_can_think(given: LoadedModel, thinking: Thinking) -> None:
    """Raises LabError for a wish that the model's template cannot be asked for."""
    if thinking != "as it comes" and given.tokenizer is not None and not can_switch(given.tokenizer):
        raise LabError(f"The chat template of {given.ref} has no switch for thinking.", "Leave 'Thinking before the answer' as it comes.")


def blank(lab: Lab, ref: str, thinking: Thinking = "as it comes") -> Subject:
    """The same architecture with random weights, drawn as its config says; scales are one, biases zero."""
    fresh = subject(lab.fork(ref), thinking)
    rng, spread = lab.rng("random weights"), getattr(fresh.model.config, "initializer_range", 0.02)
    with torch.no_grad():
        for name, weights in fresh.model.named_parameters():
            if weights.dim() > 1:
                weights.copy_(torch.randn(weights.shape, generator=rng) * spread)
            else:
                weights.fill_(1.0 if name.endswith("weight") else 0.0)
    return Subject("random weights", fresh.model, fresh.tokenizer, fresh.traceable)


def make_forget(lab: Lab, original: Subject, fingerprint: str, world: World, subjects: int, algorithm: str, steps: int,
                pacer: Pacer) -> Generator[Event, None, Subject]:
    """A copy that unlearns all facts of so many `subjects`, as the auditor does it: until at most one plain question in ten is answered.

    Small copies are remembered, so that the next attack on the same one need not wait for it again.
    """
    key = (fingerprint, "soft-tokens forgotten", world.name, subjects, algorithm, steps, lab.seed)

    def train() -> Generator[Event, None, Subject]:
        forked = replace(lab.fork(original.ref), tokenizer=original.tokenizer)
        for step, loss in _unlearn(lab, forked, original, world, subjects, algorithm, steps):
            yield from pacer.step(f"making a copy forget, step {step}")
            yield Metric("forget loss", loss, step, "nats per token")
        return subject(forked)

    return (yield from remembered(lab, key, train, keep=lambda made: made if size(made) <= REMEMBERED else None))


def _unlearn(lab: Lab, forked: LoadedModel, original: Subject, world: World, subjects: int, algorithm: str,
             steps: int) -> Iterator[tuple[int, float]]:
    """(step, forget loss) while `forked` unlearns in place."""
    asked = build_prompts("direct", world.forget(subjects), world, lab.rng("forget prompts"))
    retain = build_prompts("direct", world.retain, world, lab.rng("retain prompts"))
    for step in unlearn(forked.model, original.model, forked.tokenizer, asked, retain, ALGORITHMS[algorithm], steps=steps,
                        rng=lab.rng("retain batch")):
        if step.broken:
            return
        yield step.number, step.forget
        if step.number % CHECK_EVERY == 0 and step.number and reply(forked.model, forked.tokenizer, asked).share <= FORGOTTEN:
            return


def size(given: Subject) -> int:
    """Number of parameters."""
    return sum(p.numel() for p in given.model.parameters())


def can_be_made(given: Subject) -> bool:
    """Whether a copy of this model may be trained, or filled with random numbers, here."""
    return size(given) <= LARGEST


def check_can_be_made(given: Subject) -> None:
    """Raises LabError for a model that is too large to be made to forget."""
    if not can_be_made(given):
        raise LabError(f"{given.ref} has {size(given) / 1e6:.0f} million parameters, too many to be made to forget here.",
                       f"Choose a model below {LARGEST / 1e6:.0f} million, or under More one that was already made to forget; "
                       "your own sentence and random text run on a model of any size.")
