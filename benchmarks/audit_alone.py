"""The audit of ten questions of one's own on a real model, in a process of its own; `benchmarks/real.py` compares two states of the lab.

    PYTHONPATH=CHECKOUT python benchmarks/audit_alone.py MODELS        # the last line: {"cpu_s": ..., "wall_s": ..., "answers": {...}}

Uses only what both states have: questions from a table, every way of asking that it allows, and `examine`. Nothing is remembered between
the models, which are all the same one: three of them are what a run with a model from before and one that never knew asks.
"""

from __future__ import annotations

import csv
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from core.engine.models import ModelStore
from core.engine.settings import Settings
from core.engine.steps import Pacer
from core.unlearning.audit.examine import Questions, examine
from core.unlearning.prompts import AUDITS
from core.unlearning.questions import read_questions

MODEL, QUESTIONS = "got/smollm2", 10
TABLE = Path(__file__).resolve().parents[1] / "assets" / "samples" / "real.csv"


def table(folder: Path) -> Path:
    """Ten capitals as a visitor's table."""
    with TABLE.open(encoding="utf-8", newline="") as lines:
        rows = [row for row in csv.DictReader(lines) if row.pop("set") == "forget" and "|" not in row["key"]][:QUESTIONS]
    file = folder / "ten.csv"
    with file.open("w", encoding="utf-8", newline="") as lines:
        writer = csv.DictWriter(lines, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return file


def main() -> None:
    torch.set_num_threads(1)
    loaded = ModelStore(Settings()).load(MODEL)
    with tempfile.TemporaryDirectory() as folder:
        world = read_questions(table(Path(folder)))
    questions = Questions.draw(world, world.forget(1), list(AUDITS), [], lambda name: torch.Generator().manual_seed(len(name)))
    cpu, wall = time.process_time(), time.perf_counter()
    for _ in range(int(sys.argv[1])):
        steps: Any = examine(loaded.model, loaded.tokenizer, questions, Pacer(100), "audited", lambda asked: iter(()))
        while True:
            try:
                next(steps)
            except StopIteration as end:
                scores = end.value
                break
    taken = {"cpu_s": time.process_time() - cpu, "wall_s": time.perf_counter() - wall}
    answers = {way: replies.texts for way, replies in scores.asked.items()}
    print(json.dumps(taken | {"answers": answers, "truth ratios": scores.memory.truth_ratio, "readable": scores.readable}))


if __name__ == "__main__":
    main()
