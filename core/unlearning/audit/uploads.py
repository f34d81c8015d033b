"""A visitor's own questions, read as soon as they are brought.

unlearning/questions     a probe: what is in a file of questions, or a LabError that names the row
"""

from __future__ import annotations

from dataclasses import dataclass

from core.engine.errors import LabError
from core.engine.lab import Lab
from core.unlearning.audit.spec import QuestionsConfig
from core.unlearning.prompts import AUDITS, offered
from core.unlearning.questions import read_questions

LOOKED_AT = 60  # questions, to say which ways of asking a table allows


@dataclass(frozen=True)
class Found:
    """says: what was found, in sentences.  questions: how many can be asked.  refused: way of asking -> why it cannot be tried."""

    says: str
    questions: int
    refused: dict[str, str]


def brought(config: QuestionsConfig, lab: Lab) -> Found:
    """Reads the file. Raises LabError for a file that is no table of questions."""
    if not config.questions:
        raise LabError("No file was given.", "Bring a table whose first row names the columns 'question' and 'answer'.")
    world = read_questions(lab.data(config.questions))
    refused = {way: why for way, why in offered(world.records[:LOOKED_AT], world).items() if why and AUDITS[way].build}
    count, titles = len(world.records), [f'"{AUDITS[way].title}"' for way in refused]
    says = [f"{count} question{'' if count == 1 else 's'}, for example: {world.records[0].question}", *world.notes]
    if titles:
        says.append(f"This table does not allow {', '.join(titles)}: those ways of asking need more columns.")
    return Found(" ".join(says), count, refused)
