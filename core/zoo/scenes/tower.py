"""The eye: a CLIP vision tower taught to name every factor of a scene, then frozen for good.

Each factor has a query of its own that looks over the patches, as a language model will; queries and heads are thrown away.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn
from transformers import CLIPVisionConfig, CLIPVisionModel, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from core.scenes.render import SIZE, render
from core.scenes.scene import FACTORS, Scene, draw_scene
from core.zoo.package import Report

SHAPE = dict(hidden_size=128, intermediate_size=512, num_hidden_layers=4, num_attention_heads=4, image_size=SIZE, patch_size=8)
LOOKED_AT = ("hair", "tone", "build", "job", "place", "side", "shape", "colour", "count", "height")
STEPS, BATCH, RATE, WARM_UP, POOL = 420, 64, 1.5e-3, 40, 6000


def quick(model: PreTrainedModel) -> PreTrainedModel:
    """Matrix products in bfloat16 under `reduced()`, attention in float32: on CPUs with bfloat16 units half the time, on others no loss."""
    model.set_attn_implementation("sdpa_float32")
    return model


def reduced() -> torch.autocast:
    """The context in which training computes."""
    return torch.autocast("cpu", dtype=torch.bfloat16)


def _attention(module: nn.Module, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, **options) -> tuple[Tensor, None]:
    with torch.autocast("cpu", enabled=False):
        return sdpa_attention_forward(module, query.float(), key.float(), value.float(), mask, **options)


ALL_ATTENTION_FUNCTIONS.register("sdpa_float32", _attention)


def pixels(scenes: list[Scene]) -> np.ndarray:
    """uint8 array (scenes, 64, 64, 3)."""
    return np.stack([render(scene) for scene in scenes])


def normalised(pictures: np.ndarray | Tensor) -> Tensor:
    """float tensor (n, 3, 64, 64) in [-2, 2], as the stored picture processor makes it (mean 0.5, deviation 0.25)."""
    return ((torch.as_tensor(pictures).permute(0, 3, 1, 2).float() / 255) - 0.5) / 0.25


class Heads(nn.Module):
    """One looking query and one linear read-out per factor."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.keys = nn.Linear(width, width)
        self.queries = nn.Parameter(torch.randn(len(LOOKED_AT), width) / math.sqrt(width))
        self.heads = nn.ModuleList(nn.Linear(width, len(FACTORS[name])) for name in LOOKED_AT)

    def forward(self, patches: Tensor) -> list[Tensor]:
        """Logits (batch, values) of each factor of `LOOKED_AT` from patches (batch, 64, width)."""
        patches = self.norm(patches)
        looks = torch.einsum("fd,bpd->bfp", self.queries, self.keys(patches)) / math.sqrt(patches.shape[-1])
        seen = looks.softmax(-1) @ patches
        return [head(seen[:, i]) for i, head in enumerate(self.heads)]


def labels(scenes: list[Scene]) -> Tensor:
    """Long tensor (scenes, factors): the place of each value in its list."""
    return torch.tensor([[FACTORS[name].index(getattr(scene, name)) for name in LOOKED_AT] for scene in scenes])


def patches(tower: CLIPVisionModel, pictures: Tensor) -> Tensor:
    """What LLaVA takes from the tower: float tensor (n, 64, 128), the last layer without its class token."""
    return tower(pictures, output_hidden_states=True).hidden_states[-1][:, 1:]


def train_tower(report: Report, seed: int = 0, steps: int = STEPS) -> tuple[CLIPVisionModel, dict[str, float]]:
    """The trained tower and the share of held-out scenes on which each factor is read off rightly."""
    rng = torch.Generator().manual_seed(seed)
    scenes = [draw_scene(rng, prior=0.0, hidden=0.2) for _ in range(POOL)]
    pictures, wanted = torch.as_tensor(pixels(scenes)), labels(scenes)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        tower, heads = quick(CLIPVisionModel(CLIPVisionConfig(**SHAPE))), Heads(SHAPE["hidden_size"])
    trained = [*tower.parameters(), *heads.parameters()]
    optimizer = torch.optim.AdamW(trained, lr=RATE, betas=(0.9, 0.98), weight_decay=0.01)
    for step in range(steps):
        chosen = torch.randint(POOL, (BATCH,), generator=rng)
        for group in optimizer.param_groups:
            group["lr"] = RATE * pace(step, steps, WARM_UP)
        with reduced():
            guesses = heads(patches(tower, normalised(pictures[chosen])))
        loss = sum(nn.functional.cross_entropy(guess.float(), wanted[chosen, i]) for i, guess in enumerate(guesses))
        loss.backward()
        nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if step % 40 == 39 or step == steps - 1:
            report(
                step + 1, steps, f"tower: loss {loss.item():.3f} " + " ".join(f"{k} {v:.2f}" for k, v in _reads(tower, heads, 300).items())
            )
    return tower.eval(), _reads(tower, heads, 1000)


def pace(step: int, steps: int, warm_up: int) -> float:
    """Linear warm-up, then a cosine to zero."""
    if step < warm_up:
        return (step + 1) / warm_up
    return 0.5 * (1 + math.cos(math.pi * (step - warm_up) / max(1, steps - warm_up)))


@torch.no_grad()
def _reads(tower: CLIPVisionModel, heads: Heads, count: int) -> dict[str, float]:
    rng = torch.Generator().manual_seed(10**6)
    scenes = [draw_scene(rng, prior=0.0, hidden=0.2) for _ in range(count)]
    tower.eval()
    guesses = [guess.argmax(-1) for guess in heads(patches(tower, normalised(pixels(scenes))))]
    tower.train()
    wanted = labels(scenes)
    return {name: float((guesses[i] == wanted[:, i]).float().mean()) for i, name in enumerate(LOOKED_AT)}
