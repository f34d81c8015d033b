"""How fast the audit asks: everything in batches with a KV cache, against one question at a time with the library's `generate`.

    python -m benchmarks.unlearning [--questions N] [--repeats N]

Both sides answer the whole default matrix (plain and five audits, for the model to forget, the one that never knew and a copy
with shaken weights, whose answers run long as after unlearning) and the whole ActPert grid of these questions on the first.
The answers are compared: one that differs is an exception, counted and printed with the margin by which the two likeliest
tokens lay apart where the texts part.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable

import torch
from transformers import PreTrainedModel

from benchmarks.timing import ratio, summary, table, versions, wall_and_cpu, write
from core.engine.families import family_of
from core.engine.models import LoadedModel, ModelStore
from core.engine.settings import ASSETS, Settings
from core.engine.trace import Site, trace
from core.unlearning.answers import NEW_TOKENS, answer, cut, encode_prompt
from core.unlearning.audit.actpert import Cell, Shift, answers, grid, perturb
from core.unlearning.audit.inside import ROWS, in_text
from core.unlearning.data import read_world
from core.unlearning.prompts import build_prompts, render

MODEL, REFERENCE, WORLD = "embedded/worlds", "embedded/worlds-retain", "authors"
WAYS = ("direct", "prefix", "affirm", "icl", "choice", "reverse")


def bystander(loaded: LoadedModel, store: ModelStore) -> PreTrainedModel:
    """A third model of the same size whose answers run long: the original with its weights shaken a little."""
    model = store.fork(loaded.ref).model.eval().requires_grad_(False)
    rng = torch.Generator().manual_seed(0)
    for weights in model.parameters():
        weights += 0.1 * weights.std() * torch.randn(weights.shape, generator=rng)
    return model


def in_batches(model: PreTrainedModel, tokenizer, texts: list[str]) -> list[str]:
    """As the audit asks: all questions of one way at once."""
    return answer(model, tokenizer, texts)


def one_by_one(model: PreTrainedModel, tokenizer, texts: list[str]) -> list[str]:
    """As a plain loop asks."""
    return [generated(model, tokenizer, text) for text in texts]


@torch.no_grad()
def generated(model: PreTrainedModel, tokenizer, text: str) -> str:
    """The library's greedy answer to one prompt."""
    ids = torch.tensor([encode_prompt(tokenizer, text)])
    out = model.generate(ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=NEW_TOKENS, pad_token_id=0)
    return cut(tokenizer.decode(out[0, ids.shape[1]:], skip_special_tokens=True))


def pushed_in_batches(model: PreTrainedModel, tokenizer, shift: Shift, cells: list[Cell], n: int) -> list[str]:
    """The grid as the audit runs it: cells of one mode share batches."""
    said = []
    for mode in dict.fromkeys(cell.mode for cell in cells):
        asked = [(i, cell) for cell in cells if cell.mode == mode for i in range(n)]
        for start in range(0, len(asked), ROWS):
            said += answers(model, tokenizer, shift, asked[start:start + ROWS])
    return said


def pushed_one_by_one(model: PreTrainedModel, tokenizer, texts: list[str], shift: Shift, cells: list[Cell]) -> list[str]:
    """One cell and one question after the other, with `generate` and an edit of one layer."""
    said = []
    for cell in cells:
        for i, text in enumerate(texts):
            length = len(encode_prompt(tokenizer, text))
            delta = cell.alpha * shift.delta[cell.layer][i, -length:]
            with trace(model, edit={Site(cell.layer - 1, "resid_post"): edit(cell, delta, length)}):
                said.append(generated(model, tokenizer, text))
    return said


def edit(cell: Cell, delta: torch.Tensor, length: int) -> Callable[[torch.Tensor, int], torch.Tensor]:
    """The push on one text without padding."""
    def move(states: torch.Tensor, offset: int) -> torch.Tensor:
        moved = states.clone()
        for t in range(states.shape[1]):
            place = offset + t
            if cell.mode == "prompt" and place < length:
                moved[:, t] += delta[place]
            elif cell.mode == "last" and place >= length - 1:
                moved[:, t] += delta[-1]
        return moved

    return move


@torch.no_grad()
def margin(model: PreTrainedModel, tokenizer, text: str, one: str, other: str) -> float:
    """How far the two likeliest next tokens lie apart where two answers to one prompt part."""
    a, b = (tokenizer(" " + said, add_special_tokens=False).input_ids for said in (one, other))
    same = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
    best = model(torch.tensor([encode_prompt(tokenizer, text) + a[:same]])).logits[0, -1].topk(2).values
    return float(best[0] - best[1])


