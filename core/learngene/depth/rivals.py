"""Other ways to start a network of a given depth (methods/09 section 6): each gives a model to be fine-tuned.

    model = RIVALS["heuristic"](Start(gene, ancestor, depth=6, task, generator))

The paper's tables were not readable, so these are the smallest faithful stand-ins, a reconstruction. All of them keep
what they can of the ancestor or of training; none of them sees more labels than the descendant does in stage 2.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from transformers import PreTrainedModel

from core.engine.errors import LabError
from core.learngene.data import Task
from core.learngene.depth.learngene import Learngene
from core.learngene.training import supervised
from core.learngene.vit import logits, new_head, new_model, parts_of

KEPT = 3  # ancestor layers that Heuristic-LG and Grad-LG keep
BATCHES = 8



@dataclass(frozen=True)
class Start:
    """What a rival may use. `task` is what will be learned; `generator` draws pictures of `source`, which the ancestor knows.

    `ancestor` is only read, but its parameters must ask for gradients where the rival measures them: give a fork.
    """

    gene: Learngene
    ancestor: PreTrainedModel
    depth: int
    task: Task
    source: Task
    generator: torch.Generator


def scratch(start: Start) -> PreTrainedModel:
    """Random weights."""
    config = start.gene.store.config
    return new_model(start.depth, config.hidden_size, config.num_attention_heads, start.task.classes, pooling="patches")


def heuristic(start: Start) -> PreTrainedModel:
    """The ancestor's last three layers on top, random layers below; embedding, norm and head random too."""
    layers = len(parts_of(start.ancestor).blocks)
    return _with_layers(start, {start.depth - 1 - i: layers - 1 - i for i in range(min(KEPT, start.depth, layers))})


def gradient(start: Start) -> PreTrainedModel:
    """The three ancestor layers whose gradient changes least from batch to batch, in their order, on top of random ones.

    Change: the mean over eight batches of the source of |g_t - g_(t-1)| / |w|, per layer.
    """
    order = sorted(range(len(parts_of(start.ancestor).blocks)), key=_gradient_changes(start).__getitem__)
    kept = sorted(order[:min(KEPT, start.depth)])
    return _with_layers(start, {start.depth - len(kept) + i: layer for i, layer in enumerate(kept)})


def every_other(start: Start) -> PreTrainedModel:
    """Ancestor layers picked evenly from first to last, with the ancestor's embedding and norm."""
    ancestor = parts_of(start.ancestor)
    last = len(ancestor.blocks) - 1
    picks = [round(i / max(1, start.depth - 1) * last) for i in range(start.depth)]
    model = _with_layers(start, dict(enumerate(picks)))
    parts = parts_of(model)
    parts.embeddings.load_state_dict(ancestor.embeddings.state_dict())
    parts.norm.load_state_dict(ancestor.norm.state_dict())
    model.config.pooling = getattr(start.ancestor.config, "pooling", "class")
    if start.task.classes == start.source.classes:
        parts.head.load_state_dict(ancestor.head.state_dict())
    else:
        new_head(model, start.task.classes)
    return model


RIVALS: dict[str, Callable[[Start], PreTrainedModel]] = {
    "scratch": scratch, "distilled": scratch, "pretrained": scratch,
    "heuristic": heuristic, "gradient": gradient, "every_other": every_other,
}


def _with_layers(start: Start, picks: dict[int, int]) -> PreTrainedModel:
    """A random model in which layer `position` is the ancestor's layer `picks[position]`."""
    ours, theirs = start.gene.store.config, start.ancestor.config
    if (ours.hidden_size, ours.intermediate_size) != (theirs.hidden_size, theirs.intermediate_size):
        raise LabError(f"The ancestor is {theirs.hidden_size} wide, the learngene {ours.hidden_size}: its layers do not fit.",
                       "Choose another rival, or an ancestor of the same width.")
    model = scratch(start)
    blocks, ancestor = parts_of(model).blocks, parts_of(start.ancestor).blocks
    for position, layer in picks.items():
        blocks[position].load_state_dict(ancestor[layer].state_dict())
    return model


def _gradient_changes(start: Start) -> list[float]:
    """Mean relative change of each ancestor layer's gradient from one batch to the next. The ancestor must be a fork."""
    groups = [list(block.parameters()) for block in parts_of(start.ancestor).blocks]
    loss_of = supervised(lambda pixels: logits(start.ancestor, pixels))
    pixels, labels = start.source.epoch(start.generator)
    changes, before = [0.0] * len(groups), None
    for part, given in list(zip(pixels.split(64), labels.split(64), strict=True))[:BATCHES]:
        with torch.enable_grad():
            found = iter(torch.autograd.grad(loss_of(part, given), [p for group in groups for p in group]))
        flat = [torch.cat([next(found).flatten() for _ in group]) for group in groups]
        if before is not None:
            changes = [total + (new - old).norm().item() for total, new, old in zip(changes, flat, before, strict=True)]
        before = flat
    sizes = [torch.cat([p.detach().flatten() for p in group]).norm().item() for group in groups]
    return [change / size for change, size in zip(changes, sizes, strict=True)]
