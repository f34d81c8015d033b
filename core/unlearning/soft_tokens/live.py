"""What is shown of a batch of attacks while it runs: mean losses, one watched text, and its soft tokens."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from core.engine.events import Event, Figure, Metric, Table
from core.unlearning.soft_tokens import figures
from core.unlearning.soft_tokens.attack import Attempt, Space, embedding_matrix, soft_tokens
from core.unlearning.soft_tokens.cells import CELLS, SENTENCE, Row
from core.unlearning.soft_tokens.inside import Projection, tiles
from core.unlearning.soft_tokens.models import Subject
from core.unlearning.soft_tokens.spec import WHO, Who

EVERY = 5
PICTURE_EVERY = 20
POINTS = 250


class Watch:
    """Follows one batch: all rows by their mean, and the first one closely if it is told to."""

    def __init__(self, who: Who, given: Subject, rows: Sequence[Row], space: Space, *, closely: bool) -> None:
        self.who, self.rows, self.space, self.tokenizer = who, rows, space, given.tokenizer
        self.matrix = embedding_matrix(given.model)
        self.projection: Projection | None = None
        self.track: list[Tensor] = []
        self.ended = who == "blank" or not closely  # what stays on show is the last model that gave in

    def look(self, step: int, attempts: Sequence[Attempt], *, done: bool) -> Iterator[Event]:
        """Everything there is to say after this step; little at most steps."""
        attempt = attempts[0]
        if step % EVERY == 0 or done:
            yield from self._means(step, attempts)
        if self.ended:
            return
        self.ended = done or not attempt.running
        if step % EVERY == 0 or self.ended:
            yield self._target(attempt)
        if step % PICTURE_EVERY == 0 or self.ended:
            self.track.append(soft_tokens(attempt.parameter.detach(), self.matrix, self.space).clone())
            yield from self._tiles(attempt)

    def _means(self, step: int, attempts: Sequence[Attempt]) -> Iterator[Event]:
        for cell in dict.fromkeys(row.cell for row in self.rows):
            mine = [attempt for row, attempt in zip(self.rows, attempts, strict=True) if row.cell == cell]
            losses = [a.losses[-1] for a in mine if a.losses]
            if not losses:
                continue
            if cell == SENTENCE:
                yield Metric(f"loss sentence, {WHO[self.who].lower()}", losses[0], step, "nats per token")
            else:
                name = CELLS[cell].name
                yield Metric(f"loss {name}", sum(losses) / len(losses), step, "nats per token")
                yield Metric(f"reached {name}", sum(a.hit_at is not None for a in mine) / len(mine), step, "share")

    def _target(self, attempt: Attempt) -> Event:
        """The text as far as it comes out, a gap where another token is likelier."""
        rows = []
        for right, said, probability in zip(attempt.target.completion, attempt.said, attempt.probability, strict=True):
            token, other = (self.tokenizer.decode([t]) for t in (right, said))
            rows.append([token if right == said else "_" * max(1, len(token.strip())), round(probability, 4), token, other])
        return Table("target", ["Text so far", "probability of the right token", "right token", "the model would say"], rows)

    def _tiles(self, attempt: Attempt) -> Iterator[Event]:
        found = tiles(attempt.parameter.detach(), self.matrix, self.space, self.tokenizer)
        yield Table("tiles", ["Nearest word", "length (an ordinary word = 1)", "next nearest", "then"],
                    [[tile.words[0], round(tile.norm, 3), *tile.words[1:]] for tile in found])
        if self.projection is None:
            self.projection = Projection.of(self.matrix)
            stride = max(1, len(self.matrix) // POINTS)
            self.words = self.projection.flat(self.matrix[::stride])
        moved = torch.stack(self.track)  # (moments, k, width)
        tracks = [self.projection.flat(moved[:, i]) for i in range(moved.shape[1])]
        yield Figure("path", figures.path(self.words, tracks, [tile.words[0] for tile in found], self.projection.share,
                                          self.projection.shown(moved[-1])))
