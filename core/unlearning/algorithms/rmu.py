"""RMU: scramble the inside of one layer where the facts pass, and pin it elsewhere. Methods/01 section 3.

The layer is the one after half of them, and the scrambled activations are as long as real ones there: the numbers of the 7B
configs (layer 7, length 2 or 20) mean nothing in another model. Differences are divided by the length of their own answer
(trap 4 of the method file).
"""

from __future__ import annotations

import torch
from torch import Tensor
from transformers import PreTrainedModel

from core.engine.families import family_of
from core.engine.trace import Site, trace
from core.unlearning.algorithms.base import Case, Forgetting
from core.unlearning.answers import IGNORED, Encoded, Losses


def forget(given: Forgetting) -> Tensor:
    """How far the layer is from the scrambled target at the tokens of the forget answers, mean square per entry. A scalar ()."""
    case = given.case
    hidden = at_answers(case.model, case.forget)
    return distance(hidden, case.once("rmu target", lambda: target(case)).expand_as(hidden), case.forget)


def retain(given: Forgetting) -> Tensor:
    """How far the layer has moved from the model before at the tokens of the answers to keep, mean square per entry. A scalar ()."""
    with torch.no_grad():
        before = at_answers(given.case.frozen, given.retained)
    return distance(at_answers(given.case.model, given.retained), before, given.retained)


def target(case: Case) -> Tensor:
    """(width,): one random direction with no negative entry, as long as the model's own activations are on average."""
    with torch.no_grad():
        usual = at_answers(case.frozen, case.forget)
    direction = torch.rand(usual.shape[-1], generator=case.rng).to(usual)
    return direction / direction.norm() * usual.norm(dim=-1).mean()


def at_answers(model: PreTrainedModel, encoded: Encoded) -> Tensor:
    """(answer tokens, width): what leaves the chosen layer at every token of every answer, row after row."""
    site = Site(len(family_of(model).layers(model)) // 2, "resid_post")
    with trace(model, capture=[site], stop_at=site.layer) as acts:
        model(input_ids=encoded.ids.to(model.device), attention_mask=encoded.mask.to(model.device), use_cache=False)
    return acts[site][encoded.labels.to(model.device) != IGNORED]


def distance(hidden: Tensor, wanted: Tensor, encoded: Encoded) -> Tensor:
    """Mean over rows of the mean over a row's answer tokens of the mean square over entries; both (answer tokens, width)."""
    row = (encoded.labels != IGNORED).nonzero()[:, 0].to(hidden.device)
    squares = (hidden - wanted).square().mean(-1)
    total = squares.new_zeros(len(encoded.labels)).index_add(0, row, squares)
    return Losses(total, torch.bincount(row, minlength=len(encoded.labels))).mean.mean()
