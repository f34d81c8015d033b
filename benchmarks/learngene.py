"""Growing a network against loading one, the slider against a bare forward, and a formula against a count.

    python -m benchmarks.learngene            # writes benchmarks/results/learngene.json and .md

One process, one thread, the embedded learngene of the letters. Aims are judged by the time that passes, as a visitor feels it; CPU
time stands beside it, because machines are busy.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import ViTForImageClassification

from benchmarks.timing import ratio, summary, table, versions, wall_and_cpu, write
from core.engine.lab import Cache, Lab
from core.engine.models import ModelStore
from core.engine.settings import Settings
from core.learngene.data import read_task
from core.learngene.depth.learngene import Learngene
from core.learngene.depth.probes import expand
from core.learngene.depth.spec import ExpandConfig
from core.learngene.vit import logits, macs

DEPTHS = (1, 4, 8, 12, 16)
RATIO, WAIT_MS = 1.3, 400  # what an answer may cost: bare forwards, and milliseconds that pass
ANSWERS = ("whole answer of the slider", "the same with a drawing")
REPEATS = 25
THREADS = 1


def main() -> None:
    """Measures, prints and writes."""
    torch.set_num_threads(THREADS)
    torch.set_grad_enabled(False)
    rows, notes = [], []
    lab = Lab(ModelStore(Settings()), Cache(), seed=0, threads=THREADS)
    gene = Learngene(lab.load("embedded/learngene-letters", attention="eager").model)
    with tempfile.TemporaryDirectory() as folder:
        for depth in DEPTHS:
            model, home = gene.expand(depth), Path(folder) / str(depth)
            model.save_pretrained(home)
            rows += _compare(f"a network of {depth} layer{'s' * (depth > 1)}", {
                "loaded from disk": lambda home=home: ViTForImageClassification.from_pretrained(home, dtype=torch.float32),
                "grown from the learngene": lambda depth=depth: gene.expand(depth)})
            pixels = read_task("letters").shown[0]
            drawing = pixels[1, 0].tolist()
            rows += _compare(f"the slider at depth {depth}", {
                "bare forward of 256 pictures": lambda model=model, pixels=pixels: logits(model, pixels),
                ANSWERS[0]: lambda depth=depth: expand(ExpandConfig(depth=depth), lab),
                ANSWERS[1]: lambda depth=depth, drawing=drawing: expand(ExpandConfig(depth=depth, drawing=drawing), lab)})
            notes.append(_counted(model, depth))
    notes += ["Ratio: median over the repeats of a row to the first of its group, by CPU time; wall_ratio: by the time that passed.",
              _aim(rows),
              "Nothing is cached between the answers of the slider but the ancestor's.",
              "Wall times include waiting for other work on the machine; the load is below."]
    print(table(rows))
    print(*notes, sep="\n")
    about = versions("torch", "transformers") | {"threads": THREADS, "dtype": "float32", "attention": "eager"}
    write("learngene", rows, notes, about=about)


def _compare(what: str, candidates: dict[str, Callable[[], Any]]) -> list[dict[str, Any]]:
    wall, cpu = wall_and_cpu(candidates, REPEATS)
    first = next(iter(candidates))
    return [{"what": what, "how": name, "cpu_ms": summary(cpu[name])["median_ms"], **summary(wall[name]),
             "ratio": ratio(cpu[name], cpu[first]), "wall_ratio": ratio(wall[name], wall[first])} for name in candidates]


def _aim(rows: list[dict[str, Any]]) -> str:
    """Whether every answer of the slider keeps both aims, drawings included; those that miss one by name."""
    answers = [row for row in rows if row["how"] in ANSWERS]
    missed = [f"{row['what']}, {row['how']} ({row['wall_ratio']:.2f} forwards, {row['median_ms']:.0f} ms)"
              for row in answers if row["wall_ratio"] > RATIO or row["median_ms"] > WAIT_MS]
    kept = f"kept by {len(answers) - len(missed)} of {len(answers)} rows"
    return (f"Aims, by the time that passes: an answer of the slider costs at most {RATIO} bare forwards and {WAIT_MS} ms. They are {kept}"
            + (f"; missed by {'; '.join(missed)}." if missed else "."))


def _counted(model: ViTForImageClassification, depth: int) -> str:
    with FlopCounterMode(display=False) as counter:
        logits(model, torch.zeros(1, 1, 16, 16))
    counted, formula = counter.get_total_flops() // 2, macs(model.config)
    return f"Multiply-adds of one picture at depth {depth}: formula {formula:,}, counted in a forward {counted:,}."


if __name__ == "__main__":
    main()
