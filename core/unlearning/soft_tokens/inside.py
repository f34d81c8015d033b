"""What the soft tokens look like from inside: nearest words, size, path, and what they do to every layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from core.engine.trace import Site, sites, trace
from core.unlearning.soft_tokens.attack import Space, soft_tokens
from core.unlearning.soft_tokens.targets import Target


@dataclass(frozen=True)
class Tile:
    """One soft token: the nearest words, nearest first, and its length over that of an ordinary token."""

    words: list[str]
    norm: float


def tiles(parameter: Tensor, matrix: Tensor, space: Space, tokenizer: PreTrainedTokenizerBase, words: int = 3) -> list[Tile]:
    """Nearest by Euclidean distance to the embeddings, or by the largest coefficient in `space="vocabulary"` (methods/05 section 3).

    `parameter`: (k, width), or (k, vocabulary) in the space of the vocabulary.  `matrix`: (vocabulary, width).
    """
    with torch.no_grad():
        soft = soft_tokens(parameter, matrix, space)
        score = -torch.cdist(soft, matrix) if space == "embedding" else parameter
        found = score.topk(words, dim=-1).indices.tolist()
        sizes = (soft.norm(dim=-1) / matrix.norm(dim=-1).mean()).tolist()
    return [Tile([tokenizer.decode([token]) for token in row], size) for row, size in zip(found, sizes, strict=True)]


def norm_ratio(parameter: Tensor, matrix: Tensor, space: Space) -> float:
    """Mean length of the soft tokens over the mean length of ordinary ones.

    `parameter`: (k, width), or (k, vocabulary) in the space of the vocabulary.  `matrix`: (vocabulary, width).
    """
    with torch.no_grad():
        return float(soft_tokens(parameter, matrix, space).norm(dim=-1).mean() / matrix.norm(dim=-1).mean())


@dataclass(frozen=True)
class Projection:
    """A fixed linear map of embeddings to a plane: the two directions in which ordinary tokens differ most.

    axes: (width, 2).  share: how much of the tokens' variance each direction shows.
    """

    mean: Tensor
    axes: Tensor
    share: tuple[float, float]

    @classmethod
    def of(cls, matrix: Tensor) -> Projection:
        """Principal components of the embedding matrix. `matrix`: (vocabulary, width)."""
        mean = matrix.mean(0)
        values, vectors = torch.linalg.eigh(torch.cov(matrix.T.double()))
        first, second = (values[-2:] / values.sum()).tolist()[::-1]
        return cls(mean, vectors[:, [-1, -2]].to(matrix.dtype), (first, second))

    def flat(self, vectors: Tensor) -> list[list[float]]:
        """Coordinates (n, 2)."""
        return [[round(x, 4) for x in row] for row in ((vectors.detach() - self.mean) @ self.axes).tolist()]

    def shown(self, vectors: Tensor) -> float:
        """The share of the squared distance from the tokens' middle that the plane keeps of these vectors. `vectors`: (n, width)."""
        away = vectors.detach() - self.mean
        return float((away @ self.axes).square().sum() / away.square().sum().clamp(min=1e-12))


@torch.no_grad()
def last_states(model: PreTrainedModel, target: Target, soft: Tensor | None) -> Tensor:
    """Residual stream (layers + 1, width) at the position where the answer begins; `soft` None is the plain prompt."""
    embed = model.get_input_embeddings()

    def known(ids: Sequence[int]) -> Tensor:
        return embed(torch.tensor(ids, dtype=torch.long, device=model.device))

    middle = [] if soft is None else [soft]
    inputs = torch.cat([known(target.before), *middle, known(target.after)])[None]
    wanted = [Site(0, "resid_pre"), *sites(model, "resid_post")]
    with trace(model, capture=wanted) as acts:
        model.base_model(inputs_embeds=inputs, use_cache=False)
    return torch.stack([acts[site][0, -1] for site in wanted])


def moved_by(model: PreTrainedModel, pairs: Sequence[tuple[Target, Tensor]]) -> tuple[list[float], list[float]]:
    """Cosine similarity per layer (0 = embeddings): attacked against plain prompt, and one plain prompt against the next.

    pairs: targets with prompts, and their soft tokens (k, width). The second list is what two ordinary questions differ by.
    """
    plain = torch.stack([last_states(model, target, None) for target, _ in pairs])
    attacked = torch.stack([last_states(model, target, soft) for target, soft in pairs])
    attack = cosine_similarity(attacked, plain, dim=-1).mean(0)
    ordinary = cosine_similarity(plain, plain.roll(1, 0), dim=-1).mean(0)
    return attack.tolist(), ordinary.tolist()
