"""What a steering costs: a steered forward against a bare one, the attention pass against an eager one, a step against LoRA's.

    python -m benchmarks.steering
    python -m benchmarks.steering rates [METHOD ...]      # which learning rate each method is given in core/steering/rows.py, and why

All on embedded/scenes-base, batches of 12 pictures with four questions, sides interleaved in one run.
"""

from __future__ import annotations

import copy
import json
import statistics
import sys
from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.timing import RESULTS, interleaved, summary, table, write

BATCH, REPEATS = 12, 15
STEERED = ("mores", "mores-f4l5", "adapter")
CHOSEN = ("mores", "mores-frozen", "connector", "ia3", "lora-1", "lora-16", "full")  # other rows take the rate of their method
SEED = 100  # of no claim


def main() -> None:
    import torch

    from core.engine.models import ModelStore
    from core.engine.settings import Settings
    from core.engine.trace import trace
    from core.scenes.packing import hidden_states
    from core.steering.attention import watching
    from core.steering.data import Scenes, training_set
    from core.steering.methods import tune
    from core.steering.rows import ROWS
    from core.steering.training import Budget, fit

    torch.set_num_threads(1)
    store = ModelStore(Settings())
    scenes = Scenes(store.load("embedded/scenes-base"))
    lesson = training_set(scenes, 60, torch.Generator().manual_seed(1))
    batch, features = lesson.batch(scenes.tokenizer, BATCH, torch.Generator().manual_seed(2))
    made = {name: tune(copy.deepcopy(scenes.model), ROWS[name], torch.Generator().manual_seed(3))
            for name in ("mores", "mores-f4l5", "lora-16", "adapter", "full")}
    eager = store.load("embedded/scenes-base", attention="eager").model
    rows, places = batch.last()

    def forward(model: Any, plan: Any) -> Callable[[], None]:
        def run() -> None:
            with torch.no_grad(), trace(model, edit=plan):
                hidden_states(model, batch, features)
        return run

    def watched() -> None:
        with torch.no_grad(), watching(eager, rows, places):
            hidden_states(eager, batch, features)

    def unwatched() -> None:
        with torch.no_grad():
            hidden_states(eager, batch, features)

    def bare() -> None:
        with torch.no_grad():
            hidden_states(scenes.model, batch, features)

    def step(one: Any) -> Callable[[], None]:
        def run() -> None:
            list(fit(one, scenes, lesson, Budget(1, BATCH), rate=1e-4, rng=torch.Generator().manual_seed(4)))
        return run

    found: list[dict[str, Any]] = []
    for what, sides, against in (
            ("forward", {"bare": bare} | {n: forward(made[n].model, made[n].plan(batch)) for n in STEERED}, "bare"),
            ("attention", {"eager forward": unwatched, "with LMAR": watched}, "eager forward"),
            ("step", {n: step(made[n]) for n in ("mores", "lora-16", "full")}, "lora-16")):
        taken = interleaved(sides, repeats=REPEATS, warm_up=1)
        base = statistics.median(taken[against])
        found += [{"what": what, "name": name, **summary(seconds), f"against {against}": statistics.median(seconds) / base}
                  for name, seconds in taken.items()]
    print(table(found))
    print(write("steering", found, about={"batch": BATCH, "model": "embedded/scenes-base", "threads": 1}, notes=[
        "forward: without gradients. attention: LMAR reduced inside the pass against the same eager forward. step: one training step.",
        "Features of the frozen tower are computed once per data set and are in none of these."]))


def rates(names: Sequence[str]) -> None:
    """Every rate of `RATES` for every method, half as long as the claims train, by right answers to 500 validation questions.

    What is on record of other methods stays.
    """
    from core.engine.lab import Cache, Lab
    from core.engine.models import ModelStore
    from core.engine.settings import Settings
    from core.engine.steps import Pacer
    from core.steering.claims import RUN
    from core.steering.comparing import SHORTER, best, tried, validation
    from core.steering.data import Scenes, training_set
    from core.steering.rows import RATES, ROWS
    from core.steering.spec import CompareConfig

    config, lab = CompareConfig(**RUN), Lab(ModelStore(Settings()), Cache(), seed=SEED, threads=1)
    scenes = Scenes(lab.load(config.model))
    lesson, check = training_set(scenes, config.pictures, lab.rng("pictures")), validation(scenes, config, lab)
    file = RESULTS / "steering_rates.json"
    rows = [row for row in json.loads(file.read_text())["rows"] if row["method"] not in names] if file.exists() else []
    for name in names:
        found = _last(tried(config, lab, scenes, lesson, check, name, ROWS[name], Pacer(1)))
        rows.append({"method": name} | {f"{rate:g}": found[rate] for rate in RATES} | {"chosen": best(found)})
        print(rows[-1], flush=True)
    print(write("steering_rates", rows, about={"model": config.model, "seed": SEED, "steps": config.steps // SHORTER}, notes=[
        f"Share of {check.count} validation questions answered rightly, all colours alike.",
        "Written by `python -m benchmarks.steering rates`, before the claims of paper 06 were measured."]))


def _last(events: Any) -> Any:
    while True:
        try:
            next(events)
        except StopIteration as end:
            return end.value


if __name__ == "__main__":
    rates(sys.argv[2:] or CHOSEN) if sys.argv[1:2] == ["rates"] else main()
