"""How a stitch begins: a matrix and a bias from the small model's stream into the large one's (methods/10 sections 3.2, 10).

    initialise(pool, "least_squares", pixels, generator)          # in place

transpose          the mean of the small model's transformation matrices, transposed: the paper's way; bias 0
scaled             the same divided by mean diag(W W^T), because trained matrices shrink what passes through them
chain              small -> ancestor -> large by both models' matrices at the nearest third: no data needed
least_squares      SN-Net's way: the best linear map between both streams on 100 pictures, averaged over a stitch's paths
random             nothing learned
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from core.engine.errors import LabError
from core.engine.stopping import go_on
from core.learngene.pool.paths import Way, paired, stitch_of
from core.learngene.pool.pool import Pool, third_positions
from core.learngene.pool.spec import InitName

PICTURES = 100


@torch.no_grad()
def initialise(pool: Pool, name: InitName, pixels: Tensor, generator: torch.Generator) -> None:
    """Sets every stitch of `pool`. `pixels`: training pictures, of which least squares uses 100.

    Raises LabError when the pool has no matrices for the way asked for.
    They are (n, 1, 16, 16); a stitch's weight is (large width, small width).
    """
    INITS[name](pool, pixels[:PICTURES], generator)


def transpose(pool: Pool, pixels: Tensor, generator: torch.Generator) -> None:
    """The faithful one: methods/10 section 3.2. `pixels` (n, 1, 16, 16) are not looked at."""
    _set_all(pool, _mean_matrix(pool).T)


def scaled(pool: Pool, pixels: Tensor, generator: torch.Generator) -> None:
    """The transpose, scaled so that going to the small width and back keeps the size of things on average.

    `pixels` (n, 1, 16, 16) are not looked at.
    """
    mean = _mean_matrix(pool)
    _set_all(pool, mean.T / (mean @ mean.T).diagonal().mean())


def chain(pool: Pool, pixels: Tensor, generator: torch.Generator) -> None:
    """M_large(m) M_small(m)^+ at the third m nearest to the stitch, and the bias that goes with it.

    `pixels` (n, 1, 16, 16) are not looked at.
    """
    if not pool.matrices.large or set(pool.matrices.large) != set(pool.matrices.small):
        raise LabError("This way needs the large model's matrices at all three thirds.",
                       "Build the pool with the large model matched densely.")
    places = dict(zip((1, 2, 3), third_positions(pool.blocks), strict=True))
    for index, stitch in enumerate(pool.stitches):
        third = min(places, key=lambda m: (abs(places[m] - index), m))
        lower, upper = pool.matrices.small[third], pool.matrices.large[third]
        weight = upper.weight.double() @ torch.linalg.pinv(lower.weight.double())
        stitch.weight.copy_(weight)
        stitch.bias.copy_(upper.bias - (weight @ lower.bias.double()).float())


def least_squares(pool: Pool, pixels: Tensor, generator: torch.Generator) -> None:
    """The least-squares map of every path, averaged over the paths that share a stitch. `pixels`: (n, 1, 16, 16)."""
    found: dict[int, list[Tensor]] = {}
    for way in paired(pool.blocks):
        go_on()
        found.setdefault(stitch_of(way, pool.blocks), []).append(solve(pool, way, pixels))
    for index, solutions in found.items():
        mean = torch.stack(solutions).mean(0)
        pool.stitches[index].weight.copy_(mean[:-1].T)
        pool.stitches[index].bias.copy_(mean[-1])


def random(pool: Pool, pixels: Tensor, generator: torch.Generator) -> None:
    """Truncated normal with the large model's own spread; bias 0. `pixels` (n, 1, 16, 16) are not looked at."""
    for stitch in pool.stitches:
        std = pool.large.config.initializer_range
        nn.init.trunc_normal_(stitch.weight, std=std, a=-2 * std, b=2 * std, generator=generator)
        nn.init.zeros_(stitch.bias)


INITS: dict[str, Callable[[Pool, Tensor, torch.Generator], None]] = {
    "transpose": transpose, "scaled": scaled, "chain": chain, "least_squares": least_squares, "random": random,
}


def solve(pool: Pool, way: Way, pixels: Tensor) -> Tensor:
    """[F 1]^+ G in float64: (small width + 1, large width), the last row being the bias."""
    lower, upper = streams(pool, way, pixels)
    ones = torch.ones(len(lower), 1, dtype=torch.float64)
    return torch.linalg.pinv(torch.cat([lower, ones], 1)) @ upper


def residual(pool: Pool, way: Way, pixels: Tensor, weight: Tensor, bias: Tensor) -> float:
    """How far a stitch misses the large model's own stream: Frobenius norm of [F 1] M - G.

    `pixels`: (n, 1, 16, 16).  `weight`: (large width, small width).  `bias`: (large width,).
    """
    lower, upper = streams(pool, way, pixels)
    return (lower @ weight.double().T + bias.double() - upper).norm().item()


@torch.no_grad()
def streams(pool: Pool, way: Way, pixels: Tensor) -> tuple[Tensor, Tensor]:
    """What a stitch gets and what it should give: all tokens of all pictures stacked, float64.

    (n * tokens, small width) and (n * tokens, large width) from `pixels` (n, 1, 16, 16).
    """
    return pool.lower(pixels, way.j).flatten(0, 1).double(), pool.entering(pixels, way.k).flatten(0, 1).double()


def _mean_matrix(pool: Pool) -> Tensor:
    if not pool.matrices.small:
        raise LabError("This pool was not distilled, so there are no matrices to start from.", "Use least squares or random, or distil.")
    return torch.stack([linear.weight for linear in pool.matrices.small.values()]).mean(0)


def _set_all(pool: Pool, weight: Tensor) -> None:
    for stitch in pool.stitches:
        stitch.weight.copy_(weight)
        nn.init.zeros_(stitch.bias)
