"""Numbers from outputs and losses; no model in here.

    key_found("Ida Brandt was born in Porto.", "Porto")      # True
    wilson(27, 30)                                           # (0.74, 0.97)

Definitions follow methods/01 section 4.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

import torch

Z95 = 1.959963984540054


def key_found(output: str, key: str) -> bool:
    """Whether the key stands in the output as whole words, whatever the case."""
    return re.search(rf"(?<!\w){re.escape(key.lower())}(?!\w)", output.lower()) is not None


def rouge_l_recall(output: str, reference: str) -> float:
    """Longest common subsequence of words over the length of the reference, in [0, 1]. Lower case, no stemming."""
    said, wanted = (re.findall(r"\w+", text.lower()) for text in (output, reference))
    if not wanted:
        return 0.0
    row = [0] * (len(wanted) + 1)
    for word in said:
        diagonal = 0
        for j, other in enumerate(wanted, start=1):
            diagonal, row[j] = row[j], diagonal + 1 if word == other else max(row[j], row[j - 1])
    return row[-1] / len(wanted)


def wilson(hits: int, n: int) -> tuple[float, float]:
    """95 % Wilson score interval of a share; (0, 1) when there is nothing to count."""
    if n == 0:
        return 0.0, 1.0
    share, spread = hits / n, Z95**2 / n
    middle = (share + spread / 2) / (1 + spread)
    half = Z95 / (1 + spread) * math.sqrt(share * (1 - share) / n + spread / (4 * n))
    return max(0.0, middle - half), min(1.0, middle + half)


def bootstrap(values: Sequence[float], rng: torch.Generator, draws: int = 1000) -> tuple[float, float]:
    """95 % percentile interval of the mean over questions, by resampling questions."""
    data = torch.tensor(values, dtype=torch.float64)
    means = data[torch.randint(len(data), (draws, len(data)), generator=rng)].mean(-1)
    low, high = torch.quantile(means, torch.tensor([0.025, 0.975], dtype=torch.float64)).tolist()
    return low, high


def difference(values: Sequence[float], others: Sequence[float], rng: torch.Generator, draws: int = 1000) -> tuple[float, float]:
    """95 % bootstrap interval of the mean of `values - others`, both measured on the same questions."""
    return bootstrap([a - b for a, b in zip(values, others, strict=True)], rng, draws)


def recovered(unlearned: float, reference: float, original_direct: float, reference_direct: float) -> float:
    """The share of the removed knowledge that an audit brings back: rho of methods/01 section 4, clipped at 0.

    NaN when the original model knows no more than the reference, so that there was nothing to remove.
    """
    known = original_direct - reference_direct
    return max(0.0, (unlearned - reference) / known) if known > 0 else math.nan


def smallest_difference(n: int) -> float:
    """The smallest difference between two shares that n questions each can show: 80 % power, 5 % level, at the worst share 0.5."""
    return (Z95 + 0.8416212335729143) * math.sqrt(0.5 / n)
