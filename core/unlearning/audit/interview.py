"""The interview: one way of asking, put to the witnesses of an audit that are there, in the very words and batches of the run.

    said = interview(InterviewConfig(way="reverse", unlearned="run/ID/unlearned"), lab)
    said.witnesses[0].name, said.witnesses[0].texts[3], said.witnesses[0].found[3]     # "Original", "Ida Brandt.", True

A small model is asked every question of the run at once, so that its answers are those of the run to the letter; a larger one only
`number`, since whoever has pressed is waiting.
"""

from __future__ import annotations

from dataclasses import dataclass

from core.engine.errors import LabError
from core.engine.lab import Lab
from core.engine.models import LoadedModel
from core.unlearning.audit.examine import Questions
from core.unlearning.audit.experiments import AS_IT_IS, drawn, witnesses
from core.unlearning.audit.fitting import fit
from core.unlearning.audit.results import MODELS
from core.unlearning.audit.spec import InterviewConfig
from core.unlearning.figures import NAMES
from core.unlearning.prompts import AUDITS
from core.unlearning.replies import SMALL, Replies, reply, rows_at_once, with_tokenizer


@dataclass(frozen=True)
class Witness:
    """texts, found: by question of the run, what was said and whether the key fact is in it; None where it was not asked."""

    name: str
    texts: list[str | None]
    found: list[bool | None]


@dataclass(frozen=True)
class Interview:
    """way: how they were asked.  witnesses: original, after forgetting, never knew, as far as they are there."""

    way: str
    witnesses: list[Witness]


def interview(config: InterviewConfig, lab: Lab) -> Interview:
    """Asks. Raises LabError for a way or a question that this run does not have, and for a model that is not there."""
    trains, questions, models = _ready(config, lab)
    if config.way not in questions.prompts:
        raise LabError(f"\"{AUDITS[config.way].title}\" is none of the ways of asking of this run.", "Choose another way of asking.")
    if config.number >= len(questions.records):
        raise LabError(f"This run has {len(questions.records)} questions.", "Choose one of them.")
    if trains and config.unlearned:
        models["unlearned"] = with_tokenizer(lab.load(config.unlearned))
    names = NAMES if trains else AS_IT_IS
    asked = {who: _asked(models[who], questions, config, lab) for who in MODELS if who in models}
    return Interview(config.way, [Witness(names[who], said.texts, said.found) for who, said in asked.items()])


def _ready(config: InterviewConfig, lab: Lab) -> tuple[bool, Questions, dict[str, LoadedModel]]:
    """Whether the run trains, its questions, and its models but the one that forgot. What was drawn once is remembered."""
    run = config.model_dump_json(exclude={"way", "number", "unlearned"})
    key = ("interview questions", lab.seed, run)
    if (known := lab.cache.get(key)) is not None:
        trains, questions = known
        return trains, questions, witnesses(config, lab, trains)
    world, questions = drawn(config, lab)
    trains = config.steps > 0 and (not config.questions or bool(world.retain))
    models = witnesses(config, lab, trains)
    questions, _ = fit(questions, models.values())
    lab.cache[key] = trains, questions
    return trains, questions, models


def _asked(loaded: LoadedModel, questions: Questions, config: InterviewConfig, lab: Lab) -> Replies:
    """The answers of one model, remembered: the next press on another question of this way has them already."""
    small = loaded.model.num_parameters() <= SMALL
    key = (loaded.fingerprint, "interview", config.way, questions.key, None if small else config.number)
    if (known := lab.cache.get(key)) is not None:
        return known
    prompts = questions.prompts[config.way]
    said = Replies([None] * len(prompts), [None] * len(prompts))
    size = rows_at_once(loaded.model) if small else 1
    for start in range(0, len(prompts), size) if small else [config.number]:
        said.take(start, reply(loaded.model, loaded.tokenizer, prompts[start:start + size]))
    lab.cache[key] = said
    return said
