"""The denoiser: a small Transformer that guesses the noise in a window of factors, told the step, the label and the industry (DiT).

    model = new_denoiser(("RESI5", ...), industries=10, rng=lab.rng("denoiser"))
    model(noisy, steps, labels, industries)          # the noise it sees, (n, 8, factors)

The paper says that it is a Transformer which is told step, label and industry; layers and widths are ours (methods/08, 3.2).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from transformers import PretrainedConfig, PreTrainedModel

from core.factors.study import WINDOW


class FactorDenoiserConfig(PretrainedConfig):
    """factors: names in order.  trained_on: "market SEED" or what a table was called.  splits: last day that was seen."""

    model_type = "glassbox-factors"

    def __init__(
        self,
        factors: Sequence[str] = (),
        window: int = WINDOW,
        industries: int = 1,
        width: int = 48,
        blocks: int = 2,
        heads: int = 4,
        ratio: int = 2,
        trained_on: str = "",
        **more: object,
    ) -> None:
        self.factors, self.window, self.industries = list(factors), window, industries
        self.width, self.blocks, self.heads, self.ratio, self.trained_on = width, blocks, heads, ratio, trained_on
        super().__init__(**more)


class _Block(nn.Module):
    def __init__(self, width: int, heads: int, ratio: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, ratio * width), nn.Linear(ratio * width, width)
        self.modulation = nn.Linear(width, 6 * width)

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        shift, scale, gate, shift2, scale2, gate2 = self.modulation(nn.functional.silu(c))[:, None].chunk(6, -1)
        n, length, width = x.shape
        q, k, v = self.qkv(_norm(x) * (1 + scale) + shift).view(n, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        weights = ((q @ k.mT) / math.sqrt(q.shape[-1])).softmax(-1)
        x = x + gate * self.out((weights @ v).transpose(1, 2).reshape(n, length, width))
        return x + gate2 * self.down(nn.functional.gelu(self.up(_norm(x) * (1 + scale2) + shift2)))


def _norm(x: Tensor) -> Tensor:
    return nn.functional.layer_norm(x, x.shape[-1:])


class FactorDenoiser(PreTrainedModel):
    """80,564 numbers for 20 factors and 10 industries. Weights begin as adaLN-zero: at first it says that there is no noise."""

    config_class = FactorDenoiserConfig
    base_model_prefix = "denoiser"
    main_input_name = "x"
    _supports_sdpa = True  # as far as the loader is concerned; eight tokens are multiplied out

    def __init__(self, config: FactorDenoiserConfig) -> None:
        super().__init__(config)
        width, size = config.width, len(config.factors)
        self.enter, self.leave = nn.Linear(size, width), nn.Linear(width, size)
        self.position = nn.Parameter(torch.zeros(config.window, width))
        self.step = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width))
        self.label = nn.Sequential(nn.Linear(1, width), nn.SiLU(), nn.Linear(width, width))
        self.no_label = nn.Parameter(torch.zeros(width))
        self.industry = nn.Embedding(config.industries + 1, width)
        self.blocks = nn.ModuleList(_Block(width, config.heads, config.ratio) for _ in range(config.blocks))
        self.modulation = nn.Linear(width, 2 * width)
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, nn.Linear | nn.Embedding):
            nn.init.normal_(module.weight, std=0.02)
            if getattr(module, "bias", None) is not None:
                nn.init.zeros_(module.bias)

    def forward(self, x: Tensor, step: Tensor, label: Tensor, industry: Tensor) -> Tensor:
        """x: float (n, window, factors).  step: 1..1000, (n,).  label: float (n,), NaN: not told.  industry: (n,), -1: not told."""
        told = torch.isfinite(label)[:, None]
        c = self.step(waves(step, self.config.width)) + torch.where(told, self.label(label.nan_to_num()[:, None]), self.no_label)
        c = c + self.industry(torch.where(industry < 0, self.config.industries, industry))
        x = self.enter(x) + self.position
        for block in self.blocks:
            x = block(x, c)
        shift, scale = self.modulation(nn.functional.silu(c))[:, None].chunk(2, -1)
        return self.leave(_norm(x) * (1 + scale) + shift)


def waves(step: Tensor, width: int) -> Tensor:
    """Sines and cosines of the step (n,) at many rates: (n, width)."""
    rates = torch.exp(-math.log(10_000) * torch.arange(width // 2) / (width // 2))
    angles = step.float()[:, None] * rates
    return torch.cat([angles.sin(), angles.cos()], -1)


def new_denoiser(factors: Sequence[str], industries: int, rng: torch.Generator, trained_on: str = "") -> FactorDenoiser:
    """A fresh one, initialised from `rng` alone."""
    model = FactorDenoiser(FactorDenoiserConfig(factors=factors, industries=industries, trained_on=trained_on))
    with torch.no_grad():
        for name, weights in model.named_parameters():
            if weights.ndim == 2 and name not in ("position",):
                bound = 1 / math.sqrt(weights.shape[1])
                weights.copy_((2 * torch.rand(weights.shape, generator=rng) - 1) * bound)
            else:
                weights.zero_()
        model.position.copy_(0.02 * torch.randn(model.position.shape, generator=rng))
        model.no_label.copy_(0.02 * torch.randn(model.no_label.shape, generator=rng))
        for zero in (model.leave, model.modulation, *(block.modulation for block in model.blocks)):
            zero.weight.zero_()
    return model
