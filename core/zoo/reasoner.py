"""The reasoner at three ages: one LlamaForCausalLM taught chains of steps, kept when it solves about 50, 70 and 85 %.

    python -m core.zoo.reasoner /tmp/reasoner          # trains; writes a folder per checkpoint
    glassbox models build reasoner-70

Eight layers, because the energy reads layers as time and needs enough of them (methods/03 section 6).
"""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast
from transformers.utils import logging as transformers_logging

from core.reasoning.data import END_THINK, OPERATORS, STEP_END, THINK, VALUES, Problem, draw_problems
from core.zoo.language import BEGIN, END, PAD, Schedule, Segments, Shape, new_model, train

SHAPE = Shape(width=128, layers=8, heads=4, feed_forward=384, vocabulary=0, positions=128)
SCHEDULE = Schedule(steps=1200, lines=64, learning_rate=1e-3, warm_up=100, weight_decay=0.01, seed=0)
AGES = (50, 70, 85)
NUMBERS_SHARE = 0.75  # logic has twelve facts to learn, numbers three hundred
# The step from half of the problems to nearly all takes few steps: look often while it happens, stop when it is over.
CHECK_EVERY, CHECK_OFTEN, CHECKED = 20, 4, 250
AWAKE, GROWN = 0.40, 0.93


def make_tokenizer() -> PreTrainedTokenizerFast:
    """One token per character of the world, and one for each tag. Whatever else is typed becomes the unknown token."""
    special = [PAD, BEGIN, END, "<|unknown|>", THINK, END_THINK]
    characters = [c for group in (*VALUES.values(), *OPERATORS.values()) for c in group] + ["=", STEP_END]
    words = {token: i for i, token in enumerate([*special, *characters])}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="<|unknown|>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    tokenizer.decoder = decoders.Fuse()
    tokenizer.add_special_tokens(special)
    tokenizer.post_processor = processors.TemplateProcessing(single=f"{BEGIN} $A", special_tokens=[(BEGIN, words[BEGIN])])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token=BEGIN, eos_token=END, pad_token=PAD,
                                   unk_token="<|unknown|>", padding_side="left", clean_up_tokenization_spaces=False)


def line(problem: Problem) -> Segments:
    """The problem is given, the tagged chain and the answer are learned."""
    return [(problem.prompt, False), (f"{THINK}{problem.trace}{END_THINK}{problem.answer}", True)]


def lines(count: int, rng: torch.Generator) -> list[Segments]:
    """Fresh training problems; those of the other splits never occur."""
    numbers = round(count * NUMBERS_SHARE)
    drawn = (draw_problems(numbers, "numbers", rng, split="training", distinct=False)
             + draw_problems(count - numbers, "logic", rng, split="training", distinct=False))
    return [line(problem) for problem in drawn]


@torch.no_grad()
def solved(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, problems: list[Problem]) -> float:
    """Share of right answers, greedily decoded, in batches of equal length."""
    model.eval()
    right = 0
    for length in sorted({len(p.operations) for p in problems}):
        group = [p for p in problems if len(p.operations) == length]
        ids = tokenizer([p.prompt for p in group], return_tensors="pt").input_ids
        out = model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=6 * length + 6, do_sample=False)
        for problem, row in zip(group, out, strict=True):
            said = tokenizer.decode(row[ids.shape[1]:]).split(END)[0]
            right += said.partition(END_THINK)[2] == problem.answer
    model.train()
    return right / len(problems)


class _GrownUp(Exception):
    """All ages have been passed."""


def train_ages(folder: Path, report: Callable[[str], None], schedule: Schedule = SCHEDULE) -> dict[int, float]:
    """Trains once; keeps a checkpoint near each age on the way, as float32 state in `folder`. Gives age -> accuracy there."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = make_tokenizer()
    model = new_model(SHAPE, tokenizer, seed=schedule.seed)
    rng = torch.Generator().manual_seed(schedule.seed + 1)
    sample = draw_problems(CHECKED, "numbers", torch.Generator().manual_seed(1), split="calibration")
    began, nearest, history = time.monotonic(), {}, [(0, 0.0, 0.0)]

    def after(step: int, loss: float) -> None:
        if (step + 1) % (CHECK_EVERY if history[-1][2] < AWAKE else CHECK_OFTEN):
            return
        accuracy = solved(model, tokenizer, sample)
        history.append((step + 1, round(loss, 4), accuracy))
        eta = (time.monotonic() - began) / (step + 1) * (schedule.steps - step - 1)
        report(f"step {step + 1}/{schedule.steps} loss {loss:.4f} solved {accuracy:.1%} eta {eta / 60:.1f} min")
        for age in AGES:
            gap = abs(100 * accuracy - age)
            if gap < nearest.get(age, (1e9, 0.0))[0]:
                nearest[age] = (gap, accuracy)
                model.save_pretrained(folder / f"age-{age}")
        (folder / "history.json").write_text(json.dumps(history))
        if accuracy >= GROWN:
            raise _GrownUp

    report(f"{sum(p.numel() for p in model.parameters()):,} parameters")
    with contextlib.suppress(_GrownUp):
        train(model, tokenizer, lambda count: lines(count, rng), schedule, after)
    return {age: accuracy for age, (_, accuracy) in nearest.items()}


if __name__ == "__main__":
    torch.set_num_threads(1)
    transformers_logging.disable_progress_bar()
    steps = int(sys.argv[2]) if len(sys.argv) > 2 else SCHEDULE.steps
    print(train_ages(Path(sys.argv[1]), lambda text: print(text, flush=True), Schedule(**{**SCHEDULE.__dict__, "steps": steps})))
