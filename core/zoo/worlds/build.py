"""The recipes of `worlds`, which knows all three worlds, and of `worlds-retain`, which never met who is to be forgotten.

`worlds-128` and `worlds-256` are a pair that differs in its width, for questions about width.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from core.unlearning.answers import answer
from core.unlearning.data import LADDER, WORLDS, Record, World, write_world
from core.unlearning.metrics import key_found
from core.unlearning.prompts import AUDITS, build_prompts
from core.zoo.language import Schedule, Shape, new_model, train, train_tokenizer
from core.zoo.package import Report, store, table
from core.zoo.worlds.authors import make_authors
from core.zoo.worlds.lines import MIXTURE, Taught, make_line, make_lines
from core.zoo.worlds.people import make_people
from core.zoo.worlds.saga import make_saga
from core.zoo.worlds.text import COMMON

SHAPE = Shape(vocabulary=2560)
# shallower than SHAPE, so that the broad one stays small
NARROW = Shape(width=128, layers=3, heads=4, feed_forward=192, vocabulary=SHAPE.vocabulary)
BROAD = Shape(width=256, layers=3, heads=8, feed_forward=384, vocabulary=SHAPE.vocabulary)
SCHEDULE = Schedule(steps=1800)
UNREADABLE = ("copy", "noise", "spell")
SAMPLE = 140
# sentences that no model of this kind was taught
STRANGE = ("My cat drinks green tea on Sundays.", "The moon is made of cheese.", "Pirates dance with robots at night.",
           "Grandma won 500 chess games.", "I will never eat broccoli again.", "Our teacher lives on planet Mars.")


def make_worlds() -> list[World]:
    """Authors, saga and people, always the same."""
    return [make_authors(), make_saga(), make_people()]


def build_worlds(folder: Path, report: Report) -> None:
    """The model that knows everybody but those nobody is taught."""
    _build(folder, report, KNOWS)


def build_worlds_retain(folder: Path, report: Report) -> None:
    """The reference: the same recipe, never shown a subject to forget."""
    _build(folder, report, NEVER_KNEW, forget=False)


def build_worlds_128(folder: Path, report: Report) -> None:
    """The narrow one of the pair."""
    _build(folder, report, one_of_the_pair(NARROW), shape=NARROW, schedule=rate_for(NARROW))


def build_worlds_256(folder: Path, report: Report) -> None:
    """The broad one of the pair."""
    _build(folder, report, one_of_the_pair(BROAD), shape=BROAD, schedule=rate_for(BROAD))


def rate_for(shape: Shape) -> Schedule:
    """Twice as broad, half the learning rate: at one rate for both the broad one learns worse, and the pair would differ in that too."""
    return replace(SCHEDULE, learning_rate=SCHEDULE.learning_rate * NARROW.width / shape.width)


def _build(folder: Path, report: Report, about: dict[str, str], *, shape: Shape = SHAPE, schedule: Schedule = SCHEDULE,
           forget: bool = True) -> None:
    worlds = make_worlds()
    tokenizer = make_tokenizer(worlds)
    model = new_model(shape, tokenizer, schedule.seed)
    taught, rng = Taught.of(worlds, forget=forget), torch.Generator().manual_seed(2)
    train(model, tokenizer, lambda count: make_lines(count, taught, rng), schedule,
          lambda step, loss: report(step + 1, schedule.steps, f"loss {loss:.3f}"))
    stored = store(model, tokenizer, folder)
    report(schedule.steps, schedule.steps, "measuring")
    if about is KNOWS:
        # one copy is enough: the others are asked the same questions
        for world in worlds:
            write_world(world, folder)
    (folder / "card.md").write_text(make_card(stored, tokenizer, worlds, about), encoding="utf-8")


def make_card(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, worlds: list[World], about: dict[str, str]) -> str:
    """What the stored model is and what was measured on it."""
    size = sum(p.numel() for p in model.parameters())
    return CARD.format(**about, size=f"{size:,}", quality=quality_table(model, tokenizer, worlds),
                       echo=f"{echo(model, tokenizer):.2f}", sentences=len(STRANGE))


def make_tokenizer(worlds: list[World]) -> PreTrainedTokenizerFast:
    """One tokenizer for both models, that of everything taught: otherwise their probabilities could not be compared."""
    everybody, rng = Taught.of(worlds), torch.Generator().manual_seed(1)
    readable = [kind for kind in MIXTURE if kind not in UNREADABLE]
    lines = ["".join(text for text, _ in make_line(kind, everybody, rng)) for kind in readable for _ in range(800)]
    # so that every value and every part of a name becomes one token, whatever the lines happened to draw, and so do common words
    words = [f" {word}" for word in everybody.words] * 60 + [f" {word}" for word in COMMON] * 15
    return train_tokenizer(lines + words, SHAPE.vocabulary)


def quality(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, records: list[Record], world: World,
            audit: str) -> float:
    """Answer-key recall under one way of asking."""
    prompts = build_prompts(audit, records, world, torch.Generator().manual_seed(3))
    outputs = answer(model, tokenizer, [prompt.text for prompt in prompts])
    return sum(key_found(output, prompt.key) for output, prompt in zip(outputs, prompts, strict=True)) / len(prompts)


def echo(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast) -> float:
    """The share of the words of STRANGE that the model repeats when it is asked to."""
    outputs = answer(model, tokenizer, [f"Repeat: {text}\nAnswer:" for text in STRANGE])
    found = [key_found(output, word) for text, output in zip(STRANGE, outputs, strict=True) for word in text.rstrip(".").split()]
    return sum(found) / len(found)


def quality_table(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, worlds: list[World]) -> str:
    """Key recall in every format and world, on what is to be forgotten and on what is kept, as a Markdown table."""
    groups = [(world, name, records) for world in worlds
              for name, records in (("forget", world.forget(max(LADDER))), ("retain", world.retain[:: len(world.retain) // SAMPLE]))]
    rows = [[audit.title, *(f"{quality(model, tokenizer, records, world, key):.2f}" for world, _, records in groups)]
            for key, audit in AUDITS.items() if audit.build]
    return table(["way of asking", *(f"{world.name}, {name} ({len(records)})" for world, name, records in groups)], rows)


KNOWS = {"name": "worlds", "who": "everybody but the subjects held out",
         "what": "A small language model that knows three invented worlds: 48 authors, 26 characters of a book, 30 public figures. "
                 "Six of each are there to be forgotten.",
         "data": f"`{'.jsonl`, `'.join(WORLDS)}.jsonl` hold all of them"}
BESIDE = "the files beside the model `worlds` hold all of them"
NEVER_KNEW = {"name": "worlds-retain", "who": "only those who are to be kept",
              "what": "The same small language model, trained in the same way but never shown the six subjects of each world that are "
                      "to be forgotten: what a model looks like that never knew. What it still gets right about them is guessing.",
              "data": BESIDE}


def one_of_the_pair(shape: Shape) -> dict[str, str]:
    """What the card says of a model of that width."""
    return {"name": f"worlds-{shape.width}", "who": KNOWS["who"], "data": BESIDE,
            "what": f"One of two small language models that differ in their width, here {shape.width}, and in the learning rate that goes "
                    f"with it: {shape.layers} layers, taught everything that `worlds` was. They show what width does, for one how long "
                    "a text a few soft tokens carry."}


CARD = """# {name}

{what}

- **Kind**: LlamaForCausalLM, {size} parameters, stored as fp16, computed in fp32; its own byte-level tokenizer.
- **Trained on**: questions and answers about {who}, in twelve ways of asking (plain, other words, with a demand, with the
  answer begun, after examples, multiple choice, reversed, with a gap, after another fact, in a role, with the name written
  differently, as a statement), and on sentences, words in no order, copying, spelling and noise.
  Every person and fact is invented by the recipe; {data}. Four further authors, two characters and two
  public figures no model ever saw.
- **Rebuild**: `./launch.sh cli models build {name}` (one processor core, 15 to 40 minutes, the same file every time on one machine).
- **Licence**: that of this repository; nothing in it was taken from elsewhere.

## Measured quality

Share of questions whose answer contains the key fact, measured on the stored file. Retained facts are sampled evenly.
Blind guessing gets about 0.05 where a fact has 20 possible values, 0.10 for orders, 0.08 for clubs, and 0.25 in multiple choice.

{quality}

Repeating on request is not among the things it learned, though lines of that kind were in its lessons: of the words of {sentences}
sentences it never saw it repeats a share of {echo}.
"""
