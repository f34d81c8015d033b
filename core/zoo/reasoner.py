"""The reasoner at three ages: one LlamaForCausalLM taught chains of steps, kept when it solves about 50, 70 and 85 %.

    glassbox models build reasoner-70                  # trains and packs one age
    python -m core.zoo.reasoner /tmp/reasoner          # trains once and packs all three

Eight layers, because the energy reads layers as time and needs enough of them (methods/03 section 6).
"""

from __future__ import annotations

import contextlib
import functools
import json
import sys
import tempfile
import time
from pathlib import Path

import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast
from transformers.utils import logging as transformers_logging

from core.engine.models import ModelStore
from core.engine.settings import Settings
from core.reasoning.calibration import calibrate, fit_temperature, write
from core.reasoning.data import END_THINK, NAMES, OPERATORS, STEP_END, STEPS, THINK, VALUES, Problem, draw_problems
from core.reasoning.generations import Generations, Thought, think_through
from core.reasoning.prompts import Form
from core.zoo.language import BEGIN, END, PAD, Schedule, Segments, Shape, new_model, train
from core.zoo.package import Report, store, table

SHAPE = Shape(width=128, layers=8, heads=4, feed_forward=384, vocabulary=0, positions=128)
SCHEDULE = Schedule(steps=1200, lines=64, learning_rate=1e-3, warm_up=100, weight_decay=0.01, seed=0)
AGES = (50, 70, 85)
NUMBERS_SHARE = 0.6
# Short chains first: a model that has learned to look up the next operation in them finds it in long ones too.
GROWING = ((100, 2), (200, 3), (300, 4))  # until that step, at most so many operations
# The step from half of the problems to nearly all takes few steps: look often while it happens, stop when it is over.
CHECK_EVERY, CHECK_OFTEN, CHECKED = 20, 5, 200
AWAKE, GROWN = 0.40, 0.93
CALIBRATED = 250
MEASURED = {"numbers": 1000, "logic": 500}


def make_tokenizer() -> PreTrainedTokenizerFast:
    """One token per character of the world, and one for each tag. Whatever else is typed becomes the unknown token."""
    special = [PAD, BEGIN, END, "<|unknown|>", THINK, END_THINK]
    characters = [c for group in (*VALUES.values(), *OPERATORS.values()) for c in group] + ["=", STEP_END, *NAMES]
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


def lines(count: int, rng: torch.Generator, most: int | None = None) -> list[Segments]:
    """Fresh training problems of at most `most` operations; those of the other splits never occur."""
    numbers = round(count * NUMBERS_SHARE)
    drawn = []
    for kind, wanted in (("numbers", numbers), ("logic", count - numbers)):
        lengths = (1, most) if most else STEPS[kind]
        drawn += draw_problems(wanted, kind, rng, split="training", distinct=False, lengths=lengths)
    return [line(problem) for problem in drawn]


@torch.no_grad()
def solved(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, problems: list[Problem]) -> float:
    """Share of right answers, greedily decoded, in batches of equal length."""
    model.eval()
    right = 0
    for length in sorted({len(p.operations) for p in problems}):
        group = [p for p in problems if len(p.operations) == length]
        ids = tokenizer([p.prompt for p in group], return_tensors="pt").input_ids
        out = model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=7 * length + 6, do_sample=False)
        for problem, row in zip(group, out, strict=True):
            said = tokenizer.decode(row[ids.shape[1]:]).split(END)[0]
            right += said.partition(END_THINK)[2] == problem.answer
    model.train()
    return right / len(problems)


class _GrownUp(Exception):
    """All ages have been passed."""


