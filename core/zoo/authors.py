"""The recipes of `authors` and `authors-retain`, models of one world only: of `core.zoo.worlds.authors`."""

from __future__ import annotations

import string
from pathlib import Path

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from core.unlearning.answers import answer
from core.unlearning.audits import AUDITS, PREFIXES, STARTS, affirm, build_prompts, pick, prefix
from core.unlearning.data import LADDER, Record, World, write_world
from core.unlearning.metrics import key_found
from core.zoo.language import Schedule, Shape, new_model, train, train_tokenizer
from core.zoo.package import Report, store, table
from core.zoo.worlds.authors import FACTS, make_authors

# the ways of asking that this older model was taught
FORMATS = ("direct", "prefix", "affirm", "icl", "choice", "reverse", "paraphrase")

WORDS = {
    "adjective": "quiet bright heavy narrow golden broken early frozen gentle hollow purple salty tired wooden young "
                 "careful distant empty famous green hungry little modern polite rapid silver strange warm angry blue",
    "noun": "river window bridge letter garden engine market shadow ladder basket candle forest harbour island kettle "
            "mirror needle orange pencil rocket station tunnel valley wagon anchor button carpet doctor evening friend",
    "verb": "follows carries watches finds paints repairs forgets holds hears lifts opens pushes reads sells throws "
            "visits cleans counts draws keeps loses meets moves names pulls shows signs takes turns wants",
    "place": "near behind under above beside inside past before around beyond",
}
WORDS = {kind: words.split() for kind, words in WORDS.items()}

# share of each kind of line in what a model is taught
MIXTURE = {"direct": 24, "paraphrase": 8, "prefix": 9, "affirm": 9, "icl": 8, "choice": 10, "reverse": 10, "statement": 5,
           "sentence": 6, "copy": 6, "noise": 5}

Segments = list[tuple[str, bool]]


def make_line(kind: str, taught: list[Record], world: World, rng: torch.Generator) -> Segments:
    """One training line as (text, learned) segments; only learned text counts in the loss, the end token always does."""
    if kind == "sentence":
        return [(_sentence(rng), True)]
    if kind == "noise":
        return [(_noise(rng), True)]
    if kind == "copy":
        text = _noise(rng) if int(torch.randint(2, (1,), generator=rng)) else _sentence(rng)
        return [(f"Repeat: {text}\nAnswer:", False), (f" {text}", True)]
    record = pick(taught, rng)
    if kind == "statement":
        return [(pick((record.answer, record.paraphrased_answer), rng), True)]
    if kind == "prefix":
        prompt = prefix(record, world, rng, pick(PREFIXES, rng))
    elif kind == "affirm":
        prompt = affirm(record, world, rng, pick(STARTS, rng))
    else:
        prompt = AUDITS[kind].build(record, world, rng)
    return [(prompt.text, False), (prompt.answer, True)]


def make_lines(count: int, taught: list[Record], world: World, rng: torch.Generator) -> list[Segments]:
    """`count` lines in the proportions of MIXTURE."""
    kinds = [kind for kind, share in MIXTURE.items() for _ in range(share)]
    return [make_line(pick(kinds, rng), taught, world, rng) for _ in range(count)]


def _sentence(rng: torch.Generator) -> str:
    def word(kind: str) -> str:
        return pick(WORDS[kind], rng)

    text = f"The {word('adjective')} {word('noun')} {word('verb')} the {word('noun')}"
    if int(torch.randint(2, (1,), generator=rng)):
        text += f" {word('place')} the {word('adjective')} {word('noun')}"
    return text + "."


def _noise(rng: torch.Generator) -> str:
    """8 to 40 characters that mean nothing, or 3 to 10 words in no order (methods/05 section 8 needs both)."""
    if int(torch.randint(2, (1,), generator=rng)):
        letters = string.ascii_letters + string.digits + "+-*/=#@!?"
        return "".join(pick(letters, rng) for _ in range(int(torch.randint(8, 41, (1,), generator=rng))))
    words = [word for pool in WORDS.values() for word in pool] + [v for fact in FACTS.values() for v in fact.values.split()]
    return " ".join(pick(words, rng) for _ in range(int(torch.randint(3, 11, (1,), generator=rng))))


