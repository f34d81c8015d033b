"""Learngene instances: small models taught to agree with one ancestor, inside and outside (methods/10 section 2.2).

    student = Distillation(ancestor, new_model(6, 36, 3, classes), thirds=(1, 2, 3))
    fit(student.named_parameters(), student.loss, task, recipe, generator)
    student.matrices_z                       # {third: Linear(ancestor width -> student width)}, trained along

loss = alpha * CE(labels) + (1 - alpha) * (soft CE with the ancestor + MSE of block outputs + MSE of attention outputs)
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import PreTrainedModel

from core.engine.errors import LabError
from core.engine.trace import Site, trace
from core.learngene.pool.pool import third_positions
from core.learngene.vit import logits, parts_of, patches

ALPHA, TAU = 0.1, 1.0


class Distillation:
    """A student beside its ancestor. `thirds`: where their streams are matched; (1, 2, 3) is dense, (3,) the end only.

    The matrices map ancestor -> student, exist even at equal width, and are trained (the paper calls them learnable; in
    the first released code they stayed random, methods/10 section 2.4).
    """

    def __init__(self, ancestor: PreTrainedModel, student: PreTrainedModel, thirds: tuple[int, ...]) -> None:
        _check(ancestor, student)
        self.ancestor, self.student = ancestor, student
        wide, narrow = ancestor.config.hidden_size, student.config.hidden_size
        self.matrices_z = {third: nn.Linear(wide, narrow) for third in thirds}
        self.matrices_a = {third: nn.Linear(wide, narrow) for third in thirds}
        self._ours, self._theirs = (third_positions(len(parts_of(model).blocks)) for model in (student, ancestor))

    def named_parameters(self) -> Iterator[tuple[str, nn.Parameter]]:
        """What the optimiser gets: the student and both kinds of matrices."""
        yield from self.student.named_parameters()
        for kind, matrices in (("z", self.matrices_z), ("a", self.matrices_a)):
            for third, linear in matrices.items():
                yield from ((f"{kind}.{third}.{name}", parameter) for name, parameter in linear.named_parameters())

    def loss(self, pixels: Tensor, labels: Tensor) -> Tensor:
        """One number to follow; pictures are the same for student and ancestor.

        `pixels`: (batch, 1, 16, 16).  `labels`: long (batch,).  Gives a scalar ().
        """
        with torch.no_grad():
            theirs, target = self._look(self.ancestor, pixels, self._theirs)
        ours, scores = self._look(self.student, pixels, self._ours)
        inside = sum(F.mse_loss(ours[part, third], matrices[third](theirs[part, third]))
                     for part, matrices in (("resid_post", self.matrices_z), ("attn_out", self.matrices_a)) for third in matrices)
        soft = -(F.softmax(target / TAU, -1) * F.log_softmax(scores / TAU, -1)).sum(-1).mean()
        return ALPHA * F.cross_entropy(scores, labels) + (1 - ALPHA) * (soft + inside)

    def _look(self, model: PreTrainedModel, pixels: Tensor, positions: list[int]) -> tuple[dict[tuple[str, int], Tensor], Tensor]:
        """Block and attention outputs at the matched thirds, by (part, third), and the logits.

        Class and picture tokens only: a DeiT's distillation token is dropped, the students have none (methods/10 section 9).
        """
        places = {(part, third): Site(positions[third - 1], part) for part in ("resid_post", "attn_out") for third in self.matrices_z}
        with trace(model, capture=list(places.values())) as acts:
            scores = logits(model, pixels)
        special = parts_of(model).special
        return {name: torch.cat([acts[site][:, :1], acts[site][:, special:]], 1) for name, site in places.items()}, scores


def _check(ancestor: PreTrainedModel, student: PreTrainedModel) -> None:
    """Raises LabError for two models whose streams cannot be matched token by token and third by third."""
    theirs, ours = patches(ancestor.config), patches(student.config)
    if theirs != ours:
        raise LabError(f"The ancestor cuts a picture into {theirs} patches, the models of a pool into {ours}.",
                       f"Use an ancestor with patches of {student.config.patch_size} x {student.config.patch_size} pixels.")
    if (blocks := len(parts_of(ancestor).blocks)) < 3:
        raise LabError(f"The ancestor has {blocks} blocks only; the models of a pool are compared with it at three depths.",
                       "Use an ancestor of three blocks or more, or let labels alone teach the two models.")
