"""Turning residuals down and up (methods/02 section 7), and the controls that must stand beside it.

    plan = edit(vectors, Strength(mode="ortho", biased=0.25, fair=0.5), layers=range(6))
    base, edited = deck.ask([{}, plan])

Every operator is the paper's idea in one of four readings; coefficients and layers are chosen on the dev split, never on the test.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from core.bias.residuals import PARTS, Vectors, final_norm
from core.engine.families import family_of
from core.engine.trace import Edit, Site

MODES = ("ortho", "literal", "subspace", "gate")
CAP = 4.0  # largest fair * number of layers: amplification compounds over layers
Plan = dict[Site, Edit]


@dataclass(frozen=True)
class Strength:
    """mode; lambda_b (how much of the biased part goes) and lambda_f (how much the fair one grows); k of subspace-k."""

    mode: str = "ortho"
    biased: float = 0.25
    fair: float = 0.5
    k: int = 3
    keep_norm: bool = False


def edit(vectors: Vectors, strength: Strength, layers: Iterable[int]) -> Plan:
    """Edits of the output of `layers`; {} when both coefficients are 0, which leaves the model bit for bit as it is."""
    if strength.biased == 0 and strength.fair == 0:
        return {}
    if strength.mode == "gate":
        return _gates(vectors, strength, layers)
    return {Site(layer, "resid_post"): _projection(*directions(vectors, strength, layer), strength) for layer in layers}


def directions(vectors: Vectors, strength: Strength, layer: int) -> tuple[Tensor, Tensor]:
    """Orthonormal rows (k, width) that are turned down and the unit vector (width,) that is turned up."""
    fair = _unit(vectors.fair[layer])
    if strength.mode == "literal":
        return _unit(vectors.biased[layer])[None], fair
    if strength.mode == "ortho":
        return _unit(_without(vectors.biased[layer], fair))[None], fair
    rows = vectors.stack[layer]
    rows = rows - (rows @ fair)[:, None] * fair
    return torch.linalg.svd(rows, full_matrices=False).Vh[:strength.k], fair  # un-centred: blind to the sign of a lean


def _projection(down: Tensor, up: Tensor, strength: Strength) -> Edit:
    def change(h: Tensor) -> Tensor:
        x, away, more = h.float(), down.to(h.device), up.to(h.device)
        new = x - strength.biased * (x @ away.T) @ away + strength.fair * (x @ more)[..., None] * more
        if strength.keep_norm:
            new = new * (x.norm(dim=-1, keepdim=True) / new.norm(dim=-1, keepdim=True).clamp(min=1e-6))
        return new.to(h.dtype)

    return change


def matrix(down: Tensor, up: Tensor, strength: Strength) -> Tensor:
    """The operator as a (width, width) matrix: what the tests look at."""
    return torch.eye(len(up)) - strength.biased * down.T @ down + strength.fair * torch.outer(up, up)


def _gates(vectors: Vectors, strength: Strength, layers: Iterable[int]) -> Plan:
    """h_l = h_{l-1} + s_1 delta_1 + s_2 delta_2, with 1 + lambda_f on the layer's fair residual and 1 - lambda_b on the other."""
    plan: Plan = {}
    for layer in layers:
        for kind, part in enumerate(PARTS):
            scale = 1 + strength.fair if int(vectors.gate[layer]) == kind else 1 - strength.biased
            plan[Site(layer, part)] = (lambda factor: lambda x: x * factor)(scale)
    return plan


# ---- controls and rivals that are edits ----


def random_vectors(vectors: Vectors, rng: torch.Generator) -> Vectors:
    """Directions by chance in place of the measured ones, of the same shapes: the control of the same mode and strength."""
    def draw(like: Tensor) -> Tensor:
        return torch.randn(like.shape, generator=rng)

    return Vectors(draw(vectors.fair), draw(vectors.biased), draw(vectors.stack), torch.randint(2, vectors.gate.shape, generator=rng))


def group_difference(first: Tensor, second: Tensor, layers: Iterable[int]) -> Plan:
    """Removes w_l = E[h_l | group 1] - E[h_l | group 2] over pairs (arXiv 2410.13976); `first`, `second` (pairs, layers + 1, width)."""
    gap = (first - second).mean(0)
    return {Site(layer, "resid_post"): _projection(_unit(gap[layer + 1])[None], torch.zeros(gap.shape[-1]), Strength(biased=1.0, fair=0.0))
            for layer in layers}


def readout_null(model: torch.nn.Module, groups: list[int]) -> Plan:
    """Removes gamma * (W[g] - W[g_1]) after the last layer: groups tie by construction, whatever is believed inside. Never a competitor.

    groups: the tokens of all groups; with several spellings all of them tie.
    """
    norm = final_norm(model)
    rows = model.get_output_embeddings().weight[groups]
    gaps = (norm.weight * (rows[1:] - rows[:1])).detach().float().cpu()
    basis = torch.linalg.qr(gaps.T).Q.T
    last = len(family_of(model).layers(model)) - 1
    return {Site(last, "resid_post"): _projection(basis, torch.zeros(rows.shape[1]), Strength(biased=1.0, fair=0.0))}


def halves(strength: Strength) -> dict[str, Strength]:
    """The edit with each half alone (claim C12)."""
    return {"turn down only": replace(strength, fair=0.0), "turn up only": replace(strength, biased=0.0)}


def layer_sets(count: int, peak: int) -> dict[str, range]:
    """The sets of layers that the dev split chooses among; `peak`: l*, counted from 0 for h_0."""
    return {"all": range(count), "last half": range(count // 2, count), "after the peak": range(min(max(peak, 0), count - 1), count)}


def _unit(vector: Tensor) -> Tensor:
    return vector / vector.norm().clamp(min=1e-12)


def _without(vector: Tensor, unit: Tensor) -> Tensor:
    return vector - (vector @ unit) * unit
