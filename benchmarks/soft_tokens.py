"""How fast soft token attacks are: many targets at once against one at a time, and what more targets cost in memory.

    python -m benchmarks.soft_tokens

Both sides take the same steps on the same targets, none of which gives in (random texts of 32 pieces, 4 soft tokens).
Memory is the peak of a process of its own, less that of one which only loads the model.
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
from collections.abc import Callable
from typing import Any

from benchmarks.timing import interleaved, summary, table, write

STEPS, TOKENS, LENGTH = 10, 4, 32
COUNTS = (1, 4, 16, 64)
MB = 2**20


def main() -> None:
    rows = [*speeds(16), *memory()]
    print(table(rows))
    print(write("soft_tokens", rows, about={"steps": STEPS, "soft tokens": TOKENS, "text": LENGTH, "model": "embedded/worlds"}, notes=[
        "attacks_per_s: targets attacked for all steps, per second. ratio: batched over one at a time in the same run.",
        "memory_mb: peak resident memory beyond that of a process that only loads the model; 0 where loading itself took more."]))


def prepare(count: int) -> Callable[[int], Callable[[], Any]]:
    """A function that attacks `count` targets in batches of the size given to it."""
    import torch

    from core.engine.models import ModelStore
    from core.engine.settings import ASSETS, Settings
    from core.unlearning.data import read_world
    from core.unlearning.soft_tokens import attack as attacking
    from core.unlearning.soft_tokens.targets import random_tokens, seen_tokens

    loaded = ModelStore(Settings()).load("embedded/worlds")
    seen = seen_tokens(loaded.tokenizer, [record.answer for record in read_world(ASSETS / "models" / "worlds", "authors").records])
    rng = torch.Generator().manual_seed(0)
    targets = [random_tokens(loaded.tokenizer, seen, LENGTH, rng) for _ in range(count)]

    def in_batches(size: int) -> Callable[[], Any]:
        def run() -> None:
            for start in range(0, count, size):
                part = targets[start:start + size]
                for _ in attacking.attack(loaded.model, part, [[seen[0]] * TOKENS] * len(part), attacking.Settings(steps=STEPS)):
                    pass

        return run

    return in_batches


def speeds(count: int) -> list[dict[str, Any]]:
    """Seconds for `count` targets both ways, interleaved."""
    in_batches = prepare(count)
    taken = interleaved({"one at a time": in_batches(1), f"{count} at once": in_batches(count)}, repeats=5, warm_up=1)
    alone = statistics.median(taken["one at a time"])
    return [{"what": "speed", "name": name, **summary(seconds), "attacks_per_s": count / statistics.median(seconds),
             "ratio": alone / statistics.median(seconds)} for name, seconds in taken.items()]


def memory() -> list[dict[str, Any]]:
    """Peak memory by number of targets in one batch."""
    peaks = {count: _peak(count) for count in (0, *COUNTS)}
    return [{"what": "memory", "name": f"{count} targets", "memory_mb": (peaks[count] - peaks[0]) / MB} for count in COUNTS]


def _peak(count: int) -> int:
    answer = subprocess.run([sys.executable, "-m", "benchmarks.soft_tokens", str(count)], capture_output=True, text=True, check=True)
    return int(answer.stdout.strip().splitlines()[-1])


def peak_here(count: int) -> None:
    """Prints this process's peak in bytes after one batch of `count` targets."""
    in_batches = prepare(count)
    if count:
        in_batches(count)()
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)


if __name__ == "__main__":
    peak_here(int(sys.argv[1])) if len(sys.argv) == 2 else main()
