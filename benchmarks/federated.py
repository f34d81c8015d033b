"""The federated page's speed: the default run and its memory, sampling and tuning for all places at once against one at a time.

    python -m benchmarks.federated              # prints, and writes benchmarks/results/federated.md with --write

Seconds of processor time on one thread; each ratio is of two things measured in turn in this process, each at its best batch size, and
stands beside the arithmetic: floating point operations a second, and what one large product of matrices reaches in the same minute. The
rows on Flower need its environment (`./launch.sh flower` makes it) and are left out without.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from core.engine.lab import Cache, Lab
from core.engine.settings import ASSETS, REPOSITORY
from core.federated import client, experiments
from core.federated.painter import LATENT, Painter, load_painter
from core.federated.places import CLASSES, NEAREST, PLACES, draw, read_bank
from core.federated.spec import FederatedConfig

RESULTS = Path(__file__).parent / "results" / "federated.md"
EACH, SIZES, REPEATS = 40, (10, 20, 40), 3  # paintings of a place; batches that one place alone may paint in
ROWS, SQUARE = (4, 16, 32, 64, 160), torch.randn(1024, 1024, generator=torch.Generator().manual_seed(0))
SMALL = {"shots": 2, "steps": 5, "tuning": 2, "learning": 10, "tests": 20}


def timed(**what: Callable[[], object]) -> dict[str, float]:
    """Least seconds of processor time of some calls of each, taken in turn, so that a busy machine is busy for all of them."""
    least = dict.fromkeys(what, float("inf"))
    for _ in range(REPEATS):
        for name, call in what.items():
            began = time.process_time()
            call()
            least[name] = min(least[name], time.process_time() - began)
    return least


def operations(call: Callable[[], object]) -> int:
    """Floating point operations of a call, multiplications and additions apart."""
    with FlopCounterMode(display=False) as counter:
        call()
    return counter.get_total_flops()


def product() -> None:
    """What a core does best: 2.1e9 operations."""
    torch.mm(SQUARE, SQUARE)


def spent(steps: Iterator[Any]) -> None:
    """Lets a generator run to its end."""
    for _ in steps:
        pass


def painting(painter: Painter) -> list[tuple[str, str]]:
    """One step of the sampler for the paintings of four places, in batches of all of them and of one place alone; then one pass of the
    network for batches of every size, which tells what limits it."""
    noise = torch.randn(4 * EACH, *LATENT, generator=torch.Generator().manual_seed(0))
    context = painter.prompt([("neon", CLASSES[i % len(CLASSES)]) for i in range(len(noise))])

    def by(size: int) -> Callable[[], None]:
        return lambda: [next(painter.paint(noise[i: i + size], context[i: i + size], t_start=701, steps=10, guidance=2.5))
                        for i in range(0, len(noise), size)]

    def once(rows: int) -> Callable[[], None]:
        times = torch.full((rows,), 701)
        return torch.no_grad()(lambda: painter.unet(noise[:rows], times, context[:rows]))

    ways = {f"by {size}": by(size) for size in (*SIZES, 4 * EACH)} | {f"once {rows}": once(rows) for rows in ROWS}
    took = timed(**ways, product=product)
    alone = min(took[f"by {size}"] for size in SIZES)
    one, best = operations(once(ROWS[0])) / ROWS[0], 2 * len(SQUARE) ** 3 / took["product"] / 1e9
    rates = ", ".join(f"{rows}: {one * rows / took[f'once {rows}'] / 1e9:.0f}" for rows in ROWS)
    return [("sampling, all places in one batch / one place at a time", f"{alone / took[f'by {4 * EACH}']:.2f} times as fast (aim 2)"),
            ("1e9 operations a second of the painter, by pictures in one pass", f"{rates}; a large product of matrices: {best:.0f}")]


def tuning(painter: Painter) -> list[tuple[str, str]]:
    """Ten steps of concept tuning, 16 pictures of a place in each as in a run: four places in one pass, and one after the other."""
    bank = read_bank().clients
    held = [(*draw(look, bank, EACH, torch.Generator().manual_seed(1)), NEAREST[look.name]) for look in PLACES.values()]

    def tuned(places: list) -> None:
        generators = [torch.Generator().manual_seed(i) for i in range(len(places))]
        spent(client.concept_level(painter, places, steps=10, rate=0.02, batch=client.BATCH, generators=generators))

    took = timed(whole=lambda: tuned(held), alone=lambda: [tuned([one]) for one in held])
    done = operations(lambda: tuned(held))
    rates = " and ".join(f"{done / took[way] / 1e9:.0f}" for way in ("whole", "alone"))
    return [("concept tuning, all places at once / one by one", f"{took['alone'] / took['whole']:.2f} times as fast (aim 2); "
             f"{rates} x 1e9 operations a second")]


def flower() -> list[tuple[str, str]]:
    """A small round over Flower's simulation and over a SuperLink with two SuperNodes, beside the same in one process."""
    python = Path(f"{os.environ.get('GLASSBOX_VENV', REPOSITORY / '.venv')}-flower") / "bin" / "python"
    rows = []
    for words, more in (("Flower's simulation, four places", ()), ("a SuperLink and two SuperNodes", ("--processes", "2"))):
        if python.exists():
            done = subprocess.run([str(python), "-m", "core.federated.flower", "--config", json.dumps(SMALL), *more], cwd=REPOSITORY,
                                  env=os.environ | {"PYTHONPATH": str(REPOSITORY)}, check=True, capture_output=True, text=True)
            found = json.loads(done.stdout.splitlines()[-1])
            over, plain = found["seconds over Flower"], found["seconds in one process"]
            rows.append((f"a small round over {words} / in one process",
                         f"{over:.0f} / {plain:.0f} s by the clock, {over - plain:.0f} s more"))
    return rows


def main() -> None:
    """Measures and prints; with --write also into benchmarks/results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true")
    write = parser.parse_args().write
    torch.set_num_threads(1)
    painter = load_painter(ASSETS / "models" / "painter")
    began = time.process_time()
    spent(experiments.run(FederatedConfig(), Lab(None, Cache(), seed=0, threads=1)))  # type: ignore[arg-type]
    took = time.process_time() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    rows = [("default run, four places and three rivals", f"{took:.0f} s of one core (aim 60)"),
            ("most memory of that process", f"{peak:.0f} MB (at most 2,000)"), *painting(painter), *tuning(painter), *flower()]
    text = "| what | measured |\n| --- | --- |\n" + "".join(f"| {what} | {found} |\n" for what, found in rows)
    print(text)
    if write:
        RESULTS.write_text(f"# Federated synthesis\n\n{text}", encoding="utf-8")


if __name__ == "__main__":
    main()
