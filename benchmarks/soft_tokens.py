"""How fast soft token attacks are: many targets at once against one at a time, and what more targets cost in memory.

    python -m benchmarks.soft_tokens

Both sides take the same steps on the same targets, none of which gives in (random texts of 32 pieces, 4 soft tokens).
Memory is what a process of its own holds at most while it attacks, less what it held when the model was loaded.
"""

from __future__ import annotations

import ctypes
import gc
import statistics
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import psutil

from benchmarks.timing import interleaved, summary, table, write

STEPS, TOKENS, LENGTH = 10, 4, 32
COUNTS = (1, 4, 16, 64)
MB = 2**20
LOOK_EVERY_S = 0.002


def main() -> None:
    rows = [*speeds(16), *memory()]
    print(table(rows))
    print(write("soft_tokens", rows, about={"steps": STEPS, "soft tokens": TOKENS, "text": LENGTH, "model": "embedded/worlds"}, notes=[
        "attacks_per_s: targets attacked for all steps, per second. ratio: batched over one at a time in the same run.",
        "memory_mb: the most resident memory that was seen while attacking, beyond what the process held with the model loaded."]))


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
                for _ in attacking.attack(loaded.model, part, [[seen[0]] * TOKENS] * len(part), attacking.AttackSettings(steps=STEPS)):
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
    """What attacking takes by number of targets in one batch."""
    return [{"what": "memory", "name": f"{count} targets", "memory_mb": _taken(count) / MB} for count in COUNTS]


def _taken(count: int) -> int:
    answer = subprocess.run([sys.executable, "-m", "benchmarks.soft_tokens", str(count)], capture_output=True, text=True, check=True)
    return int(answer.stdout.strip().splitlines()[-1])


def taken_here(count: int) -> None:
    """Prints how many bytes this process grows by while it attacks `count` targets in one batch."""
    attack = prepare(count)(count)
    gc.collect()
    if trim := getattr(ctypes.CDLL(None), "malloc_trim", None):
        trim(0)  # loading holds more for a while, and what it leaves behind would be used again unseen
    held = psutil.Process().memory_info().rss
    print(most_held(attack) - held)


def most_held(work: Callable[[], Any]) -> int:
    """The most bytes of resident memory that were seen while `work` ran."""
    process, done = psutil.Process(), threading.Event()
    seen = [process.memory_info().rss]

    def look() -> None:
        while not done.wait(LOOK_EVERY_S):
            seen.append(process.memory_info().rss)

    looker = threading.Thread(target=look)
    looker.start()
    try:
        work()
    finally:
        done.set()
        looker.join()
    return max(seen)


if __name__ == "__main__":
    taken_here(int(sys.argv[1])) if len(sys.argv) == 2 else main()
