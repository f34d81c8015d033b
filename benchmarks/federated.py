"""The federated page's speed: the default run and its memory, sampling and tuning for all places at once against one at a time.

    python -m benchmarks.federated              # prints, and writes benchmarks/results/federated.md with --write

Seconds of processor time on one thread; each ratio is of two things measured in turn in this process. What Flower's transport costs is
printed by `./launch.sh flower`, which runs both ways of sharing one after the other.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

from core.engine.lab import Cache, Lab
from core.engine.settings import ASSETS
from core.federated import client, experiments
from core.federated.painter import LATENT, Painter, load_painter
from core.federated.places import CLASSES, NEAREST, PLACES, draw, read_bank
from core.federated.spec import FederatedConfig

RESULTS = Path(__file__).parent / "results" / "federated.md"
EACH, SIZES, REPEATS = 40, (10, 20, 40), 3  # paintings of a place; batches that one place alone may paint in


def timed(what: Callable[[], object], repeats: int = REPEATS) -> float:
    """Least seconds of processor time of some calls."""
    taken = []
    for _ in range(repeats):
        began = time.process_time()
        what()
        taken.append(time.process_time() - began)
    return min(taken)


def spent(steps: Iterator[Any]) -> None:
    """Lets a generator run to its end."""
    for _ in steps:
        pass


def painting(painter: Painter) -> list[tuple[str, str]]:
    """One step of the sampler for the paintings of four places: all in one batch, and place by place in the best of three sizes."""
    noise = torch.randn(4 * EACH, *LATENT, generator=torch.Generator().manual_seed(0))
    context = painter.prompt([("neon", CLASSES[i % len(CLASSES)]) for i in range(len(noise))])

    def by(size: int) -> Callable[[], None]:
        return lambda: [next(painter.paint(noise[i: i + size], context[i: i + size], t_start=701, steps=10, guidance=2.5))
                        for i in range(0, len(noise), size)]

    whole = min(timed(by(size)) for size in (4 * EACH, 2 * EACH))
    alone = min(timed(by(size)) for size in SIZES)
    return [("sampling, all places in one batch / one place at a time", f"{alone / whole:.2f} times as fast (aim 2)")]


def tuning(painter: Painter) -> list[tuple[str, str]]:
    """Ten steps of concept tuning: four places in one pass, and one after the other."""
    bank = read_bank().clients
    held = [(*draw(look, bank, EACH, torch.Generator().manual_seed(1)), NEAREST[look.name]) for look in PLACES.values()]

    def tuned(places: list) -> None:
        generators = [torch.Generator().manual_seed(i) for i in range(len(places))]
        spent(client.concept_level(painter, places, steps=10, rate=0.02, batch=client.BATCH, generators=generators))

    whole = timed(lambda: tuned(held))
    alone = timed(lambda: [tuned([one]) for one in held])
    return [("concept tuning, all places at once / one by one", f"{alone / whole:.2f} times as fast (aim 2)")]


def main() -> None:
    """Measures and prints; with --write also into benchmarks/results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true")
    write = parser.parse_args().write
    torch.set_num_threads(1)
    painter = load_painter(ASSETS / "models" / "painter")
    took = timed(lambda: spent(experiments.run(FederatedConfig(), Lab(None, Cache(), seed=0, threads=1))), 1)  # type: ignore[arg-type]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    rows = [("default run, four places and three rivals", f"{took:.0f} s of one core (aim 60)"),
            ("most memory of that process", f"{peak:.0f} MB (at most 2,000)"), *painting(painter), *tuning(painter)]
    text = "| what | measured |\n| --- | --- |\n" + "".join(f"| {what} | {found} |\n" for what, found in rows)
    print(text)
    if write:
        RESULTS.write_text(f"# Federated synthesis\n\n{text}", encoding="utf-8")


if __name__ == "__main__":
    main()
