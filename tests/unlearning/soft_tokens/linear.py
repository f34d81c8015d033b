"""A language model that is linear, so that the gradient of the attack can be written down."""

from __future__ import annotations

from types import SimpleNamespace

import torch
from torch import Tensor, nn


class LinearModel(nn.Module):
    """Logits at a position are the sum of all embeddings up to it, through one matrix; float64."""

    def __init__(self, vocabulary: int = 11, width: int = 5, seed: int = 0) -> None:
        super().__init__()
        rng = torch.Generator().manual_seed(seed)
        self.embed = nn.Embedding(vocabulary, width, dtype=torch.float64)
        self.embed.weight.data = torch.randn(vocabulary, width, generator=rng, dtype=torch.float64)
        self.head = torch.randn(vocabulary, width, generator=rng, dtype=torch.float64)
        self.device = torch.device("cpu")
        self.requires_grad_(False)

    def get_input_embeddings(self) -> nn.Embedding:
        return self.embed

    def forward(self, inputs_embeds: Tensor, use_cache: bool, logits_to_keep: Tensor) -> SimpleNamespace:
        return SimpleNamespace(logits=inputs_embeds.cumsum(1)[:, logits_to_keep] @ self.head.T)


def gradient(model: LinearModel, soft: Tensor, before: list[int], after: list[int], completion: list[int]) -> tuple[float, Tensor]:
    """Loss and its gradient with respect to every soft token (k, width), in closed form: 1/T sum_t (softmax_t - onehot_t) H."""
    weight = model.embed.weight
    state = weight[before].sum(0) + soft.sum(0) + weight[after].sum(0)
    loss, slope = 0.0, torch.zeros(soft.shape[1], dtype=torch.float64)
    for token in completion:
        chances = (state @ model.head.T).softmax(-1)
        loss -= chances[token].log().item() / len(completion)
        slope += (chances - torch.eye(len(chances), dtype=torch.float64)[token]) @ model.head / len(completion)
        state = state + weight[token]
    return loss, slope.expand_as(soft).clone()


class ByHand:
    """Adam as its paper writes it (Kingma and Ba 2015, algorithm 1)."""

    def __init__(self, rate: float) -> None:
        self.rate, self.step, self.first, self.second = rate, 0, 0.0, 0.0

    def move(self, value: Tensor, slope: Tensor) -> Tensor:
        self.step += 1
        self.first = 0.9 * self.first + 0.1 * slope
        self.second = 0.999 * self.second + 0.001 * slope**2
        return value - self.rate * (self.first / (1 - 0.9**self.step)) / ((self.second / (1 - 0.999**self.step)).sqrt() + 1e-8)
