"""Where a run computes: with global generators seeded, on so many threads, and both as they were afterwards.

    with seeded(seed, threads):
        model.generate(...)
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator


def compute_on(threads: int) -> int:
    """Sets the compute threads of the calling thread alone, and gives what they were."""
    import torch

    before = torch.get_num_threads()  # asked first: a thread that never asked takes over what another one sets later
    torch.set_num_threads(threads)
    return before


@contextlib.contextmanager
def seeded(seed: int, threads: int) -> Iterator[None]:
    """Seeds the global generators (dropout, initialisation and `generate` use them) and puts them back."""
    import random

    import numpy as np
    import torch

    python, numpy, before = random.getstate(), np.random.get_state(), compute_on(threads)
    with torch.random.fork_rng():
        random.seed(seed), np.random.seed(seed), torch.manual_seed(seed)
        try:
            yield
        finally:
            random.setstate(python), np.random.set_state(numpy)
            compute_on(before)
