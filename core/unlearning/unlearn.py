"""The training loop that all algorithms share.

    subject = open_for_training(lab, "embedded/worlds")
    for step in unlearn(subject.model, frozen, tokenizer, forget, retain, ALGORITHMS["npo"], steps=30, rng=lab.rng("retain batch")):
        print(step.number, step.forget, step.retain)

One step is the whole forget set and an equally large random batch of retained questions, AdamW, gradients clipped at 1
(methods/01 section 3). Only plain questions are trained on: every other way of asking stays unseen.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import psutil
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from core.engine.adapters import attach
from core.engine.errors import LabError
from core.engine.lab import Lab
from core.engine.models import LoadedModel
from core.unlearning.algorithms import Algorithm, Case, Forgetting
from core.unlearning.algorithms.refusals import draw
from core.unlearning.answers import Encoded, after_thinking, encode_answers, token_scores
from core.unlearning.prompts import Prompt, render, shuffled

CLIP = 1.0
WEIGHT_DECAY = 0.01
WHOLE = 100_000_000  # parameters: weights, gradients, two moments and the last good copy are 20 bytes each, so 2 GB
BYTES_TRAINED = 20
HELD = 2.4  # times what is kept for the way back: gradients on their way, and what the allocator does not give back (docs/LOG.md)
TRIED = 2  # questions, to see how long a step takes
LORA_RANK = 8


@dataclass(frozen=True)
class Step:
    """How things stand after `number` changes of the weights.

    forget, retain: NLL per token of the forget answers and of a random batch of retained ones, in nats; retain is NaN if
    there is nothing to keep.  broken: the numbers stopped being numbers; the weights are back at the last good step.
    """

    number: int
    forget: float
    retain: float
    broken: bool = False


def open_for_training(lab: Lab, ref: str) -> LoadedModel:
    """A copy of a model to unlearn on: all of its weights if it is small, else low-rank adapters on shared, frozen weights."""
    if lab.load(ref).parameters <= WHOLE:
        return lab.fork(ref)
    from peft import LoraConfig

    shared = lab.fork(ref, share_weights=True)
    config = LoraConfig(r=LORA_RANK, lora_alpha=2 * LORA_RANK, target_modules="all-linear")
    return replace(shared, model=attach(shared.model, config).eval())


def plan(subject: LoadedModel, original: LoadedModel, forget: Sequence[Prompt], steps: int) -> str:
    """What is trained, and about how much memory and time that takes, in sentences; asked of a model before its first step.

    Raises LabError where the memory is not there.
    """
    trained = sum(p.numel() for p in subject.model.parameters() if p.requires_grad)
    part = f"{trained / 1e6:.1f} million numbers in adapters (LoRA, rank {LORA_RANK})" if trained < subject.parameters else "all of them"
    texts = [render(prompt, original.tokenizer) for prompt in forget]
    tried = encode_answers(original.tokenizer, texts[:TRIED], [prompt.answer for prompt in forget[:TRIED]])
    kept = _kept_for_the_way_back(subject.model, tried)  # first: a model just opened is read from disk meanwhile
    start = time.perf_counter()
    with torch.no_grad():
        token_scores(subject.model, tried)
    # a step reads what to forget and as much to keep; with the way back that is three times the way forth
    seconds = 2 * 3 * (time.perf_counter() - start) * len(forget) / len(tried.ids)
    needed = trained * BYTES_TRAINED + 2 * HELD * kept * len(forget) / len(tried.ids)
    free = psutil.virtual_memory().available
    if needed > free:
        raise LabError(f"Forgetting {len(forget)} questions would need about {needed / 1e9:.1f} GB more memory, of {free / 1e9:.1f}.",
                       "Bring fewer questions, or choose a smaller model.")
    return (f"{original.ref} has {original.parameters / 1e6:.0f} million parameters; trained are {part}. That takes about "
            f"{max(needed / 1e9, 0.1):.1f} GB of memory. One step takes about {_long(seconds)} here, {steps} steps about "
            f"{_long(seconds * steps)}, and the questions in between come on top.")


def _kept_for_the_way_back(model: PreTrainedModel, tried: Encoded) -> int:
    """Bytes that a pass over these answers keeps until the gradients have come back; parameters, which are there anyway, not counted."""
    there = {p.untyped_storage().data_ptr() for p in model.parameters()}
    kept: dict[int, torch.UntypedStorage] = {}  # held, so that no two of them have the same place one after the other

    def keep(value: torch.Tensor) -> torch.Tensor:
        storage = value.untyped_storage()
        if storage.data_ptr() not in there:
            kept[storage.data_ptr()] = storage
        return value

    with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(keep, lambda value: value):
        token_scores(model, tried).losses.total.sum()
    return sum(storage.nbytes() for storage in kept.values())


def _long(seconds: float) -> str:
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{seconds / 60:.0f} minutes" if seconds < 5400 else f"{seconds / 3600:.1f} hours"


def unlearn(model: PreTrainedModel, frozen: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, forget: Sequence[Prompt],
            retain: Sequence[Prompt], algorithm: Algorithm, *, steps: int, rng: torch.Generator,
            learning_rate: float | None = None, retain_weight: float = 1.0) -> Iterator[Step]:
    """Changes `model` in place. Yields step 0 as it is, then one per change; whoever reads may stop at any of them.

    `frozen` is the model from before; parameters that ask for no gradient stay as they are. A step that is not made of finite
    numbers is undone and ends the loop, marked broken. Raises LabError when there is nothing to rehearse and the algorithm must.
    """
    if algorithm.retain and not retain:
        raise LabError("This way of forgetting rehearses what should stay, and there is nothing to rehearse.",
                       "Add questions about people to keep, or choose gradient ascent.")
    learner = _learner(model, algorithm)
    texts = after_thinking(frozen, tokenizer, [render(prompt, tokenizer) for prompt in forget])
    case = Case(learner, frozen, encode_answers(tokenizer, texts, [prompt.answer for prompt in forget]),
                lambda: encode_answers(tokenizer, texts, draw(len(texts), rng)), rng)
    walk = _Walk(model, learner, algorithm, learning_rate or usual_rate(model, algorithm))
    for number in range(steps + 1):
        given = Forgetting(case, _encode(frozen, tokenizer, shuffled(retain, rng)[:len(forget)]) if retain else None)
        with torch.set_grad_enabled(number < steps):
            loss = _loss(given, algorithm, retain_weight)
        forgotten, kept = _state(model, given, algorithm)
        if not all(map(math.isfinite, (loss.item(), forgotten, *([kept] if retain else [])))):
            walk.back()
            yield Step(number, forgotten, kept, broken=True)
            return
        walk.remember()
        yield Step(number, forgotten, kept)
        if number < steps:
            walk.on(loss)


def usual_rate(model: PreTrainedModel, algorithm: Algorithm) -> float:
    """The learning rate that suits the way of forgetting: of all the weights of a small model, or of adapters on a large one."""
    whole = all(p.requires_grad for p in model.parameters())
    return algorithm.learning_rate if whole else algorithm.adapter_rate or algorithm.learning_rate


def _encode(frozen: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, prompts: Sequence[Prompt]) -> Encoded:
    """Of a model that thinks first, the answers behind what it thought before it was changed."""
    texts = after_thinking(frozen, tokenizer, [render(prompt, tokenizer) for prompt in prompts])
    return encode_answers(tokenizer, texts, [prompt.answer for prompt in prompts])


def _learner(model: PreTrainedModel, algorithm: Algorithm) -> PreTrainedModel:
    """What the optimizer trains: the model itself, or a copy to walk away from."""
    if algorithm.whole and not all(p.requires_grad for p in model.parameters()):
        raise LabError("This way of forgetting needs all the weights of a model, and this one is too large to train them all.",
                       f"Choose a model below {WHOLE / 1e6:.0f} million parameters, or another way of forgetting.")
    return model if algorithm.backwards is None else copy.deepcopy(model)


def _loss(given: Forgetting, algorithm: Algorithm, retain_weight: float) -> torch.Tensor:
    """What is minimised."""
    loss = algorithm.forget_weight * algorithm.forget(given)
    return loss + retain_weight * algorithm.retain(given) if algorithm.retain else loss


def _state(model: PreTrainedModel, given: Forgetting, algorithm: Algorithm) -> tuple[float, float]:
    """NLL per token of what is to be forgotten and of what is to be kept, of the model as it stands."""
    with torch.no_grad():
        if algorithm.backwards is not None:  # what the terms looked at is the copy
            given = Forgetting(replace(given.case, model=model), given.retained)
        kept = given.kept_scores.losses.mean.mean().item() if given.retained else math.nan
        return given.losses.mean.mean().item(), kept


class _Walk:
    """Moves the weights, and remembers where they last were in order."""

    def __init__(self, model: PreTrainedModel, learner: PreTrainedModel, algorithm: Algorithm, learning_rate: float) -> None:
        self.model, self.learner, self.backwards = model, learner, algorithm.backwards
        self.trained = [p for p in learner.parameters() if p.requires_grad]
        self.moved = [p for p in model.parameters() if p.requires_grad]
        self.start = [p.detach().clone() for p in self.moved] if self.backwards is not None else []
        self.optimizer = torch.optim.AdamW(self.trained, lr=learning_rate, weight_decay=WEIGHT_DECAY)
        self.remember()

    @torch.no_grad()
    def remember(self) -> None:
        """The weights as they are now are good."""
        self.good = [p.detach().clone() for p in self.moved]

    @torch.no_grad()
    def back(self) -> None:
        """To the last weights that were good."""
        for p, good in zip(self.moved, self.good, strict=True):
            p.copy_(good)

    def on(self, loss: torch.Tensor) -> None:
        """One step of the optimizer, and, if the copy is to be walked away from, the mirrored one of the model."""
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.trained, CLIP)
        self.optimizer.step()
        if self.backwards is not None:
            with torch.no_grad():
                for p, start, learned in zip(self.moved, self.start, self.trained, strict=True):
                    p.copy_(start - self.backwards * (learned - start))
