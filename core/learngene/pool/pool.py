"""A pool: the blocks of a small and a large model, and the stitches that lead from one to the other.

    pool = Pool.unpack(lab.load("embedded/learngene-pool-small").model, lab.load("embedded/learngene-pool-large").model)
    pool(pixels, Way(2, 3))                     # small blocks 0, 1, 2, a stitch, large blocks 3, 4, 5: (batch, classes)

Stored as two ordinary ViT classifiers. Whatever else reads a model's stream by a matrix is stored as further rows of its
last layer: after the classes, the small model holds the stitches, the large one the transformation matrices of the
distillation (both read as wide a stream as that model's own). `config.pool` says how many rows of what.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from core.engine.errors import LabError
from core.learngene.pool.paths import SMALL, Way, stitch_of
from core.learngene.vit import classes_of, listed, parts_of, put_head

THIRDS = (1, 2, 3)


def third_positions(blocks: int) -> list[int]:
    """The last block of each third, counted from 0 (methods/10 section 2.2)."""
    return [third * blocks // 3 - 1 for third in THIRDS]


@dataclass
class Matrices:
    """Block-output matrices of the distillation, by third: `small[m]` is Linear(teacher -> small); empty where none was trained."""

    small: dict[int, nn.Linear] = field(default_factory=dict)
    large: dict[int, nn.Linear] = field(default_factory=dict)


class Pool(nn.Module):
    """Small and large model of equal depth, and a stitch between every pair of neighbouring windows."""

    def __init__(self, small: PreTrainedModel, large: PreTrainedModel, stitches: nn.ModuleList, matrices: Matrices) -> None:
        super().__init__()
        if small.config.num_hidden_layers != large.config.num_hidden_layers:
            raise LabError("The two models of a pool must have equally many blocks.", "Use the small and the large one of the same pool.")
        if len(stitches) != small.config.num_hidden_layers - 1:
            raise LabError(f"A pool of {small.config.num_hidden_layers} blocks needs {small.config.num_hidden_layers - 1} stitches.", "")
        self.small, self.large, self.stitches = small, large, stitches
        self.matrices = matrices
        self._small, self._large = parts_of(small), parts_of(large)

    @property
    def blocks(self) -> int:
        """Blocks per model."""
        return len(self.stitches) + 1

    def forward(self, pixels: Tensor, way: Way) -> Tensor:
        """Logits (batch, classes) along one path."""
        if not way.stitched:
            return (self.small if way == SMALL else self.large)(pixels).logits
        hidden = self.stitches[stitch_of(way, self.blocks)](self.lower(pixels, way.j))
        for block in self._large.blocks[way.k:]:
            hidden = block(hidden)
        return self._large.head(self._large.norm(hidden)[:, 0])

    def lower(self, pixels: Tensor, j: int) -> Tensor:
        """The small model's stream after block j: (batch, tokens, width)."""
        hidden = self._small.embeddings(pixels)
        for block in self._small.blocks[:j + 1]:
            hidden = block(hidden)
        return hidden

    def entering(self, pixels: Tensor, k: int) -> Tensor:
        """The large model's own stream as it enters block k: (batch, tokens, width)."""
        hidden = self._large.embeddings(pixels)
        for block in self._large.blocks[:k]:
            hidden = block(hidden)
        return hidden

    def check(self, classes: Sequence[str]) -> Pool:
        """The pool itself. Raises LabError unless it was taught exactly these classes."""
        if any((known := classes_of(model)) != tuple(classes) for model in (self.small, self.large)):
            raise LabError(f"This pool was not taught these {len(classes)} classes; what it knows is {listed(known)}.",
                           "Choose the pictures that it was built for, or make a pool of these.")
        return self

    def pack(self) -> dict[str, PreTrainedModel]:
        """The two models to store: {"small": ..., "large": ...}."""
        thirds = {"small": sorted(self.matrices.small), "large": sorted(self.matrices.large)}
        extra = [*(self.matrices.small[m] for m in thirds["small"]), *(self.matrices.large[m] for m in thirds["large"])]
        return {"small": _with_rows(self.small, list(self.stitches), {"role": "small", "width": self.large.config.hidden_size}),
                "large": _with_rows(self.large, extra, {"role": "large", "width": self.small.config.hidden_size, "thirds": thirds})}

    @staticmethod
    def unpack(small: PreTrainedModel, large: PreTrainedModel) -> Pool:
        """The pool of two stored models; they are copied, so shared ones stay as they are. Raises LabError when they do not fit."""
        ours, theirs = (getattr(model.config, "pool", None) or {} for model in (small, large))
        if ours.get("role") != "small" or theirs.get("role") != "large":
            raise LabError("These two models are not the small and the large one of a pool.",
                           "Build a pool on the page, or use the embedded one.")
        given = (ours["width"], theirs["width"], ours["classes"])
        if given != (large.config.hidden_size, small.config.hidden_size, theirs["classes"]):
            raise LabError("The widths or classes of these two models do not fit each other.",
                           "Use the small and the large one of the same pool.")
        stitched, stitches = _without_rows(small, [large.config.hidden_size] * (small.config.num_hidden_layers - 1))
        thirds = theirs["thirds"]
        rows = [small.config.hidden_size] * len(thirds["small"]) + [large.config.hidden_size] * len(thirds["large"])
        upper, extra = _without_rows(large, rows)
        lower = len(thirds["small"])
        matrices = Matrices(dict(zip(thirds["small"], extra[:lower], strict=True)), dict(zip(thirds["large"], extra[lower:], strict=True)))
        return Pool(stitched, upper, nn.ModuleList(stitches), matrices)


def _with_rows(model: PreTrainedModel, extra: list[nn.Linear], about: dict) -> PreTrainedModel:
    packed = copy.deepcopy(model)
    head = packed.classifier
    joined = nn.utils.skip_init(nn.Linear, head.in_features, head.out_features + sum(linear.out_features for linear in extra))
    with torch.no_grad():
        joined.weight.copy_(torch.cat([head.weight, *(linear.weight for linear in extra)]))
        joined.bias.copy_(torch.cat([head.bias, *(linear.bias for linear in extra)]))
    names = [model.config.id2label[i] for i in range(head.out_features)]
    put_head(packed, joined, names + [f"row {i}" for i in range(joined.out_features - len(names))])
    packed.config.pool = about | {"classes": len(names)}
    return packed


def _without_rows(model: PreTrainedModel, sizes: list[int]) -> tuple[PreTrainedModel, list[nn.Linear]]:
    plain = copy.deepcopy(model)
    packed, classes = plain.classifier, plain.config.pool["classes"]
    if packed.out_features != classes + sum(sizes):
        raise LabError("The last layer of this model does not hold what its configuration says.", "Copy or build the pool again.")
    parts = []
    for weight, bias in zip(packed.weight.split([classes, *sizes]), packed.bias.split([classes, *sizes]), strict=True):
        linear = nn.utils.skip_init(nn.Linear, packed.in_features, len(weight))
        with torch.no_grad():
            linear.weight.copy_(weight)
            linear.bias.copy_(bias)
        parts.append(linear.requires_grad_(packed.weight.requires_grad))
    put_head(plain, parts[0], [plain.config.id2label[i] for i in range(classes)])
    plain.config.pool = None
    return plain, parts[1:]

