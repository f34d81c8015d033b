"""MoReS and LoReFT: one linear edit of a few states per layer, and nothing else is trained (methods/06 section 2).

    steering = Steering(width=192, layers=range(6), rank=1, rng=torch.Generator())
    with trace(model, edit=steering.edits(mask)):            # mask: bool (batch, tokens), what is steered
        model(**inputs)

Which positions are steered is all that MoReS (the picture's) and LoReFT (the prompt's) differ in. The edit acts on what leaves a layer,
while the prompt is read: generated tokens are left alone, and see steered states through the cache. A mask without any position leaves
the model bit for bit as it is, and so does strength 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from core.engine.errors import LabError
from core.engine.trace import Edit, Site


class Householder(nn.Module):
    """Orthonormal rows from as many free numbers: torch's own map "householder", which turns to zeros as soon as weight decay touches
    the signs on its diagonal (it cuts them to whole numbers); and no matrix of width x width beside it."""

    def forward(self, raw: Tensor) -> Tensor:
        """float (rank, width) -> the same shape, rows orthonormal."""
        tall = raw.mT
        vectors = tall.tril(-1)
        q = torch.linalg.householder_product(vectors, 2.0 / (1.0 + vectors.square().sum(-2)))
        return (q * torch.where(tall.diagonal() < 0, -1.0, 1.0)).mT

    @torch.no_grad()
    def right_inverse(self, rows: Tensor) -> Tensor:
        """The free numbers that give these orthonormal rows (rank, width)."""
        raw, tau = torch.geqrf(rows.mT)
        raw.diagonal().sign_()
        raw.diagonal()[tau == 0] *= -1
        return raw.mT.contiguous()


class LinearSteer(nn.Module):
    """h' = h + strength R'(W h + b - R h), R R' = I (methods/06, the boxed equation).

    R, W float (rank, width), b (rank,). The rows of R stay orthonormal: what is trained are its Householder vectors, as many numbers as
    R has. `init`: "identity" (W = R, b = 0: h' = h at first, exactly) or "random" (the paper's). Computed in float32.
    Raises LabError for a rank above the width.
    """

    def __init__(self, width: int, rank: int, rng: torch.Generator, init: str = "identity") -> None:
        super().__init__()
        if not 1 <= rank <= width:
            raise LabError(f"A rank of {rank} does not fit: this model's states have {width} numbers.", f"Choose a rank from 1 to {width}.")
        rotation = nn.utils.skip_init(nn.Linear, width, rank, bias=False)  # draws nothing from the generator that all share
        nn.init.orthogonal_(rotation.weight, generator=rng)
        parametrize.register_parametrization(rotation, "weight", Householder())
        self.rotation = rotation
        self.read = nn.utils.skip_init(nn.Linear, width, rank)
        with torch.no_grad():
            if init == "identity":
                self.read.weight.copy_(self.rotation.weight)
                self.read.bias.zero_()
            else:  # as nn.Linear does, from a generator of its own
                bound = width**-0.5
                self.read.weight.uniform_(-bound, bound, generator=rng)
                self.read.bias.uniform_(-bound, bound, generator=rng)

    def forward(self, h: Tensor, strength: float = 1.0) -> Tensor:
        """float (..., width) -> the same shape and type."""
        rotation = self.rotation.weight
        moved = nn.functional.linear(h.float(), self.read.weight - rotation, self.read.bias) @ rotation
        return (h.float() + strength * moved).to(h.dtype)

    def matrices(self) -> dict[str, Tensor]:
        """R and W (rank, width) and b (rank,) as they act: what is stored."""
        return {"R": self.rotation.weight.detach().clone(), "W": self.read.weight.detach().clone(), "b": self.read.bias.detach().clone()}

    @torch.no_grad()
    def take(self, R: Tensor, W: Tensor, b: Tensor) -> None:  # noqa: N803 - the paper's letters
        """Puts stored R and W (rank, width) and b (rank,) in place."""
        self.rotation.weight = R.float()
        self.read.weight.copy_(W)
        self.read.bias.copy_(b)


class Steering(nn.Module):
    """One `LinearSteer` for each of `layers`, nothing shared between them (methods/06 section 2.4)."""

    def __init__(self, width: int, layers: Iterable[int], rank: int, rng: torch.Generator, init: str = "identity") -> None:
        super().__init__()
        self.steers = nn.ModuleDict({str(layer): LinearSteer(width, rank, rng, init) for layer in layers})

    @property
    def layers(self) -> list[int]:
        return [int(layer) for layer in self.steers]

    def edits(self, mask: Tensor, strength: float = 1.0) -> dict[Site, Edit]:
        """For `trace`: the states where `mask` (bool, batch x tokens) is true are steered on leaving each layer. {}: nothing is."""
        if strength == 0 or not mask.any():
            return {}
        return {Site(int(layer), "resid_post"): _edit(steer, mask, strength) for layer, steer in self.steers.items()}

    def count(self) -> int:
        """Numbers that are trained: layers (2 width rank + rank)."""
        return sum(p.numel() for p in self.parameters())


def _edit(steer: LinearSteer, mask: Tensor, strength: float) -> Edit:
    rows, columns = mask.nonzero(as_tuple=True)
    whole = len(rows) == mask.numel()

    def change(x: Tensor, offset: int) -> Tensor:
        if offset:  # a further token of the answer
            return x
        if whole:
            return steer(x, strength)
        return x.index_put((rows, columns), steer(x[rows, columns], strength))

    return change


def mean_size(steering: Steering) -> Mapping[int, float]:
    """How far each layer's edit is from none: Frobenius norm of W - R plus that of b."""
    return {int(layer): float((s.read.weight - s.rotation.weight).norm() + s.read.bias.norm()) for layer, s in steering.steers.items()}
