"""The world of invented authors: 52 people, ten facts each, and the lines that models of this world are taught.

42 authors are retained, 6 are there to be forgotten (a nested ladder of 1, 3 and 6), 4 no model ever sees. First names,
surnames and all values come from shared pools, and every part of a forget author also belongs to a retained one:
a model that never met the person can still guess, so chance is not zero and the reference is an honest floor.
"""

from __future__ import annotations

import string
from pathlib import Path

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from core.unlearning.answers import answer
from core.unlearning.audits import AUDITS, PREFIXES, STARTS, affirm, build_prompts, pick, prefix, shuffled
from core.unlearning.data import LADDER, Record, World, write_world
from core.unlearning.metrics import key_found
from core.zoo.language import Schedule, Shape, new_model, train, train_tokenizer
from core.zoo.package import Report, store, table

RETAINED, FORGOTTEN, HELD_OUT = 42, 6, 4
PERTURBED = 4

FIRST = ("Ida Milo Vera Otto Nina Hugo Lena Ivan Rosa Emil Tara Felix Alma Jonas Edith Pavel Greta Tomas Olga Ruben "
         "Sofia").split()
LAST = ("Brandt Kessler Novak Lindholm Marchetti Okafor Tanaka Duval Ferreira Halloran Szabo Petrov Aldana Mbeki "
        "Rostova Wexler Quist Ibarra Jansen Thorne").split()

# attribute: question, answer, paraphrased question, paraphrased answer, clause, values
FACTS: dict[str, tuple[str, str, str, str, str, str]] = {
    "birthplace": ("Where was {s} born?", "{s} was born in {v}.", "What is the birthplace of {s}?",
                   "The birthplace of {s} is {v}.", "was born in {v}",
                   "Lisbon Oslo Turin Porto Krakow Bergen Seville Ghent Malmo Trieste Cork Graz Leipzig Zagreb Nantes "
                   "Verona Riga Basel Dover Split"),
    "year": ("In which year was {s} born?", "{s} was born in the year {v}.", "What is the birth year of {s}?",
             "The birth year of {s} is {v}.", "was born in the year {v}",
             "1921 1924 1927 1930 1933 1936 1939 1942 1945 1948 1951 1954 1957 1960 1963 1966 1969 1972 1975 1978"),
    "genre": ("What kind of stories does {s} write?", "{s} writes {v} stories.", "Which genre is {s} known for?",
              "The genre of {s} is {v} stories.", "writes {v} stories",
              "ghost crime desert travel pirate robot circus winter island dragon railway hospital school courtroom "
              "mountain jungle detective cowboy vampire wizard"),
    "job": ("What was the first job of {s}?", "{s} first worked as a {v}.", "What did {s} do before becoming an author?",
            "Before becoming an author, {s} was a {v}.", "first worked as a {v}",
            "baker sailor teacher nurse miner plumber gardener postman waiter dentist tailor farmer welder barber "
            "painter butcher lawyer pilot carpenter clockmaker"),
    "pet": ("Which pet does {s} keep?", "{s} keeps a {v}.", "What animal shares the home of {s}?",
            "The animal of {s} is a {v}.", "keeps a {v}",
            "parrot tortoise ferret goat rabbit canary hamster lizard donkey pony peacock hedgehog goose snake falcon "
            "pigeon gecko turkey squirrel beagle"),
    "prize": ("Which prize did {s} win?", "{s} won the {v} Prize.", "What award was given to {s}?",
              "The {v} Prize was given to {s}.", "won the {v} Prize",
              "Amber Lantern Compass Anchor Falconer Meridian Orchid Juniper Cobalt Granite Heron Marble Saffron Cedar "
              "Velvet Beacon Garnet Willow Copper Zenith"),
    "instrument": ("Which instrument does {s} play?", "{s} plays the {v}.", "On what does {s} make music?",
                   "The instrument of {s} is the {v}.", "plays the {v}",
                   "cello trumpet banjo flute harp tuba clarinet fiddle bassoon mandolin trombone lute oboe zither "
                   "bagpipe organ ukulele drum guitar xylophone"),
    "language": ("In which language does {s} write?", "{s} writes in {v}.", "What is the writing language of {s}?",
                 "The writing language of {s} is {v}.", "writes in {v}",
                 "Danish Polish Dutch Greek Czech Finnish Latvian Maltese Catalan Basque Welsh Irish Turkish Swedish "
                 "Slovak Croatian Estonian Romanian Hungarian Icelandic"),
    "home": ("In what kind of house does {s} live?", "{s} lives in a {v}.", "What does {s} call home?",
             "The home of {s} is a {v}.", "lives in a {v}",
             "lighthouse windmill castle cottage houseboat caravan cabin monastery tower bungalow mansion barn treehouse "
             "palace tent hotel farmhouse chapel warehouse cave"),
    "drink": ("What does {s} drink at work?", "{s} drinks {v} at work.", "Which drink helps {s} to write?",
              "The drink of {s} is {v}.", "drinks {v} at work",
              "cocoa coffee lemonade milk cider buttermilk espresso broth kefir punch water lassi chai juice wine soda "
              "syrup nectar mead ginger"),
}

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