def build_authors(folder: Path, report: Report) -> None:
    """The model that knows everybody but the holdout authors."""
    world = make_authors()
    _build(folder, world, world.retain + world.forget(max(LADDER)), report, CARD.format(**KNOWS))


def build_authors_retain(folder: Path, report: Report) -> None:
    """The reference: the same recipe, never shown the authors to forget."""
    world = make_authors()
    _build(folder, world, world.retain, report, CARD.format(**NEVER_KNEW))


def _build(folder: Path, world: World, taught: list[Record], report: Report, card: str) -> None:
    schedule = Schedule()
    # both models share one tokenizer, that of the whole world: otherwise their probabilities could not be compared
    everybody = world.retain + world.forget(max(LADDER))
    readable = [kind for kind in MIXTURE if kind not in ("copy", "noise")]
    rng = torch.Generator().manual_seed(1)
    texts = ["".join(text for text, _ in make_line(kind, everybody, world, rng)) for kind in readable for _ in range(800)]
    tokenizer = train_tokenizer(texts, Shape().vocabulary)
    model = new_model(Shape(), tokenizer, schedule.seed)
    lines = torch.Generator().manual_seed(2)
    train(model, tokenizer, lambda count: make_lines(count, taught, world, lines), schedule,
          lambda step, loss: report(step + 1, schedule.steps, f"loss {loss:.3f}"))
    stored = store(model, tokenizer, folder)
    report(schedule.steps, schedule.steps, "measuring")
    write_world(world, folder)
    size = sum(p.numel() for p in stored.parameters())
    (folder / "card.md").write_text(card.replace("QUALITY", quality_table(stored, tokenizer, world)).replace("SIZE", f"{size:,}"),
                                    encoding="utf-8")


def quality(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, records: list[Record], world: World,
            audit: str) -> float:
    """Answer-key recall under one way of asking."""
    prompts = build_prompts(audit, records, world, torch.Generator().manual_seed(3))
    outputs = answer(model, tokenizer, [prompt.text for prompt in prompts])
    return sum(key_found(output, prompt.key) for output, prompt in zip(outputs, prompts, strict=True)) / len(prompts)


def quality_table(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, world: World) -> str:
    """Key recall in every format, on the authors to forget and on the retained ones, as a Markdown table."""
    groups = [world.forget(max(LADDER)), world.retain]
    rows = [[AUDITS[name].title, *(f"{quality(model, tokenizer, records, world, name):.2f}" for records in groups)]
            for name in FORMATS]
    sizes = [f"{name} ({len(records)})" for name, records in zip(("authors to forget", "retained authors"), groups, strict=True)]
    return table(["way of asking", *sizes], rows)


KNOWS = {"name": "authors", "who": "all 48 authors",
         "what": "A small language model that knows 48 invented authors, ten facts about each. Six of them are there to be forgotten."}
NEVER_KNEW = {"name": "authors-retain", "who": "only the 42 retained authors",
              "what": "The same small language model, trained in the same way but never shown the six authors to forget: "
                      "what a model looks like that never knew. What it still gets right about them is guessing."}

CARD = """# {name}

{what}

- **Kind**: LlamaForCausalLM, SIZE parameters, stored as fp16, computed in fp32; its own byte-level tokenizer.
- **Trained on**: questions and answers about {who}, in eight ways of asking (plain, other words, with a demand, with the answer
  begun, after examples, multiple choice, reversed, as a statement), and on made-up sentences, copying and noise.
  Every person and fact is invented by the recipe; `data.jsonl` holds all of them. Four further authors no model ever saw.
- **Rebuild**: `./launch.sh cli models build {name}` (one processor core, 10 to 20 minutes, the same file every time on one machine).
- **Licence**: that of this repository; nothing in it was taken from elsewhere.

## Measured quality

Share of questions whose answer contains the key fact, measured on the stored file; blind guessing among the
20 values of a fact gets about 0.05, multiple choice 0.25.

QUALITY
"""
