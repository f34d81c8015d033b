"""Question-answer records about invented authors: who is to be forgotten, who is to be kept, who was never there.

    world = read_world(lab.folder("authors"))
    forget_set = world.forget(3)          # all records of three authors
    retain_set = world.retain

Source: methods/01 section 2.4 (a tiny TOFU: one sentence per fact, the short answer key kept apart).
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

from core.engine.errors import LabError

DATA_FILE = "data.jsonl"
LADDER = (1, 3, 6)


@dataclass(frozen=True)
class Record:
    """One fact.  `subject_span` is the (start, end) of the subject's characters in `question`.

    split: forget1 | forget3 | forget6 | retain | holdout.  The forget ladder is nested: forgetting three authors takes
    forget1 and forget3.  perturbed_answers: the same sentence with another author's value.  clause: the fact as it
    follows "Which author ...", for the reverse question.
    """

    question: str
    answer: str
    key: str
    subject: str
    subject_span: tuple[int, int]
    attribute: str
    split: str
    paraphrased_question: str
    paraphrased_answer: str
    perturbed_answers: tuple[str, ...]
    clause: str


@dataclass(frozen=True)
class World:
    """All records, in a fixed order: author by author, the same ten attributes each."""

    records: tuple[Record, ...]

    def forget(self, subjects: int) -> list[Record]:
        """The records of the first 1, 3 or 6 authors to forget."""
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
        """Authors no model ever saw."""
        return [record for record in self.records if record.split == "holdout"]

    def about(self, subject: str) -> list[Record]:
        """All facts of one author."""
        return self._by_subject[subject]

    def values(self, attribute: str) -> list[str]:
        """Every value that a retained author has for this attribute, sorted."""
        return self._values[attribute]

    @cached_property
    def _by_subject(self) -> dict[str, list[Record]]:
        found: dict[str, list[Record]] = {}
        for record in self.records:
            found.setdefault(record.subject, []).append(record)
        return found

    @cached_property
    def _values(self) -> dict[str, list[str]]:
        found: dict[str, set[str]] = {}
        for record in self.retain:
            found.setdefault(record.attribute, set()).add(record.key)
        return {attribute: sorted(keys) for attribute, keys in found.items()}


def read_world(folder: Path) -> World:
    """The world stored beside an embedded model. Raises LabError when the folder has none."""
    path = Path(folder) / DATA_FILE
    if not path.exists():
        raise LabError(f"There are no questions in '{Path(folder).name}'.", "Build the model again: glassbox models build authors.")
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line]
    return World(tuple(Record(**{**row, "subject_span": tuple(row["subject_span"]),
                                 "perturbed_answers": tuple(row["perturbed_answers"])}) for row in rows))


def write_world(world: World, folder: Path) -> None:
    """One JSON object a line, readable by `read_world`."""
    lines = [json.dumps(asdict(record), ensure_ascii=False) for record in world.records]
    (Path(folder) / DATA_FILE).write_text("\n".join(lines) + "\n", encoding="utf-8")
