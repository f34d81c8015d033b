"""The energy of a path through the layers: a reconstruction of the CoT-Kinetics idea, in one swappable place.

    path = path_of(means)                          # means: float tensor (..., layers + 1, width), the reasoning's mean states
    energy(path, "R2_kinetic_minus_curvature", 0.8)  # float tensor (...)

The paper's own equation could not be read, so `VARIANTS` holds readings of it; `R2` is the default (methods/03 section 2).
Mean state = position, layer = time, so velocity is a difference of layers. Higher means sounder, by convention; a variant
that sorts the wrong way round is shown that way. Energies of different models do not compare.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from core.engine.errors import LabError
from core.reasoning.spec import DEFAULT, GAMMA, VARIANT_NAMES

EPS = 1e-9


@dataclass(frozen=True)
class LayerPath:
    """All that the energies need of a path h_0..h_L, so that gamma and variant change without the model.

    kinetic (..., L): half the squared length of each step.  cosine (..., L-1): between consecutive steps, in [-1, 1].
    displacement (...): length from first to last state.  entropy (...): logit-lens entropy, mean over layers, in [0, 1],
    None when it was not read.  scale: mean kinetic energy of a calibration set (only `R5` uses it).
    """

    kinetic: Tensor
    cosine: Tensor
    displacement: Tensor
    entropy: Tensor | None = None
    scale: float = 1.0

    @property
    def curvature(self) -> Tensor:
        """1 - cosine, in [0, 2]: 0 straight on, 1 a right angle, 2 back again. (..., L-1)."""
        return 1 - self.cosine

    @property
    def curvature_energy(self) -> Tensor:
        """The share of momentum energy that the next layer does not carry on, (..., L-1)."""
        return self.kinetic[..., :-1] * self.curvature


def path_of(states: Tensor, entropy: Tensor | None = None, scale: float = 1.0) -> LayerPath:
    """The path of `states` (..., L+1, width), computed in float32 at least."""
    states = states.float() if states.dtype in (torch.float16, torch.bfloat16) else states
    velocity = states.diff(dim=-2)
    return LayerPath(*kinetics(velocity), (states[..., -1, :] - states[..., 0, :]).norm(dim=-1), entropy, scale)


def kinetics(velocity: Tensor) -> tuple[Tensor, Tensor]:
    """Kinetic energy (..., L) and cosine of consecutive steps (..., L-1) of `velocity` (..., L, width)."""
    squared = velocity.square().sum(-1)
    length = squared.sqrt()
    dots = (velocity[..., :-1, :] * velocity[..., 1:, :]).sum(-1)
    return 0.5 * squared, (dots / (length[..., :-1] * length[..., 1:] + EPS)).clamp(-1, 1)


def _kinetic(path: LayerPath, gamma: float) -> Tensor:
    return path.kinetic.mean(-1)


def _additive_norm(path: LayerPath, gamma: float) -> Tensor:
    lengths = (2 * path.kinetic).sqrt() / (path.displacement.unsqueeze(-1) + EPS)
    return lengths.mean(-1) - gamma * path.curvature.mean(-1)


def _minus_curvature(path: LayerPath, gamma: float) -> Tensor:
    return (path.kinetic[..., :-1] - gamma * path.curvature_energy).mean(-1)


def _bending(path: LayerPath, gamma: float) -> Tensor:
    before, after = path.kinetic[..., :-1], path.kinetic[..., 1:]
    half_acceleration_squared = before + after - 2 * (before * after).sqrt() * path.cosine
    return path.kinetic.mean(-1) - gamma * half_acceleration_squared.mean(-1)


def _discounted(path: LayerPath, gamma: float) -> Tensor:
    layers = path.kinetic.shape[-1]
    ages = torch.arange(layers - 1, -1, -1, dtype=path.kinetic.dtype, device=path.kinetic.device)
    return (path.kinetic * gamma**ages).sum(-1)


def _entropy_potential(path: LayerPath, gamma: float) -> Tensor:
    if path.entropy is None:
        raise LabError("This reading has no logit-lens entropy.", "Choose another variant, or read the text again with the logit lens on.")
    return path.kinetic.mean(-1) - gamma * path.scale * path.entropy


VARIANTS: dict[str, Callable[[LayerPath, float], Tensor]] = dict(
    zip(VARIANT_NAMES, (_kinetic, _additive_norm, _minus_curvature, _bending, _discounted, _entropy_potential), strict=True))


def energy(path: LayerPath, variant: str = DEFAULT, gamma: float = GAMMA) -> Tensor:
    """One number per path, (...). The only place to edit when the paper's own equation is known."""
    return VARIANTS[variant](path, gamma)


def coe_terms(states: Tensor) -> tuple[Tensor, Tensor]:
    """Chain-of-Embedding steps of `states` (..., L+1, width): normalised lengths M and angles A, each (..., L). CoE section 3."""
    lengths = states.diff(dim=-2).norm(dim=-1)
    whole = (states[..., -1, :] - states[..., 0, :]).norm(dim=-1, keepdim=True)
    angles = _angle(states[..., :-1, :], states[..., 1:, :])
    whole_angle = _angle(states[..., 0, :], states[..., -1, :]).unsqueeze(-1)
    return lengths / (whole + EPS), angles / (whole_angle + EPS)


def _angle(a: Tensor, b: Tensor) -> Tensor:
    cosine = (a * b).sum(-1) / (a.norm(dim=-1) * b.norm(dim=-1) + EPS)
    return cosine.clamp(-1, 1).arccos()


def coe_scores(states: Tensor) -> dict[str, Tensor]:
    """CoE-Mag, CoE-Ang, CoE-R and CoE-C of mean states (..., L+1, width), each (...), higher = more confident."""
    lengths, angles = coe_terms(states)
    magnitude, angle = lengths.mean(-1), angles.mean(-1)
    across, up = (lengths * angles.cos()).mean(-1), (lengths * angles.sin()).mean(-1)
    return {"CoE-Mag": magnitude, "CoE-Ang": -angle, "CoE-R": magnitude - angle, "CoE-C": (across.square() + up.square()).sqrt()}


def turn_degrees(path: LayerPath) -> Tensor:
    """The turn at each inner layer in degrees, (..., L-1)."""
    return path.cosine.arccos() * (180 / math.pi)
