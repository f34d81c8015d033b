"""How sure a number is: one interval of a share, one bootstrap, and two different questions about a difference.

    wilson(27, 30)                       # (0.744, 0.965)
    smallest_detectable(30)              # 0.36: what 30 questions each would show four times in five
    beyond_chance(0.5, 30)               # 0.25: equal shares differ by less than this nineteen times in twenty
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

Z95, Z80 = 1.959963984540054, 0.8416212335729143  # of the normal distribution: two-sided 95 %, one-sided 80 %


def wilson(hits: int, n: int) -> tuple[float, float]:
    """95 % Wilson score interval of a share; (0, 1) when there is nothing to count."""
    from scipy.stats import binomtest

    if n == 0:
        return 0.0, 1.0
    low, high = binomtest(hits, n).proportion_ci(0.95, "wilson")
    return float(low), float(high)


def share_interval(share: float, n: int) -> tuple[float, float]:
    """The same of a share that was measured on n items."""
    return wilson(round(share * n), n)


def bootstrap(values: Sequence[float], rng: torch.Generator, draws: int = 1000) -> tuple[float, float]:
    """95 % percentile interval of the mean over questions, by resampling questions."""
    import torch

    data = torch.tensor(values, dtype=torch.float64)
    means = data[torch.randint(len(data), (draws, len(data)), generator=rng)].mean(-1)
    low, high = torch.quantile(means, torch.tensor([0.025, 0.975], dtype=torch.float64)).tolist()
    return low, high


def difference(values: Sequence[float], others: Sequence[float], rng: torch.Generator, draws: int = 1000) -> tuple[float, float]:
    """95 % bootstrap interval of the mean of `values - others`, both measured on the same questions."""
    return bootstrap([a - b for a, b in zip(values, others, strict=True)], rng, draws)


def apart(hits: int, n: int, others: int, m: int) -> tuple[float, float]:
    """95 % interval of the difference of two shares measured on different items, hits / n - others / m: Newcombe's hybrid of the two
    Wilson intervals (1998, method 10)."""
    p, q = hits / n, others / m
    (low, high), (below, above) = wilson(hits, n), wilson(others, m)
    return p - q - math.hypot(p - low, above - q), p - q + math.hypot(high - p, q - below)


def smallest_detectable(n: int) -> float:
    """The smallest difference between two shares that n questions each can show: 80 % power, 5 % level, at the worst share 0.5."""
    return (Z95 + Z80) * math.sqrt(0.5 / n)


def beyond_chance(share: float, n: int) -> float:
    """Half of a two-sided 95 % interval of the difference of two shares near `share`, each of n items: a measured difference has to
    be larger to be more than chance. A true one has to be 1.43 times as large to be found as a rule, see `smallest_detectable`."""
    return Z95 * math.sqrt(2 * max(share * (1 - share), 1 / n) / n)
