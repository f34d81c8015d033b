"""Does an answer prove that it knew? Soft tokens that make a model say anything (paper 05).

`unlearning/soft-tokens` puts a few trained vectors in front of a question until the model gives the wanted text, on four
models: one that knows, one made to forget, one that never knew, one with random weights. What it says stands in spec.py.
"""

from __future__ import annotations

from collections.abc import Iterator

from core.engine.events import Event, Progress
from core.engine.lab import Lab
from core.unlearning.soft_tokens import bench
from core.unlearning.soft_tokens.spec import SoftTokensConfig


def soft_tokens(config: SoftTokensConfig, lab: Lab) -> Iterator[Event]:
    """Attack, compare, judge. Raises LabError for models that cannot be attacked."""
    yield Progress(0, 1, "opening the bench")
    yield from bench.run(config, lab)