def matrix(models: dict[str, PreTrainedModel], tokenizer, asked: dict[str, list[str]], repeats: int) -> list[dict]:
    """The matrix both ways, and how many answers differ."""
    def whole(ask: Callable[..., list[str]]) -> Callable[[], list[str]]:
        return lambda: [text for model in models.values() for texts in asked.values() for text in ask(model, tokenizer, texts)]

    keys = [(model, text) for model in models.values() for texts in asked.values() for text in texts]
    return compared("matrix", tokenizer, keys, whole(in_batches), whole(one_by_one), repeats)


def grid_of(model: PreTrainedModel, tokenizer, texts: list[str], shift: Shift, repeats: int) -> list[dict]:
    """The ActPert grid both ways, and how many answers differ."""
    cells = grid(len(family_of(model).layers(model)))
    return compared("ActPert grid", tokenizer, [(None, text) for _ in cells for text in texts],
                    lambda: pushed_in_batches(model, tokenizer, shift, cells, len(texts)),
                    lambda: pushed_one_by_one(model, tokenizer, texts, shift, cells), repeats)


def compared(what: str, tokenizer, asked: list[tuple[PreTrainedModel | None, str]], batched: Callable[[], list[str]],
             alone: Callable[[], list[str]], repeats: int) -> list[dict]:
    """Rows of both ways in turns; answers that differ are printed, with the margin where the model answered without a push."""
    said: dict[str, list[str]] = {}

    def keeping(way: str, call: Callable[[], list[str]]) -> Callable[[], None]:
        return lambda: said.update({way: call()})

    wall, cpu = wall_and_cpu({"batched": keeping("batched", batched), "one by one": keeping("one by one", alone)}, repeats, warm_up=0)
    differ = [(model, text, one, other) for (model, text), one, other in
              zip(asked, said["batched"], said["one by one"], strict=True) if one != other]
    for model, text, one, other in differ:
        gap = "with a push" if model is None else f"margin {margin(model, tokenizer, text, one, other):.2g}"
        print(f"exception, {gap}: {one!r} or {other!r}")
    return [{"what": what, "way": way, **summary(seconds), "cpu_s": statistics.median(cpu[way]), "answers": len(asked),
             "times as fast": ratio(wall["one by one"], seconds), "by computing": ratio(cpu["one by one"], cpu[way]),
             "answers that differ": len(differ)} for way, seconds in wall.items()]


def together(rows: list[dict]) -> list[dict]:
    """The whole audit: matrix and grid added up."""
    total = {way: [sum(row[column] for row in rows if row["way"] == way) for column in ("median_ms", "cpu_s", "answers")]
             for way in ("batched", "one by one")}
    return [{"what": "both", "way": way, "median_ms": ms, "cpu_s": cpu, "answers": answers,
             "times as fast": total["one by one"][0] / ms, "by computing": total["one by one"][1] / cpu}
            for way, (ms, cpu, answers) in total.items()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--questions", type=int, default=30)
    parser.add_argument("--repeats", type=int, default=2)
    given = parser.parse_args()
    torch.set_num_threads(1)
    store = ModelStore(Settings())
    known, never = store.load(MODEL), store.load(REFERENCE)
    world = read_world(ASSETS / "models" / "worlds", WORLD)
    records = world.forget(3)[:given.questions]
    rng = torch.Generator().manual_seed(0)
    asked = {way: [render(prompt, known.tokenizer) for prompt in build_prompts(way, records, world, rng)] for way in WAYS}
    models = {"original": known.model, "shaken": bystander(known, store), "never knew": never.model}
    rows = matrix(models, known.tokenizer, asked, given.repeats)
    texts = asked["direct"]
    spans = [in_text(text, record) for text, record in zip(texts, records, strict=True)]
    layers = sorted({cell.layer for cell in grid(len(family_of(known.model).layers(known.model)))})
    shift = perturb(known.model, known.tokenizer, texts, spans, layers=layers, rng=rng)
    rows += grid_of(known.model, known.tokenizer, texts, shift, given.repeats)
    rows += together(rows)
    print(table(rows))
    write("unlearning", rows, notes=[
        "both ways give the same kind of answer: greedy, at most 30 tokens, cut at the end token or the first line break",
        "one process, one thread, float32; both ways in turns, so that a busy machine slows both; by computing: what the process itself "
        "computed, which waiting for other processes does not change",
    ], about=versions("torch", "transformers") | {"threads": 1, "model": MODEL, "questions": len(records), "ways": len(WAYS)})


if __name__ == "__main__":
    main()
