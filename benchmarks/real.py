"""What a real language model costs on a small machine: asking, a step of forgetting, soft tokens, loading, generating under a trace.

    glassbox get smollm2
    python -m benchmarks.real [--only NAME ...] [--before CHECKOUT]

Every ratio is between two ways of doing the same in one run, by the CPU seconds of the process: reading a common beginning once, in
batches of 16, against reading it in every row, in batches of 8; ten soft-token attacks at once against one after the other; a step of an
attack against a bare forward and backward of the same tokens; generation with all layers captured against generation alone.
With a checkout of an earlier state of the lab, also the audit of ten questions in both, each in a process of its own, at the same time,
so that both meet the same machine.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from benchmarks.timing import peak_memory, ratio, table, versions, wall_and_cpu, write
from core.engine.decoding import decode_greedily, left_padded
from core.engine.families import family_of
from core.engine.models import LoadedModel, ModelStore
from core.engine.settings import Settings
from core.engine.trace import Site, trace
from core.unlearning import answers
from core.unlearning.prompts import build_prompts, put, render
from core.unlearning.real import read_real
from core.unlearning.soft_tokens.attack import AttackSettings, Layout, attack
from core.unlearning.soft_tokens.targets import encode_target

MODEL = "got/smollm2"
WAYS = ("direct", "prefix", "affirm", "icl", "choice", "paraphrase", "cloze")
QUESTIONS, REPEATS, TOKENS, STEPS, MODELS = 10, 2, 10, 2, 3
Row = dict[str, Any]


def once(shared: int, do: Callable[[], Any]) -> Callable[[], Any]:
    """`do` with beginnings of at least so many tokens read once."""
    def run() -> Any:
        before, answers.SHARED = answers.SHARED, shared
        try:
            return do()
        finally:
            answers.SHARED = before

    return run


def compared(name: str, new: Callable[[], Any], old: Callable[[], Any], repeats: int = REPEATS) -> Row:
    """CPU and wall of two ways; `ratio` is new over old."""
    wall, cpu = wall_and_cpu({"new": new, "old": old}, repeats, warm_up=0)
    return {"what": name, "cpu_s": statistics.median(cpu["new"]), "before_cpu_s": statistics.median(cpu["old"]),
            "ratio": ratio(cpu["new"], cpu["old"]), "wall_ratio": ratio(wall["new"], wall["old"])}


def asking(loaded: LoadedModel) -> Row:
    """Ten questions in seven ways, answers compared."""
    world = read_real()
    texts = [render(prompt, loaded.tokenizer) for way in WAYS
             for prompt in build_prompts(way, world.forget(1)[:QUESTIONS], world, torch.Generator().manual_seed(0))]
    said: dict[str, list[str]] = {}

    def ask(name: str, batch: int) -> Callable[[], None]:
        def run() -> None:
            said[name] = [text for start in range(0, len(texts), QUESTIONS)
                          for text in answers.answer(loaded.model, loaded.tokenizer, texts[start:start + QUESTIONS], batch=batch)]

        return run

    row = compared("ask 10 questions in 7 ways", once(16, ask("new", 16)), once(10**6, ask("old", 8)), repeats=1)
    same = sum(a == b for a, b in zip(said["new"], said["old"], strict=True))
    return row | {"note": f"{same} of {len(texts)} answers equal"}


def forgetting(loaded: LoadedModel) -> Row:
    """Forward and backward over 14 answers, the losses compared."""
    records = read_real().forget(1)
    encoded = answers.encode_answers(loaded.tokenizer, [render(put(r), loaded.tokenizer) for r in records], [r.answer for r in records])
    weights, found = loaded.model.get_input_embeddings().weight.requires_grad_(True), {}

    def step(name: str) -> Callable[[], None]:
        def run() -> None:
            losses = answers.token_scores(loaded.model, encoded).losses.total
            losses.sum().backward()
            weights.grad, found[name] = None, losses.detach()

        return run

    row = compared("forward and backward over 14 answers", once(16, step("new")), once(10**6, step("old")))
    weights.requires_grad_(False)
    return row | {"note": f"losses differ by at most {(found['new'] - found['old']).abs().max():.1e} nats"}


def soft_tokens(loaded: LoadedModel) -> list[Row]:
    """Steps of an attack on ten answers: at once, one after the other, and against a bare forward and backward."""
    targets = [encode_target(loaded.tokenizer, put(r).text, f" {r.perturbed_answers[0]}") for r in read_real().forget(1)[:QUESTIONS]]
    starts = [[510] * TOKENS for _ in targets]

    def attacked(size: int) -> Callable[[], None]:
        def run() -> None:
            for i in range(0, len(targets), size):
                for _ in attack(loaded.model, targets[i:i + size], starts[i:i + size], AttackSettings(steps=STEPS)):
                    pass

        return run

    layout = Layout(loaded.model, targets, [TOKENS] * len(targets))

    def bare() -> None:
        for step in range(STEPS + 1):
            given = layout.fixed.clone().requires_grad_(step < STEPS)
            with torch.set_grad_enabled(step < STEPS):
                logits = loaded.model(inputs_embeds=given, use_cache=False, logits_to_keep=layout.window).logits
                loss = torch.nn.functional.cross_entropy(logits[layout.rows, layout.columns], layout.wanted)
            if step < STEPS:
                loss.backward()

    return [compared("soft tokens: ten targets at once against one at a time", attacked(10), attacked(1)),
            compared("soft tokens: a step against a bare forward and backward", attacked(10), bare)]


def generating(loaded: LoadedModel) -> Row:
    """Thirty tokens for eight prompts, all layers captured or not."""
    rows = [answers.encode_prompt(loaded.tokenizer, render(put(r), loaded.tokenizer)) for r in read_real().forget(1)[:8]]
    ids, mask = left_padded(rows, answers.padding(loaded.tokenizer))
    sites = [Site(layer, "resid_post") for layer in range(len(family_of(loaded.model).layers(loaded.model)))]

    def bare() -> None:
        decode_greedily(loaded.model, ids, mask, set(), answers.NEW_TOKENS)

    def traced() -> None:
        with trace(loaded.model, capture=sites):
            decode_greedily(loaded.model, ids, mask, set(), answers.NEW_TOKENS)

    row = compared("generation with all layers captured", traced, bare)
    return row | {"note": f"{1 / row['ratio']:.3f} of the tokens per second of generation alone"}


def memory(targets: int) -> Row:
    """The most that a process of its own holds while it attacks so many targets."""
    out = subprocess.run([sys.executable, "-m", "benchmarks.real", "--attack", str(targets)], capture_output=True, text=True, check=True)
    loading, wall, peak = map(float, out.stdout.split()[-3:])
    return {"what": f"soft tokens, {targets} target{'s' if targets > 1 else ''}, a process of its own", "cpu_s": loading,
            "note": f"peak {peak:.2f} GB; cpu_s: loading the model, {wall:.1f} s by the clock"}


def attack_alone(targets: int) -> None:
    """Loads, attacks and says: CPU and wall seconds of loading, most memory in GB."""
    cpu, wall = time.process_time(), time.perf_counter()
    loaded = ModelStore(Settings()).load(MODEL)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    records = read_real().forget(1)[:targets]
    chosen = [encode_target(loaded.tokenizer, put(r).text, f" {r.perturbed_answers[0]}") for r in records]
    for _ in attack(loaded.model, chosen, [[510] * TOKENS] * targets, AttackSettings(steps=STEPS)):
        pass
    print(cpu, wall, peak_memory())


def audited(before: str) -> Row:
    """Ten questions in every way that their table allows and all that is read beside, three models' worth, in two states of the lab."""
    here = str(Path(__file__).resolve().parents[1])
    script = [sys.executable, "-P", str(Path(__file__).with_name("audit_alone.py")), str(MODELS)]
    running = [subprocess.Popen(script, cwd=folder, env=os.environ | {"PYTHONPATH": folder}, stdout=subprocess.PIPE, text=True)
               for folder in (here, before)]
    new, old = (json.loads(process.communicate()[0].splitlines()[-1]) for process in running)
    pairs = [(a, b) for way, texts in old["answers"].items() for a, b in zip(new["answers"][way], texts, strict=True)]
    return {"what": "the audit of ten questions, three models' worth, against an earlier state of the lab", "cpu_s": new["cpu_s"],
            "before_cpu_s": old["cpu_s"], "ratio": new["cpu_s"] / old["cpu_s"], "wall_ratio": new["wall_s"] / old["wall_s"],
            "note": f"{sum(a == b for a, b in pairs)} of {len(pairs)} answers equal"}


PARTS: dict[str, Callable[[LoadedModel], Row | list[Row]]] = {
    "asking": asking, "forgetting": forgetting, "soft-tokens": soft_tokens, "generating": generating,
    "memory": lambda loaded: [memory(1), memory(10)]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="*", choices=PARTS, default=list(PARTS))
    parser.add_argument("--before", help="the folder of a checkout of an earlier state")
    parser.add_argument("--attack", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.attack:
        return attack_alone(options.attack)
    rows: list[Row] = [audited(options.before)] if options.before else []
    loaded = ModelStore(Settings()).load(MODEL)
    for name in options.only:
        found = PARTS[name](loaded)
        rows += found if isinstance(found, list) else [found]
        print(table(rows[-1:]), flush=True)
    print(write("real", rows, about={"model": MODEL, "threads": 1} | versions("torch", "transformers"), notes=[
        "cpu_s and before_cpu_s: CPU seconds of the process, median. ratio, wall_ratio: new over old, median over repeats in one run."]))


if __name__ == "__main__":
    main()
