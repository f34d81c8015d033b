"""The training loop that all algorithms share.

    for step in unlearn(model, frozen, tokenizer, forget, retain, ALGORITHMS["npo"], steps=30, rng=lab.rng("retain batch")):
        print(step.number, step.forget, step.retain)

One step is the whole forget set and an equally large random batch of retained questions, AdamW, gradients clipped at 1
(methods/01 section 3). Only plain questions are trained on: every other way of asking stays unseen.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from core.unlearning.answers import Encoded, encode_answers, sequence_losses
from core.unlearning.audit.algorithms import Algorithm, Forgetting
from core.unlearning.audits import Prompt, render, shuffled

CLIP = 1.0
WEIGHT_DECAY = 0.01


@dataclass(frozen=True)
class Step:
    """How things stand after `number` changes of the weights.

    forget, retain: NLL per token of the forget answers and of a random batch of retained ones, in nats.
    broken: the numbers stopped being numbers; the weights are back at the last good step.
    """

    number: int
    forget: float
    retain: float
    broken: bool = False


def unlearn(model: PreTrainedModel, frozen: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, forget: Sequence[Prompt],
            retain: Sequence[Prompt], algorithm: Algorithm, *, steps: int, rng: torch.Generator,
            learning_rate: float | None = None) -> Iterator[Step]:
    """Changes `model` in place. Yields step 0 as it is, then one per change; whoever reads may stop at any of them.

    `frozen` is the model from before. A step that is not made of finite numbers is undone and ends the loop, marked broken.
    """
    given = Forgetting(model, frozen, _encode(tokenizer, forget))
    optimizer = torch.optim.AdamW(model.parameters(), lr=learning_rate or algorithm.learning_rate, weight_decay=WEIGHT_DECAY)
    good = _weights(model)
    for number in range(steps + 1):
        retained = _encode(tokenizer, shuffled(retain, rng)[:len(forget)])
        with torch.set_grad_enabled(number < steps):
            loss, forgotten, kept = _losses(given, retained, algorithm)
        if not torch.isfinite(torch.stack([loss, forgotten, kept])).all():
            model.load_state_dict(good)
            yield Step(number, forgotten.item(), kept.item(), broken=True)
            return
        good = _weights(model)
        yield Step(number, forgotten.item(), kept.item())
        if number < steps:
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
            optimizer.step()


def _encode(tokenizer: PreTrainedTokenizerBase, prompts: Sequence[Prompt]) -> Encoded:
    return encode_answers(tokenizer, [render(prompt, tokenizer) for prompt in prompts], [prompt.answer for prompt in prompts])


def _losses(given: Forgetting, retained: Encoded, algorithm: Algorithm) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """What is minimised, and the NLL per token of both batches."""
    given.measure()
    loss = algorithm.forget_loss(given)
    with torch.set_grad_enabled(torch.is_grad_enabled() and algorithm.retain is not None):
        kept = sequence_losses(given.model, retained).mean.mean()
    if algorithm.retain == "nll":
        loss = loss + kept
    return loss, given.losses.mean.mean().detach(), kept.detach()


def _weights(model: PreTrainedModel) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
