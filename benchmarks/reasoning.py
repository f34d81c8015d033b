"""What it costs to score a chain of thought while it is written: `python -m benchmarks.reasoning [--repeats N]`.

Generation with every state, certainty and energy noted, against the library's own `generate` on the same prompt; and a
set for the ROC lab in batches against one problem at a time. One process, one thread, float32, greedy.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import torch
from transformers import LlamaForCausalLM, PreTrainedModel

from benchmarks.timing import interleaved, ratio, summary, table, versions, write
from core.engine.models import ModelStore
from core.engine.settings import Settings
from core.reasoning.data import draw_problems
from core.reasoning.generations import BATCH, think_through
from core.reasoning.prompts import Form
from core.reasoning.reading import Reader, Reading
from core.zoo.language import Shape, new_model

MODEL = "embedded/reasoner-70"
NEW_TOKENS = 48
PROBLEM = "3+4*2-5*7+1="
SET = 20
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


def generation(model: PreTrainedModel, form: Form, name: str, repeats: int) -> list[dict]:
    """Rows of scored against bare generation on one model."""
    ids, _ = form.ask(PROBLEM)
    reading = scored(model, form, ids, NEW_TOKENS)()
    new = len(reading.ids) - ids.shape[1]
    assert bare(model, ids, new)()[0].tolist() == reading.ids, "both ways must write the same text"
    ways = {"generate": bare(model, ids, new), "scored": scored(model, form, ids, new),
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
    print(table(rows))
    write("reasoning", rows, notes=[
        "scored: states of every layer, kinetic energies, turns, running means, steps, logit lens and five certainties per token",
        "both ways of generating write the same tokens, which is checked before anything is timed",
    ], about=versions("torch", "transformers") | {"threads": 1})


if __name__ == "__main__":
    main()
