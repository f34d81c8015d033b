"""From texts to targets before an attack, and from attempts to outcomes after it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from core.engine.decoding import end_tokens
from core.unlearning.answers import NEW_TOKENS
from core.unlearning.metrics import key_found
from core.unlearning.soft_tokens.attack import Attempt, embedding_matrix, speak
from core.unlearning.soft_tokens.cells import SENTENCE, Row
from core.unlearning.soft_tokens.inside import norm_ratio
from core.unlearning.soft_tokens.models import Subject
from core.unlearning.soft_tokens.results import Outcome
from core.unlearning.soft_tokens.spec import Who
from core.unlearning.soft_tokens.state import Bench
from core.unlearning.soft_tokens.targets import Target, check_room

EXTRA_TOKENS = 12


def encoded(given: Subject, rows: Sequence[Row], k: int) -> list[Target]:
    """What the rows are for this model. Raises LabError for a text that does not fit into what it reads."""
    targets = [row.encode(given.tokenizer) for row in rows]
    check_room(given.model, given.ref, targets, k)
    return targets


def settle(bench: Bench, who: Who, rows: Sequence[Row], attempts: Sequence[Attempt]) -> None:
    """Lets the model write behind the soft tokens that were found, and notes what came of every attack in the bench."""
    given, space = bench.subjects[who], bench.settings.space
    matrix, ends = embedding_matrix(given.model), end_tokens(given.model, given.tokenizer)
    extra = NEW_TOKENS if bench.config.mode == "opening" else EXTRA_TOKENS
    found: dict[str, list[Outcome]] = defaultdict(list)
    for row, attempt, said in zip(rows, attempts, speak(given.model, attempts, space, extra=extra), strict=True):
        n = len(attempt.target.completion)
        # targets hold no end token, so a model that says one has finished; what follows is no answer
        text = given.tokenizer.decode(said[:next((i for i, token in enumerate(said) if token in ends), len(said))])
        wanted = row.wanted or given.tokenizer.decode(attempt.target.completion).strip()
        hit = attempt.hit_at is not None
        generated = tuple(said[:n]) == attempt.target.completion if hit else None
        found[row.cell].append(Outcome(
            row.cell, row.question, wanted, text, hit if row.key is None else key_found(text, row.key), attempt.hit_at, attempt.loss,
            attempt.accuracy, norm_ratio(attempt.parameter.detach(), matrix, space), generated, attempt.broken, attempt.losses,
            attempt.late))
    for cell, outcomes in found.items():
        if cell == SENTENCE:
            bench.own[who] = outcomes[0]
        else:
            bench.outcomes[cell] = outcomes