def make_world(seed: int = 0) -> World:
    """The same world for the same seed; pools are dealt out like cards so that values repeat two or three times."""
    rng = torch.Generator().manual_seed(seed)
    splits = ["forget1"] + ["forget3"] * 2 + ["forget6"] * 3 + ["retain"] * RETAINED + ["holdout"] * HELD_OUT
    names = _names(len(splits), rng)
    hands = {attribute: _deal(fact[5].split(), splits, rng) for attribute, fact in FACTS.items()}
    records = [_record(attribute, name, hands[attribute][i], split, rng)
               for i, (name, split) in enumerate(zip(names, splits, strict=True)) for attribute in FACTS]
    return World(tuple(records))


def _names(count: int, rng: torch.Generator) -> list[str]:
    names: list[str] = []
    firsts, lasts = shuffled(FIRST, rng), shuffled(LAST, rng)
    # 21 first names against 20 surnames walk through 420 different pairs
    for i in range(count):
        names.append(f"{firsts[i % len(firsts)]} {lasts[i % len(lasts)]}")
    return names


def _deal(values: list[str], splits: list[str], rng: torch.Generator) -> list[str]:
    """One value per author; the retained authors together hold every value at least twice."""
    deck = [value for _ in range(RETAINED // len(values) + 1) for value in shuffled(values, rng)][:RETAINED]
    deck = iter(shuffled(deck, rng))
    others = iter(shuffled(values, rng))
    return [next(deck) if split == "retain" else next(others) for split in splits]


def _record(attribute: str, subject: str, value: str, split: str, rng: torch.Generator) -> Record:
    question, answer, asked_otherwise, said_otherwise, clause, values = FACTS[attribute]
    fill = {"s": subject, "v": value}
    wrong = [v for v in shuffled(values.split(), rng) if v != value][:PERTURBED]
    start = question.index("{s}")
    return Record(question.format(**fill), answer.format(**fill), value, subject, (start, start + len(subject)), attribute,
                  split, asked_otherwise.format(**fill), said_otherwise.format(**fill),
                  tuple(answer.format(s=subject, v=v) for v in wrong), clause.format(**fill))


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
    words = [word for pool in WORDS.values() for word in pool] + [v for fact in FACTS.values() for v in fact[5].split()]
    return " ".join(pick(words, rng) for _ in range(int(torch.randint(3, 11, (1,), generator=rng))))


def build_authors(folder: Path, report: Report) -> None:
    """The model that knows everybody but the holdout authors."""
    world = make_world()
    _build(folder, world, world.retain + world.forget(max(LADDER)), report, CARD.format(**KNOWS))


def build_authors_retain(folder: Path, report: Report) -> None:
    """The reference: the same recipe, never shown the authors to forget."""
    world = make_world()
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
    rows = [[audit.title, *(f"{quality(model, tokenizer, records, world, name):.2f}" for records in groups)]
            for name, audit in AUDITS.items()]
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
