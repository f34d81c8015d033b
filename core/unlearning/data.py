"""Question-answer records about invented people: who is to be forgotten, who is to be kept, who was never there.

    world = read_world(lab.folder("worlds"), "people")
    forget_set = world.forget(3)                      # all records of three people
    retain_set = world.retain
    world.neighbours(forget_set[0].subject)           # what must survive next to the first of them

Three worlds, in the shape of the three data sets of methods/01 section 2: `authors` (TOFU), `saga` (Who's Harry
Potter), `people` (RWKU). One sentence per fact, the short answer key kept apart (section 2.4). Files of the published
sets and a visitor's own questions become the same records in `core.unlearning.questions`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any

from core.engine.errors import LabError

LADDER = (1, 3, 6)


@dataclass(frozen=True)
class About:
    """title: what a visitor reads.  kind: what its subjects are ("Which author ...").  tie: the attribute that makes neighbours."""

    title: str
    kind: str
    tie: str


WORLDS = {
    "authors": About("Invented authors", "author", "genre"),
    "saga": About("A book that was never written", "character", "order"),
    "people": About("Invented public figures", "person", "club"),
}


@dataclass(frozen=True)
class Record:
    """One fact.  `subject_span` is the (start, end) of the subject's characters in `question`, None where it is not in there.

    split: forget1 | forget3 | forget6 | retain | holdout.  The forget ladder is nested: forgetting three people takes
    forget1 and forget3.  perturbed_answers: the same sentence with somebody else's value.  clause: the fact as it
    follows "Which author ...", for the reverse question.  affirmative: the beginning of a willing answer, up to the key.
    cloze: the fact as a sentence with ___ for the key.  level: RWKU's 1 (cloze), 2 (question) or 3 (adversarial); 0 unknown.
    keys: all words that prove the answer where a file names several; `key` is the first of them.  verbatim: `question` is the
    beginning of a text and `answer` how it goes on.
    Fields that a file does not have are empty.
    """

    question: str
    answer: str
    key: str
    subject: str
    subject_span: tuple[int, int] | None
    attribute: str
    split: str
    paraphrased_question: str
    paraphrased_answer: str
    perturbed_answers: tuple[str, ...]
    clause: str
    affirmative: str = ""
    cloze: str = ""
    level: int = 0
    keys: tuple[str, ...] = ()
    verbatim: bool = False


@dataclass(frozen=True)
class World:
    """All records, in a fixed order: subject by subject, the same attributes each.

    notes: sentences about what was left out or could not be found when a file was read; empty for an embedded world.
    kinds: by attribute, all values of that kind, where they are others than those of the subjects to keep.
    """

    records: tuple[Record, ...]
    name: str = "authors"
    title: str = WORLDS["authors"].title
    kind: str = WORLDS["authors"].kind
    tie: str = WORLDS["authors"].tie
    notes: tuple[str, ...] = ()
    kinds: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def forget(self, subjects: int) -> list[Record]:
        """The records of the first 1, 3 or 6 subjects to forget; a visitor's own questions are all of them at every step."""
        if subjects not in LADDER:
            raise LabError(f"{subjects} people cannot be forgotten at once.", "Choose 1, 3 or 6.")
        names = {f"forget{size}" for size in LADDER if size <= subjects}
        return [record for record in self.records if record.split in names]

    @cached_property
    def retain(self) -> list[Record]:
        """What every model of the world was taught and should keep."""
        return [record for record in self.records if record.split == "retain"]

    @cached_property
    def holdout(self) -> list[Record]:
        """Subjects no model ever saw."""
        return [record for record in self.records if record.split == "holdout"]

    def about(self, subject: str) -> list[Record]:
        """All facts of one subject."""
        return self._by_subject.get(subject, [])

    def values(self, attribute: str) -> list[str]:
        """Every value that a retained subject has for this attribute, or all of its kind where the world says so; sorted."""
        return list(self.kinds[attribute]) if attribute in self.kinds else self._values.get(attribute, [])

    def neighbours(self, subject: str) -> list[Record]:
        """All facts of the retained subjects who share the tie of the world with `subject` (RWKU's neighbour probes).

        The tie is the genre of an author, the order of a character, the club of a public figure. Nobody is their own neighbour.
        """
        if not self.tie:
            return []
        mine = {record.key for record in self.about(subject) if record.attribute == self.tie}
        related = {record.subject for record in self.retain
                   if record.attribute == self.tie and record.key in mine and record.subject != subject}
        return [record for record in self.retain if record.subject in related]

    def corpus(self, records: Sequence[Record]) -> list[str]:
        """These facts as plain statements, two of each: what a forget *text* would hold, without any question."""
        lines = [line for record in records for line in (record.answer, record.paraphrased_answer)]
        return list(dict.fromkeys(line for line in lines if line))

    @cached_property
    def _by_subject(self) -> dict[str, list[Record]]:
        found: dict[str, list[Record]] = {}
        for record in self.records:
            if record.subject:
                found.setdefault(record.subject, []).append(record)
        return found

    @cached_property
    def _values(self) -> dict[str, list[str]]:
        found: dict[str, set[str]] = {}
        for record in self.retain:
            if record.attribute:
                found.setdefault(record.attribute, set()).add(record.key)
        return {attribute: sorted(keys) for attribute, keys in found.items()}


def new_world(name: str, records: Sequence[Record]) -> World:
    """The embedded world of that name. Raises LabError for a name that WORLDS does not have."""
    if name not in WORLDS:
        raise LabError(f"There is no world called '{name}'.", f"There are: {', '.join(WORLDS)}.")
    about = WORLDS[name]
    return World(tuple(records), name, about.title, about.kind, about.tie)


def read_world(folder: Path, name: str) -> World:
    """A world stored beside an embedded model.

    Raises LabError when there is no world of that name, or the folder does not hold it.
    """
    new_world(name, ())
    path = Path(folder) / f"{name}.jsonl"
    if not path.exists():
        raise LabError(f"There are no questions in '{Path(folder).name}'.", "Build the model again: glassbox models build worlds.")
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line]
    return new_world(name, [_record(row) for row in rows])


def write_world(world: World, folder: Path) -> None:
    """One JSON object a line, readable by `read_world`; optional fields that are empty are left out."""
    optional = {one.name: one.default for one in fields(Record) if isinstance(one.default, str | int | tuple)}
    lines = [json.dumps({key: value for key, value in asdict(record).items() if key not in optional or value != optional[key]},
                        ensure_ascii=False) for record in world.records]
    (Path(folder) / f"{world.name}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _record(row: dict[str, Any]) -> Record:
    lists = ("subject_span", "perturbed_answers", "keys")
    return Record(**{key: tuple(value) if key in lists and value is not None else value for key, value in row.items()})
