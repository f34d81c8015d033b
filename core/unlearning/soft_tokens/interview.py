"""The interview of the bench: one question, put to the three witnesses plainly or with soft tokens in front.

    said = witnesses(WitnessConfig(how="false", number=3), lab)
    [(one.who, one.said, one.hit, one.steps) for one in said.witnesses]

Questions, soft tokens to begin with and settings are those of the run with the same config and seed. The run attacks many texts in one
batch and this one alone, so the last digits of a loss may differ; each attack is the same otherwise.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import torch

from core.engine.errors import LabError
from core.engine.lab import Lab
from core.engine.steps import value_of
from core.unlearning import real
from core.unlearning.data import read_world
from core.unlearning.prompts import build_prompts
from core.unlearning.replies import reply
from core.unlearning.soft_tokens.attack import attack
from core.unlearning.soft_tokens.cells import Row, draw_rows, subjects_for
from core.unlearning.soft_tokens.models import check_can_be_made, make_forget, subject
from core.unlearning.soft_tokens.settling import encoded, settle
from core.unlearning.soft_tokens.spec import WHO, Who, WitnessConfig
from core.unlearning.soft_tokens.state import Bench

CALLED: tuple[Who, ...] = ("original", "unlearned", "reference")


@dataclass(frozen=True)
class Said:
    """hit: the key fact is in a plain answer, or the wanted text came out.  steps: of the attack, None without one or without success."""

    who: Who
    name: str
    said: str
    hit: bool
    steps: int | None


@dataclass(frozen=True)
class Testimony:
    """questions: all that can be put.  question, wanted: this one, and what it was to bring out ("" where it was just asked)."""

    questions: list[str]
    question: str
    wanted: str
    witnesses: list[Said]


def witnesses(config: WitnessConfig, lab: Lab) -> Testimony:
    """Raises LabError for a run without a model that never knew, and for models that cannot be attacked or made to forget."""
    if config.what != "bench" or config.world == real.NAME:
        raise LabError("Three witnesses are there only for the whole bench.", "Choose 'The whole bench' under 'What to run'.")
    world = read_world(lab.folder("worlds"), config.world)
    bench = Bench(config, lab, world)
    _call(bench)
    rows = draw_rows(bench.plan, world, lab.rng)
    row = (rows["D"] if config.how == "false" else rows["A"])[config.number:config.number + 1]
    if not row:
        raise LabError(f"This run has {len(rows['A'])} questions.", "Choose one of them.")
    if config.how == "asked":
        said = _asked(bench, [one.question for one in rows["A"]])
    else:  # of the one that was made to forget, the run attacks the false answers behind the true ones
        place = config.number + (len(rows["A"]) if config.how == "false" else 0)
        said = [_attacked(bench, who, row[0], place) for who in CALLED]
    return Testimony([one.question for one in rows["A"]], row[0].question, "" if config.how == "asked" else row[0].wanted, said)


def _call(bench: Bench) -> None:
    config, lab = bench.config, bench.lab
    for who, ref in (("original", config.model), ("reference", config.reference), ("unlearned", config.unlearned)):
        if ref:
            bench.subjects[who] = subject(lab.load(ref), config.thinking)
    if "unlearned" not in bench.subjects:
        check_can_be_made(bench.subjects["original"])
        asked = f"{lab.load(config.model).fingerprint} thinks {config.thinking}"
        made = make_forget(lab, bench.subjects["original"], asked, bench.world, subjects_for(bench.world, config.targets),
                           config.algorithm, config.forget_steps, bench.pacer)
        with torch.enable_grad():
            bench.subjects["unlearned"] = value_of(made)


def _asked(bench: Bench, questions: list[str]) -> list[Said]:
    """All questions of the run in one batch, as the run asks them; the answers to the one that is wanted."""
    by_question, number = {record.question: record for record in bench.forgotten()}, bench.config.number
    prompts = build_prompts("direct", [by_question[question] for question in questions], bench.world, bench.lab.rng("plain"))
    found = []
    for who in CALLED:
        given = bench.subjects[who]
        replies = reply(given.model, given.tokenizer, prompts)
        found.append(Said(who, WHO[who], replies.texts[number] or "", bool(replies.found[number]), None))
    return found


def _attacked(bench: Bench, who: Who, row: Row, place: int) -> Said:
    given, k = bench.subjects[who], bench.config.k
    with torch.enable_grad():
        attempts = deque(attack(given.model, encoded(given, [row], k), [bench.start(who, place, k)], bench.settings), maxlen=1)[0]
    settle(bench, who, [row], attempts)
    came = bench.outcomes[row.cell][0]
    return Said(who, WHO[who], came.said, came.success, came.steps)
