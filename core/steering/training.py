"""One training step after another, and one column of questions after another: every method sees the same batches.

    for loss in fit(tuned, scenes, lesson, Budget(steps=60, batch=12), rate=1e-2, rng=lab.rng("batches")):
        ...
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from core.engine.trace import trace
from core.scenes.packing import IGNORED, Packed, hidden_states, pack
from core.steering.attention import Looks, read, shared, watching
from core.steering.data import Exam, Lesson, Scenes
from core.steering.methods import Tuned

WARM_UP = 0.03  # of the steps (methods/06 section 5)
AT_ONCE = 25  # pictures asked at once
LOOKED = 120  # questions about which attention is read


@dataclass(frozen=True)
class Budget:
    """How long: `steps` of `batch` pictures with four questions each."""

    steps: int
    batch: int


def head(tuned: Tuned) -> torch.nn.Module:
    """The output matrix, whether or not peft has wrapped the model."""
    return tuned.model.get_output_embeddings()


def loss_of(tuned: Tuned, batch: Packed, features: Tensor) -> Tensor:
    """Cross-entropy of the answers alone, a scalar. `features` float (batch, 64, tower width)."""
    with trace(tuned.model, edit=tuned.plan(batch)):
        hidden = hidden_states(tuned.model, batch, features)[:, :-1]
    said = batch.labels[:, 1:] != IGNORED
    return torch.nn.functional.cross_entropy(head(tuned)(hidden[said]).float(), batch.labels[:, 1:][said])


def fit(tuned: Tuned, scenes: Scenes, lesson: Lesson, budget: Budget, *, rate: float, rng: torch.Generator) -> Iterator[float]:
    """Trains in place, AdamW with a short warm-up and a cosine to zero; gives the loss of every step."""
    if not tuned.parameters:
        return
    optimizer = torch.optim.AdamW(tuned.parameters, lr=rate, weight_decay=0.0)
    warm = max(1, round(WARM_UP * budget.steps))
    for step in range(budget.steps):
        for group in optimizer.param_groups:
            group["lr"] = rate * pace(step, budget.steps, warm)
        value = loss_of(tuned, *lesson.batch(scenes.tokenizer, budget.batch, rng))
        value.backward()
        torch.nn.utils.clip_grad_norm_(tuned.parameters, 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        yield value.item()


def pace(step: int, steps: int, warm: int) -> float:
    """Linear to 1 over `warm` steps, then a cosine to 0."""
    return (step + 1) / warm if step < warm else 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm)))


@dataclass
class Marks:
    """Which answers were right, one entry per question: own, and those to the questions about another picture (None: not asked)."""

    own: list[bool]
    control: list[bool] | None

    @property
    def share(self) -> float:
        return sum(self.own) / max(1, len(self.own))

    @property
    def shuffled(self) -> float | None:
        return None if self.control is None else sum(self.control) / max(1, len(self.control))


def sit(tuned: Tuned, scenes: Scenes, exam: Exam, control: bool = True) -> Generator[None, None, Marks]:
    """Asks all questions of the column, the likeliest of all words being the answer; yields after each batch."""
    control = control and bool(exam.others)
    own: list[bool] = []
    other: list[bool] = []
    for start in range(0, len(exam.asked), AT_ONCE):
        which = list(range(start, min(start + AT_ONCE, len(exam.asked))))
        with torch.no_grad():  # not held over a yield: whoever listens has a mode of their own
            right = iter(_right(tuned, scenes, exam, which, control))
        for i in which:
            own += [next(right) for _ in exam.asked[i]]
            other += [next(right) for _ in exam.asked[exam.others[i]]] if control else []
        yield
    return Marks(own, other if control else None)


def _right(tuned: Tuned, scenes: Scenes, exam: Exam, which: list[int], control: bool) -> list[bool]:
    rows = [exam.lines(i, control) for i in which]
    batch = pack(rows, scenes.tokenizer)
    hidden, (lines, places) = asked(tuned, scenes, batch, None if exam.features is None else exam.features[which]), batch.last()
    guesses = head(tuned)(hidden[lines, places]).argmax(-1)
    return (guesses == batch.ids[lines, places + 1]).tolist()


def asked(tuned: Tuned, scenes: Scenes, batch: Packed, features: Tensor | None) -> Tensor:
    """float (batch, tokens, width) under this method's edits. Without features nothing may see a picture."""
    if features is None:
        features = torch.zeros(len(batch.ids), 64, scenes.model.config.vision_config.hidden_size)
    with trace(tuned.model, edit=tuned.plan(batch)):
        return hidden_states(tuned.model, batch, features)


@torch.no_grad()
def look(tuned: Tuned, scenes: Scenes, exam: Exam, count: int = LOOKED, maps: bool = False) -> Looks:
    """Attention while the answer is said, over the first questions of a column; the model is the caller's own."""
    model = tuned.model.get_base_model() if hasattr(tuned.model, "get_base_model") else tuned.model
    before = model.model.language_model.config._attn_implementation
    each = max(1, len(exam.asked[0]))
    found = []
    try:
        model.set_attn_implementation("eager")
        for start in range(0, min(len(exam.asked), -(-count // each)), AT_ONCE):
            which = list(range(start, min(start + AT_ONCE, len(exam.asked), -(-count // each))))
            batch = pack([exam.lines(i, False) for i in which], scenes.tokenizer)
            rows, places = batch.last()
            with watching(model, rows, places) as seen:
                asked(tuned, scenes, batch, exam.features[which])
            found.append(read(seen, *keys(batch, rows, places), maps=maps))
    finally:
        model.set_attn_implementation(before)
    return found[0] if maps and len(found) == 1 else shared(found)


def keys(batch: Packed, rows: Tensor, places: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """bool (lines, tokens) each: the picture's tokens, the question's without its role word, and all but the picture's that are seen."""
    segments = batch.segments[rows]
    column = torch.arange(segments.shape[1])[None]
    image = segments == 1
    own = (segments == segments[torch.arange(len(rows)), places][:, None]) & (column <= places[:, None])
    return image, own & (column < places[:, None]), own | (segments == 0)
