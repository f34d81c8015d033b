"""Seventy short questions about the real world, for a language model that was trained on real text: `assets/samples/real.csv`.

    world = read_real()
    world.forget(1)               # the capitals of fourteen European countries
    world.retain                  # capitals elsewhere and other facts, to be rehearsed
    part(world, "test")           # facts of the same kind that no run rehearses: is more kept than what is practised?
    part(world, "check")          # those on which learning rates were searched, and nothing else
    world.holdout                 # countries that we made up, and capitals for them: nobody can know these

No model exists that was trained on the same text without European capitals, so nobody stands for "never knew" here. What luck gives is
asked of the made-up countries instead: the same prompts to a model that cannot know.
"""

from __future__ import annotations

import csv
from functools import cache
from pathlib import Path

from core.engine.settings import ASSETS
from core.unlearning.data import Record, World
from core.unlearning.words import find

NAME, TITLE = "capitals", "Capitals of Europe"
FILE = ASSETS / "samples" / "real.csv"
SPLITS = {"forget": "forget1", "keep": "retain", "made up": "holdout"}  # as every world calls them; "check" and "test" stay
KINDS = {"forget": "capital", "made up": "capital that we made up"}
ELSEWHERE = "capital elsewhere"


@cache
def read_real(file: Path = FILE) -> World:
    """All questions as a world of one subject per country; a fact about no country has no subject."""
    with file.open(encoding="utf-8", newline="") as lines:
        records = tuple(_record(row) for row in csv.DictReader(lines))
    kinds: dict[str, list[str]] = {}
    for record in records:
        if record.attribute:
            kinds.setdefault(record.attribute, []).append(record.key)
    return World(records, NAME, TITLE, "country", "", kinds={kind: tuple(sorted(keys)) for kind, keys in kinds.items()})


def part(world: World, split: str) -> list[Record]:
    """The records of one split, in their order."""
    return [record for record in world.records if record.split == split]


def elsewhere(world: World) -> list[Record]:
    """Capitals outside Europe on which no rate was searched: to them the same prompts can be put."""
    return [record for record in world.records if record.attribute == ELSEWHERE and record.split != "check"]


def _record(row: dict[str, str]) -> Record:
    keys, subject = tuple(row["key"].split("|")), row["subject"]
    place = find(subject, row["question"]) if subject else None
    begun = row["answer"][:row["answer"].rindex(keys[0])].rstrip()
    return Record(row["question"], row["answer"], keys[0], subject, place.span() if place else None,
                  KINDS.get(row["set"], ELSEWHERE) if subject else "", SPLITS.get(row["set"], row["set"]), row["paraphrased_question"],
                  row["paraphrased_answer"], tuple(row["wrong_answers"].split("|")), "", affirmative=begun,
                  keys=keys if len(keys) > 1 else ())
