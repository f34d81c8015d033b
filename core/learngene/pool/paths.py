"""Which ways lead through two stacks of blocks, and what each costs (methods/10 sections 3.1 and 4).

    for path in all_paths(6): ...               # the small model, the large one, and 16 stitched ones
    parameters_of(path, small.config, large.config), macs_of(path, small.config, large.config)

A stitched path (j, k) runs the small model's blocks 0..j, one stitch, and the large model's blocks k..n-1.
"""

from __future__ import annotations

from dataclasses import dataclass

from transformers import ViTConfig

from core.engine.errors import LabError
from core.learngene.vit import block_macs, block_parameters, macs, tokens


@dataclass(frozen=True)
class Way:
    """`j` None: the large model alone; `k` None: the small one alone. `trained` False: no window covers (j, k)."""

    j: int | None
    k: int | None

    @property
    def stitched(self) -> bool:
        return self.j is not None and self.k is not None

    @property
    def trained(self) -> bool:
        return not self.stitched or abs(self.j - self.k) <= 1

    @property
    def name(self) -> str:
        """As metrics call it, blocks counted from 0: "small", "large", or "2-3"."""
        return f"{self.j}-{self.k}" if self.stitched else "small" if self.k is None else "large"

    @property
    def title(self) -> str:
        """As figures, tables and the board show it, blocks counted from 1: "small", "large", or "3 → 4"."""
        return f"{self.j + 1} → {self.k + 1}" if self.stitched else self.name


SMALL, LARGE = Way(-1, None), Way(None, -1)


def paired(blocks: int) -> list[Way]:
    """The stitched paths of SN-Net's paired stitching: a window of two blocks slides down both stacks; 3n - 2 in all."""
    found = []
    for start in range(blocks):
        window = [place for place in (start, start + 1) if place < blocks]
        found += [Way(j, k) for j in window for k in window if Way(j, k) not in found]
    return found


def all_paths(blocks: int) -> list[Way]:
    """Every model of a pool: 3n."""
    return [SMALL, LARGE, *paired(blocks)]


def stitch_of(way: Way, blocks: int) -> int:
    """The stitch that a stitched path uses: that of the first window which covers it, else the nearest one."""
    if not way.stitched or not (0 <= way.j < blocks and 0 <= way.k < blocks):
        raise LabError(f"There is no stitched path {way.name} through {blocks} blocks.", f"Blocks are 0 to {blocks - 1}.")
    owner = max(way.j, way.k) - 1 if way.trained else (way.j + way.k - 1) // 2
    return min(blocks - 2, max(0, owner))


def stitch_parameters(small: ViTConfig, large: ViTConfig) -> int:
    """Numbers in one stitch: a matrix and a bias."""
    return small.hidden_size * large.hidden_size + large.hidden_size


def plain_parameters(config: ViTConfig, classes: int) -> int:
    """Numbers in a classifier, by formula: embedding, class token and positions counted."""
    return embedding_parameters(config) + config.num_hidden_layers * block_parameters(config) + _top(config, classes)


def embedding_parameters(config: ViTConfig) -> int:
    """Patch matrix and bias, class token, positions."""
    width = config.hidden_size
    return width * (config.patch_size**2 * config.num_channels + 1) + width + tokens(config) * width


def parameters_of(way: Way, small: ViTConfig, large: ViTConfig, classes: int) -> int:
    """Numbers a path uses."""
    if not way.stitched:
        return plain_parameters(small if way == SMALL else large, classes)
    lower = embedding_parameters(small) + (way.j + 1) * block_parameters(small)
    upper = (large.num_hidden_layers - way.k) * block_parameters(large) + _top(large, classes)
    return lower + stitch_parameters(small, large) + upper


def macs_of(way: Way, small: ViTConfig, large: ViTConfig, classes: int) -> int:
    """Multiply-adds of a path for one picture."""
    if not way.stitched:
        config = small if way == SMALL else large
        return macs(config) + config.hidden_size * (classes - config.num_labels)
    embed = macs(small, 0) - small.hidden_size * small.num_labels
    stitch = tokens(small) * small.hidden_size * large.hidden_size
    upper = (large.num_hidden_layers - way.k) * block_macs(large) + large.hidden_size * classes
    return embed + (way.j + 1) * block_macs(small) + stitch + upper


def stored(small: ViTConfig, large: ViTConfig, classes: int) -> int:
    """Numbers of the whole pool: both models and n - 1 stitches."""
    stitches = (small.num_hidden_layers - 1) * stitch_parameters(small, large)
    return plain_parameters(small, classes) + plain_parameters(large, classes) + stitches


def front(points: list[tuple[float, float]]) -> list[int]:
    """Indices of the points (cost, worth) that no other point beats in both: the Pareto front, cheapest first."""
    order = sorted(range(len(points)), key=lambda i: (points[i][0], -points[i][1]))
    kept, best = [], float("-inf")
    for i in order:
        if points[i][1] > best:
            kept.append(i)
            best = points[i][1]
    return kept


def _top(config: ViTConfig, classes: int) -> int:
    return 2 * config.hidden_size + (config.hidden_size + 1) * classes
