"""The two other ways of steering an edit that the paper mentions; both are our reading and off unless chosen (methods/08, 3.3 and 3.7).

guess = predictor_guided(model, reader, labels, industries, scale=2)      # a gradient in place of a second guess
strengths = loss_guided(700, losses, amount=0.5)                          # each window its own T'
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn

from core.factors.denoiser import waves
from core.factors.diffusion import ALPHA_BAR, STRIDE, Denoise, T

WAVES, RATE, BATCH = 32, 1e-3, 256


class NoisyReader(nn.Module):
    """f(x_t, t): what label a noised window probably has."""

    def __init__(self, numbers: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(numbers + WAVES, 128), nn.SiLU(), nn.Linear(128, 64), nn.SiLU(), nn.Linear(64, 1))

    def forward(self, x: Tensor, step: Tensor) -> Tensor:
        """x: float (n, window, factors).  step: (n,). Gives (n,)."""
        return self.layers(torch.cat([x.flatten(1), waves(step, WAVES)], -1))[:, 0]


def train_reader(windows: Tensor, labels: Tensor, steps: int, rng: torch.Generator) -> Iterator[tuple[int, NoisyReader]]:
    """(steps done, the reader), on windows (n, window, factors) at random noise with labels (n,)."""
    reader = NoisyReader(windows[0].numel())
    with torch.no_grad():
        for weights in reader.parameters():
            bound = 1 / math.sqrt(weights.shape[-1])
            weights.copy_((2 * torch.rand(weights.shape, generator=rng) - 1) * bound)
    optimiser = torch.optim.Adam(reader.parameters(), lr=RATE)
    for done in range(1, steps + 1):
        chosen = torch.randint(len(windows), (BATCH,), generator=rng)
        step = torch.randint(1, T + 1, (BATCH,), generator=rng)
        keep = ALPHA_BAR.float()[step][:, None, None]
        x = keep.sqrt() * windows[chosen] + (1 - keep).sqrt() * torch.randn(windows[chosen].shape, generator=rng)
        loss = ((reader(x, step) - labels[chosen]) ** 2).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        yield done, reader


def predictor_guided(model: nn.Module, reader: NoisyReader, labels: Tensor, scale: float) -> Denoise:
    """The guess without conditions, less scale sqrt(1 - alpha_bar) times the gradient of log p(label | x_t), a normal one of variance 1.

    labels: float (n,).
    """
    nobody, nowhere = torch.full_like(labels, math.nan), torch.full(labels.shape, -1)

    def guess(x: Tensor, step: int) -> Tensor:
        steps = torch.full((len(x),), step)
        with torch.enable_grad():
            at = x.detach().requires_grad_()
            told = -((labels - reader(at, steps)) ** 2).sum() / 2
            (slope,) = torch.autograd.grad(told, at)
        with torch.no_grad():
            return model(x, steps, nobody, nowhere) - scale * math.sqrt(1 - float(ALPHA_BAR[step])) * slope

    return guess


def loss_guided(strength: int, losses: np.ndarray, amount: float) -> np.ndarray:
    """T' (1 + amount (1 - 2 rank)) for each window by the rank, 0..1, of its loss (n,): above 0 well-learned windows are edited more.

    In steps of the sampler's stride, so that windows of one strength go together; int (n,) within 0..1000.
    """
    rank = losses.argsort().argsort() / max(1, len(losses) - 1)
    made = strength * (1 + amount * (1 - 2 * rank))
    return np.clip(np.round(made / STRIDE) * STRIDE, 0, T).astype(int)
