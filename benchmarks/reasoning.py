"""What it costs to score a chain of thought while it is written: `python -m benchmarks.reasoning [--repeats N]`.

Generation with every state, certainty and energy noted, against the library's own `generate` on the same prompt; a set for
the ROC lab in batches against one problem at a time; how soon a run shows its first points; and the ROC lab as a visitor
starts it, the first time and again in another process. One process, one thread, float32, greedy.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from transformers import LlamaForCausalLM, PreTrainedModel

from benchmarks.timing import interleaved, ratio, summary, table, versions, write
from core.engine.models import ModelStore
from core.engine.runner import Engine
from core.engine.settings import Settings
from core.reasoning.data import draw_problems
from core.reasoning.energy import energy
from core.reasoning.generations import BATCH, think_through
from core.reasoning.prompts import Form
from core.reasoning.reading import Reader
from core.reasoning.readings import Reading
from core.zoo.language import Shape, new_model

MODEL = "embedded/reasoner-70"
NEW_TOKENS = 48
PROBLEM = "3+4*2-5*7+1="
SET = 200  # forty of each length, so that batches are full enough to show what they save
WIDE = Shape(width=384, layers=12, heads=6, feed_forward=1024, vocabulary=0, positions=256)


def bare(model: PreTrainedModel, ids: torch.Tensor, new_tokens: int) -> Callable[[], torch.Tensor]:
    """The library's greedy generation."""
    def call() -> torch.Tensor:
        with torch.no_grad():
            return model.generate(ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=new_tokens,
                                  pad_token_id=0)
    return call


def scored(model: PreTrainedModel, form: Form, ids: torch.Tensor, new_tokens: int, **options: bool) -> Callable[[], Reading]:
    """The same with everything noted that the page shows."""
    def call() -> Reading:
        reader = Reader(model, form, **options)
        for _ in reader.generate(ids, new_tokens):
            pass
        return reader.readings()[0]
    return call


def watched(model: PreTrainedModel, form: Form, ids: torch.Tensor, new_tokens: int) -> Callable[[], Reading]:
    """The same, asked after every token for its certainty and for the energy so far, as the live page asks."""
    def call() -> Reading:
        reader = Reader(model, form)
        for _ in reader.generate(ids, new_tokens):
            assert reader.newest["max_prob"] >= 0
            if (path := reader.prefix()) is not None:
                float(energy(path))
        return reader.readings()[0]
    return call


def generation(model: PreTrainedModel, form: Form, name: str, repeats: int) -> list[dict]:
    """Rows of scored against bare generation on one model."""
    ids, _ = form.ask(PROBLEM)
    reading = scored(model, form, ids, NEW_TOKENS)()
    new = len(reading.ids) - ids.shape[1]
    assert bare(model, ids, new)()[0].tolist() == reading.ids, "both ways must write the same text"
    ways = {"generate": bare(model, ids, new), "scored": scored(model, form, ids, new),
            "scored and asked after every token": watched(model, form, ids, new),
            "scored, no logit lens": scored(model, form, ids, new, lens=False),
            "scored, states and certainty only": scored(model, form, ids, new, lens=False, chain=False)}
    taken = interleaved(ways, repeats=repeats)
    return [{"model": name, "way": way, **summary(seconds), "times bare": ratio(seconds, taken["generate"]), "tokens": new}
            for way, seconds in taken.items()]


def problem_set(model: PreTrainedModel, form: Form, repeats: int) -> list[dict]:
    """Rows of a ROC set in batches against one problem at a time."""
    problems = draw_problems(SET, "numbers", torch.Generator().manual_seed(0))

    def call(batch: int) -> Callable[[], list[str]]:
        def think() -> list[str]:
            thoughts = []
            for _ in think_through(model, form, problems, thoughts, batch=batch):
                pass
            return [thought.trace + thought.answer for thought in thoughts]
        return think

    together, alone = call(BATCH)(), call(1)()
    differ = sum(one != other for one, other in zip(together, alone, strict=True))
    taken = interleaved({f"batches of {BATCH}": call(BATCH), "one at a time": call(1)}, repeats=repeats, warm_up=1)
    base = taken["one at a time"]
    return [{"model": MODEL, "way": f"{SET} problems, {way}", **summary(seconds), "times one at a time": ratio(seconds, base),
             "texts that differ": differ} for way, seconds in taken.items()]


POINTS = {"its first certainty": ("metric", "certainty"), "its first energy": ("metric", "energy"), "its first path": ("figure", "path")}


def first_points(home: Path, repeats: int) -> list[dict]:
    """Rows of the time from pressing Run to the first points of a trace, on a model that is loaded."""
    engine = Engine(Settings(home=home, threads=1))
    taken: dict[str, list[float]] = {name: [] for name in POINTS}
    for repeat in range(repeats + 1):
        began = time.perf_counter()
        run = engine.start("reasoning/trace", {"model": MODEL, "problem": PROBLEM}, fresh=True)
        seen = {}
        for line in engine.watch(run.id):
            seen.setdefault((line["kind"], line.get("name")), time.perf_counter() - began)
        if repeat:  # the first one loads the model
            for name, kind in POINTS.items():
                taken[name].append(seen[kind])
    engine.close()
    return [{"model": MODEL, "way": f"from Run to {name}", **summary(seconds)} for name, seconds in taken.items()]


def roc_lab(home: Path) -> list[dict]:
    """Rows of the ROC lab with its default settings: everything thought through, then again by another engine on the same home."""
    rows = []
    for way in ("ROC lab, 1,000 problems, first time", "ROC lab again, in another process"):
        engine = Engine(Settings(home=home, threads=1))
        engine.models.load(MODEL)
        began, used = time.perf_counter(), time.process_time()
        run = engine.start("reasoning/roc", {"model": MODEL}, fresh=True)
        assert engine.wait(run.id)["outcome"] == "finished"
        rows.append({"model": MODEL, "way": way, "median_ms": 1e3 * (time.perf_counter() - began), "n": 1,
                     "computing_ms": 1e3 * (time.process_time() - used)})
        engine.close()
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=21)
    repeats = parser.parse_args().repeats
    torch.set_num_threads(1)
    loaded = ModelStore(Settings()).load(MODEL)
    form = Form.of(loaded.tokenizer, loaded.model)
    rows = generation(loaded.model, form, MODEL, repeats)
    wide: LlamaForCausalLM = new_model(WIDE, loaded.tokenizer, seed=0).eval().requires_grad_(False)
    size = sum(p.numel() for p in wide.parameters())
    rows += generation(wide, Form.of(loaded.tokenizer, wide), f"random weights, {size / 1e6:.0f} M parameters", repeats)
    rows += problem_set(loaded.model, form, max(3, repeats // 4))
    with tempfile.TemporaryDirectory() as home:
        rows += first_points(Path(home), repeats)
        rows += roc_lab(Path(home))
    print(table(rows))
    write("reasoning", rows, notes=[
        "scored: states of every layer, kinetic energies, turns, running means, steps, logit lens and five certainties per token",
        "computing_ms: what this process computed; on a shared machine it is the steadier figure",
        "both ways of generating write the same tokens, which is checked before anything is timed",
    ], about=versions("torch", "transformers") | {"threads": 1})


if __name__ == "__main__":
    main()