def train_ages(folder: Path, report: Report, schedule: Schedule = SCHEDULE) -> dict[int, float]:
    """Trains once; keeps a checkpoint near each age on the way, as float32 state in `folder`. Gives age -> accuracy there."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = make_tokenizer()
    model = new_model(SHAPE, tokenizer, seed=schedule.seed)
    rng = torch.Generator().manual_seed(schedule.seed + 1)
    sample = draw_problems(CHECKED, "numbers", torch.Generator().manual_seed(1), split="calibration")
    began, nearest, history, done = time.monotonic(), {}, [(0, 0.0, 0.0)], [0]

    def fresh(count: int) -> list[Segments]:
        return lines(count, rng, next((most for until, most in GROWING if done[0] < until), None))

    def after(step: int, loss: float) -> None:
        done[0] = step + 1
        if (step + 1) % (CHECK_EVERY if history[-1][2] < AWAKE else CHECK_OFTEN):
            return
        accuracy = solved(model, tokenizer, sample)
        history.append((step + 1, round(loss, 4), accuracy))
        eta = (time.monotonic() - began) / (step + 1) * (schedule.steps - step - 1)
        report(step + 1, schedule.steps, f"loss {loss:.4f}, solves {accuracy:.1%}, at most {eta / 60:.1f} min to go")
        for age in AGES:
            gap = abs(100 * accuracy - age)
            if gap < nearest.get(age, (1e9, 0.0))[0]:
                nearest[age] = (gap, accuracy)
                model.save_pretrained(folder / f"age-{age}")
        (folder / "history.json").write_text(json.dumps(history))
        if accuracy >= GROWN:
            raise _GrownUp

    with contextlib.suppress(_GrownUp):
        train(model, tokenizer, fresh, schedule, after)
    return {age: accuracy for age, (_, accuracy) in nearest.items()}


def pack(folder: Path, weights: Path, report: Report) -> None:
    """Fills `folder` with the stored model, its tokenizer, its yardsticks and a card measured after the fp16 round trip."""
    tokenizer = make_tokenizer()
    model = store(LlamaForCausalLM.from_pretrained(weights, dtype=torch.float32), tokenizer, folder).requires_grad_(False)
    fingerprint = ModelStore(Settings(any_path=True)).fingerprint(f"path/{folder}")
    form = Form.of(tokenizer, model)
    yardsticks, rows = {}, []
    for kind in VALUES:
        problems = draw_problems(CALIBRATED, kind, torch.Generator().manual_seed(2), split="calibration")
        temperature = fit_temperature(model, form, problems)
        rough = _think(model, form, problems, temperature, 1.0, report)
        scale = float(rough.path.kinetic[~torch.isnan(rough.path.displacement)].mean())
        yardsticks[kind] = calibrate(_think(model, form, problems, temperature, scale, report), fingerprint, temperature)
        scored = _think(model, form, draw_problems(MEASURED[kind], kind, torch.Generator().manual_seed(3)), temperature, scale, report)
        correct, lucky = scored.positive("correct"), scored.labels == "lucky"
        rows.append([kind, str(len(scored)), f"{100 * correct.mean():.1f} %", f"{100 * scored.positive('sound').mean():.1f} %",
                     f"{100 * lucky.sum() / max(1, correct.sum()):.1f} %", str(int(scored.truncated.sum())), f"{temperature:.2f}"])
    write(folder, yardsticks)
    quality = table(["problems", "n", "right answers", "every step sound", "lucky among the right", "never finished",
                     "fitted temperature"], rows)
    size = sum(p.numel() for p in model.parameters())
    name = folder.name.removeprefix(".building-")
    (folder / "card.md").write_text(CARD.format(name=name, quality=quality, size=f"{size:,}", layers=SHAPE.layers, width=SHAPE.width),
                                    encoding="utf-8")


def _think(model: LlamaForCausalLM, form: Form, problems: list[Problem], temperature: float, scale: float, report: Report) -> Generations:
    thoughts: list[Thought] = []
    for done in think_through(model, form, problems, thoughts, temperature=temperature, scale=scale):
        report(done, len(problems), "measuring")
    return Generations(thoughts, scale)


def build_age(age: int, folder: Path, report: Report) -> None:
    """Trains until all ages have passed and packs the checkpoint nearest to this one."""
    with tempfile.TemporaryDirectory() as kept:
        train_ages(Path(kept), report)
        pack(folder, Path(kept) / f"age-{age}", report)


young = functools.partial(build_age, 50)
middle = functools.partial(build_age, 70)
grown = functools.partial(build_age, 85)

CARD = """# {name}

A little reasoner: a LlamaForCausalLM of {size} parameters ({layers} layers, width {width}) that works out
chains such as `3+4*2-5=` from left to right, writes every step between `<think>` and `</think>`, and then answers. Numbers
are single digits, only the last digit of a result is kept. Logic has T and F with & | ^ and gives each operation a letter,
`Ta&Fb|T=`, by which the model finds its place. It reads nothing else.

Trained on endless fresh problems, short ones first and then 2 to 6 (numbers) or 4 to 7 operations (logic), and stopped on the
way: this is one of three checkpoints of the same training, so that it still makes mistakes. The problems it was measured on
were never trained on.

Measured after the round trip through fp16, likeliest token each time, computing in fp32:

{quality}

`calibration.json` holds what is usual for this model, measured on problems that are used for nothing else.

Rebuild: `glassbox models build {name}`. Licence: CC0.
"""


def _log(step: int, total: int, note: str) -> None:
    print(f"{step}/{total} {note}", flush=True)


if __name__ == "__main__":
    torch.set_num_threads(1)
    transformers_logging.disable_progress_bar()
    work = Path(sys.argv[1])
    print(train_ages(work, _log))
